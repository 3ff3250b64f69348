// SPDX-License-Identifier: Apache-2.0
#include "crop/taps.h"

#include <algorithm>
#include <span>

namespace poseact {
namespace {

// A plane as taps see it: `components` interleaved samples of one byte each.
struct PlaneLayout {
  int components;
  std::int32_t row_bytes;
};

// Bytes of a row, from begin to before end.
struct Span {
  std::int32_t begin;
  std::int32_t end;
};

Span bytes_of(std::span<const Tap> taps, const PlaneLayout& plane) {
  std::int32_t low = taps.front().first;
  std::int32_t high = low;
  for (const Tap& tap : taps) {
    low = std::min(low, tap.first);
    high = std::max(high, tap.second);
  }
  return {low * plane.components, (high + 1) * plane.components};
}

// Points the lookups of one group at the bytes of its taps. Gives the number of chunks.
template <typename Taps>
int fill_group(std::span<const Tap> taps, const PlaneLayout& plane, std::size_t group, Taps& out) {
  const Span bytes = bytes_of(taps, plane);
  const int chunks = (bytes.end - bytes.begin + Taps::kChunkBytes - 1) / Taps::kChunkBytes;
  if (chunks > Taps::kMaxChunks) return chunks;
  auto& base = out.base.at(group);
  for (int k = 0; k < Taps::kMaxChunks; ++k) {
    const std::int32_t wanted = bytes.begin + (k < chunks ? k : 0) * Taps::kChunkBytes;
    base.at(static_cast<std::size_t>(k)) = std::min(wanted, plane.row_bytes - Taps::kChunkBytes);
  }
  for (std::size_t i = 0; i < taps.size(); ++i) {
    const std::size_t column = group * Taps::kGroupColumns + i;
    out.fraction.at(column) = taps[i].fraction;
    for (int component = 0; component < plane.components; ++component) {
      for (int side = 0; side < 2; ++side) {
        const std::int32_t sample = side == 0 ? taps[i].first : taps[i].second;
        const std::int32_t byte = sample * plane.components + component;
        const int chunk = (byte - bytes.begin) / Taps::kChunkBytes;
        out.put(component, static_cast<int>(2 * column) + side, chunk,
                byte - base.at(static_cast<std::size_t>(chunk)));
      }
    }
  }
  return chunks;
}

template <typename Taps>
int fill(std::span<const Tap> taps, const PlaneLayout& plane, Taps& out) {
  out.clear();
  int chunks = 0;
  for (std::size_t group = 0; group < Taps::kGroups; ++group) {
    const auto part = taps.subspan(group * Taps::kGroupColumns, Taps::kGroupColumns);
    chunks = std::max(chunks, fill_group(part, plane, group, out));
  }
  return chunks;
}

}  // namespace

template <typename Taps>
bool plan_strips(const Tile& tile, Strips<Taps>& strips) {
  constexpr std::int32_t kColumns = Strip<Taps>::kColumns;
  const Frame& f = tile.frame;
  const PlaneLayout luma{1, f.width};
  const bool grey = f.format == PixelFormat::grey;
  const PlaneLayout chroma{f.format == PixelFormat::nv12 ? 2 : 1,
                           plane_size(f.format, f.width, f.height, grey ? 0 : 1).width_bytes};
  const auto width = static_cast<std::int32_t>(tile.columns.luma.size());
  if (width < kColumns || std::min(luma.row_bytes, chroma.row_bytes) < Taps::kChunkBytes) {
    return false;
  }
  strips.strips.clear();
  strips.luma_chunks = strips.chroma_chunks = 0;
  // The last strip moves left until it fits; what it computes twice is the same twice.
  std::int32_t column = std::min(tile.columns.begin, width - kColumns);
  for (bool more = true; more; column = std::min(column + kColumns, width - kColumns)) {
    Strip<Taps>& strip = strips.strips.emplace_back();
    const auto at = static_cast<std::size_t>(column);
    const std::span<const Tap> y = std::span(tile.columns.luma).subspan(at, kColumns);
    const std::span<const Tap> c = std::span(tile.columns.chroma).subspan(at, kColumns);
    strip.column = column;
    strips.luma_chunks = std::max(strips.luma_chunks, fill(y, luma, strip.luma));
    strips.chroma_chunks = std::max(strips.chroma_chunks, fill(c, chroma, strip.chroma));
    more = column + kColumns < tile.columns.end;
  }
  strips.first = strips.strips.data();
  strips.last = strips.first + strips.strips.size();
  return std::max(strips.luma_chunks, strips.chroma_chunks) <= Taps::kMaxChunks;
}

template bool plan_strips<Taps256>(const Tile&, Strips<Taps256>&);
template bool plan_strips<Taps512>(const Tile&, Strips<Taps512>&);

}  // namespace poseact
