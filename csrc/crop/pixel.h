// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// The arithmetic of one output pixel, in integers only, shared by every path on CPU and GPU: they
// agree to the bit because they evaluate these formulas (SIMD paths in 16-bit lanes, same
// rounding).
//
// Error against the same definition in real numbers, in grey levels, per sample:
//   position to Q15        2^-16 * 255 per axis, two axes            0.008
//   vertical, horizontal   2 roundings of 1/2 in Q8 each             0.008
// times the gain of its plane (luma <= 1.17, chroma <= 2.15, both <= 3.4)         0.053
// colour: each product 1/2 (coefficient) + 1/2 (rounding) in Q6, at most three,
//   and 1/2 for the offset                                                       0.055
// Together 0.11 < 1, so a rounded result never differs by more than one level.

#if defined(__CUDACC__)
#define POSEACT_HD __host__ __device__
#else
#define POSEACT_HD
#endif

namespace poseact {

// Fractions of a pixel in a source position; a window's a and b are rounded to this once, so that
// all positions are exact integers.
inline constexpr int kPositionBits = 32;
inline constexpr int kFractionBits = 15;

// Two neighbouring samples along one axis and the weight of the second, Q15 in [0, 32767]; at 0 the
// second is the first, so that nothing is read in vain (nor beyond the last).
struct Tap {
  std::int32_t first;
  std::int32_t second;
  std::int16_t fraction;
};

// Where position (Q32 pixels) reads an axis of `size` samples; both taps are clamped to it.
POSEACT_HD constexpr Tap tap_at(std::int64_t position, std::int32_t size) {
  constexpr int shift = kPositionBits - kFractionBits;
  const std::int64_t last = std::int64_t{size - 1} << kFractionBits;
  std::int64_t q = (position + (std::int64_t{1} << (shift - 1))) >> shift;
  q = q < 0 ? 0 : q > last ? last : q;
  const auto first = static_cast<std::int32_t>(q >> kFractionBits);
  const auto fraction = static_cast<std::int16_t>(q & ((1 << kFractionBits) - 1));
  return {first, first + (fraction != 0), fraction};
}

// (a * b) / 2^15, half rounded up: x86's pmulhrsw.
POSEACT_HD constexpr std::int32_t mul_q15(std::int32_t a, std::int32_t b) {
  return (a * b + 0x4000) >> 15;
}

// A sample as signed Q8 around mid grey: [-32768, 32512].
POSEACT_HD constexpr std::int32_t centred(std::uint8_t sample) { return (sample - 128) * 256; }

// Linear between two Q8 values. Half rounds up in one product and down in the other, so the two
// roundings cancel where first == second: flat areas stay exact. Stays within 16 bits.
POSEACT_HD constexpr std::int32_t blend(std::int32_t first, std::int32_t second,
                                        std::int32_t fraction) {
  return mul_q15(second, fraction) - mul_q15(first, fraction - 32768);
}

// Y'CbCr to R'G'B': gains / 4 in Q15, offset in Q6 with the final rounding (1/2) added.
// identity: the planes are G, B, R, each of which only goes through the luma gain and offset.
struct Color {
  std::int16_t luma;
  std::int16_t offset;
  std::int16_t red_v;
  std::int16_t green_u;
  std::int16_t green_v;
  std::int16_t blue_u;
  bool identity;
};

struct Rgb {
  std::uint8_t r;
  std::uint8_t g;
  std::uint8_t b;
};

// Q6 (rounding already added) to a byte.
POSEACT_HD constexpr std::uint8_t to_byte(std::int32_t value) {
  const std::int32_t level = value >> 6;
  return static_cast<std::uint8_t>(level < 0 ? 0 : level > 255 ? 255 : level);
}

// y, u, v: Q8 around mid grey.
POSEACT_HD constexpr Rgb to_rgb(std::int32_t y, std::int32_t u, std::int32_t v, const Color& c) {
  const std::int32_t light = mul_q15(y, c.luma) + c.offset;
  if (c.identity) {
    return {to_byte(mul_q15(v, c.luma) + c.offset), to_byte(light),
            to_byte(mul_q15(u, c.luma) + c.offset)};
  }
  return {to_byte(light + mul_q15(v, c.red_v)),
          to_byte(light + mul_q15(u, c.green_u) + mul_q15(v, c.green_v)),
          to_byte(light + mul_q15(u, c.blue_u))};
}

}  // namespace poseact
