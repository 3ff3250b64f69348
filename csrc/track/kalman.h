// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

namespace poseact {

// cx, cy, width, height; pixels.
using BoxVector = std::array<float, 4>;

// Spread of the motion model, in units of a box's size (the mean of its sides), so that near and
// far people are treated alike. Entries: cx, cy, width, height.
struct MotionNoise {
  BoxVector measured{0.05F, 0.05F, 0.05F, 0.05F};    // of a detector's box, sizes
  BoxVector first_velocity{1.0F, 1.0F, 0.5F, 0.5F};  // of a new track, sizes / s
  BoxVector acceleration{0.3F, 0.3F, 0.6F, 0.6F};    // white noise, sizes / s^1.5
};

// A Kalman filter over a box that moves at constant velocity between observations at any times.
// White noise accelerates it, so one step of dt and two of dt / 2 give the same. Nothing couples
// the four coordinates: each is a filter of its own with a 2 x 2 covariance, held side by side so
// that one instruction serves all four. Plain value; not thread-safe.
class BoxFilter {
 public:
  // What a step of `dt_s` seconds (0 or more) needs, the same for all boxes of a frame.
  struct Step {
    float dt_s, q_position, q_cross, q_velocity;

    static Step of(float dt_s) {
      return {dt_s, dt_s * dt_s * dt_s / 3.0F, dt_s * dt_s / 2.0F, dt_s};
    }
  };

  // Starts at a first observation, at rest.
  void start(const BoxVector& box, MotionNoise noise) {
    position_ = box;
    velocity_ = {};
    const float size = size_px();
    for (std::size_t i = 0; i < 4; ++i) {
      const float position = noise.measured[i] * size;
      const float velocity = noise.first_velocity[i] * size;
      pp_[i] = position * position;
      pv_[i] = 0.0F;
      vv_[i] = velocity * velocity;
    }
  }

  void predict(const Step& step, MotionNoise noise) {
    const float size = size_px();
    for (std::size_t i = 0; i < 4; ++i) {
      const float spread = noise.acceleration[i] * size;
      const float q = spread * spread;
      position_[i] += velocity_[i] * step.dt_s;
      pp_[i] += step.dt_s * (2.0F * pv_[i] + step.dt_s * vv_[i]) + q * step.q_position;
      pv_[i] += step.dt_s * vv_[i] + q * step.q_cross;
      vv_[i] += q * step.q_velocity;
    }
    for (const std::size_t i : {std::size_t{2}, std::size_t{3}}) {
      // A box that shrinks while nobody sees it stops at the smallest one that is a box.
      if (position_[i] < kLeastSide) {
        position_[i] = kLeastSide;
        velocity_[i] = 0.0F;
      }
    }
  }

  void observe(const BoxVector& box, MotionNoise noise) {
    const float size = size_px();
    for (std::size_t i = 0; i < 4; ++i) {
      const float spread = noise.measured[i] * size;
      const float r = spread * spread;
      const float inverse = 1.0F / (pp_[i] + r);
      const float gain_p = pp_[i] * inverse;
      const float gain_v = pv_[i] * inverse;
      const float surprise = box[i] - position_[i];
      position_[i] += gain_p * surprise;
      velocity_[i] += gain_v * surprise;
      const float rest = vv_[i] - gain_v * pv_[i];
      vv_[i] = rest > 0.0F ? rest : 0.0F;  // rounding must not make it negative
      pv_[i] = gain_v * r;
      pp_[i] = gain_p * r;
    }
  }

  // The size keeps still from here on: what is true of a walk over a second is not of a growth.
  void hold_size() { velocity_[2] = velocity_[3] = 0.0F; }

  const BoxVector& position() const { return position_; }
  const BoxVector& velocity() const { return velocity_; }

  // Standard deviation of the place, pixels.
  float doubt_px() const { return std::sqrt(pp_[0] > pp_[1] ? pp_[0] : pp_[1]); }

  // Covariance of coordinate i: position, cross, velocity.
  std::array<float, 3> covariance(std::size_t i) const { return {pp_[i], pv_[i], vv_[i]}; }

 private:
  static constexpr float kLeastSide = 1.0F;

  float size_px() const { return 0.5F * (position_[2] + position_[3]); }

  BoxVector position_{};
  BoxVector velocity_{};
  BoxVector pp_{};
  BoxVector pv_{};
  BoxVector vv_{};
};

}  // namespace poseact
