// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/bounded_queue.h"

namespace poseact {
namespace {

TEST(BoundedQueue, KeepsOrderPastItsCapacity) {
  BoundedQueue<int> queue(3, WhenFull::wait);
  for (int k = 0; k < 10; ++k) {
    ASSERT_EQ(queue.push(k), Pushed::yes);
    ASSERT_EQ(queue.try_pop(), k);
  }
  EXPECT_EQ(queue.try_pop(), std::nullopt);
  EXPECT_EQ(queue.pushed(), 10U);
}

TEST(BoundedQueue, DropsTheOldestWhenLive) {
  BoundedQueue<int> queue(2, WhenFull::drop_oldest);
  for (int k = 0; k < 5; ++k) EXPECT_EQ(queue.push(k), Pushed::yes);
  EXPECT_EQ(queue.dropped(), 3U);
  EXPECT_EQ(queue.try_pop(), 3);
  EXPECT_EQ(queue.try_pop(), 4);
}

TEST(BoundedQueue, FullIsAnAnswer) {
  BoundedQueue<int> queue(1, WhenFull::wait);
  EXPECT_EQ(queue.push(1), Pushed::yes);
  EXPECT_EQ(queue.push(2, deadline_after(0.01)), Pushed::timed_out);
  queue.end();
  EXPECT_EQ(queue.push(3), Pushed::closed);
  EXPECT_FALSE(queue.drained());
  EXPECT_EQ(queue.pop(kNever), 1);
  EXPECT_EQ(queue.pop(kNever), std::nullopt);
  EXPECT_TRUE(queue.drained());
}

TEST(BoundedQueue, CloseLetsGoOfWhatIsLeft) {
  const auto value = std::make_shared<int>(7);
  BoundedQueue<std::shared_ptr<int>> queue(4, WhenFull::wait);
  for (int k = 0; k < 3; ++k) queue.push(value);
  EXPECT_EQ(value.use_count(), 4);
  queue.close();
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_TRUE(queue.drained());
}

TEST(BoundedQueue, CloseWakesWhoeverWaits) {
  BoundedQueue<int> queue(1, WhenFull::wait);
  queue.push(1);
  std::thread pusher([&] { EXPECT_EQ(queue.push(2), Pushed::closed); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  queue.close();
  pusher.join();
  BoundedQueue<int> empty(1, WhenFull::wait);
  std::thread popper([&] { EXPECT_EQ(empty.pop(kNever), std::nullopt); });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  empty.close();
  popper.join();
}

TEST(BoundedQueue, ManyProducersLoseNothing) {
  constexpr int kEach = 2000;
  BoundedQueue<int> queue(4, WhenFull::wait);
  std::vector<std::thread> producers;
  for (int p = 0; p < 3; ++p) {
    producers.emplace_back([&, p] {
      for (int k = 0; k < kEach; ++k) queue.push(p * kEach + k);
    });
  }
  std::vector<int> last(3, -1);
  for (int n = 0; n < 3 * kEach; ++n) {
    const std::optional<int> value = queue.pop(kNever);
    ASSERT_TRUE(value.has_value());
    int& before = last.at(static_cast<std::size_t>(*value / kEach));
    EXPECT_GT(*value % kEach, before);  // each producer's values stay in order
    before = *value % kEach;
  }
  for (std::thread& producer : producers) producer.join();
}

TEST(Bell, NoRingIsMissed) {
  Bell bell;
  std::atomic<int> work{0};
  constexpr int kRings = 3000;
  std::thread ringer([&] {
    for (int k = 0; k < kRings; ++k) {
      ++work;
      bell.ring();
    }
  });
  for (;;) {
    const std::uint64_t seen = bell.version();
    if (work == kRings) break;
    ASSERT_TRUE(bell.wait(seen, deadline_after(30)));
  }
  ringer.join();
  EXPECT_FALSE(bell.wait(bell.version(), deadline_after(0.001)));
}

TEST(Deadline, FarAndPast) {
  EXPECT_EQ(deadline_after(1e300), kNever);
  const Deadline now = Clock::now();
  EXPECT_EQ(deadline_after(-1, now), now);
  EXPECT_EQ(deadline_after(0.5, now) - now, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace poseact
