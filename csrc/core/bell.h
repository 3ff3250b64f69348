// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace poseact {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
inline constexpr Deadline kNever = Deadline::max();

// `from` plus seconds; kNever for what is too far away to matter (ten years), `from` for the past.
inline Deadline deadline_after(double seconds, Deadline from = Clock::now()) {
  constexpr double kTooFar = 10.0 * 365 * 86400;
  if (!(seconds < kTooFar)) return kNever;
  const std::chrono::duration<double> wait{seconds > 0 ? seconds : 0};
  return from + std::chrono::duration_cast<Clock::duration>(wait);
}

// What any number of producers ring and one consumer sleeps on: an event count.
// Read `version`, look for work, then `wait` for another version: no ring in between is missed.
// Thread-safe.
class Bell {
 public:
  std::uint64_t version() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }

  void ring() {
    {
      const std::lock_guard lock(mutex_);
      ++version_;
    }
    rung_.notify_all();
  }

  // False: the deadline passed and nobody rang since `seen`.
  bool wait(std::uint64_t seen, Deadline deadline) {
    std::unique_lock lock(mutex_);
    return rung_.wait_until(lock, deadline, [&] { return version_ != seen; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable rung_;
  std::uint64_t version_ = 0;
};

}  // namespace poseact
