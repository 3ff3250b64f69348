// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/frame.h"

namespace poseact {

// A rectangle of the displayed picture as seen by its crop, in pixel indices (a pixel's centre is
// an integer): source_x = ax * x + bx, source_y = ay * y + by. A negative a mirrors.
struct Window {
  double ax;
  double bx;
  double ay;
  double by;
};

// How the arithmetic is carried out; results are the same to the bit.
enum class CropPath : std::uint8_t { scalar, avx2, avx512 };

// The paths this CPU can run, slowest first.
std::vector<CropPath> crop_paths();

// Size and border of the crops of one call.
struct CropShape {
  std::int32_t height = 0;
  std::int32_t width = 0;
  std::array<std::uint8_t, 3> border{};  // R, G, B
};

// Resamples windows of frames straight from their YUV planes into uint8 RGB [M, 3, height, width].
//
// Row m reads `frames.frames[frame[m]]` through `windows[m]`. Per destination pixel:
//  1. position = a * destination + b in displayed pixels (a and b rounded to multiples of 2^-32),
//     turned into a stored position by the frame's orientation;
//  2. farther than half a pixel outside the frame (x < -1/2 or x > width - 1/2; y alike): border;
//  3. otherwise bilinear on Y, and bilinear on each chroma plane at the position its siting gives
//     (left: x / 2, centre: x / 2 - 1/4, bottom: y / 2 - 1/2), taps clamped to the plane (so edges
//     are replicated); grey frames have chroma 128;
//  4. colour matrix and range, clip, round half up.
// A letterbox made so equals resize (half-pixel centres, bilinear) and a constant border.
// Fixed point, at most one grey level from the same in real numbers (pixel.h), on every path.
//
// Throws ShapeError when the spans do not fit together, ConfigError for a window that is not
// finite, zero or beyond +-2^15 (a) or 2^30 (b), a frame index or size out of range, a frame in GPU
// memory, or a path this CPU lacks. Touches only its arguments: any number of threads may call it.
void crop(const FrameBatch& frames, std::span<const std::int32_t> frame,
          std::span<const Window> windows, const CropShape& shape, std::span<std::uint8_t> out,
          CropPath path);

}  // namespace poseact
