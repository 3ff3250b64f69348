// SPDX-License-Identifier: Apache-2.0
#include "window/windows.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"

namespace poseact {
namespace {

constexpr int kMostPoses = 4096;
constexpr int kMostJoints = 4096;
constexpr double kLongestGapS = 60.0;  // bounds the poses that one observation may complete

void expect(bool ok, const char* name, const std::string& expected, const std::string& got) {
  if (!ok) {
    throw ConfigError(std::string("Windows: expected ") + name + " " + expected + ", got " + got);
  }
}

std::int64_t checked_gap_us(const WindowOptions& o) {
  expect(o.length >= 1 && o.length <= kMostPoses, "length", "from 1 to 4096",
         std::to_string(o.length));
  expect(o.joints >= 1 && o.joints <= kMostJoints, "joints", "from 1 to 4096",
         std::to_string(o.joints));
  expect(o.stride >= 1, "stride", "1 or more", std::to_string(o.stride));
  expect(o.rate.num >= 1 && o.rate.den >= 1, "rate", "of two positive numbers",
         std::to_string(o.rate.num) + "/" + std::to_string(o.rate.den));
  const bool sane = std::isfinite(o.max_gap_s) && o.max_gap_s >= 0 && o.max_gap_s <= kLongestGapS;
  const std::int64_t gap_us = sane ? std::llround(o.max_gap_s * 1e6) : 0;
  // Poses farther apart than the gap never join: below a grid step no frame rate gives a window.
  expect(sane && (2 * gap_us + 1) * o.rate.num >= std::int64_t{2'000'000} * o.rate.den, "max_gap_s",
         "from one grid step to 60 s", std::to_string(o.max_gap_s));
  return gap_us;
}

void expect_size(std::size_t got, std::size_t expected, const char* name) {
  if (got != expected) {
    throw ShapeError(std::string("Windows: expected ") + std::to_string(expected) + " values in " +
                     name + ", got " + std::to_string(got));
  }
}

}  // namespace

std::size_t Windows::Hash::operator()(const Key& key) const {
  // Ids are small and dense; spread them (the finaliser of SplitMix64) so that buckets fill evenly.
  auto h = static_cast<std::uint64_t>(key.track) ^
           (static_cast<std::uint64_t>(static_cast<std::uint32_t>(key.stream)) << 40);
  h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9U;
  h = (h ^ (h >> 27)) * 0x94d049bb133111ebU;
  return h ^ (h >> 31);
}

Windows::Windows(const WindowOptions& options)
    : options_(options), gap_us_(checked_gap_us(options)) {}

void Windows::check(const ObservationBatch& batch) const {
  const std::size_t rows = batch.track.size();
  expect_size(batch.keypoints.size(), rows * static_cast<std::size_t>(options_.joints) * 3,
              "keypoints [M, joints, 3]");
  expect_size(batch.stream.size(), rows, "stream [M]");
  expect_size(batch.pts.size(), rows, "pts [M]");
  expect_size(batch.time_base.size(), 2 * rows, "time_base [M, 2]");
}

// Everything that can throw over one row's time happens here, before any track has changed.
void Windows::place_all(const ObservationBatch& batch) {
  clocks_.clear();
  placed_.clear();
  for (std::size_t i = 0; i < batch.pts.size(); ++i) {
    const TimeBase time_base{batch.time_base[2 * i], batch.time_base[2 * i + 1]};
    if (clocks_.empty() || !clocks_.back().has(time_base)) {
      clocks_.emplace_back(time_base, options_.rate, gap_us_);
    }
    const Placed placed{clocks_.back().place(batch.pts[i]).value_or(Moment{kMissingPts, 0, 0}),
                        clocks_.size() - 1};
    placed_.push_back(placed);
  }
}

Windows::Track& Windows::begin_track(const Key& key, const Placed& placed) {
  const TimeBase time_base = clocks_[placed.clock].time_base();
  if (free_.empty()) {
    tracks_.push_back({TrackRing(options_.length, options_.joints), time_base});
    free_.reserve(tracks_.capacity());
    free_.push_back(tracks_.size() - 1);
  }
  const std::size_t slot = free_.back();
  slots_.emplace(key, slot);
  free_.pop_back();
  Track& track = tracks_[slot];
  track.time_base = time_base;
  track.ring.start(placed.moment);
  ++counts_.tracks;
  return track;
}

// Counts and drops what comes late; null when the observation is dropped.
Windows::Track* Windows::find_or_begin(const Key& key, const Placed& placed) {
  const auto found = slots_.find(key);
  if (found == slots_.end()) return &begin_track(key, placed);
  Track& track = tracks_[found->second];
  const GridClock& clock = clocks_[placed.clock];
  const std::int64_t ahead = placed.moment.pts - track.ring.last().pts;
  const bool new_clock = !clock.has(track.time_base);
  if (new_clock || ahead > clock.gap_ticks() || ahead < -clock.gap_ticks()) {
    track.time_base = clock.time_base();
    track.ring.start(placed.moment);
    ++counts_.restarts;
    return &track;
  }
  if (ahead > 0) return &track;
  ++(ahead == 0 ? counts_.repeated : counts_.backward);
  return nullptr;
}

bool Windows::is_due(const TrackRing& ring) const {
  const std::int64_t beyond = ring.poses() - options_.length;
  return beyond >= 0 && beyond % options_.stride == 0;
}

DueWindows Windows::push(const ObservationBatch& batch) {
  check(batch);
  place_all(batch);
  const std::size_t pose_size = static_cast<std::size_t>(options_.joints) * 3;
  DueWindows due;
  due.poses.reserve(expected_due_ * static_cast<std::size_t>(options_.length) * pose_size);
  for (std::size_t i = 0; i < placed_.size(); ++i) {
    const Placed& placed = placed_[i];
    if (placed.moment.pts == kMissingPts) {
      ++counts_.missing;
      continue;
    }
    Track* const track = find_or_begin({batch.stream[i], batch.track[i]}, placed);
    if (track == nullptr) continue;
    ++counts_.poses;
    TrackRing& ring = track->ring;
    ring.observe(
        batch.keypoints.subspan(i * pose_size, pose_size), placed.moment, clocks_[placed.clock],
        [&](std::int64_t step) {
          if (!is_due(ring)) return;
          ring.copy_to(due.poses);
          due.row.push_back(static_cast<std::int32_t>(i));
          due.end_s.push_back(static_cast<double>(step) * options_.rate.den / options_.rate.num);
        });
  }
  expected_due_ = std::max(due.row.size(), expected_due_ - expected_due_ / 16);
  counts_.windows += due.row.size();
  return due;
}

void Windows::forget(std::span<const std::int32_t> stream, std::span<const std::int64_t> track) {
  expect_size(stream.size(), track.size(), "stream [E]");
  for (std::size_t i = 0; i < track.size(); ++i) {
    const auto found = slots_.find({stream[i], track[i]});
    if (found == slots_.end()) continue;
    free_.push_back(found->second);
    slots_.erase(found);
  }
}

void Windows::forget_stream(std::int32_t stream) {
  for (auto it = slots_.begin(); it != slots_.end();) {
    if (it->first.stream == stream) {
      free_.push_back(it->second);
      it = slots_.erase(it);
    } else {
      ++it;
    }
  }
}

}  // namespace poseact
