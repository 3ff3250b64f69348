// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace poseact {

struct NmsOptions {
  float min_score = 0.0F;        // boxes below are dropped, 0 to 1
  std::optional<float> iou;      // a box that overlaps a better one by more goes; none: all stay
  std::int32_t max_boxes = 300;  // most boxes kept of one image
};

// The boxes that stay, grouped by image, best first within an image.
struct Kept {
  std::vector<float> boxes;         // [K, 4] x0 y0 x1 y1, as they came
  std::vector<float> scores;        // [K]
  std::vector<std::int32_t> image;  // [K], non-decreasing
};

// Greedy non-maximum suppression of each image's candidates: boxes [B, N, 4], scores [B, N].
// Equal scores: the lower index first. A box that is not finite or has no area, or whose score is
// not finite, is dropped, whatever the options. Throws ConfigError for options outside their range.
Kept suppress(std::span<const float> boxes, std::span<const float> scores, std::size_t images,
              const NmsOptions& options);

}  // namespace poseact
