// SPDX-License-Identifier: Apache-2.0
#include "crop/render.h"

namespace poseact {
namespace {

constexpr std::int32_t kLineBytes = 64;

const std::uint8_t* row_of(const Plane& plane, std::int32_t y) {
  return plane.data + y * plane.stride_bytes;
}

// GCC holds a function that only prefetches for one without effect, and drops it; hence the
// barrier.
void prefetch_line(const std::uint8_t* line) {
  __builtin_prefetch(line);
  asm volatile("" : : "r"(line));
}

void prefetch(const std::uint8_t* row, Span bytes) {
  for (std::int32_t x = bytes.begin; x < bytes.end; x += kLineBytes) prefetch_line(row + x);
  prefetch_line(row + bytes.end - 1);
}

// The rows of `now` that the output row before it has not read.
void prefetch_new(const Plane& plane, const Tap& before, const Tap& now, Span bytes) {
  const auto read = [&](std::int32_t y) { return y == before.first || y == before.second; };
  if (!read(now.first)) prefetch(row_of(plane, now.first), bytes);
  if (!read(now.second) && now.second != now.first) prefetch(row_of(plane, now.second), bytes);
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

RowSource row_source(const Tile& tile, std::int32_t y) {
  const Frame& f = tile.frame;
  const Tap& luma = tile.rows.luma[static_cast<std::size_t>(y)];
  const Tap& chroma = tile.rows.chroma[static_cast<std::size_t>(y)];
  RowSource row{};
  row.luma_fraction = luma.fraction;
  row.chroma_fraction = chroma.fraction;
  row.y[0] = row_of(f.planes[0], luma.first);
  row.y[1] = row_of(f.planes[0], luma.second);
  if (f.format == PixelFormat::grey) return row;
  const Plane& u = f.planes[1];
  const Plane& v = f.planes[f.format == PixelFormat::nv12 ? 1 : 2];
  row.u[0] = row_of(u, chroma.first);
  row.u[1] = row_of(u, chroma.second);
  row.v[0] = row_of(v, chroma.first);
  row.v[1] = row_of(v, chroma.second);
  return row;
}

void prefetch_row(const Tile& tile, std::int32_t y, Span luma, Span chroma) {
  if (y >= tile.rows.end) return;
  const auto at = static_cast<std::size_t>(y);
  constexpr Tap kNone{-1, -1, 0};
  const bool first = at == 0;
  const Frame& f = tile.frame;
  prefetch_new(f.planes[0], first ? kNone : tile.rows.luma[at - 1], tile.rows.luma[at], luma);
  for (int p = 1; p < plane_count(f.format); ++p) {
    prefetch_new(f.planes[static_cast<std::size_t>(p)], first ? kNone : tile.rows.chroma[at - 1],
                 tile.rows.chroma[at], chroma);
  }
}

}  // namespace poseact
