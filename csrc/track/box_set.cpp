// SPDX-License-Identifier: Apache-2.0
#include "track/box_set.h"

#include <algorithm>

namespace poseact {

void BoxSet::add(const Edges& box, float score) {
  const std::size_t lane = size_ % kLanes;
  const std::size_t at = size_ / kLanes;
  if (at == blocks_.size()) blocks_.emplace_back();
  Block& block = blocks_[at];
  if (lane == 0) block.x1.fill(kNothing);
  block.x0[lane] = box.x0;
  block.y0[lane] = box.y0;
  block.x1[lane] = box.x1;
  block.y1[lane] = box.y1;
  block.area[lane] = (box.x1 - box.x0) * (box.y1 - box.y0);
  block.sides[lane] = (box.x1 - box.x0) + (box.y1 - box.y0);
  block.score[lane] = score;
  ++size_;
}

BoxVector BoxSet::center(std::size_t i) const {
  const Block& b = block(i);
  const std::size_t lane = i % kLanes;
  return {0.5F * (b.x0[lane] + b.x1[lane]), 0.5F * (b.y0[lane] + b.y1[lane]),
          b.x1[lane] - b.x0[lane], b.y1[lane] - b.y0[lane]};
}

// Written so that compilers turn it into vector code without -ffast-math: values instead of the
// references of std::min, and no branch.
std::uint32_t BoxSet::measure(const Block& block, const Edges& box, float margin, float least_iou,
                              Lane& excess) {
  const auto least = [](float a, float b) { return a < b ? a : b; };
  const auto most = [](float a, float b) { return a > b ? a : b; };
  const auto [x0, y0, x1, y1] = box;
  const float more = 2.0F * margin;
  const float area = (x1 - x0 + more) * (y1 - y0 + more) + more * more;
  Lane result;
  for (std::size_t i = 0; i < kLanes; ++i) {
    const float width = least(block.x1[i], x1) - most(block.x0[i], x0) + more;
    const float height = least(block.y1[i], y1) - most(block.y0[i], y0) + more;
    const float common = most(width, 0.0F) * most(height, 0.0F);
    result[i] = common / (area + block.area[i] + more * block.sides[i] - common) - least_iou;
  }
  constexpr std::array<std::uint32_t, kLanes> kBits{1, 2, 4, 8, 16, 32, 64, 128};
  std::uint32_t hits = 0;
  for (std::size_t i = 0; i < kLanes; ++i) hits += result[i] >= 0.0F ? kBits[i] : 0U;
  excess = result;
  return hits;
}

}  // namespace poseact
