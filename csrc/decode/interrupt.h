// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "core/bell.h"

namespace poseact {

// What FFmpeg asks, again and again, while it waits for a file or a camera: give up now?
// Owned by whoever reads; `stop` may be called from any thread, and is final.
class Interrupt {
 public:
  void stop() { stopped_.store(true, std::memory_order_relaxed); }
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // FFmpeg may ask from threads of its own, hence the atomic.
  void set_deadline(Deadline deadline) {
    deadline_.store(deadline.time_since_epoch(), std::memory_order_relaxed);
  }
  bool late() const {
    return Clock::now().time_since_epoch() > deadline_.load(std::memory_order_relaxed);
  }

  static int callback(void* self) {
    const auto* const interrupt = static_cast<const Interrupt*>(self);
    return interrupt->stopped() || interrupt->late() ? 1 : 0;
  }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<Clock::duration> deadline_{kNever.time_since_epoch()};
};

}  // namespace poseact
