// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace poseact {

// M poses of any frames, in any order. K joints each; a joint of score 0 or less was not found.
struct PoseRows {
  std::span<const float> keypoints;     // [M, K, 3] x, y in pixels, score
  std::span<const float> scores;        // [M] of two poses of one person the higher stays
  std::span<const std::int32_t> frame;  // [M] poses of different frames do not meet
};

// How far annotators of COCO disagree on each of its 17 joints (pycocotools, `kpt_oks_sigmas`).
inline constexpr std::array<double, 17> kCocoSigmas{.026, .025, .025, .035, .035, .079,
                                                    .079, .072, .072, .062, .062, .107,
                                                    .107, .087, .087, .089, .089};

struct OksOptions {
  double oks = 0.9;                              // a pose more alike to a better one goes, 0 to 1
  std::span<const double> sigmas = kCocoSigmas;  // [K], above 0
};

// The four parameters that RMPE fits on data, all above 0. Defaults: AlphaPose's for COCO
// (`pPose_nms.py`).
struct ParametricOptions {
  double sigma1 = 1.0;   // joint scores well above it count fully
  double sigma2 = 2.65;  // how fast a joint's share falls with its squared distance
  double lambda = 1.7;   // weight of the distances against the matches
  double eta = 22.48;    // a pose more alike to a better one goes
};

// Both are greedy: frame by frame, best pose first (equal scores: the lower row), a pose goes that
// is too much like one that stays. Gives 1 for each row that stays, 0 for each that goes; nothing
// is merged and no score changes. A pose without a joint stays and makes no other go. Throw
// ShapeError where sizes do not fit, ConfigError for options and numbers outside their range.

// Object keypoint similarity, as the `oks_nms` of HRNet's authors: the mean over joints of
// exp(-d^2 / (2 area (2 sigma)^2)), area [M] in px^2 being the mean of the pair's. Theirs takes all
// joints; here those count that either pose has, and one that only one has is no likeness.
std::vector<std::uint8_t> suppress_by_oks(const PoseRows& poses, std::span<const float> areas,
                                          const OksOptions& options);

// Parametric pose NMS (RMPE, Fang et al. 2017). The likeness of pose j to the better pose i is
//
//   sum over joints  [k_j in B(k_i)] tanh(c_i / sigma1) tanh(c_j / sigma1)      K_sim: matches
//                    + lambda exp(-|k_i - k_j|^2 / sigma2)                      H_sim: distances
//
// over the joints that both have; B(k_i) is the box about k_i a tenth as wide and as high as the
// box of i ([M, 4] x0 y0 x1 y1; a side below one pixel counts as one). j goes above eta: the paper
// prints the criterion as "distance <= eta", its sum grows with likeness, its code takes "> gamma".
//
// The paper names no unit for sigma2. Pixels would tie it to the picture's size, so the distance in
// H_sim is in tenths of the longer side of i's box. The released code (delta1, delta2, mu, gamma
// for the four) departs from the paper: distances in pixels, exp(-d / sigma2), matches within one
// pixel, further poses dropped for five joints within 7 px, for a best joint below 0.3 or for a
// small area; and the poses of a cluster are merged, weighted by score. A track keeps the pose of
// its own crop, so nothing is merged here.
std::vector<std::uint8_t> suppress_parametric(const PoseRows& poses, std::span<const float> boxes,
                                              const ParametricOptions& options);

}  // namespace poseact
