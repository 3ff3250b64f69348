// SPDX-License-Identifier: Apache-2.0
#include "detect/pose_nms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/error.h"

namespace poseact {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
using Keep = std::vector<std::uint8_t>;

// Poses of two joints, so that both measures can be worked out by hand.
struct Crowd {
  std::vector<float> keypoints;
  std::vector<float> scores;
  std::vector<std::int32_t> frame;
  std::vector<float> areas;
  std::vector<float> boxes;

  // Joints at (x, 0) and (x, 100); a box of 50 x 100, an area of 5000.
  void add(float x, float score, std::int32_t in_frame = 0, float joint_score = 1.0F) {
    keypoints.insert(keypoints.end(), {x, 0, joint_score, x, 100, joint_score});
    scores.push_back(score);
    frame.push_back(in_frame);
    areas.push_back(5000);
    boxes.insert(boxes.end(), {x - 25, 0, x + 25, 100});
  }

  PoseRows rows() const { return {keypoints, scores, frame}; }
};

const std::vector<double> kSigmas{0.05, 0.05};

Keep by_oks(const Crowd& crowd, double oks) {
  return suppress_by_oks(crowd.rows(), crowd.areas, {oks, kSigmas});
}

Keep parametric(const Crowd& crowd, double eta) {
  return suppress_parametric(crowd.rows(), crowd.boxes, {.eta = eta});
}

TEST(PoseNms, OksIsTheMeanOfItsJoints) {
  Crowd crowd;
  crowd.add(0, 0.8F);
  crowd.add(5, 0.9F);
  const double oks = std::exp(-25.0 / (2 * 5000 * 0.01));  // both joints 5 px away
  EXPECT_EQ(by_oks(crowd, oks - 1e-9), (Keep{0, 1}));
  EXPECT_EQ(by_oks(crowd, oks + 1e-9), (Keep{1, 1}));
}

TEST(PoseNms, ParametricAddsMatchesAndDistances) {
  Crowd crowd;
  crowd.add(0, 0.9F);
  crowd.add(2.5F, 0.8F);  // a twentieth of the box's width: still within B(k); 0.25 tenths of 100
  const double near = 2 * (std::tanh(1.0) * std::tanh(1.0) + 1.7 * std::exp(-0.0625 / 2.65));
  EXPECT_EQ(parametric(crowd, near - 1e-9), (Keep{1, 0}));
  EXPECT_EQ(parametric(crowd, near + 1e-9), (Keep{1, 1}));
  Crowd wide;
  wide.add(0, 0.9F);
  wide.add(5, 0.8F);
  const double far = 2 * 1.7 * std::exp(-0.25 / 2.65);
  EXPECT_EQ(parametric(wide, far - 1e-9), (Keep{1, 0}));
  EXPECT_EQ(parametric(wide, far + 1e-9), (Keep{1, 1}));
}

TEST(PoseNms, EqualPosesLeaveOneAndEqualScoresTheLowerRow) {
  Crowd crowd;
  for (int i = 0; i < 3; ++i) crowd.add(7, 0.5F);
  EXPECT_EQ(by_oks(crowd, 0.9), (Keep{1, 0, 0}));
  EXPECT_EQ(parametric(crowd, 1), (Keep{1, 0, 0}));
  EXPECT_EQ(by_oks(crowd, 1.0), (Keep{1, 1, 1}));  // nothing is more alike than that
}

TEST(PoseNms, WhatWentMakesNoOtherGo) {
  Crowd crowd;  // each is like its neighbour; the ends are not like each other
  crowd.add(0, 0.9F);
  crowd.add(6, 0.8F);
  crowd.add(12, 0.7F);
  EXPECT_EQ(by_oks(crowd, 0.6), (Keep{1, 0, 1}));
  EXPECT_EQ(parametric(crowd, 2.5), (Keep{1, 0, 1}));
}

TEST(PoseNms, FramesDoNotMeetAndMayComeInAnyOrder) {
  Crowd crowd;
  for (const std::int32_t f : {4, -1, 4, 2, -1}) {
    crowd.add(7, 0.1F * static_cast<float>(crowd.scores.size()), f);
  }
  EXPECT_EQ(by_oks(crowd, 0.5), (Keep{0, 0, 1, 1, 1}));
  EXPECT_EQ(parametric(crowd, 1), (Keep{0, 0, 1, 1, 1}));
}

TEST(PoseNms, PosesWithoutJointsStay) {
  Crowd crowd;
  crowd.add(7, 0.9F, 0, 0.0F);
  crowd.add(7, 0.8F, 0, 0.0F);
  crowd.add(7, 0.7F);
  EXPECT_EQ(by_oks(crowd, 0.0), (Keep{1, 1, 1}));
  EXPECT_EQ(parametric(crowd, 1e-9), (Keep{1, 1, 1}));
}

TEST(PoseNms, AJointThatOneLacksIsNoLikeness) {
  Crowd crowd;
  crowd.add(7, 0.9F);
  crowd.add(7, 0.8F);
  crowd.keypoints[8] = 0.0F;  // the second pose's first joint
  EXPECT_EQ(by_oks(crowd, 0.499), (Keep{1, 0}));
  EXPECT_EQ(by_oks(crowd, 0.5), (Keep{1, 1}));
  const double one = std::tanh(1.0) * std::tanh(1.0) + 1.7;
  EXPECT_EQ(parametric(crowd, one - 1e-9), (Keep{1, 0}));
  EXPECT_EQ(parametric(crowd, one + 1e-9), (Keep{1, 1}));
}

TEST(PoseNms, NothingInNothingOut) {
  const Crowd none;
  EXPECT_TRUE(suppress_by_oks(none.rows(), none.areas, {}).empty());
  EXPECT_TRUE(suppress_parametric(none.rows(), none.boxes, {}).empty());
}

TEST(PoseNms, ABoxWithoutSidesCountsAsOnePixel) {
  Crowd crowd;
  crowd.add(7, 0.9F);
  crowd.add(7, 0.8F);
  crowd.boxes.assign(8, 3.0F);
  EXPECT_EQ(parametric(crowd, 1), (Keep{1, 0}));
}

TEST(PoseNms, RefusesNumbersThatAreNone) {
  for (const float bad : {kNan, kInf, -kInf}) {
    Crowd crowd;
    crowd.add(7, 0.9F);
    crowd.keypoints[3] = bad;
    EXPECT_THROW(by_oks(crowd, 0.5), ConfigError);
    EXPECT_THROW(parametric(crowd, 1), ConfigError);
    crowd.keypoints[3] = 0;
    crowd.scores[0] = bad;
    EXPECT_THROW(by_oks(crowd, 0.5), ConfigError);
    crowd.scores[0] = 0;
    crowd.areas[0] = bad;
    EXPECT_THROW(by_oks(crowd, 0.5), ConfigError);
    crowd.boxes[2] = bad;
    EXPECT_THROW(parametric(crowd, 1), ConfigError);
  }
}

TEST(PoseNms, RefusesBadOptionsAndSizes) {
  Crowd crowd;
  crowd.add(7, 0.9F);
  const auto bad = [&](const ParametricOptions& options) {
    EXPECT_THROW(suppress_parametric(crowd.rows(), crowd.boxes, options), ConfigError);
  };
  bad({.sigma1 = 0});
  bad({.sigma2 = -1});
  bad({.lambda = 0});
  bad({.eta = std::numeric_limits<double>::quiet_NaN()});
  EXPECT_THROW(by_oks(crowd, 1.1), ConfigError);
  EXPECT_THROW(suppress_by_oks(crowd.rows(), crowd.areas, {0.5, std::vector<double>{0.1, 0}}),
               ConfigError);
  EXPECT_THROW(suppress_by_oks(crowd.rows(), crowd.areas, {}), ShapeError);  // 17 sigmas
  crowd.areas[0] = 0;
  EXPECT_THROW(by_oks(crowd, 0.5), ConfigError);
  crowd.areas.push_back(1);
  EXPECT_THROW(by_oks(crowd, 0.5), ShapeError);
  crowd.frame.clear();
  EXPECT_THROW(parametric(crowd, 1), ShapeError);
}

}  // namespace
}  // namespace poseact
