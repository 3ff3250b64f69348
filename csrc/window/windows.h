// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "window/grid_clock.h"
#include "window/track_ring.h"

namespace poseact {

struct WindowOptions {
  int length = 9;  // poses in a window
  GridRate rate{};
  int joints = 17;
  int stride = 1;          // grid steps between two windows of a track
  double max_gap_s = 0.4;  // to the microsecond
};

// M observations, each one pose of one track in one frame; those of a stream in pts order.
struct ObservationBatch {
  std::span<const float> keypoints;         // [M, joints, 3] x, y in pixels, score; seen: score > 0
  std::span<const std::int64_t> track;      // [M] unique within the stream
  std::span<const std::int32_t> stream;     // [M]
  std::span<const std::int64_t> pts;        // [M] ticks
  std::span<const std::int32_t> time_base;  // [M, 2] seconds per tick: numerator, denominator
};

// W windows in the order of the rows that completed them, those of one row in time order.
struct DueWindows {
  std::vector<float> poses;       // [W, length, joints, 3], oldest pose first
  std::vector<std::int32_t> row;  // [W] index into the batch
  std::vector<double> end_s;      // [W] stream time of the last pose
};

// Counters only grow.
struct WindowCounts {
  std::uint64_t poses = 0;     // observations taken
  std::uint64_t windows = 0;   // given out
  std::uint64_t repeated = 0;  // dropped: the pts of the track's last observation
  std::uint64_t backward = 0;  // dropped: an earlier pts, at most max_gap_s back
  std::uint64_t missing = 0;   // dropped: no pts (kMissingPts), or one no clock can mean
  std::uint64_t restarts = 0;  // tracks that began a new window, see below
  std::uint64_t tracks = 0;    // begun
};

// The windows of all tracks of all streams, on a common grid of stream time.
//
// A grid point becomes a pose when its track has an observation at or after it. A joint observed
// exactly there is taken as is. Otherwise it lies between the joint's last sighting before and its
// first sighting after; when both are known and at most max_gap_s apart, x and y are interpolated
// and the score is the lower one; else the joint is (0, 0, 0). A window holds what is known at the
// observation that completes it: a joint that comes back within max_gap_s is filled into the poses
// still held, so nothing waits and nothing known is left out.
//
// The first window ends at the length-th pose, further ones every `stride` grid steps. One
// observation may complete several. A track begins anew (needs `length` new poses, interpolates
// nothing across) when the gap to its last observation is longer than max_gap_s, when pts jump back
// by more than that (a clock was set or has wrapped), or when its time base changes.
//
// Owns its storage; a forgotten track's is used again. Not thread-safe.
class Windows {
 public:
  explicit Windows(const WindowOptions& options);  // throws ConfigError

  // Throws ShapeError or ConfigError before anything has changed.
  DueWindows push(const ObservationBatch& batch);

  // Unknown tracks are no error. Both spans have the same length.
  void forget(std::span<const std::int32_t> stream, std::span<const std::int64_t> track);
  void forget_stream(std::int32_t stream);

  std::size_t size() const { return slots_.size(); }  // tracks held
  const WindowCounts& counts() const { return counts_; }
  const WindowOptions& options() const { return options_; }

 private:
  struct Key {
    std::int32_t stream;
    std::int64_t track;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const;
  };
  struct Track {
    TrackRing ring;
    TimeBase time_base;
  };
  struct Placed {
    Moment moment;
    std::size_t clock = 0;  // index into clocks_
  };

  void check(const ObservationBatch& batch) const;
  void place_all(const ObservationBatch& batch);
  Track& begin_track(const Key& key, const Placed& placed);
  Track* find_or_begin(const Key& key, const Placed& placed);
  bool is_due(const TrackRing& ring) const;

  WindowOptions options_;
  std::int64_t gap_us_;
  WindowCounts counts_;
  std::unordered_map<Key, std::size_t, Hash> slots_;
  std::vector<Track> tracks_;      // by slot
  std::vector<std::size_t> free_;  // slots without a track
  std::vector<GridClock> clocks_;  // scratch of one push
  std::vector<Placed> placed_;     // scratch of one push: [M]
  std::size_t expected_due_ = 0;   // most windows of recent pushes: room made before the next
};

}  // namespace poseact
