// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "core/frame.h"

namespace poseact {

// Repairs the time stamps of one stream so that they rise with every frame.
//   none                                   last + one frame
//   same or earlier, by less than 1 s      last + 1 tick; the third in a row is no slip any more
//                                          but a clock that was set anew
//   earlier by 1 s or more                 the clock was set anew: last + one frame, and all that
//   later by half the counter or more,     follow are moved by the same amount (also: it wrapped)
//     or by 30 days or more
//   later                                  as it is: a camera may be silent for long
// Not thread-safe.
class PtsClock {
 public:
  struct Counts {
    std::int64_t missing = 0;   // no time stamp
    std::int64_t repeated = 0;  // the same as of the frame before
    std::int64_t backward = 0;  // earlier than the frame before, by less than 1 s
    std::int64_t resets = 0;
  };

  // `frame_ticks`: length of a frame that does not say its own; `wrap_bits`: pts are modulo 2^bits.
  PtsClock(TimeBase time_base, int wrap_bits, std::int64_t frame_ticks);

  // The time of the next frame: `pts` as decoded, if any; `duration` in ticks, 0 if not known.
  std::int64_t next(std::optional<std::int64_t> pts, std::int64_t duration);

  const Counts& counts() const { return counts_; }

 private:
  std::int64_t follow(std::int64_t pts);
  std::int64_t reset(std::int64_t pts);

  std::int64_t second_;                   // in ticks
  std::int64_t leap_;                     // a step forward of this many ticks is none
  std::int64_t frame_ticks_;              // of the last frame
  std::int64_t offset_ = 0;               // of all resets so far
  int not_later_ = 0;                     // frames in a row
  std::optional<std::int64_t> last_;      // given out
  std::optional<std::int64_t> last_raw_;  // read
  Counts counts_;
};

}  // namespace poseact
