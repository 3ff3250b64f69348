// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "crop/pixel.h"

namespace poseact {

// The formulas of pixel.h in the 16-bit lanes of a register, for any instruction set; see
// render_simd.h, which alone includes this.
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

}  // namespace poseact
