// SPDX-License-Identifier: Apache-2.0
#include "detect/pose_nms.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <string>
#include <utility>

#include "core/error.h"

namespace poseact {
namespace {

void require(bool ok, const char* who, const std::string& expected, double got) {
  if (!ok)
    throw ConfigError(std::string(who) + ": expected " + expected + ", got " + std::to_string(got));
}

void require_finite(const char* who, const char* name, std::span<const float> values,
                    std::size_t columns) {
  const auto bad = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
  if (bad == values.end()) return;
  const auto row = static_cast<std::size_t>(bad - values.begin()) / columns;
  throw ConfigError(std::string(who) + ": expected finite " + name + ", got " +
                    std::to_string(*bad) + " in row " + std::to_string(row));
}

// `others` of a row: its area, or the four edges of its box. Gives K.
std::size_t check(const char* who, const PoseRows& poses, const char* name,
                  std::span<const float> others, std::size_t columns) {
  const std::size_t rows = poses.scores.size();
  const std::size_t joints = rows == 0 ? 0 : poses.keypoints.size() / (3 * rows);
  if (poses.keypoints.size() != 3 * joints * rows || poses.frame.size() != rows ||
      others.size() != columns * rows) {
    throw ShapeError(std::string(who) +
                     ": expected keypoints [M, K, 3], scores [M], frame [M] and " + name +
                     " of the same M, got " + std::to_string(poses.keypoints.size()) + ", " +
                     std::to_string(rows) + ", " + std::to_string(poses.frame.size()) + " and " +
                     std::to_string(others.size()) + " numbers");
  }
  require_finite(who, "keypoints", poses.keypoints, std::max<std::size_t>(3 * joints, 1));
  require_finite(who, "scores", poses.scores, 1);
  require_finite(who, name, others, columns);
  return joints;
}

// alike(i, j): is pose j too much like the better pose i?
template <typename Alike>
std::vector<std::uint8_t> keep_best(const PoseRows& poses, const Alike& alike) {
  std::vector<std::size_t> order(poses.scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (poses.frame[a] != poses.frame[b]) return poses.frame[a] < poses.frame[b];
    return poses.scores[a] > poses.scores[b];
  });
  std::vector<std::uint8_t> keep(order.size(), 0);
  std::vector<std::size_t> kept;  // of the present frame
  for (const std::size_t j : order) {
    if (!kept.empty() && poses.frame[kept.front()] != poses.frame[j]) kept.clear();
    if (std::ranges::any_of(kept, [&](std::size_t i) { return alike(i, j); })) continue;
    keep[j] = 1;
    kept.push_back(j);
  }
  return keep;
}

// Both measures add up shares of joints and stop as soon as the rest cannot reach the threshold:
// two people who stand apart are told so after a few joints.
class ByOks {
 public:
  ByOks(const PoseRows& poses, std::span<const float> areas, const OksOptions& options)
      : keypoints_(poses.keypoints), areas_(areas), oks_(options.oks) {
    for (const double sigma : options.sigmas) per_area_.push_back(1.0 / (8.0 * sigma * sigma));
  }

  bool operator()(std::size_t i, std::size_t j) const {
    const std::size_t joints = per_area_.size();
    const auto a = keypoints_.subspan(3 * joints * i, 3 * joints);
    const auto b = keypoints_.subspan(3 * joints * j, 3 * joints);
    double rest = 0.0;
    for (std::size_t k = 2; k < a.size(); k += 3) rest += a[k] > 0.0F || b[k] > 0.0F ? 1.0 : 0.0;
    const double least = oks_ * rest;
    const double area = 0.5 * (double{areas_[i]} + double{areas_[j]});
    double sum = 0.0;
    for (std::size_t k = 0; k < joints && sum + rest > least; ++k) {
      const bool in_a = a[3 * k + 2] > 0.0F;
      const bool in_b = b[3 * k + 2] > 0.0F;
      if (in_a || in_b) rest -= 1.0;
      if (!in_a || !in_b) continue;
      const double dx = double{a[3 * k]} - double{b[3 * k]};
      const double dy = double{a[3 * k + 1]} - double{b[3 * k + 1]};
      sum += std::exp(-(dx * dx + dy * dy) * per_area_[k] / area);
    }
    return sum + rest > least;
  }

 private:
  std::span<const float> keypoints_;
  std::span<const float> areas_;
  double oks_;
  std::vector<double> per_area_;  // [K]
};

class Parametric {
 public:
  Parametric(const PoseRows& poses, std::span<const float> boxes, std::size_t joints,
             const ParametricOptions& options)
      : keypoints_(poses.keypoints), joints_(joints), options_(options) {
    sizes_.reserve(poses.scores.size());
    for (std::size_t m = 0; m < poses.scores.size(); ++m) {
      const auto box = boxes.subspan(4 * m, 4);
      const double width = std::max(double{box[2]} - double{box[0]}, 1.0);
      const double height = std::max(double{box[3]} - double{box[1]}, 1.0);
      const double unit = 0.1 * std::max(width, height);
      sizes_.push_back({width, height, 1.0 / (options.sigma2 * unit * unit)});
    }
    trust_.reserve(joints * poses.scores.size());
    for (std::size_t k = 2; k < keypoints_.size(); k += 3) {
      trust_.push_back(std::tanh(std::max(double{keypoints_[k]}, 0.0) / options.sigma1));
    }
  }

  bool operator()(std::size_t i, std::size_t j) const {
    const auto a = keypoints_.subspan(3 * joints_ * i, 3 * joints_);
    const auto b = keypoints_.subspan(3 * joints_ * j, 3 * joints_);
    const Size& size = sizes_[i];
    const double most = 1.0 + options_.lambda;  // of one joint
    double sum = 0.0;
    for (std::size_t k = 0; k < joints_; ++k) {
      if (sum + most * static_cast<double>(joints_ - k) <= options_.eta) return false;
      if (a[3 * k + 2] <= 0.0F || b[3 * k + 2] <= 0.0F) continue;
      const double dx = double{a[3 * k]} - double{b[3 * k]};
      const double dy = double{a[3 * k + 1]} - double{b[3 * k + 1]};
      const bool match = 20.0 * std::abs(dx) <= size.width && 20.0 * std::abs(dy) <= size.height;
      if (match) sum += trust_[joints_ * i + k] * trust_[joints_ * j + k];
      sum += options_.lambda * std::exp(-(dx * dx + dy * dy) * size.per_square);
    }
    return sum > options_.eta;
  }

 private:
  struct Size {
    double width, height, per_square;
  };

  std::span<const float> keypoints_;
  std::size_t joints_;
  ParametricOptions options_;
  std::vector<Size> sizes_;    // [M] of boxes
  std::vector<double> trust_;  // [M, K] tanh(c / sigma1)
};

}  // namespace

std::vector<std::uint8_t> suppress_by_oks(const PoseRows& poses, std::span<const float> areas,
                                          const OksOptions& options) {
  const char* who = "oks_nms";
  const std::size_t joints = check(who, poses, "areas", areas, 1);
  require(options.oks >= 0.0 && options.oks <= 1.0, who, "oks from 0 to 1", options.oks);
  for (const double sigma : options.sigmas) {
    require(sigma > 0.0 && std::isfinite(sigma), who, "sigmas above 0", sigma);
  }
  for (const float area : areas) require(area > 0.0F, who, "areas above 0", area);
  if (!areas.empty() && options.sigmas.size() != joints) {
    throw ShapeError(std::string(who) + ": expected a sigma for each of " + std::to_string(joints) +
                     " joints, got " + std::to_string(options.sigmas.size()));
  }
  return keep_best(poses, ByOks(poses, areas, options));
}

std::vector<std::uint8_t> suppress_parametric(const PoseRows& poses, std::span<const float> boxes,
                                              const ParametricOptions& options) {
  const char* who = "parametric_nms";
  const std::size_t joints = check(who, poses, "boxes", boxes, 4);
  for (const auto& [name, value] : {std::pair{"sigma1", options.sigma1},
                                    {"sigma2", options.sigma2},
                                    {"lambda", options.lambda},
                                    {"eta", options.eta}}) {
    require(value > 0.0 && std::isfinite(value), who, std::string(name) + " above 0", value);
  }
  return keep_best(poses, Parametric(poses, boxes, joints, options));
}

}  // namespace poseact
