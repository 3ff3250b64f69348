// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/frame.h"

namespace poseact {

// Seconds of one stream since its first frame, from its pts; never runs backward.
// A repeated pts is the same moment; a backward one too, and time goes on from there (a file that
// starts anew, a counter that wrapped); a frame without a pts (kMissingPts) lets no time pass.
// Plain value; not thread-safe.
class StreamClock {
 public:
  // Moves to a frame's time and returns the seconds since the frame before.
  double advance(std::int64_t pts, TimeBase time_base) {
    if (pts == kMissingPts) return 0.0;
    const double before = now_s_;
    if (!started_) {
      anchor_pts_ = pts;
    } else if (time_base.num != time_base_.num || time_base.den != time_base_.den) {
      const double step = seconds(pts, time_base) - seconds(last_pts_, time_base_);
      now_s_ += step > 0.0 ? step : 0.0;
      anchor(pts);
    } else if (pts < last_pts_) {
      anchor(pts);
    } else {
      // From the anchor rather than from the last frame, so that rounding does not add up;
      // unsigned, because the distance of two pts may not fit a signed number.
      const auto ticks = static_cast<std::uint64_t>(pts) - static_cast<std::uint64_t>(anchor_pts_);
      now_s_ = anchor_s_ + static_cast<double>(ticks) * time_base.num / time_base.den;
    }
    started_ = true;
    last_pts_ = pts;
    time_base_ = time_base;
    return now_s_ - before;
  }

  double now_s() const { return now_s_; }

 private:
  static double seconds(std::int64_t pts, TimeBase time_base) {
    return static_cast<double>(pts) * time_base.num / time_base.den;
  }

  void anchor(std::int64_t pts) {
    anchor_pts_ = pts;
    anchor_s_ = now_s_;
  }

  bool started_ = false;
  std::int64_t anchor_pts_ = 0;
  std::int64_t last_pts_ = 0;
  double anchor_s_ = 0.0;
  double now_s_ = 0.0;
  TimeBase time_base_{};
};

}  // namespace poseact
