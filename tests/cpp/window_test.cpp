// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "core/error.h"
#include "window/windows.h"

namespace poseact {
namespace {

// Two joints of one person whose x is the pts, so that an interpolated x tells its own time.
struct Scene {
  std::vector<float> keypoints;
  std::vector<std::int64_t> track;
  std::vector<std::int32_t> stream;
  std::vector<std::int64_t> pts;
  std::vector<std::int32_t> time_base;
  TimeBase clock{1, 1000};

  Scene& add(std::int64_t at, bool second_seen = true, std::int64_t id = 1) {
    const auto x = static_cast<float>(at);
    const float score = second_seen ? 0.5F : 0.0F;
    keypoints.insert(keypoints.end(), {x, 1.0F, 0.9F, x, 2.0F, score});
    track.push_back(id);
    stream.push_back(0);
    pts.push_back(at);
    time_base.insert(time_base.end(), {clock.num, clock.den});
    return *this;
  }
  ObservationBatch batch() const { return {keypoints, track, stream, pts, time_base}; }
};

// Three poses on a grid of 10 per second: a grid point every 100 ticks of a millisecond clock.
WindowOptions options(int stride = 1) {
  return {.length = 3, .rate = {10, 1}, .joints = 2, .stride = stride, .max_gap_s = 0.4};
}

std::vector<float> column(const DueWindows& due, std::size_t window, std::size_t offset) {
  std::vector<float> values;
  for (std::size_t pose = 0; pose < 3; ++pose) {
    values.push_back(due.poses.at((window * 3 + pose) * 6 + offset));
  }
  return values;
}

using Floats = std::vector<float>;

TEST(Windows, InterpolatesAtGridPoints) {
  Windows windows(options());
  const DueWindows due = windows.push(Scene{}.add(50).add(180).add(270).add(300).batch());
  ASSERT_EQ(due.row, (std::vector<std::int32_t>{3}));
  EXPECT_EQ(due.end_s, (std::vector<double>{0.3}));
  EXPECT_EQ(column(due, 0, 0), (Floats{100, 200, 300}));
  EXPECT_EQ(column(due, 0, 2), (Floats{0.9F, 0.9F, 0.9F}));
}

TEST(Windows, OneObservationCompletesSeveral) {
  Windows windows(options());
  const DueWindows due = windows.push(Scene{}.add(0).add(390).add(610).batch());
  EXPECT_EQ(due.row, (std::vector<std::int32_t>{1, 1, 2, 2, 2}));
  EXPECT_EQ(due.end_s, (std::vector<double>{0.2, 0.3, 0.4, 0.5, 0.6}));
  EXPECT_EQ(column(due, 4, 0), (Floats{400, 500, 600}));
}

TEST(Windows, StrideCountsGridSteps) {
  Windows windows(options(4));
  Scene scene;
  for (std::int64_t at = 0; at <= 1000; at += 50) scene.add(at);
  EXPECT_EQ(windows.push(scene.batch()).end_s, (std::vector<double>{0.2, 0.6, 1.0}));
}

TEST(Windows, JointThatComesBackIsFilledIn) {
  Windows windows(options());
  Scene scene;
  scene.add(0).add(100, false).add(200, false).add(300);
  const DueWindows due = windows.push(scene.batch());
  ASSERT_EQ(due.row.size(), 2U);
  EXPECT_EQ(column(due, 0, 5), (Floats{0.5F, 0, 0}));        // at 0.2 s it was not known to return
  EXPECT_EQ(column(due, 1, 5), (Floats{0.5F, 0.5F, 0.5F}));  // at 0.3 s it is
  EXPECT_EQ(column(due, 1, 3), (Floats{100, 200, 300}));
}

TEST(Windows, JointThatComesBackTooLateIsNot) {
  Windows windows(options());
  Scene scene;
  scene.add(0).add(100, false).add(300, false).add(401);
  EXPECT_EQ(column(windows.push(scene.batch()), 2, 5), (Floats{0, 0, 0}));
}

TEST(Windows, GapOfExactlyTheLimitIsBridged) {
  Windows windows(options());
  EXPECT_EQ(windows.push(Scene{}.add(0).add(400).batch()).row.size(), 3U);
  EXPECT_EQ(windows.counts().restarts, 0U);
  EXPECT_EQ(windows.push(Scene{}.add(801).batch()).row.size(), 0U);
  EXPECT_EQ(windows.counts().restarts, 1U);
}

TEST(Windows, BadPtsAreDroppedAndCounted) {
  Windows windows(options());
  const DueWindows due =
      windows.push(Scene{}.add(0).add(100).add(100).add(50).add(kMissingPts).add(200).batch());
  EXPECT_EQ(due.row, (std::vector<std::int32_t>{5}));
  EXPECT_EQ(windows.counts().repeated, 1U);
  EXPECT_EQ(windows.counts().backward, 1U);
  EXPECT_EQ(windows.counts().missing, 1U);
  EXPECT_EQ(windows.counts().poses, 3U);
  EXPECT_EQ(windows.counts().restarts, 0U);
}

TEST(Windows, ClockThatJumpsBackOrChangesBeginsAnew) {
  Windows windows(options());
  Scene scene;
  scene.add(9000).add(9100).add(0).add(100);
  scene.clock = {1, 10};
  scene.add(2).add(3).add(4);
  const DueWindows due = windows.push(scene.batch());
  EXPECT_EQ(windows.counts().restarts, 2U);
  EXPECT_EQ(due.row, (std::vector<std::int32_t>{6}));
  EXPECT_EQ(due.end_s, (std::vector<double>{0.4}));
}

TEST(Windows, TimesBeforeZeroAndProductsBeyond64Bits) {
  // 2^40 ticks of 1/2147483647 s times a rate of 1e9 / 1: the product needs 70 bits.
  Windows fine({.length = 2, .rate = {1'000'000'000, 1}, .joints = 2, .max_gap_s = 1e-6});
  for (const std::int64_t start : {std::int64_t{1} << 40, -(std::int64_t{1} << 40)}) {
    Scene scene;
    scene.clock = {1, 2'147'483'647};
    scene.add(start).add(start + 5);  // 2.33 ns: two or three grid points
    const DueWindows due = fine.push(scene.batch());
    ASSERT_GE(due.row.size(), 1U);
    const double at_s = static_cast<double>(start + 5) / 2'147'483'647;
    EXPECT_NEAR(due.end_s.back(), at_s - 0.5e-9, 0.6e-9);
  }
}

TEST(Windows, TimesThatNoClockCanMeanAreDroppedAlone) {
  Windows windows(options());
  windows.push(Scene{}.add(0).add(std::int64_t{1} << 62).add(5).batch());
  EXPECT_EQ(windows.counts().poses, 2U);
  EXPECT_EQ(windows.counts().missing, 1U);
  Scene scene;
  scene.clock = {std::numeric_limits<std::int32_t>::max(), 1};
  windows.push(scene.add(std::int64_t{1} << 40).batch());
  EXPECT_EQ(windows.counts().missing, 2U);
}

TEST(Windows, AnImpossibleTimeBaseLeavesEverythingAsItWas) {
  Windows windows(options());
  Scene scene;
  scene.add(1);
  scene.time_base = {0, 1};
  EXPECT_THROW(windows.push(scene.batch()), ConfigError);
  EXPECT_EQ(windows.size(), 0U);
  EXPECT_EQ(windows.counts().poses, 0U);
}

TEST(Windows, ForgottenTracksBeginAgainInTheSameSlots) {
  Windows windows(options());
  for (std::int64_t id = 1; id <= 1000; ++id) {
    EXPECT_EQ(windows.push(Scene{}.add(0, true, id).add(200, true, id).batch()).row.size(), 1U);
    windows.forget(std::array<std::int32_t, 2>{0, 7}, std::array<std::int64_t, 2>{id, id});
    EXPECT_EQ(windows.size(), 0U);
  }
  // A slot that was used before shows nothing of its last owner.
  const DueWindows due = windows.push(Scene{}.add(0, false, 5).add(200, false, 5).batch());
  EXPECT_EQ(column(due, 0, 5), (Floats{0, 0, 0}));
  windows.forget_stream(1);
  EXPECT_EQ(windows.size(), 1U);
  windows.forget_stream(0);
  EXPECT_EQ(windows.size(), 0U);
  EXPECT_EQ(windows.counts().tracks, 1001U);
}

TEST(Windows, OptionsAreChecked) {
  const auto bad = [](auto change) {
    WindowOptions o = options();
    change(o);
    EXPECT_THROW(Windows{o}, ConfigError);
  };
  bad([](WindowOptions& o) { o.length = 0; });
  bad([](WindowOptions& o) { o.joints = 0; });
  bad([](WindowOptions& o) { o.stride = 0; });
  bad([](WindowOptions& o) { o.rate = {30, 0}; });
  bad([](WindowOptions& o) { o.max_gap_s = 0.05; });
  bad([](WindowOptions& o) { o.max_gap_s = 61; });
  bad([](WindowOptions& o) { o.max_gap_s = std::numeric_limits<double>::quiet_NaN(); });
}

TEST(Windows, ShapesAreChecked) {
  Windows windows(options());
  Scene scene;
  scene.add(0);
  scene.keypoints.pop_back();
  EXPECT_THROW(windows.push(scene.batch()), ShapeError);
}

}  // namespace
}  // namespace poseact
