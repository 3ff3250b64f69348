// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "core/frame.h"

namespace poseact {

// Grid points per second; grid point k is at k * den / num seconds of stream time.
struct GridRate {
  std::int32_t num = 30;
  std::int32_t den = 1;
};

// Where a pts lies: `rest / GridClock::divisor()` of a step after grid point `step`.
struct Moment {
  std::int64_t pts = 0;
  std::int64_t step = 0;  // the last grid point at or before it
  std::int64_t rest = 0;  // 0: exactly on the grid point
};

// Places the ticks of one time base on the grid, in integers: what is at, before or after a grid
// point, and what is farther apart than the longest gap, is never a matter of rounding.
// Immutable, a few words; copy it.
class GridClock {
 public:
  // `gap_us`: the longest gap in microseconds. Half a microsecond is granted on top, so that a gap
  // given as a decimal fraction (0.0333) still spans the frames it was meant to span (1/30).
  GridClock(TimeBase time_base, GridRate rate, std::int64_t gap_us);

  // Nothing for a pts that is missing, or so large that differences or grid points would overflow
  // (2^61 ticks, 2^52 grid steps): one stream's damaged clock must not stop the others.
  std::optional<Moment> place(std::int64_t pts) const;

  // How far grid point `step` <= now.step lies before `now`, as a part of the way back to
  // `seen_pts` (0 to 1). Doubles suffice: nothing is subtracted, so nothing cancels.
  double part_back(std::int64_t step, const Moment& now, std::int64_t seen_pts) const {
    const double back = static_cast<double>(now.rest) +
                        static_cast<double>(now.step - step) * static_cast<double>(divisor_);
    return back / (static_cast<double>(now.pts - seen_pts) * static_cast<double>(multiplier_));
  }

  // The longest gap in ticks, rounded down.
  std::int64_t gap_ticks() const { return gap_ticks_; }

  bool has(TimeBase time_base) const {
    return time_base.num == time_base_.num && time_base.den == time_base_.den;
  }
  TimeBase time_base() const { return time_base_; }

 private:
  TimeBase time_base_;
  std::int64_t multiplier_;  // pts * multiplier / divisor = grid steps, in lowest terms
  std::int64_t divisor_;
  std::int64_t gap_ticks_;
};

}  // namespace poseact
