// SPDX-License-Identifier: Apache-2.0
#include "detect/nms.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "core/error.h"

namespace poseact {
namespace {

// In double, so that a pair at the threshold is decided as exact arithmetic on its floats would.
struct Box {
  double x0, y0, x1, y1, area;
};

bool usable(std::span<const float> box, float score) {
  const bool finite = std::ranges::all_of(box, [](float v) { return std::isfinite(v); });
  return finite && std::isfinite(score) && box[2] > box[0] && box[3] > box[1];
}

Box load(std::span<const float> box) {
  const double x0 = box[0];
  const double y0 = box[1];
  const double x1 = box[2];
  const double y1 = box[3];
  return {x0, y0, x1, y1, (x1 - x0) * (y1 - y0)};
}

double overlap(const Box& a, const Box& b) {
  const double width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const double height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0.0 || height <= 0.0) return 0.0;
  const double common = width * height;
  return common / (a.area + b.area - common);
}

void check(const NmsOptions& options) {
  const auto fraction = [](float v) { return v >= 0.0F && v <= 1.0F; };
  if (!fraction(options.min_score)) {
    throw ConfigError("nms: expected min_score from 0 to 1, got " +
                      std::to_string(options.min_score));
  }
  if (options.iou && !fraction(*options.iou)) {
    throw ConfigError("nms: expected iou from 0 to 1, or none, got " +
                      std::to_string(*options.iou));
  }
  if (options.max_boxes < 1) {
    throw ConfigError("nms: expected max_boxes of 1 or more, got " +
                      std::to_string(options.max_boxes));
  }
}

// The work of one image; keeps its scratch memory from one image to the next.
class Suppressor {
 public:
  explicit Suppressor(const NmsOptions& options) : options_(options) {}

  void run(std::span<const float> boxes, std::span<const float> scores, std::int32_t image,
           Kept& kept) {
    rank(boxes, scores);
    chosen_.clear();
    const auto most = static_cast<std::size_t>(options_.max_boxes);
    for (const std::size_t i : order_) {
      if (chosen_.size() == most) break;
      const auto box = boxes.subspan(4 * i, 4);
      const Box candidate = load(box);
      if (covered(candidate)) continue;
      chosen_.push_back(candidate);
      kept.boxes.insert(kept.boxes.end(), box.begin(), box.end());
      kept.scores.push_back(scores[i]);
      kept.image.push_back(image);
    }
  }

 private:
  void rank(std::span<const float> boxes, std::span<const float> scores) {
    order_.clear();
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (scores[i] >= options_.min_score && usable(boxes.subspan(4 * i, 4), scores[i])) {
        order_.push_back(i);
      }
    }
    std::ranges::stable_sort(order_,
                             [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  }

  bool covered(const Box& box) const {
    if (!options_.iou) return false;
    const auto threshold = static_cast<double>(*options_.iou);
    return std::ranges::any_of(chosen_, [&](const Box& c) { return overlap(c, box) > threshold; });
  }

  NmsOptions options_;
  std::vector<std::size_t> order_;
  std::vector<Box> chosen_;
};

}  // namespace

Kept suppress(std::span<const float> boxes, std::span<const float> scores, std::size_t images,
              const NmsOptions& options) {
  check(options);
  if (boxes.size() != 4 * scores.size() ||
      (images == 0 ? !scores.empty() : scores.size() % images != 0)) {
    throw ShapeError("nms: expected boxes [B, N, 4] and scores [B, N], got " +
                     std::to_string(boxes.size()) + " and " + std::to_string(scores.size()) +
                     " numbers for " + std::to_string(images) + " images");
  }
  Kept kept;
  Suppressor suppressor(options);
  const std::size_t count = images == 0 ? 0 : scores.size() / images;
  for (std::size_t b = 0; b < images; ++b) {
    suppressor.run(boxes.subspan(4 * count * b, 4 * count), scores.subspan(count * b, count),
                   static_cast<std::int32_t>(b), kept);
  }
  return kept;
}

}  // namespace poseact
