// SPDX-License-Identifier: Apache-2.0
#include "crop/plan.h"

#include <cmath>

namespace poseact {
namespace {

constexpr std::int64_t kOne = std::int64_t{1} << kPositionBits;

bool flips_x(Orientation o) {
  return o == Orientation::mirror_x || o == Orientation::rotate_180 ||
         o == Orientation::transverse || o == Orientation::rotate_270;
}

bool flips_y(Orientation o) {
  return o == Orientation::rotate_180 || o == Orientation::mirror_y ||
         o == Orientation::rotate_90 || o == Orientation::transverse;
}

std::int64_t siting_x(ChromaSiting s) {
  const bool on_left_column =
      s == ChromaSiting::left || s == ChromaSiting::topleft || s == ChromaSiting::bottomleft;
  return on_left_column ? 0 : kOne / 4;
}

std::int64_t siting_y(ChromaSiting s) {
  if (s == ChromaSiting::left || s == ChromaSiting::center) return kOne / 4;
  return s == ChromaSiting::topleft || s == ChromaSiting::top ? 0 : kOne / 2;
}

std::int32_t chroma_samples(std::int32_t luma_samples, int shift) {
  return (luma_samples + (1 << shift) - 1) >> shift;
}

// Luma weights of red and blue (H.273 table 4).
struct Weights {
  double red;
  double blue;
};

Weights weights_of(ColorMatrix matrix) {
  switch (matrix) {
    case ColorMatrix::bt601:
      return {0.299, 0.114};
    case ColorMatrix::bt709:
      return {0.2126, 0.0722};
    case ColorMatrix::bt2020:
      return {0.2627, 0.0593};
    case ColorMatrix::smpte240m:
      return {0.212, 0.087};
    case ColorMatrix::fcc:
      return {0.30, 0.11};
    case ColorMatrix::identity:
      break;
  }
  return {0.0, 0.0};
}

std::int16_t quarter_q15(double gain) {
  return static_cast<std::int16_t>(std::lround(gain * 8192));
}

}  // namespace

Axis stored_x(const Frame& f) {
  const int shift = chroma_shift_x(f.format);
  return {f.width, chroma_samples(f.width, shift), shift == 1, siting_x(f.siting),
          flips_x(f.orientation)};
}

Axis stored_y(const Frame& f) {
  const int shift = chroma_shift_y(f.format);
  return {f.height, chroma_samples(f.height, shift), shift == 1, siting_y(f.siting),
          flips_y(f.orientation)};
}

void plan_axis(const Axis& axis, double a, double b, std::int32_t count, AxisPlan& plan) {
  const auto step = static_cast<std::int64_t>(std::llround(std::ldexp(a, kPositionBits)));
  const auto start = static_cast<std::int64_t>(std::llround(std::ldexp(b, kPositionBits)));
  const std::int64_t last = (std::int64_t{axis.size} - 1) * kOne;
  plan.luma.resize(static_cast<std::size_t>(count));
  plan.chroma.resize(static_cast<std::size_t>(count));
  plan.begin = plan.end = 0;
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int64_t shown = step * i + start;
    const std::int64_t position = axis.flipped ? last - shown : shown;
    const std::int64_t chroma = axis.halved ? (position >> 1) - axis.chroma_shift : position;
    plan.luma[static_cast<std::size_t>(i)] = tap_at(position, axis.size);
    plan.chroma[static_cast<std::size_t>(i)] = tap_at(chroma, axis.chroma_size);
    if (position >= -kOne / 2 && position <= last + kOne / 2) {
      if (plan.begin == plan.end) plan.begin = i;
      plan.end = i + 1;
    }
  }
}

Color color_of(const Frame& f) {
  const bool limited = f.range == ColorRange::limited;
  const double luma_gain = limited ? 255.0 / 219.0 : 1.0;
  const double chroma_gain = limited ? 255.0 / 224.0 : 1.0;
  const std::int32_t black = limited ? 16 : 0;
  const auto [red, blue] = weights_of(f.matrix);
  const double green = 1.0 - red - blue;
  const double u = 2.0 * (1.0 - blue) * chroma_gain;
  const double v = 2.0 * (1.0 - red) * chroma_gain;
  Color c{};
  c.luma = quarter_q15(luma_gain);
  // Black becomes 0 exactly; 32 is the 1/2 of the final rounding.
  c.offset = static_cast<std::int16_t>(32 - mul_q15((black - 128) * 256, c.luma));
  c.red_v = quarter_q15(v);
  c.green_u = quarter_q15(-u * blue / green);
  c.green_v = quarter_q15(-v * red / green);
  c.blue_u = quarter_q15(u);
  c.identity = f.matrix == ColorMatrix::identity;
  return c;
}

}  // namespace poseact
