// SPDX-License-Identifier: Apache-2.0
#include "detect/nms.h"

#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"

namespace poseact {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

// Two boxes of area 8 that share 4: IoU = 4 / 12.
const std::vector<float> kPair{0, 0, 4, 2, 2, 0, 6, 2};

TEST(Nms, BetterBoxCoversTheOther) {
  const Kept kept = suppress(kPair, std::vector<float>{0.5F, 0.9F}, 1, {0.1F, 0.3F, 10});
  EXPECT_EQ(kept.scores, std::vector<float>{0.9F});
  EXPECT_EQ(kept.boxes, (std::vector<float>{2, 0, 6, 2}));
}

TEST(Nms, OverlapAtTheThresholdStays) {
  // 0.5 and boxes of power-of-two areas, so that the IoU is exactly the threshold.
  const std::vector<float> boxes{0, 0, 4, 1, 0, 0, 2, 1};
  EXPECT_EQ(suppress(boxes, std::vector<float>{0.9F, 0.8F}, 1, {0, 0.5F, 10}).scores.size(), 2U);
  EXPECT_EQ(suppress(boxes, std::vector<float>{0.9F, 0.8F}, 1, {0, 0.49F, 10}).scores.size(), 1U);
}

TEST(Nms, EqualScoresKeepTheLowerIndex) {
  const Kept kept = suppress(kPair, std::vector<float>{0.5F, 0.5F}, 1, {0.1F, 0.3F, 10});
  EXPECT_EQ(kept.boxes, (std::vector<float>{0, 0, 4, 2}));
}

TEST(Nms, WithoutThresholdOnlyScoreAndCountApply) {
  const std::vector<float> boxes{0, 0, 4, 2, 0, 0, 4, 2, 0, 0, 4, 2};
  const Kept kept =
      suppress(boxes, std::vector<float>{0.2F, 0.05F, 0.9F}, 1, {0.1F, std::nullopt, 10});
  EXPECT_EQ(kept.scores, (std::vector<float>{0.9F, 0.2F}));
  EXPECT_EQ(suppress(boxes, std::vector<float>{0.2F, 0.3F, 0.9F}, 1, {0, std::nullopt, 2}).scores,
            (std::vector<float>{0.9F, 0.3F}));
}

TEST(Nms, ImagesDoNotTouchEachOther) {
  std::vector<float> boxes = kPair;
  boxes.insert(boxes.end(), kPair.begin(), kPair.end());
  const Kept kept =
      suppress(boxes, std::vector<float>{0.5F, 0.9F, 0.8F, 0.7F}, 2, {0.1F, 0.3F, 10});
  EXPECT_EQ(kept.image, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(kept.scores, (std::vector<float>{0.9F, 0.8F}));
}

TEST(Nms, DropsWhatIsNoBox) {
  const std::vector<float> boxes{0,    0, 4,    2,   // good
                                 kNan, 0, 4,    2,   // not a number
                                 0,    0, 0,    2,   // no width
                                 0,    2, 4,    0,   // negative height
                                 0,    0, kInf, 2,   // no end
                                 9,    0, 12,   2};  // good box, bad score
  const Kept kept =
      suppress(boxes, std::vector<float>{0.5F, 0.9F, 0.9F, 0.9F, 0.9F, kNan}, 1, {0, 0.5F, 10});
  EXPECT_EQ(kept.scores, std::vector<float>{0.5F});
}

TEST(Nms, EmptyInputs) {
  EXPECT_TRUE(suppress({}, {}, 0, {}).scores.empty());
  EXPECT_TRUE(suppress({}, {}, 3, {}).scores.empty());
}

TEST(Nms, RefusesBadOptions) {
  const std::vector<float> scores{0.5F, 0.9F};
  EXPECT_THROW(suppress(kPair, scores, 1, {1.5F, 0.5F, 10}), ConfigError);
  EXPECT_THROW(suppress(kPair, scores, 1, {0.5F, kNan, 10}), ConfigError);
  EXPECT_THROW(suppress(kPair, scores, 1, {0.5F, 0.5F, 0}), ConfigError);
  EXPECT_THROW(suppress(kPair, std::vector<float>{0.5F}, 1, {}), ShapeError);
}

}  // namespace
}  // namespace poseact
