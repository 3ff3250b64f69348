// SPDX-License-Identifier: Apache-2.0
#include "crop/render.h"

namespace poseact {
namespace {

// The two rows of a plane that one output row blends. `step` bytes lie between its samples.
struct RowPair {
  const std::uint8_t* first;
  const std::uint8_t* second;
  std::int32_t fraction;
  std::int32_t step;

  RowPair(const Plane& plane, const Tap& tap, std::int32_t offset, std::int32_t step_bytes)
      : first(plane.data + tap.first * plane.stride_bytes + offset),
        second(plane.data + tap.second * plane.stride_bytes + offset),
        fraction(tap.fraction),
        step(step_bytes) {}

  std::int32_t vertical(std::int32_t x) const {
    return blend(centred(first[x * step]), centred(second[x * step]), fraction);
  }
  std::int32_t at(const Tap& tap) const {
    return blend(vertical(tap.first), vertical(tap.second), tap.fraction);
  }
};

void render_row(const Tile& t, std::size_t y) {
  const Frame& f = t.frame;
  const bool grey = f.format == PixelFormat::grey;
  const bool interleaved = f.format == PixelFormat::nv12;
  const RowPair luma(f.planes[0], t.rows.luma[y], 0, 1);
  const RowPair u(f.planes[grey ? 0 : 1], t.rows.chroma[y], 0, interleaved ? 2 : 1);
  const RowPair v(f.planes[grey          ? 0
                           : interleaved ? 1
                                         : 2],
                  t.rows.chroma[y], interleaved ? 1 : 0, interleaved ? 2 : 1);
  std::uint8_t* const red = t.out + static_cast<std::ptrdiff_t>(y) * t.row_bytes;
  std::uint8_t* const green = red + t.plane_bytes;
  std::uint8_t* const blue = green + t.plane_bytes;
  for (std::int32_t x = t.columns.begin; x < t.columns.end; ++x) {
    const Tap& at = t.columns.luma[static_cast<std::size_t>(x)];
    const Tap& chroma_at = t.columns.chroma[static_cast<std::size_t>(x)];
    const Rgb rgb =
        to_rgb(luma.at(at), grey ? 0 : u.at(chroma_at), grey ? 0 : v.at(chroma_at), t.color);
    red[x] = rgb.r;
    green[x] = rgb.g;
    blue[x] = rgb.b;
  }
}

}  // namespace

void render_scalar(const Tile& tile) {
  for (std::int32_t y = tile.rows.begin; y < tile.rows.end; ++y) {
    render_row(tile, static_cast<std::size_t>(y));
  }
}

}  // namespace poseact
