// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "window/grid_clock.h"

namespace poseact {

// A joint as one observation showed it.
struct JointSighting {
  std::int64_t pts = 0;
  std::int64_t step = 0;  // the last grid point at or before
  float x = 0;
  float y = 0;
  float score = 0;  // 0: not seen since the start
};

// The last `length` grid poses of one track, oldest first, and each joint as it was last seen.
// Owns its storage and allocates nothing after construction. Not thread-safe.
class TrackRing {
 public:
  TrackRing(int length, int joints);

  // Forgets everything and begins at `now`: the first grid pose is at or after it.
  void start(const Moment& now);

  // Takes an observation (float [joints, 3]: x, y, score) later than the last one. Fills the joints
  // that it shows to have been between two sightings in the poses still held, then calls
  // `each(step)` once per grid pose that it completes, in time order, with that pose in the ring.
  template <typename Each>
  void observe(std::span<const float> pose, const Moment& now, const GridClock& clock, Each each) {
    fill_back(pose, now, clock);
    while (last_step_ < now.step) {
      append(pose, now, clock);
      each(last_step_);
    }
    remember(pose, now);
  }

  // The moment of the last observation.
  const Moment& last() const { return last_; }

  // Grid poses since the start; only grows.
  std::int64_t poses() const { return poses_; }

  // Appends the `length` poses to `out`; valid once poses() >= length.
  void copy_to(std::vector<float>& out) const;

 private:
  void fill_back(std::span<const float> pose, const Moment& now, const GridClock& clock);
  void append(std::span<const float> pose, const Moment& now, const GridClock& clock);
  void remember(std::span<const float> pose, const Moment& now);
  float* slot(std::int64_t pose_number);

  std::size_t length_;
  std::size_t pose_size_;       // floats of one pose
  std::int64_t poses_ = 0;      // pose number n lies in slot n % length
  std::int64_t last_step_ = 0;  // grid point of the newest pose, or the one before the first
  Moment last_{};
  std::vector<JointSighting> seen_;  // [joints]
  std::vector<float> ring_;          // [length, joints, 3]
};

}  // namespace poseact
