// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "track/byte_tracker.h"

namespace poseact {

// The boxes of a step over all streams: F frames, N boxes.
struct TrackBatch {
  std::span<const float> boxes;             // [N, 4] x0 y0 x1 y1, pixels
  std::span<const float> scores;            // [N]
  std::span<const std::int32_t> frame;      // [N], non-decreasing, below F
  std::span<const std::int32_t> stream;     // [F]
  std::span<const std::int64_t> pts;        // [F], ticks; in order within a stream
  std::span<const std::int32_t> time_base;  // [F, 2], numerator and denominator
  std::span<const bool> detected;           // [F]
};

// One ByteTracker per stream, all of them moved on by one call. A stream's result depends on its
// own frames alone, not on how they were batched. Owns its state; not thread-safe.
class Tracker {
 public:
  // Throws ConfigError for options outside their range.
  explicit Tracker(const TrackOptions& options);

  // Rows of all frames of the batch, in their order; valid until the next call. A stream without a
  // frame is not touched. Throws ShapeError or ConfigError, before anything has changed.
  const TrackRows& update(const TrackBatch& batch);

  // Ends all tracks of a stream and returns their ids. Its next frame starts anew, ids go on.
  std::vector<std::int64_t> end_stream(std::int32_t stream);

  // Tracks alive over all streams: reported, lost and not yet confirmed.
  std::size_t size() const;

 private:
  TrackOptions options_;
  std::unordered_map<std::int32_t, ByteTracker> streams_;
  TrackScratch scratch_;
  TrackRows rows_;
};

}  // namespace poseact
