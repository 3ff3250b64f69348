// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "crop/lanes.h"
#include "crop/render.h"

// The rows of a tile in 16-bit lanes, the same for every instruction set: the formulas of pixel.h,
// with everything between the source bytes and the output bytes in registers. A path includes this
// after it has switched its instructions on, and gives a `Simd`: Reg, Taps, the few operations
// used. All code here is a template over it and calls no inline function of others (not even a
// vector's data()), so that the linker cannot take code made for this instruction set for use
// elsewhere.

namespace poseact {

// By asm, as GCC takes a function that only calls __builtin_prefetch for one without effect and
// drops its calls.
template <typename Simd>
void prefetch_line(const std::uint8_t* line) {
  asm volatile("prefetcht0 %0" : : "m"(*line));
}

// The rows of a tile, for one layout and number of chunks per lookup in a luma row.
template <typename Simd, Layout kLayout, int kChunks>
struct Renderer {
  using L = Lanes<Simd>;
  using Reg = typename Simd::Reg;
  using Taps = typename Simd::Taps;
  static constexpr int kChromaChunks = kLayout == Layout::half ? (kChunks + 1) / 2 : kChunks;
  static constexpr int kV = kLayout == Layout::nv12 ? 1 : 0;  // index of V's lookup

  typename L::Colors color;
  std::ptrdiff_t plane_bytes;

  struct Vertical {
    typename L::Weights luma;
    typename L::Weights chroma;
  };

  // Asks for what a later row reads and writes at this strip. Spread over the strips: in a burst
  // these fill the queue of outstanding misses and stall the arithmetic.
  void fetch(const Strip<Taps>& strip, const Row& ahead) const {
    for (int r = 0; r < 2; ++r) {
      Simd::template fetch<kChunks>(ahead.y[r], strip.luma);
      if constexpr (kLayout != Layout::grey) {
        Simd::template fetch<kChromaChunks>(ahead.u[r], strip.chroma);
        if constexpr (kV == 0) Simd::template fetch<kChromaChunks>(ahead.v[r], strip.chroma);
      }
    }
    for (int p = 0; p < 3; ++p) prefetch_line<Simd>(ahead.out + strip.column + p * plane_bytes);
  }

  template <int kCount>
  static Reg sample(const std::uint8_t* const* rows, const Taps& taps, int component,
                    const typename L::Weights& down) {
    const typename L::Weights across(Simd::load(&taps.fraction));
    return L::bilinear(Simd::template lookup<kCount>(rows[0], taps, component),
                       Simd::template lookup<kCount>(rows[1], taps, component), down, across);
  }

  void render_strip(const Strip<Taps>& strip, const Row& row, const Vertical& down) const {
    const Reg light = color.light(sample<kChunks>(row.y, strip.luma, 0, down.luma));
    std::uint8_t* const out = row.out + strip.column;
    if constexpr (kLayout == Layout::grey) {
      Simd::store(out, plane_bytes, light, light, light);
    } else {
      const Reg u = sample<kChromaChunks>(row.u, strip.chroma, 0, down.chroma);
      const Reg v = sample<kChromaChunks>(row.v, strip.chroma, kV, down.chroma);
      if constexpr (kLayout == Layout::identity) {
        Simd::store(out, plane_bytes, color.light(v), light, color.light(u));
      } else {
        const Reg green =
            Simd::add(Simd::mul_q15(u, color.green_u), Simd::mul_q15(v, color.green_v));
        Simd::store(out, plane_bytes, Simd::add(light, Simd::mul_q15(v, color.red_v)),
                    Simd::add(light, green), Simd::add(light, Simd::mul_q15(u, color.blue_u)));
      }
    }
  }
};

template <typename Simd, Layout kLayout, int kChunks>
void render_rows(const Tile& tile, const Strips<typename Simd::Taps>& plan) {
  using Weights = typename Lanes<Simd>::Weights;
  using R = Renderer<Simd, kLayout, kChunks>;
  const R renderer{typename Lanes<Simd>::Colors(tile.color), tile.plane_bytes};
  for (std::int32_t y = tile.rows.begin; y < tile.rows.begin + kRowsAhead; ++y) {
    const Row row = row_of(tile, y);
    for (const auto* strip = plan.first; strip != plan.last; ++strip) renderer.fetch(*strip, row);
  }
  for (std::int32_t y = tile.rows.begin; y < tile.rows.end; ++y) {
    const Row row = row_of(tile, y);
    const Row ahead = row_of(tile, y + kRowsAhead);
    const typename R::Vertical down{Weights(Simd::broadcast(row.luma_fraction)),
                                    Weights(Simd::broadcast(row.chroma_fraction))};
    for (const auto* strip = plan.first; strip != plan.last; ++strip) {
      renderer.fetch(*strip, ahead);
      renderer.render_strip(*strip, row, down);
    }
  }
}

template <typename Simd, Layout kLayout>
void render_layout(const Tile& tile, const Strips<typename Simd::Taps>& plan, int chunks) {
  if constexpr (Simd::Taps::kMaxChunks > 4) {
    if (chunks > 6) return render_rows<Simd, kLayout, 8>(tile, plan);
    if (chunks > 4) return render_rows<Simd, kLayout, 6>(tile, plan);
  }
  switch (chunks) {
    case 1:
      return render_rows<Simd, kLayout, 1>(tile, plan);
    case 2:
      return render_rows<Simd, kLayout, 2>(tile, plan);
    case 3:
      return render_rows<Simd, kLayout, 3>(tile, plan);
    default:
      return render_rows<Simd, kLayout, 4>(tile, plan);
  }
}

template <typename Simd>
bool render_simd(const Tile& tile, Strips<typename Simd::Taps>& strips) {
  if (!plan_strips(tile, strips)) return false;
  const Layout layout = layout_of(tile.frame);
  const int chunks = chunks_of(layout, strips.luma_chunks, strips.chroma_chunks);
  if (chunks > Simd::Taps::kMaxChunks) return false;
  switch (layout) {
    case Layout::nv12:
      render_layout<Simd, Layout::nv12>(tile, strips, chunks);
      break;
    case Layout::half:
      render_layout<Simd, Layout::half>(tile, strips, chunks);
      break;
    case Layout::full:
      render_layout<Simd, Layout::full>(tile, strips, chunks);
      break;
    case Layout::identity:
      render_layout<Simd, Layout::identity>(tile, strips, chunks);
      break;
    case Layout::grey:
      render_layout<Simd, Layout::grey>(tile, strips, chunks);
      break;
  }
  return true;
}

}  // namespace poseact
