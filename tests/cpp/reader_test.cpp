// SPDX-License-Identifier: Apache-2.0
#include "decode/reader.h"

#include <gtest/gtest.h>

#include <thread>

#include "core/error.h"
#include "media.h"

namespace poseact {
namespace {

class ReaderTest : public ::testing::Test {
 protected:
  std::string clip(const testing::ClipOptions& options = {}) {
    const std::string path = folder_.path("clip.mp4");
    testing::write_clip(path, options);
    return path;
  }
  testing::ScratchFolder folder_;
};

TEST_F(ReaderTest, GivesAllFramesAtRisingTimes) {
  for (const int threads : {1, 3}) {
    Reader reader(clip(), {.queue_frames = 2, .threads = threads});
    reader.start();
    reader.start();
    for (int k = 0; k < 12; ++k) {
      const std::optional<Frame> frame = reader.next(deadline_after(30));
      ASSERT_TRUE(frame.has_value());
      EXPECT_EQ(frame->index, k);
      EXPECT_EQ(frame->pts * 25 * frame->time_base.num, std::int64_t{k} * frame->time_base.den);
      EXPECT_NEAR(frame->planes[0].data[20], testing::grey_level(k), testing::kGreyTolerance);
    }
    EXPECT_FALSE(reader.next(kNever).has_value());
    EXPECT_TRUE(reader.ended());
    EXPECT_EQ(reader.error(), std::nullopt);
    EXPECT_EQ(reader.counts().delivered, 12);
    EXPECT_GT(reader.cpu_s(), 0);
  }
}

TEST_F(ReaderTest, SkipsAndStopsAsTold) {
  Reader reader(clip(), {.every = 5, .max_frames = 2});
  reader.start();
  EXPECT_EQ(reader.next(kNever)->index, 0);
  EXPECT_EQ(reader.next(kNever)->index, 5);
  EXPECT_FALSE(reader.next(kNever).has_value());
  EXPECT_EQ(reader.counts().skipped, 4);
}

TEST_F(ReaderTest, StopsFromAnyThreadWhileItsQueueIsFull) {
  const std::string path = clip({.frames = 60});
  for (int run = 0; run < 10; ++run) {
    Reader reader(path, {.queue_frames = 1});
    reader.start();
    std::thread consumer([&] {
      while (reader.next(deadline_after(30))) {
      }
    });
    std::thread observer([&] {
      for (int k = 0; k < 20; ++k) static_cast<void>(reader.counts().frames + (reader.cpu_s() > 0));
    });
    std::thread stopper([&] { reader.stop(); });
    reader.stop();
    stopper.join();
    observer.join();
    consumer.join();
    EXPECT_TRUE(reader.ended());
  }
}

TEST_F(ReaderTest, GoesWithItsThreadRunningOrNeverStarted) {
  const std::string path = clip({.frames = 60});
  {
    const Reader never(path, {});
  }
  Reader running(path, {.queue_frames = 1});
  running.start();
  EXPECT_TRUE(running.next(kNever).has_value());
}

TEST_F(ReaderTest, ALiveSourceThatFailsSaysSo) {
  Reader reader(folder_.path("absent.mp4"), {.live = true});
  EXPECT_FALSE(reader.info().has_value());  // a live source is opened by the thread
  reader.start();
  EXPECT_FALSE(reader.next(kNever).has_value());
  ASSERT_TRUE(reader.error().has_value());
  EXPECT_NE(reader.error()->find("does not exist"), std::string::npos);
  EXPECT_THROW(Reader(folder_.path("absent.mp4"), {}), SourceError);
}

TEST_F(ReaderTest, LiveKeepsTheNewestFrames) {
  Reader reader(clip(), {.queue_frames = 3, .live = true});
  reader.start();
  while (reader.counts().delivered < 12) std::this_thread::yield();
  EXPECT_EQ(reader.next(kNever)->index, 9);
  EXPECT_EQ(reader.counts().dropped, 9);
}

TEST_F(ReaderTest, ChecksItsOptions) {
  const std::string path = clip();
  EXPECT_THROW(Reader(path, {.queue_frames = 0}), ConfigError);
  EXPECT_THROW(Reader(path, {.every = 0}), ConfigError);
  EXPECT_THROW(Reader(path, {.max_frames = 0}), ConfigError);
  EXPECT_THROW(Reader(path, {.threads = 65}), ConfigError);
  EXPECT_THROW(Reader(path, {.read_timeout_s = -1}), ConfigError);
}

}  // namespace
}  // namespace poseact
