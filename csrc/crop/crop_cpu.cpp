// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "core/error.h"
#include "crop/crop.h"
#include "crop/render.h"

namespace poseact {
namespace {

constexpr std::int32_t kMaxSide = 1 << 14;  // with |a| <= 2^15 and |b| <= 2^30: Q32 fits 64 bits

// Memory of one call, reused by its windows.
struct Scratch {
  AxisPlan columns;
  AxisPlan rows;
  Strips<Taps256> strips256;
  Strips<Taps512> strips512;
  std::vector<std::uint8_t> turned;  // the tile of a frame whose orientation swaps the axes
};

void check_window(std::size_t m, const Window& w) {
  const auto fits = [](double a, double b) {
    return a != 0.0 && std::abs(a) <= std::ldexp(1.0, 15) && std::abs(b) <= std::ldexp(1.0, 30);
  };
  if (fits(w.ax, w.bx) && fits(w.ay, w.by)) return;  // false for NaN, too
  throw ConfigError(
      "crop: expected windows (ax, bx, ay, by) of finite numbers, a not 0, |a| <= 2^15 "
      "and |b| <= 2^30, got row " +
      std::to_string(m) + " = (" + std::to_string(w.ax) + ", " + std::to_string(w.bx) + ", " +
      std::to_string(w.ay) + ", " + std::to_string(w.by) + ")");
}

void check_frame(const FrameBatch& frames, std::size_t m, std::int32_t index) {
  if (index < 0 || static_cast<std::size_t>(index) >= frames.frames.size()) {
    throw ConfigError("crop: expected frame indices below " + std::to_string(frames.frames.size()) +
                      ", got " + std::to_string(index) + " in row " + std::to_string(m));
  }
  if (frames.frames[static_cast<std::size_t>(index)].device != Device::cpu) {
    throw ConfigError("crop: expected frames in CPU memory, got one on cuda in row " +
                      std::to_string(m));
  }
}

void check(const FrameBatch& frames, std::span<const std::int32_t> frame,
           std::span<const Window> windows, const CropShape& shape, std::size_t out_bytes) {
  if (shape.height < 1 || shape.width < 1 || shape.height > kMaxSide || shape.width > kMaxSide) {
    throw ConfigError("crop: expected height and width from 1 to " + std::to_string(kMaxSide) +
                      ", got " + std::to_string(shape.height) + " x " +
                      std::to_string(shape.width));
  }
  const std::size_t bytes =
      3 * static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
  if (frame.size() != windows.size() || out_bytes != bytes * windows.size()) {
    throw ShapeError("crop: expected one frame index and " + std::to_string(bytes) +
                     " output bytes per window, got " + std::to_string(windows.size()) +
                     " windows, " + std::to_string(frame.size()) + " indices, " +
                     std::to_string(out_bytes) + " bytes");
  }
  for (std::size_t m = 0; m < windows.size(); ++m) {
    check_window(m, windows[m]);
    check_frame(frames, m, frame[m]);
  }
}

void paint_border(const Tile& t, std::int32_t height, std::int32_t width,
                  const std::array<std::uint8_t, 3>& border) {
  const bool nothing_inside = t.rows.begin == t.rows.end || t.columns.begin == t.columns.end;
  const std::int32_t top = nothing_inside ? height : t.rows.begin;
  const std::int32_t bottom = nothing_inside ? height : t.rows.end;
  for (std::size_t p = 0; p < 3; ++p) {
    std::uint8_t* const plane = t.out + static_cast<std::ptrdiff_t>(p) * t.plane_bytes;
    const auto paint = [&](std::ptrdiff_t first, std::ptrdiff_t last) {
      std::memset(plane + first, border[p], static_cast<std::size_t>(last - first));
    };
    paint(0, top * t.row_bytes);
    const bool has_sides = t.columns.begin > 0 || t.columns.end < width;
    for (std::ptrdiff_t row = top * t.row_bytes; has_sides && row < bottom * t.row_bytes;
         row += t.row_bytes) {
      paint(row, row + t.columns.begin);
      paint(row + t.columns.end, row + width);
    }
    paint(bottom * t.row_bytes, height * t.row_bytes);
  }
}

// out[x][y] = tile[y][x], in blocks that stay in the first-level cache.
void transpose(const std::uint8_t* tile, std::int32_t height, std::int32_t width,
               std::uint8_t* out) {
  constexpr std::int32_t kBlock = 32;
  for (std::int32_t y0 = 0; y0 < height; y0 += kBlock) {
    const std::int32_t y1 = std::min(y0 + kBlock, height);
    for (std::int32_t x0 = 0; x0 < width; x0 += kBlock) {
      const std::int32_t x1 = std::min(x0 + kBlock, width);
      for (std::int32_t x = x0; x < x1; ++x) {
        for (std::int32_t y = y0; y < y1; ++y) out[x * height + y] = tile[y * width + x];
      }
    }
  }
}

void render(const Tile& tile, CropPath path, Scratch& scratch) {
  if (tile.rows.begin == tile.rows.end || tile.columns.begin == tile.columns.end) return;
  // A path that cannot serve a tile (very narrow or very shrunk) leaves it to the next.
  if (path == CropPath::avx512 && render_avx512(tile, scratch.strips512)) return;
  if (path != CropPath::scalar && render_avx2(tile, scratch.strips256)) return;
  render_scalar(tile);
}

void crop_one(const Frame& frame, const Window& w, const CropShape& shape, CropPath path,
              Scratch& scratch, std::uint8_t* out) {
  const bool swapped = swaps_axes(frame.orientation);
  const std::int32_t width = swapped ? shape.height : shape.width;
  const std::int32_t height = swapped ? shape.width : shape.height;
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  plan_axis(stored_x(frame), swapped ? w.ay : w.ax, swapped ? w.by : w.bx, width, scratch.columns);
  plan_axis(stored_y(frame), swapped ? w.ax : w.ay, swapped ? w.bx : w.by, height, scratch.rows);
  if (swapped) scratch.turned.resize(3 * pixels);
  const Tile tile{frame,
                  scratch.columns,
                  scratch.rows,
                  color_of(frame),
                  swapped ? scratch.turned.data() : out,
                  width,
                  static_cast<std::ptrdiff_t>(pixels)};
  render(tile, path, scratch);
  paint_border(tile, height, width, shape.border);
  for (std::size_t p = 0; swapped && p < 3; ++p) {
    transpose(scratch.turned.data() + p * pixels, height, width, out + p * pixels);
  }
}

}  // namespace

std::vector<CropPath> crop_paths() {
  std::vector<CropPath> paths{CropPath::scalar};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) paths.push_back(CropPath::avx2);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi")) {
    paths.push_back(CropPath::avx512);
  }
#endif
  return paths;
}

void crop(const FrameBatch& frames, std::span<const std::int32_t> frame,
          std::span<const Window> windows, const CropShape& shape, std::span<std::uint8_t> out,
          CropPath path) {
  check(frames, frame, windows, shape, out.size());
  const std::size_t bytes =
      3 * static_cast<std::size_t>(shape.height) * static_cast<std::size_t>(shape.width);
  Scratch scratch;
  for (std::size_t m = 0; m < windows.size(); ++m) {
    crop_one(frames.frames[static_cast<std::size_t>(frame[m])], windows[m], shape, path, scratch,
             out.data() + m * bytes);
  }
}

}  // namespace poseact
