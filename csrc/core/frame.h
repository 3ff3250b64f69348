// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "core/device.h"

namespace poseact {

// 8-bit planar layouts; a decoder brings everything else to one of these.
// nv12: Y, interleaved UV at half size. i420/i422/i444: Y, U, V. grey: Y alone.
enum class PixelFormat : std::uint8_t { nv12, i420, i422, i444, grey };

// Y'CbCr to R'G'B'. identity: the planes are G, B, R (RGB still images, format i444).
enum class ColorMatrix : std::uint8_t { bt601, bt709, bt2020, smpte240m, fcc, identity };

enum class ColorRange : std::uint8_t { limited, full };

// Where the chroma sample of a block lies, relative to its luma samples.
// left: horizontally on the left luma column, vertically between rows (MPEG-2, H.264, HEVC).
// center: between both (MPEG-1, MJPEG). topleft: on the top left luma sample (HDR, DV).
// top, bottomleft, bottom: as H.273 chroma_sample_loc_type 3, 4, 5.
enum class ChromaSiting : std::uint8_t { left, center, topleft, top, bottomleft, bottom };

// How stored pixels become displayed ones: the eight EXIF orientations, value = EXIF tag - 1.
// Displayed (x, y) of a stored w x h frame reads the stored pixel that stands beside the name.
// rotate_90 means: shown turned by 90 degrees clockwise.
enum class Orientation : std::uint8_t {
  normal,      // (x, y)
  mirror_x,    // (w-1-x, y)
  rotate_180,  // (w-1-x, h-1-y)
  mirror_y,    // (x, h-1-y)
  transpose,   // (y, x)
  rotate_90,   // (y, h-1-x)
  transverse,  // (w-1-y, h-1-x)
  rotate_270   // (w-1-y, x)
};

constexpr bool swaps_axes(Orientation o) { return o >= Orientation::transpose; }

// The pts of a frame whose time is not known.
inline constexpr std::int64_t kMissingPts = std::numeric_limits<std::int64_t>::min();

struct TimeBase {
  std::int32_t num = 1;
  std::int32_t den = 1;  // seconds = ticks * num / den
};

struct Plane {
  const std::uint8_t* data = nullptr;
  std::ptrdiff_t stride_bytes = 0;  // may be negative: bottom-up pictures
};

// One picture in YUV planes with all that is needed to read it as RGB and to place it in time.
// Shares its memory (`owner` keeps decoder buffers or an embedding program's arrays alive); copying
// a Frame copies no pixel. Immutable once made, so any thread may read it.
struct Frame {
  PixelFormat format = PixelFormat::i420;
  ColorMatrix matrix = ColorMatrix::bt709;
  ColorRange range = ColorRange::limited;
  ChromaSiting siting = ChromaSiting::left;
  Orientation orientation = Orientation::normal;
  Device device = Device::cpu;
  std::int32_t width = 0;  // stored pixels, cropping applied, before orientation
  std::int32_t height = 0;
  std::array<Plane, 3> planes{};
  std::int32_t stream = 0;  // index of the camera within its mux
  std::int64_t index = 0;   // frames of this stream before this one (delivered, skipped or dropped)
  std::int64_t pts = 0;     // ticks; strictly increasing within a stream that a Reader delivers
  TimeBase time_base{};
  std::shared_ptr<const void> owner;

  std::int32_t shown_width() const { return swaps_axes(orientation) ? height : width; }
  std::int32_t shown_height() const { return swaps_axes(orientation) ? width : height; }
};

constexpr int plane_count(PixelFormat f) {
  return f == PixelFormat::grey ? 1 : f == PixelFormat::nv12 ? 2 : 3;
}
constexpr int chroma_shift_x(PixelFormat f) {
  return f == PixelFormat::i444 || f == PixelFormat::grey ? 0 : 1;
}
constexpr int chroma_shift_y(PixelFormat f) {
  return f == PixelFormat::nv12 || f == PixelFormat::i420 ? 1 : 0;
}

struct PlaneSize {
  int width_bytes;
  int height;
};

// Bytes per row and rows of plane 0, 1 or 2; odd sizes round up.
PlaneSize plane_size(PixelFormat format, int width, int height, int plane);

// Throws ConfigError unless both numbers are positive.
void check_time_base(TimeBase time_base);

// Copies interleaved RGB [height, width, 3] into G, B, R planes (matrix identity: lossless).
Frame frame_from_rgb(std::span<const std::uint8_t> rgb, int width, int height);

// The frames of one step over all streams, in pts order within each stream.
struct FrameBatch {
  std::vector<Frame> frames;
};

}  // namespace poseact
