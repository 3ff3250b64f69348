// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/bell.h"

namespace poseact {

enum class WhenFull : std::uint8_t { wait, drop_oldest };
enum class Pushed : std::uint8_t { yes, timed_out, closed };

// A queue of at most `capacity` values between threads. Owns what is in it. Thread-safe.
// `end` says that no more will come; `close` also throws away what is left.
// Values are destroyed outside the lock: a frame's owner may take Python's GIL when it goes.
template <typename T>
class BoundedQueue {
 public:
  BoundedQueue(std::size_t capacity, WhenFull when_full)
      : capacity_(capacity), when_full_(when_full), slots_(capacity) {}

  Pushed push(T value, Deadline deadline = kNever) {
    std::optional<T> displaced;
    std::unique_lock lock(mutex_);
    if (when_full_ == WhenFull::wait) {
      const bool woken = not_full_.wait_until(lock, deadline, [&] { return ended_ || !full(); });
      if (!woken) return Pushed::timed_out;
    }
    if (ended_) return Pushed::closed;
    if (full()) {
      displaced = take_oldest();
      ++dropped_;
    }
    slots_[pushed_++ % capacity_] = std::move(value);
    tell(lock);
    return Pushed::yes;
  }

  // Nothing: the deadline passed, or the queue is drained.
  std::optional<T> pop(Deadline deadline) {
    std::unique_lock lock(mutex_);
    not_empty_.wait_until(lock, deadline, [&] { return ended_ || size() > 0; });
    if (size() == 0) return std::nullopt;
    std::optional<T> value = take_oldest();
    lock.unlock();
    not_full_.notify_one();
    return value;
  }

  std::optional<T> try_pop() {
    std::unique_lock lock(mutex_);
    if (size() == 0) return std::nullopt;
    std::optional<T> value = take_oldest();
    lock.unlock();
    not_full_.notify_one();
    return value;
  }

  void end() {
    std::unique_lock lock(mutex_);
    ended_ = true;
    tell(lock);
  }

  void close() {
    std::vector<T> left(capacity_);
    std::unique_lock lock(mutex_);
    ended_ = true;
    left.swap(slots_);
    taken_ = pushed_;
    tell(lock);
  }

  bool drained() const {
    const std::lock_guard lock(mutex_);
    return ended_ && size() == 0;
  }

  // Rings `bell` at every push and at the end. False: another bell was there first.
  bool attach(std::shared_ptr<Bell> bell) {
    const std::lock_guard lock(mutex_);
    if (bell_) return false;
    bell_ = std::move(bell);
    return true;
  }

  bool attached() const {
    const std::lock_guard lock(mutex_);
    return bell_ != nullptr;
  }

  std::uint64_t pushed() const {
    const std::lock_guard lock(mutex_);
    return pushed_;
  }

  std::uint64_t dropped() const {
    const std::lock_guard lock(mutex_);
    return dropped_;
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(pushed_ - taken_); }
  bool full() const { return size() == capacity_; }
  T take_oldest() { return std::exchange(slots_[taken_++ % capacity_], T{}); }

  // Wakes everybody who may wait for what has just changed, after letting go of the lock.
  void tell(std::unique_lock<std::mutex>& lock) {
    const std::shared_ptr<Bell> bell = bell_;
    const bool ended = ended_;
    lock.unlock();
    not_empty_.notify_one();
    if (ended) {
      not_empty_.notify_all();
      not_full_.notify_all();
    }
    if (bell) bell->ring();
  }

  mutable std::mutex mutex_;
  std::condition_variable not_empty_;
  std::condition_variable not_full_;
  const std::size_t capacity_;
  const WhenFull when_full_;
  std::vector<T> slots_;
  std::uint64_t pushed_ = 0;  // counters only grow; slots wrap at access
  std::uint64_t taken_ = 0;   // popped or dropped
  std::uint64_t dropped_ = 0;
  bool ended_ = false;
  std::shared_ptr<Bell> bell_;
};

}  // namespace poseact
