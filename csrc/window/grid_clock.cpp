// SPDX-License-Identifier: Apache-2.0
#include "window/grid_clock.h"

#include <limits>
#include <numeric>

namespace poseact {
namespace {

__extension__ typedef __int128 Wide;

// Far beyond any clock, yet small enough that two of them can be subtracted.
constexpr std::int64_t kMostTicks = std::int64_t{1} << 61;
// 4.7 million years at 30 per second; up to here a double holds a step exactly.
constexpr std::int64_t kMostSteps = std::int64_t{1} << 52;

}  // namespace

GridClock::GridClock(TimeBase time_base, GridRate rate, std::int64_t gap_us)
    : time_base_(time_base) {
  check_time_base(time_base);
  const std::int64_t num = std::int64_t{time_base.num} * rate.num;
  const std::int64_t den = std::int64_t{time_base.den} * rate.den;
  const std::int64_t common = std::gcd(num, den);
  multiplier_ = num / common;
  divisor_ = den / common;
  const Wide half_us = Wide{2 * gap_us + 1} * time_base.den;
  gap_ticks_ = static_cast<std::int64_t>(half_us / (Wide{2'000'000} * time_base.num));
}

std::optional<Moment> GridClock::place(std::int64_t pts) const {
  const Wide product = Wide{pts} * multiplier_;
  const Wide limit = Wide{kMostSteps} * divisor_;
  if (pts < -kMostTicks || pts > kMostTicks || product < -limit || product > limit) {
    return std::nullopt;
  }
  constexpr Wide kWord = std::numeric_limits<std::int64_t>::max();
  Moment moment{pts, 0, 0};
  if (product >= -kWord && product <= kWord) {  // almost always; 64-bit division is much faster
    const auto narrow = static_cast<std::int64_t>(product);
    moment.step = narrow / divisor_;
    moment.rest = narrow % divisor_;
  } else {
    moment.step = static_cast<std::int64_t>(product / divisor_);
    moment.rest = static_cast<std::int64_t>(product % divisor_);
  }
  if (moment.rest < 0) {  // C++ rounds to zero, the grid point at or before is the floor
    moment.rest += divisor_;
    --moment.step;
  }
  return moment;
}

}  // namespace poseact
