// SPDX-License-Identifier: Apache-2.0
#include "decode/pts_clock.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <vector>

namespace poseact {
namespace {

constexpr TimeBase kTs{1, 90000};
constexpr std::int64_t kFrame = 3600;
constexpr std::int64_t kWrap = std::int64_t{1} << 33;
using Pts = std::optional<std::int64_t>;

std::vector<std::int64_t> repaired(PtsClock& clock, const std::vector<Pts>& pts) {
  std::vector<std::int64_t> out;
  for (const Pts& p : pts) out.push_back(clock.next(p, kFrame));
  return out;
}

TEST(PtsClock, LeavesGoodTimesAlone) {
  PtsClock clock(kTs, 33, kFrame);
  const std::vector<std::int64_t> expected{7, 3607, 7207, 900000, 903600};  // a silence is real
  EXPECT_EQ(repaired(clock, {7, 3607, 7207, 900000, 903600}), expected);
  EXPECT_EQ(clock.counts().resets + clock.counts().missing, 0);
}

TEST(PtsClock, MissingTimesFollowByOneFrame) {
  PtsClock clock(kTs, 33, kFrame);
  const std::vector<std::int64_t> expected{0, 3600, 7200, 10800};
  EXPECT_EQ(repaired(clock, {std::nullopt, std::nullopt, 7200, std::nullopt}), expected);
  EXPECT_EQ(clock.counts().missing, 3);
}

TEST(PtsClock, ASlipIsNudged) {
  PtsClock clock(kTs, 33, kFrame);
  const std::vector<std::int64_t> expected{0, 3600, 3601, 7200, 7201, 10800};
  EXPECT_EQ(repaired(clock, {0, 3600, 3600, 7200, 5000, 10800}), expected);
  EXPECT_EQ(clock.counts().repeated, 1);
  EXPECT_EQ(clock.counts().backward, 1);
  EXPECT_EQ(clock.counts().resets, 0);
}

TEST(PtsClock, AClockSetBackGoesOn) {
  PtsClock clock(kTs, 33, kFrame);
  const std::vector<std::int64_t> expected{900000, 903600, 907200, 910800, 914400};
  EXPECT_EQ(repaired(clock, {900000, 903600, 100, 3700, 7300}), expected);
  EXPECT_EQ(clock.counts().resets, 1);
}

TEST(PtsClock, AClockSetBackByLittleIsFoundOutAtTheThirdFrame) {
  PtsClock clock(kTs, 33, kFrame);
  // Back by 0.5 s: two nudges, then the clock is moved.
  const std::vector<std::int64_t> expected{45000, 48600, 48601, 48602, 52202, 55802};
  EXPECT_EQ(repaired(clock, {45000, 48600, 0, 3600, 7200, 10800}), expected);
  EXPECT_EQ(clock.counts().resets, 1);
}

TEST(PtsClock, AClockThatStandsRisesByFrames) {
  PtsClock clock(kTs, 33, kFrame);
  const std::vector<std::int64_t> expected{5, 6, 7, 3607, 7207, 10807};
  EXPECT_EQ(repaired(clock, {5, 5, 5, 5, 5, 5}), expected);
  EXPECT_EQ(clock.counts().repeated, 5);
  EXPECT_EQ(clock.counts().resets, 0);
}

TEST(PtsClock, WrapsAreBridgedBothWays) {
  PtsClock clock(kTs, 33, kFrame);
  const std::int64_t last = kWrap - 3600;
  const std::vector<std::int64_t> expected{last, kWrap, kWrap + 3600, kWrap + 7200, kWrap + 10800};
  // ..., across the wrap, and a late packet's wrapped number as a leap forward of half the counter.
  EXPECT_EQ(repaired(clock, {last, 0, 3600, 7200, kWrap - 20}), expected);
  EXPECT_EQ(clock.counts().resets, 2);
}

TEST(PtsClock, AnyNumbersRiseStrictly) {
  std::mt19937_64 random(1);
  constexpr std::int64_t kLimits[] = {std::numeric_limits<std::int64_t>::min(), -1, 0, 1, kWrap,
                                      std::numeric_limits<std::int64_t>::max()};
  for (int run = 0; run < 200; ++run) {
    PtsClock clock({1, 1 + static_cast<std::int32_t>(random() % 90000)},
                   static_cast<int>(random() % 65), static_cast<std::int64_t>(random() % 5000));
    std::int64_t last = std::numeric_limits<std::int64_t>::min();
    std::int64_t pts = 0;
    for (int k = 0; k < 200; ++k) {
      pts += static_cast<std::int64_t>(random() % 10000) - 3000;
      const bool odd = random() % 10 == 0;
      const Pts in = odd ? Pts(kLimits[random() % 6]) : random() % 9 == 0 ? Pts() : Pts(pts);
      const std::int64_t out = clock.next(in, static_cast<std::int64_t>(random() % 4) * 1000);
      ASSERT_TRUE(k == 0 || out > last) << out << " after " << last;
      last = out;
    }
  }
}

}  // namespace
}  // namespace poseact
