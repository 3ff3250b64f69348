// SPDX-License-Identifier: Apache-2.0
#include "window/track_ring.h"

#include <algorithm>
#include <cmath>

namespace poseact {
namespace {

bool is_seen(const float* joint) {
  return joint[2] > 0 && std::isfinite(joint[0]) && std::isfinite(joint[1]);
}

// `part` of the way from the joint as it is now (x, y, score) back to where it was.
void blend(const JointSighting& seen, const float* now, double part, float* out) {
  out[0] = static_cast<float>(now[0] + part * (double{seen.x} - now[0]));
  out[1] = static_cast<float>(now[1] + part * (double{seen.y} - now[1]));
  out[2] = std::min(seen.score, now[2]);
}

}  // namespace

TrackRing::TrackRing(int length, int joints)
    : length_(static_cast<std::size_t>(length)),
      pose_size_(3 * static_cast<std::size_t>(joints)),
      seen_(static_cast<std::size_t>(joints)),
      ring_(length_ * pose_size_) {}

void TrackRing::start(const Moment& now) {
  poses_ = 0;
  last_ = now;
  last_step_ = now.rest == 0 ? now.step - 1 : now.step;
  std::fill(seen_.begin(), seen_.end(), JointSighting{});
}

float* TrackRing::slot(std::int64_t pose_number) {
  return ring_.data() + static_cast<std::size_t>(pose_number) % length_ * pose_size_;
}

// A joint that the last observation lacked and this one has: the poses in between left it out.
void TrackRing::fill_back(std::span<const float> pose, const Moment& now, const GridClock& clock) {
  const std::int64_t held = std::min(poses_, static_cast<std::int64_t>(length_));
  const std::int64_t oldest = last_step_ - held + 1;
  for (std::size_t j = 0; j < seen_.size(); ++j) {
    const JointSighting& seen = seen_[j];
    const float* joint = pose.data() + 3 * j;
    const bool missed = seen.score > 0 && seen.pts < last_.pts;
    if (!missed || !is_seen(joint) || now.pts - seen.pts > clock.gap_ticks()) continue;
    for (std::int64_t step = std::max(oldest, seen.step + 1); step <= last_step_; ++step) {
      float* out = slot(poses_ - 1 - (last_step_ - step)) + 3 * j;
      blend(seen, joint, clock.part_back(step, now, seen.pts), out);
    }
  }
}

void TrackRing::append(std::span<const float> pose, const Moment& now, const GridClock& clock) {
  float* out = slot(poses_++);
  const std::int64_t step = ++last_step_;
  const bool exact = step == now.step && now.rest == 0;
  // Most joints were seen in the last observation, so one division serves them all.
  const double usual = exact ? 0.0 : clock.part_back(step, now, last_.pts);
  for (std::size_t j = 0; j < seen_.size(); ++j, out += 3) {
    const JointSighting& seen = seen_[j];
    const float* joint = pose.data() + 3 * j;
    const bool here = is_seen(joint);
    if (here && exact) {
      std::copy_n(joint, 3, out);
    } else if (here && seen.score > 0 && now.pts - seen.pts <= clock.gap_ticks()) {
      const bool lately = seen.pts == last_.pts;
      blend(seen, joint, lately ? usual : clock.part_back(step, now, seen.pts), out);
    } else {
      std::fill_n(out, 3, 0.0F);
    }
  }
}

void TrackRing::remember(std::span<const float> pose, const Moment& now) {
  last_ = now;
  for (std::size_t j = 0; j < seen_.size(); ++j) {
    const float* joint = pose.data() + 3 * j;
    if (is_seen(joint)) seen_[j] = {now.pts, now.step, joint[0], joint[1], joint[2]};
  }
}

void TrackRing::copy_to(std::vector<float>& out) const {
  const auto oldest = static_cast<std::size_t>(poses_) % length_ * pose_size_;
  const auto cut = ring_.begin() + static_cast<std::ptrdiff_t>(oldest);
  out.insert(out.end(), cut, ring_.end());
  out.insert(out.end(), ring_.begin(), cut);
}

}  // namespace poseact
