// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/frame.h"
#include "crop/crop.h"
#include "crop/pixel.h"

namespace poseact {

// Where the crop's pixels along one stored axis read the planes, and which of them lie inside.
struct AxisPlan {
  std::vector<Tap> luma;
  std::vector<Tap> chroma;
  std::int32_t begin = 0;  // first destination index inside the frame
  std::int32_t end = 0;    // one past the last; begin == end: none
};

// What one axis of a frame asks of a plan.
struct Axis {
  std::int32_t size;          // stored luma samples
  std::int32_t chroma_size;   // stored chroma samples
  bool halved;                // chroma is subsampled along this axis
  std::int64_t chroma_shift;  // Q32 chroma samples to take off position / 2, from the siting
  bool flipped;               // the orientation runs against the stored order
};

Axis stored_x(const Frame& frame);
Axis stored_y(const Frame& frame);

// Fills `plan` for `count` destination pixels at a * index + b; reuses its memory.
void plan_axis(const Axis& axis, double a, double b, std::int32_t count, AxisPlan& plan);

// Fixed-point colour conversion of a frame.
Color color_of(const Frame& frame);

// One window to be rendered in stored orientation: planes in, uint8 [3, rows, columns] out.
struct Tile {
  const Frame& frame;
  const AxisPlan& columns;
  const AxisPlan& rows;
  Color color;
  std::uint8_t* out;  // R plane
  std::ptrdiff_t row_bytes;
  std::ptrdiff_t plane_bytes;
};

}  // namespace poseact
