// SPDX-License-Identifier: Apache-2.0
#include "decode/pts_clock.h"

#include <algorithm>
#include <cstdlib>

namespace poseact {
namespace {

// Time stamps beyond this are nonsense, and sums of them would overflow.
constexpr std::int64_t kMost = std::int64_t{1} << 60;
constexpr std::int64_t kMost_s = std::int64_t{1} << 36;  // two thousand years

constexpr std::int64_t kLeap_s = std::int64_t{30} * 86400;

// This many frames in a row that are not later than the last: the clock stands or was set back.
constexpr int kNoSlip = 3;

}  // namespace

PtsClock::PtsClock(TimeBase time_base, int wrap_bits, std::int64_t frame_ticks)
    : second_(std::max<std::int64_t>(1, time_base.den / time_base.num)),
      leap_(std::min(second_ * kLeap_s, wrap_bits >= 1 && wrap_bits < 60
                                            ? std::int64_t{1} << (wrap_bits - 1)
                                            : kMost)),
      frame_ticks_(std::clamp<std::int64_t>(frame_ticks, 1, kMost >> 20)) {}

std::int64_t PtsClock::next(std::optional<std::int64_t> pts, std::int64_t duration) {
  const bool sane = pts && *pts > -kMost && *pts < kMost && std::abs(*pts) / second_ < kMost_s;
  std::int64_t time = 0;
  if (sane) {
    time = follow(*pts);
    last_raw_ = pts;
  } else {
    ++counts_.missing;
    time = last_ ? *last_ + frame_ticks_ : 0;
  }
  if (duration > 0 && duration < kMost >> 20) frame_ticks_ = duration;
  last_ = time;
  return time;
}

std::int64_t PtsClock::follow(std::int64_t pts) {
  if (!last_) return pts;
  const std::int64_t step = pts + offset_ - *last_;
  if (step <= -second_ || step >= leap_) {
    ++counts_.resets;
    return reset(pts);
  }
  if (step > 0) {
    not_later_ = 0;
    return *last_ + step;
  }
  const bool repeated = last_raw_ && pts == *last_raw_;
  if (repeated) ++counts_.repeated;
  if (last_raw_ && pts < *last_raw_) ++counts_.backward;
  if (++not_later_ < kNoSlip) return *last_ + 1;
  if (!repeated) ++counts_.resets;
  return reset(pts);
}

std::int64_t PtsClock::reset(std::int64_t pts) {
  const std::int64_t time = *last_ + frame_ticks_;
  offset_ = time - pts;
  return time;
}

}  // namespace poseact
