// SPDX-License-Identifier: Apache-2.0
#include "track/kalman.h"

#include <gtest/gtest.h>

#include <cmath>

namespace poseact {
namespace {

constexpr MotionNoise kNoise{};
const BoxVector kBox{100, 200, 40, 120};

BoxFilter walked() {
  BoxFilter filter;
  filter.start(kBox, kNoise);
  for (int i = 1; i <= 30; ++i) {
    filter.predict(BoxFilter::Step::of(0.1F), kNoise);
    filter.observe({100.0F + 6.0F * static_cast<float>(i), 200, 40, 120}, kNoise);
  }
  return filter;
}

TEST(BoxFilter, LearnsAConstantVelocity) {
  const BoxFilter filter = walked();
  EXPECT_NEAR(filter.position()[0], 280.0F, 0.5F);
  EXPECT_NEAR(filter.velocity()[0], 60.0F, 1.0F);
  EXPECT_NEAR(filter.velocity()[1], 0.0F, 0.01F);
}

TEST(BoxFilter, OneStepIsTwoHalfSteps) {
  BoxFilter whole = walked();
  BoxFilter halves = whole;
  whole.predict(BoxFilter::Step::of(0.4F), kNoise);
  halves.predict(BoxFilter::Step::of(0.2F), kNoise);
  halves.predict(BoxFilter::Step::of(0.2F), kNoise);
  for (std::size_t i = 0; i < 2; ++i) {  // the size, which scales the noise, stays here
    EXPECT_NEAR(whole.position()[i], halves.position()[i], 1e-3F);
    for (std::size_t k = 0; k < 3; ++k) {
      EXPECT_NEAR(whole.covariance(i)[k] / halves.covariance(i)[k], 1.0F, 1e-3F);
    }
  }
}

TEST(BoxFilter, NoTimeChangesNothing) {
  BoxFilter filter = walked();
  const BoxFilter before = filter;
  filter.predict(BoxFilter::Step::of(0.0F), kNoise);
  EXPECT_EQ(filter.position(), before.position());
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(filter.covariance(i), before.covariance(i));
}

TEST(BoxFilter, CovarianceStaysPositive) {
  BoxFilter filter;
  filter.start(kBox, kNoise);
  for (int i = 0; i < 20000; ++i) {
    filter.predict(BoxFilter::Step::of(i % 7 == 0 ? 0.0F : 0.001F), kNoise);
    filter.observe(kBox, kNoise);
    for (std::size_t k = 0; k < 4; ++k) {
      const auto [pp, pv, vv] = filter.covariance(k);
      ASSERT_GT(pp, 0.0F);
      ASSERT_GE(vv, 0.0F);
      ASSERT_LE(pv * pv, pp * vv * 1.001F + 1e-6F);
    }
  }
}

TEST(BoxFilter, AShrinkingBoxStaysABox) {
  BoxFilter filter;
  filter.start(kBox, kNoise);
  for (int i = 1; i <= 5; ++i) {
    filter.predict(BoxFilter::Step::of(0.1F), kNoise);
    filter.observe({100, 200, 40.0F - 5.0F * static_cast<float>(i), 120}, kNoise);
  }
  filter.predict(BoxFilter::Step::of(3.0F), kNoise);
  EXPECT_GE(filter.position()[2], 1.0F);
}

TEST(BoxFilter, HoldSizeStopsGrowthOnly) {
  BoxFilter filter = walked();
  filter.hold_size();
  EXPECT_EQ(filter.velocity()[2], 0.0F);
  EXPECT_EQ(filter.velocity()[3], 0.0F);
  EXPECT_NEAR(filter.velocity()[0], 60.0F, 1.0F);
}

}  // namespace
}  // namespace poseact
