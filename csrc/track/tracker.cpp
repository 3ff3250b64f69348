// SPDX-License-Identifier: Apache-2.0
#include "track/tracker.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace poseact {
namespace {

// Longer than any use, short enough that the cube of a step stays far inside a float.
constexpr double kLongest_s = 3600.0;

void check_options(const TrackOptions& o) {
  const auto fraction = [](const char* name, float value) {
    if (value >= 0.0F && value <= 1.0F) return;
    throw ConfigError(std::string("Tracker: expected ") + name + " from 0 to 1, got " +
                      std::to_string(value));
  };
  const auto seconds = [](const char* name, double value) {
    if (value >= 0.0 && value <= kLongest_s) return;
    throw ConfigError(std::string("Tracker: expected ") + name + " from 0 to 3600 s, got " +
                      std::to_string(value));
  };
  fraction("high_score", o.high_score);
  fraction("low_score", o.low_score);
  fraction("new_score", o.new_score);
  fraction("match_iou", o.match_iou);
  fraction("low_match_iou", o.low_match_iou);
  fraction("new_match_iou", o.new_match_iou);
  seconds("confirm_s", o.confirm_s);
  seconds("coast_s", o.coast_s);
  seconds("lost_s", o.lost_s);
  if (o.low_score > o.high_score || o.coast_s > o.lost_s) {
    throw ConfigError("Tracker: expected low_score <= high_score and coast_s <= lost_s, got " +
                      std::to_string(o.low_score) + ", " + std::to_string(o.high_score) + " and " +
                      std::to_string(o.coast_s) + ", " + std::to_string(o.lost_s));
  }
}

void check_sizes(const TrackBatch& b) {
  const std::size_t frames = b.stream.size();
  const std::size_t boxes = b.scores.size();
  if (b.boxes.size() != 4 * boxes || b.frame.size() != boxes || b.pts.size() != frames ||
      b.time_base.size() != 2 * frames || b.detected.size() != frames) {
    throw ShapeError(
        "Tracker.update: expected the same N for boxes, scores and frame, and the same "
        "F for stream, pts, time_base and detected");
  }
}

void check_batch(const TrackBatch& b) {
  check_sizes(b);
  for (std::size_t f = 0; f < b.stream.size(); ++f) {
    check_time_base({b.time_base[2 * f], b.time_base[2 * f + 1]});
  }
  std::int32_t last = 0;
  for (const std::int32_t f : b.frame) {
    if (f < last || static_cast<std::size_t>(f) >= b.stream.size()) {
      throw ConfigError("Tracker.update: expected non-decreasing frame numbers from 0 to " +
                        std::to_string(b.stream.size()) + " (excluded), got " + std::to_string(f) +
                        " after " + std::to_string(last));
    }
    if (!b.detected[static_cast<std::size_t>(f)]) {
      throw ConfigError("Tracker.update: expected no box in frame " + std::to_string(f) +
                        ", whose detected is false, got one");
    }
    last = f;
  }
}

}  // namespace

Tracker::Tracker(const TrackOptions& options) : options_(options) { check_options(options); }

const TrackRows& Tracker::update(const TrackBatch& batch) {
  check_batch(batch);
  rows_.clear();
  std::size_t first = 0;
  for (std::size_t f = 0; f < batch.stream.size(); ++f) {
    std::size_t last = first;
    while (last < batch.frame.size() && static_cast<std::size_t>(batch.frame[last]) == f) ++last;
    const Sighting seen{batch.boxes.subspan(4 * first, 4 * (last - first)),
                        batch.scores.subspan(first, last - first), batch.pts[f],
                        TimeBase{batch.time_base[2 * f], batch.time_base[2 * f + 1]},
                        batch.detected[f]};
    streams_[batch.stream[f]].update(seen, options_, batch.stream[f], static_cast<std::int32_t>(f),
                                     scratch_, rows_);
    first = last;
  }
  return rows_;
}

std::vector<std::int64_t> Tracker::end_stream(std::int32_t stream) {
  const auto found = streams_.find(stream);
  return found == streams_.end() ? std::vector<std::int64_t>{} : found->second.end();
}

std::size_t Tracker::size() const {
  std::size_t count = 0;
  for (const auto& [stream, tracker] : streams_) count += tracker.size();
  return count;
}

}  // namespace poseact
