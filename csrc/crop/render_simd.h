// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "crop/render.h"

// The rows of a tile in 16-bit lanes, the same for every instruction set: the formulas of pixel.h,
// with everything between the source bytes and the output bytes in registers. A path includes this
// after it has switched its instructions on, and gives a `Simd`: Reg, Taps, the few operations
// used. All code here is a template over it and calls no inline function of others (not even a
// vector's data()), so that the linker cannot take code made for this instruction set for use
// elsewhere.

namespace poseact {

template <typename Simd>
struct Lanes {
  using Reg = typename Simd::Reg;

  // Weight of the second value, and that of the first negated, as pixel.h's blend() wants them.
  struct Weights {
    Reg second;
    Reg first;
    explicit Weights(Reg fraction)
        : second(fraction), first(Simd::exclusive_or(fraction, Simd::broadcast(-32768))) {}
  };

  static Reg blend(Reg first, Reg second, const Weights& w) {
    return Simd::subtract(Simd::mul_q15(second, w.second), Simd::mul_q15(first, w.first));
  }

  // `top`, `bottom`: for each column the bytes of its left and right tap.
  static Reg bilinear(Reg top, Reg bottom, const Weights& vertical, const Weights& horizontal) {
    const Reg left = blend(Simd::low_bytes(top), Simd::low_bytes(bottom), vertical);
    const Reg right = blend(Simd::high_bytes(top), Simd::high_bytes(bottom), vertical);
    return blend(left, right, horizontal);
  }

  struct Colors {
    Reg luma, offset, red_v, green_u, green_v, blue_u;
    explicit Colors(const Color& c)
        : luma(Simd::broadcast(c.luma)),
          offset(Simd::broadcast(c.offset)),
          red_v(Simd::broadcast(c.red_v)),
          green_u(Simd::broadcast(c.green_u)),
          green_v(Simd::broadcast(c.green_v)),
          blue_u(Simd::broadcast(c.blue_u)) {}

    Reg light(Reg y) const { return Simd::add(Simd::mul_q15(y, luma), offset); }
  };
};

// One output row. Chunks: loaded for each lookup in a luma row.
template <typename Simd, Layout kLayout, int kChunks>
void render_row(const Strip<typename Simd::Taps>* strip, const Strip<typename Simd::Taps>* last,
                const RowSource& row, const typename Lanes<Simd>::Colors& color, std::uint8_t* out,
                std::ptrdiff_t plane_bytes) {
  using L = Lanes<Simd>;
  using Reg = typename Simd::Reg;
  constexpr int kChromaChunks = kLayout == Layout::half ? (kChunks + 1) / 2 : kChunks;
  constexpr int kV = kLayout == Layout::nv12 ? 1 : 0;  // index of V's lookup
  const typename L::Weights luma_down(Simd::broadcast(row.luma_fraction));
  const typename L::Weights chroma_down(Simd::broadcast(row.chroma_fraction));
  for (; strip != last; ++strip) {
    const typename L::Weights across(Simd::load(&strip->luma.fraction));
    const Reg y =
        L::bilinear(Simd::template lookup<kChunks>(row.y[0], strip->luma, 0),
                    Simd::template lookup<kChunks>(row.y[1], strip->luma, 0), luma_down, across);
    const Reg light = color.light(y);
    std::uint8_t* const at = out + strip->column;
    if constexpr (kLayout == Layout::grey) {
      Simd::store(at, plane_bytes, light, light, light);
    } else {
      const auto& taps = strip->chroma;
      const typename L::Weights chroma_across(Simd::load(&taps.fraction));
      const Reg u = L::bilinear(Simd::template lookup<kChromaChunks>(row.u[0], taps, 0),
                                Simd::template lookup<kChromaChunks>(row.u[1], taps, 0),
                                chroma_down, chroma_across);
      const Reg v = L::bilinear(Simd::template lookup<kChromaChunks>(row.v[0], taps, kV),
                                Simd::template lookup<kChromaChunks>(row.v[1], taps, kV),
                                chroma_down, chroma_across);
      if constexpr (kLayout == Layout::identity) {
        Simd::store(at, plane_bytes, color.light(v), light, color.light(u));
      } else {
        const Reg green =
            Simd::add(Simd::mul_q15(u, color.green_u), Simd::mul_q15(v, color.green_v));
        Simd::store(at, plane_bytes, Simd::add(light, Simd::mul_q15(v, color.red_v)),
                    Simd::add(light, green), Simd::add(light, Simd::mul_q15(u, color.blue_u)));
      }
    }
  }
}

template <typename Simd, Layout kLayout, int kChunks>
void render_rows(const Tile& tile, const Strips<typename Simd::Taps>& plan) {
  const typename Lanes<Simd>::Colors color(tile.color);
  for (std::int32_t y = tile.rows.begin; y < tile.rows.end; ++y) {
    const RowSource row = row_source(tile, y);
    prefetch_row(tile, y + kRowsAhead, plan.luma, plan.chroma);
    render_row<Simd, kLayout, kChunks>(plan.first, plan.last, row, color,
                                       tile.out + y * tile.row_bytes, tile.plane_bytes);
  }
}

template <typename Simd, Layout kLayout>
void render_layout(const Tile& tile, const Strips<typename Simd::Taps>& plan, int chunks) {
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
