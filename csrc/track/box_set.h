// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "track/kalman.h"

namespace poseact {

struct Edges {
  float x0, y0, x1, y1;  // pixels
};

inline Edges edges_of(const BoxVector& box) {
  return {box[0] - 0.5F * box[2], box[1] - 0.5F * box[3], box[0] + 0.5F * box[2],
          box[1] + 0.5F * box[3]};
}

// Boxes of one frame in blocks of eight, coordinate by coordinate, so that one track meets a block
// with a few wide instructions. Keeps its memory when cleared. Not thread-safe.
class BoxSet {
 public:
  static constexpr std::size_t kLanes = 8;
  using Lane = std::array<float, kLanes>;

  void clear() { size_ = 0; }
  void add(const Edges& box, float score);
  std::size_t size() const { return size_; }
  float score(std::size_t i) const { return block(i).score[i % kLanes]; }
  BoxVector center(std::size_t i) const;

  // Takes a box out: it overlaps nothing from here on. The places of the others stay.
  void take(std::size_t i) { blocks_[i / kLanes].x1[i % kLanes] = kNothing; }
  bool taken(std::size_t i) const { return block(i).x1[i % kLanes] == kNothing; }

  // Calls found(i, excess) for each box whose IoU with `box`, both made wider by `margin` pixels on
  // every side, is `least_iou` or more, by how much.
  template <typename Found>
  void overlapping(const Edges& box, float margin, float least_iou, Found found) const {
    const std::size_t blocks = (size_ + kLanes - 1) / kLanes;
    for (std::size_t b = 0; b < blocks; ++b) {
      Lane excess;
      std::uint32_t hits = measure(blocks_[b], box, margin, least_iou, excess);
      for (; hits != 0; hits &= hits - 1) {
        const auto lane = static_cast<std::size_t>(std::countr_zero(hits));
        found(b * kLanes + lane, excess[lane]);
      }
    }
  }

 private:
  // Right edge of a lane that holds no box: below every left edge.
  static constexpr float kNothing = -std::numeric_limits<float>::infinity();

  struct Block {
    Lane x0, y0, x1, y1, area, sides, score;
  };

  const Block& block(std::size_t i) const { return blocks_[i / kLanes]; }

  // One bit per lane that overlaps enough; `excess` of all.
  static std::uint32_t measure(const Block& block, const Edges& box, float margin, float least_iou,
                               Lane& excess);

  std::vector<Block> blocks_;
  std::size_t size_ = 0;
};

}  // namespace poseact
