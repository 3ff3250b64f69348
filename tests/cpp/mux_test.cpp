// SPDX-License-Identifier: Apache-2.0
#include "decode/mux.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "core/error.h"
#include "media.h"

namespace poseact {
namespace {

Frame numbered(std::int64_t index) {
  Frame frame;
  frame.index = index;
  frame.pts = index;
  return frame;
}

using PerStream = std::map<std::int32_t, std::vector<std::int64_t>>;

PerStream drain(Mux& mux, std::size_t max_frames) {
  PerStream seen;
  for (;;) {
    FrameBatch batch;
    const Mux::Poll poll = mux.poll(max_frames, 0.01, deadline_after(30), batch);
    EXPECT_NE(poll, Mux::Poll::waiting);
    if (poll != Mux::Poll::batch) return seen;
    EXPECT_LE(batch.frames.size(), max_frames);
    for (const Frame& frame : batch.frames) seen[frame.stream].push_back(frame.index);
  }
}

std::vector<std::int64_t> first(std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t k = 0; k < count; ++k) numbers.push_back(k);
  return numbers;
}

TEST(Mux, GivesEveryFrameOfEveryStreamOnceInOrder) {
  const testing::ScratchFolder folder;
  Mux mux;
  for (int i = 0; i < 4; ++i) {
    const std::string path = folder.path(std::to_string(i) + ".mkv");
    testing::write_clip(path, {.frames = 10 + i, .width = 64 + 16 * i});
    mux.add_reader(std::make_shared<Reader>(path, ReaderOptions{.queue_frames = 2}));
  }
  std::vector<std::thread> pushers;
  for (int i = 0; i < 3; ++i) {
    const int stream = mux.add_stream(2, false);
    pushers.emplace_back([&mux, stream] {
      for (std::int64_t k = 0; k < 300; ++k) {
        EXPECT_EQ(mux.push(stream, numbered(k), kNever), Pushed::yes);
      }
      mux.end_stream(stream);
    });
  }
  const PerStream seen = drain(mux, 5);
  for (std::thread& pusher : pushers) pusher.join();
  for (const auto& [stream, indexes] : seen) {
    EXPECT_EQ(indexes, first(stream < 4 ? 10 + stream : 300)) << stream;
  }
  EXPECT_EQ(seen.size(), 7U);
  EXPECT_EQ(mux.ended_streams().size(), 7U);
  EXPECT_TRUE(mux.ended_streams().empty());
}

TEST(Mux, ABatchIsFullOrLateOrTheLast) {
  Mux mux;
  const int stream = mux.add_stream(8, false);
  FrameBatch batch;
  EXPECT_EQ(mux.poll(4, 1, deadline_after(0.01), batch), Mux::Poll::waiting);
  for (int k = 0; k < 6; ++k) mux.push(stream, numbered(k), kNever);
  EXPECT_EQ(mux.poll(4, 60, kNever, batch), Mux::Poll::batch);
  EXPECT_EQ(batch.frames.size(), 4U);
  EXPECT_EQ(mux.poll(4, 60, deadline_after(0.01), batch), Mux::Poll::waiting);  // two are kept
  const Deadline begin = Clock::now();
  EXPECT_EQ(mux.poll(4, 0.05, kNever, batch), Mux::Poll::batch);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  ASSERT_EQ(batch.frames.size(), 2U);
  EXPECT_EQ(batch.frames[0].index, 4);
  mux.push(stream, numbered(6), kNever);
  mux.end_stream(stream);
  EXPECT_TRUE(mux.ended_streams().empty());  // its last frame has not been given out
  EXPECT_EQ(mux.poll(4, 60, kNever, batch), Mux::Poll::batch);
  EXPECT_EQ(mux.ended_streams(), std::vector<int>{stream});
  EXPECT_EQ(mux.poll(4, 60, kNever, batch), Mux::Poll::end);
}

TEST(Mux, CloseWakesConsumerAndProducers) {
  for (int run = 0; run < 20; ++run) {
    Mux mux;
    const int full = mux.add_stream(1, false);
    mux.add_stream(1, false);
    mux.push(full, numbered(0), kNever);
    std::thread producer([&] {
      while (mux.push(full, numbered(1), kNever) == Pushed::yes) {
      }
    });
    std::thread consumer([&] {
      FrameBatch batch;
      while (mux.poll(64, 0.001, kNever, batch) != Mux::Poll::end) {
      }
    });
    mux.close();
    producer.join();
    consumer.join();
    EXPECT_THROW(mux.add_stream(1, false), ConfigError);
  }
}

TEST(Mux, AddsStreamsWhileItRuns) {
  Mux mux;
  const int held = mux.add_stream(1, false);
  std::thread adder([&] {
    for (int k = 0; k < 20; ++k) {
      const int stream = mux.add_stream(2, true);
      mux.push(stream, numbered(k), kNever);
      mux.end_stream(stream);
    }
    mux.end_stream(held);
  });
  const PerStream seen = drain(mux, 3);
  adder.join();
  EXPECT_EQ(seen.size(), 20U);
}

TEST(Mux, RefusesWhatCannotBe) {
  Mux mux;
  FrameBatch batch;
  EXPECT_EQ(mux.poll(1, 0, kNever, batch), Mux::Poll::end);  // no stream at all
  EXPECT_THROW(mux.poll(0, 0, kNever, batch), ConfigError);
  EXPECT_THROW(mux.push(0, {}, kNever), ConfigError);
  EXPECT_THROW(mux.add_stream(0, false), ConfigError);
}

}  // namespace
}  // namespace poseact
