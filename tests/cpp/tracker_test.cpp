// SPDX-License-Identifier: Apache-2.0
#include "track/tracker.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "core/error.h"

namespace poseact {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TrackOptions options() { return {0.5F, 0.1F, 0.5F, 0.2F, 0.5F, 0.3F, 0.0, 0.3, 1.0}; }

// One stream at 1/10 s a tick; boxes of 40 x 100 with their left edge at x.
class OneStream {
 public:
  explicit OneStream(const TrackOptions& o = options()) : tracker(o) {}

  const TrackRows& see(std::int64_t pts, const std::vector<float>& xs, float score = 0.9F) {
    std::vector<float> boxes;
    for (const float x : xs) boxes.insert(boxes.end(), {x, 0, x + 40, 100});
    return raw(pts, boxes, std::vector<float>(xs.size(), score), true);
  }

  const TrackRows& skip(std::int64_t pts) { return raw(pts, {}, {}, false); }

  const TrackRows& raw(std::int64_t pts, const std::vector<float>& boxes,
                       const std::vector<float>& scores, bool detected) {
    const std::vector<std::int32_t> frame(scores.size(), 0);
    const std::vector<std::int32_t> stream{7};
    const std::vector<std::int32_t> time_base{1, 10};
    const std::vector<std::int64_t> times{pts};
    return tracker.update(
        {boxes, scores, frame, stream, times, time_base, std::span(&detected, 1)});
  }

  Tracker tracker;
};

using Ids = std::vector<std::int64_t>;

TEST(Tracker, FirstFrameIsReportedAtOnceLaterOnesAtTheSecondMatch) {
  OneStream s;
  EXPECT_EQ(s.see(0, {0}).ids, Ids{1});
  EXPECT_EQ(s.see(1, {0, 500}).ids, Ids{1});
  EXPECT_EQ(s.see(2, {0, 500}).ids, (Ids{1, 2}));
}

TEST(Tracker, AFlickerNeverGetsAnId) {
  OneStream s;
  s.see(0, {0});
  s.see(1, {0, 500});
  s.see(2, {0});
  s.see(3, {0, 900});
  EXPECT_EQ(s.see(4, {0, 900}).ids, (Ids{1, 2}));
}

TEST(Tracker, WeakBoxesContinueATrackButStartNone) {
  OneStream s;
  s.see(0, {0});
  EXPECT_EQ(s.see(1, {0, 500}, 0.2F).ids, Ids{1});
  const TrackRows& rows = s.see(2, {0, 500}, 0.2F);
  EXPECT_EQ(rows.ids, Ids{1});
  EXPECT_EQ(rows.observed, std::vector<std::uint8_t>{1});
  EXPECT_FLOAT_EQ(rows.scores[0], 0.2F);
  EXPECT_EQ(s.see(3, {0, 500}, 0.05F).observed, std::vector<std::uint8_t>{0});
}

TEST(Tracker, CoastsThenFallsSilentThenEnds) {
  OneStream s;  // coast 0.3 s: missed at 1, 2 and 3; lost 1 s: gone after 10
  s.see(0, {0});
  for (std::int64_t t = 1; t <= 3; ++t) EXPECT_EQ(s.see(t, {}).ids, Ids{1}) << t;
  for (std::int64_t t = 4; t <= 10; ++t) {
    EXPECT_TRUE(s.see(t, {}).ids.empty()) << t;
    EXPECT_EQ(s.tracker.size(), 1U);
  }
  const TrackRows& rows = s.see(11, {});
  EXPECT_EQ(rows.ended_ids, Ids{1});
  EXPECT_EQ(rows.ended_stream, std::vector<std::int32_t>{7});
  EXPECT_EQ(s.tracker.size(), 0U);
  EXPECT_TRUE(s.see(12, {}).ended_ids.empty());
}

TEST(Tracker, BackWithinTheBudgetKeepsTheIdLaterGetsANewOne) {
  OneStream within;
  within.see(0, {0});
  within.see(1, {});
  EXPECT_EQ(within.see(10, {0}).ids, Ids{1});
  OneStream later;
  later.see(0, {0});
  later.see(1, {});
  EXPECT_EQ(later.see(11, {0}).ended_ids, Ids{1});
  EXPECT_EQ(later.see(12, {0}).ids, Ids{2});
}

TEST(Tracker, SkippedFramesSilenceNobody) {
  OneStream s;
  s.see(0, {0});
  for (std::int64_t t = 1; t <= 7; ++t) {
    const TrackRows& rows = s.skip(t);
    EXPECT_EQ(rows.ids, Ids{1}) << t;
    EXPECT_EQ(rows.observed, std::vector<std::uint8_t>{0});
  }
  EXPECT_EQ(s.see(8, {}).ids, Ids{1});  // now somebody looked: coasting begins
  EXPECT_EQ(s.skip(10).ids, Ids{1});
  EXPECT_TRUE(s.skip(11).ended_ids == Ids{1});
}

TEST(Tracker, ConfirmationTakesItsTime) {
  TrackOptions o = options();
  o.confirm_s = 0.3;
  OneStream s(o);
  s.see(0, {});
  for (std::int64_t t = 1; t <= 3; ++t) EXPECT_TRUE(s.see(t, {0}).ids.empty()) << t;
  EXPECT_EQ(s.see(4, {0}).ids, Ids{1});
}

TEST(Tracker, EndedStreamsGoOnCounting) {
  OneStream s;
  s.see(0, {0, 500});
  EXPECT_EQ(s.tracker.end_stream(7), (Ids{1, 2}));
  EXPECT_TRUE(s.tracker.end_stream(7).empty());
  EXPECT_TRUE(s.tracker.end_stream(99).empty());
  EXPECT_EQ(s.see(0, {0}).ids, Ids{3});
}

TEST(Tracker, TimeThatStandsOrRunsBackIsNoTime) {
  constexpr auto kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  OneStream s;
  s.see(1000, {0});
  EXPECT_EQ(s.see(1000, {0}).ids, Ids{1});
  EXPECT_EQ(s.see(3, {0}).ids, Ids{1});       // the file starts anew
  EXPECT_EQ(s.see(4, {0}).ids, Ids{1});       // and time goes on from there
  EXPECT_EQ(s.see(kLeast, {0}).ids, Ids{1});  // no pts
  EXPECT_EQ(s.see(kMost, {0}).ended_ids, Ids{1});
}

TEST(Tracker, WhatIsNoBoxIsDropped) {
  OneStream s;
  const std::vector<float> boxes{0,   0, 40, 100, kNan,  0,     40,  100, 500, 0,
                                 400, 5, 0,  0,   1e30F, 1e30F, 900, 0,   940, 100};
  EXPECT_EQ(s.raw(0, boxes, {0.9F, 0.9F, 0.9F, 0.9F, kNan}, true).ids, Ids{1});
}

TEST(Tracker, ABadBatchChangesNothing) {
  OneStream s;
  s.see(0, {0});
  EXPECT_THROW(s.raw(1, {0, 0, 1, 1}, {0.9F}, false), ConfigError);
  EXPECT_THROW(s.raw(1, {0, 0, 1}, {0.9F}, true), ShapeError);
  const std::vector<float> boxes(8, 0.0F);
  const std::vector<float> scores{0.9F, 0.9F};
  const std::vector<std::int32_t> stream{7, 8};
  const std::vector<std::int64_t> pts{1, 1};
  const std::vector<std::int32_t> time_base{1, 10, 1, 10};
  const std::unique_ptr<bool[]> detected(new bool[2]{true, true});
  const std::span<const bool> looked(detected.get(), 2);
  const auto update = [&](std::vector<std::int32_t> frame, std::vector<std::int32_t> base) {
    s.tracker.update({boxes, scores, frame, stream, pts, base, looked});
  };
  EXPECT_THROW(update({1, 0}, time_base), ConfigError);
  EXPECT_THROW(update({0, 2}, time_base), ConfigError);
  EXPECT_THROW(update({-1, 0}, time_base), ConfigError);
  EXPECT_THROW(update({0, 1}, {1, 10, 0, 10}), ConfigError);
  EXPECT_EQ(s.tracker.size(), 1U);
  EXPECT_EQ(s.see(1, {0}).ids, Ids{1});
}

TEST(Tracker, RefusesBadOptions) {
  for (const auto spoil :
       {+[](TrackOptions& o) { o.match_iou = 1.5F; }, +[](TrackOptions& o) { o.high_score = kNan; },
        +[](TrackOptions& o) { o.lost_s = -1.0; }, +[](TrackOptions& o) { o.coast_s = 2.0; },
        +[](TrackOptions& o) { o.low_score = 0.6F; }}) {
    TrackOptions o = options();
    spoil(o);
    EXPECT_THROW(Tracker{o}, ConfigError);
  }
}

}  // namespace
}  // namespace poseact
