// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "core/frame.h"
#include "track/assignment.h"
#include "track/box_set.h"
#include "track/kalman.h"
#include "track/stream_clock.h"

namespace poseact {

// See TrackConfig in poseact_engine/config.py for the meaning of each; scores and IoUs 0 to 1.
struct TrackOptions {
  float high_score, low_score, new_score;
  float match_iou, low_match_iou, new_match_iou;
  double confirm_s, coast_s, lost_s;
};

// What the detector says of one frame.
struct Sighting {
  std::span<const float> boxes;   // [n, 4] x0 y0 x1 y1, pixels
  std::span<const float> scores;  // [n]
  std::int64_t pts;
  TimeBase time_base;
  bool detected;  // false: nobody looked, so there are no boxes
};

// Rows of the tracks that are reported, frame by frame, and the tracks that ended.
struct TrackRows {
  std::vector<float> boxes;  // [M, 4] x0 y0 x1 y1, pixels
  std::vector<float> scores;
  std::vector<std::int64_t> ids;
  std::vector<std::int32_t> frame;
  std::vector<std::uint8_t> observed;
  std::vector<std::int32_t> ended_stream;
  std::vector<std::int64_t> ended_ids;

  void clear();
};

// Memory for the work of one frame, shared by all streams of a tracker.
struct TrackScratch {
  BoxSet high, low;
  std::vector<std::uint32_t> rows;  // tracks that take part in a matching
  Matcher matcher;
};

// ByteTrack (Zhang et al., ECCV 2022) for one stream, in seconds instead of frames: strong boxes
// are matched first, then weak ones continue tracks that are still reported, then new tracks look
// for their second box. Owns the stream's tracks and its count of ids. Not thread-safe.
class ByteTracker {
 public:
  // Moves on to a frame; appends its rows as `frame` of `stream`.
  void update(const Sighting& seen, const TrackOptions& options, std::int32_t stream,
              std::int32_t frame, TrackScratch& scratch, TrackRows& rows);

  // Ends all tracks and forgets the time; the count of ids goes on. Returns the ids that ended.
  std::vector<std::int64_t> end();

  std::size_t size() const { return tracks_.size(); }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  struct Track {
    BoxFilter filter;
    double first_s;            // first box
    double matched_s;          // last box
    double missed_s = kNever;  // first frame since then in which the detector did not find it
    std::int64_t id = 0;       // 0 until confirmed
    float score = 0.0F;
    bool observed = true;  // matched in the present frame
  };

  void end_lost(double lost_s, std::int32_t stream, TrackRows& rows);
  void predict(double step_s);
  void match_all(const Sighting& seen, const TrackOptions& options, TrackScratch& scratch);
  template <typename Takes>
  void match(BoxSet& boxes, float least_iou, TrackScratch& scratch, Takes takes);
  void observe(Track& track, const BoxSet& boxes, std::size_t box);
  void settle(const TrackOptions& options);
  void start_tracks(const BoxSet& boxes, float new_score);
  bool reported(const Track& track, double coast_s) const;
  void report(double coast_s, std::int32_t frame, TrackRows& rows) const;

  std::vector<Track> tracks_;  // oldest first
  StreamClock clock_;
  MotionNoise noise_{};
  std::int64_t last_id_ = 0;
  bool fresh_ = true;  // no frame of this stream was looked at yet
};

}  // namespace poseact
