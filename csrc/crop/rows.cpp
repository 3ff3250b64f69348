// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "crop/render.h"

namespace poseact {
namespace {

const std::uint8_t* plane_row(const Plane& plane, std::int32_t y) {
  return plane.data + y * plane.stride_bytes;
}

}  // namespace

Layout layout_of(const Frame& f) {
  switch (f.format) {
    case PixelFormat::nv12:
      return Layout::nv12;
    case PixelFormat::i420:
    case PixelFormat::i422:
      return Layout::half;
    case PixelFormat::i444:
      break;
    case PixelFormat::grey:
      return Layout::grey;
  }
  return f.matrix == ColorMatrix::identity ? Layout::identity : Layout::full;
}

int chunks_of(Layout layout, int luma_chunks, int chroma_chunks) {
  const int for_chroma = layout == Layout::half   ? 2 * chroma_chunks - 1
                         : layout == Layout::grey ? 1
                                                  : chroma_chunks;
  return luma_chunks > for_chroma ? luma_chunks : for_chroma;
}

Row row_of(const Tile& tile, std::int32_t y) {
  const Frame& f = tile.frame;
  y = std::min(y, tile.rows.end - 1);
  const Tap& luma = tile.rows.luma[static_cast<std::size_t>(y)];
  const Tap& chroma = tile.rows.chroma[static_cast<std::size_t>(y)];
  Row row{};
  row.out = tile.out + y * tile.row_bytes;
  row.luma_fraction = luma.fraction;
  row.chroma_fraction = chroma.fraction;
  row.y[0] = plane_row(f.planes[0], luma.first);
  row.y[1] = plane_row(f.planes[0], luma.second);
  if (f.format == PixelFormat::grey) return row;
  const Plane& u = f.planes[1];
  const Plane& v = f.planes[f.format == PixelFormat::nv12 ? 1 : 2];
  row.u[0] = plane_row(u, chroma.first);
  row.u[1] = plane_row(u, chroma.second);
  row.v[0] = plane_row(v, chroma.first);
  row.v[1] = plane_row(v, chroma.second);
  return row;
}

}  // namespace poseact
