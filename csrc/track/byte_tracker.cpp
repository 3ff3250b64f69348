// SPDX-License-Identifier: Apache-2.0
#include "track/byte_tracker.h"

#include <algorithm>
#include <cmath>

namespace poseact {
namespace {

// Limits are met within this, so that one which falls on a frame counts alike at every stream time.
constexpr double kTolerance_s = 1e-6;

// A pair at the least overlap is better than none.
constexpr float kLeastWeight = 1e-4F;

// Boxes that do not touch never match, whatever the options.
constexpr float kLeastOverlap = 1e-6F;

// Sorts a frame's boxes into strong and weak ones. What is no box (not finite, no area) is left
// out: one bad number must not stop the other streams of a batch.
void sort_boxes(const Sighting& seen, const TrackOptions& options, TrackScratch& scratch) {
  scratch.high.clear();
  scratch.low.clear();
  for (std::size_t i = 0; i < seen.scores.size(); ++i) {
    const float* box = &seen.boxes[4 * i];
    const float score = seen.scores[i];
    const float width = box[2] - box[0];
    const float height = box[3] - box[1];
    // NaN fails every comparison; the area of finite sides may still overflow.
    const bool usable =
        width > 0.0F && height > 0.0F && std::isfinite(width * height) && std::isfinite(score);
    if (!usable || !(score >= options.low_score)) continue;
    BoxSet& set = score >= options.high_score ? scratch.high : scratch.low;
    set.add({box[0], box[1], box[2], box[3]}, score);
  }
}

}  // namespace

void TrackRows::clear() {
  boxes.clear();
  scores.clear();
  ids.clear();
  frame.clear();
  observed.clear();
  ended_stream.clear();
  ended_ids.clear();
}

void ByteTracker::update(const Sighting& seen, const TrackOptions& options, std::int32_t stream,
                         std::int32_t frame, TrackScratch& scratch, TrackRows& rows) {
  const double step_s = clock_.advance(seen.pts, seen.time_base);
  end_lost(options.lost_s, stream, rows);
  predict(step_s);
  if (seen.detected) {
    match_all(seen, options, scratch);
    settle(options);
    start_tracks(scratch.high, options.new_score);
    fresh_ = false;
  }
  report(options.coast_s, frame, rows);
}

std::vector<std::int64_t> ByteTracker::end() {
  std::vector<std::int64_t> ids;
  for (const Track& track : tracks_) {
    if (track.id != 0) ids.push_back(track.id);
  }
  tracks_.clear();
  clock_ = {};
  fresh_ = true;
  return ids;
}

void ByteTracker::end_lost(double lost_s, std::int32_t stream, TrackRows& rows) {
  std::erase_if(tracks_, [&](const Track& track) {
    if (clock_.now_s() - track.matched_s <= lost_s + kTolerance_s) return false;
    if (track.id != 0) {
      rows.ended_stream.push_back(stream);
      rows.ended_ids.push_back(track.id);
    }
    return true;
  });
}

void ByteTracker::predict(double step_s) {
  const auto step = BoxFilter::Step::of(static_cast<float>(step_s));
  for (Track& track : tracks_) {
    track.filter.predict(step, noise_);
    track.observed = false;
  }
}

void ByteTracker::match_all(const Sighting& seen, const TrackOptions& options,
                            TrackScratch& scratch) {
  sort_boxes(seen, options, scratch);
  match(scratch.high, options.match_iou, scratch, [](const Track& t) { return t.id != 0; });
  match(scratch.low, options.low_match_iou, scratch,
        [&](const Track& t) { return t.id != 0 && !t.observed && reported(t, options.coast_s); });
  match(scratch.high, options.new_match_iou, scratch, [](const Track& t) { return t.id == 0; });
  // Not in the paper: a weak box keeps a new track waiting, so that a score which wavers about
  // high_score does not hide who comes in.
  match(scratch.low, options.low_match_iou, scratch,
        [](const Track& t) { return t.id == 0 && !t.observed; });
}

template <typename Takes>
void ByteTracker::match(BoxSet& boxes, float least_iou, TrackScratch& scratch, Takes takes) {
  scratch.rows.clear();
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    if (takes(tracks_[t])) scratch.rows.push_back(static_cast<std::uint32_t>(t));
  }
  if (scratch.rows.empty() || boxes.size() == 0) return;
  // A person who is hard to see (lying, half hidden) often has several weak boxes, of parts and of
  // the whole; the best of them, not the one nearest to the prediction, is the one to follow.
  const bool weak = &boxes == &scratch.low;
  scratch.matcher.reset(scratch.rows.size(), boxes.size());
  for (std::size_t r = 0; r < scratch.rows.size(); ++r) {
    const BoxFilter& filter = tracks_[scratch.rows[r]].filter;
    const auto add = [&](std::size_t c, float excess) {
      const float weight = excess + kLeastWeight;
      scratch.matcher.add(r, c, weak ? weight * boxes.score(c) : weight);
    };
    boxes.overlapping(edges_of(filter.position()), filter.doubt_px(),
                      std::max(least_iou, kLeastOverlap), add);
  }
  const auto column = scratch.matcher.solve();
  for (std::size_t r = 0; r < scratch.rows.size(); ++r) {
    if (column[r] < 0) continue;
    const auto box = static_cast<std::size_t>(column[r]);
    observe(tracks_[scratch.rows[r]], boxes, box);
    boxes.take(box);
  }
}

void ByteTracker::observe(Track& track, const BoxSet& boxes, std::size_t box) {
  track.filter.observe(boxes.center(box), noise_);
  track.score = boxes.score(box);
  track.matched_s = clock_.now_s();
  track.missed_s = kNever;
  track.observed = true;
}

// After the matchings: new tracks are confirmed or given up, and who was not found is missed.
void ByteTracker::settle(const TrackOptions& options) {
  const double now_s = clock_.now_s();
  std::erase_if(tracks_, [](const Track& t) { return t.id == 0 && !t.observed; });
  for (Track& track : tracks_) {
    if (!track.observed && track.missed_s == kNever) {
      track.missed_s = now_s;
      track.filter.hold_size();
    }
    if (track.id == 0 && track.score >= options.high_score &&
        now_s - track.first_s >= options.confirm_s - kTolerance_s) {
      track.id = ++last_id_;
    }
  }
}

void ByteTracker::start_tracks(const BoxSet& boxes, float new_score) {
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    if (boxes.taken(i) || boxes.score(i) < new_score) continue;
    Track& track = tracks_.emplace_back();
    track.filter.start(boxes.center(i), noise_);
    track.first_s = track.matched_s = clock_.now_s();
    track.score = boxes.score(i);
    if (fresh_) track.id = ++last_id_;
  }
}

bool ByteTracker::reported(const Track& track, double coast_s) const {
  if (track.id == 0) return false;
  return track.missed_s == kNever || clock_.now_s() - track.missed_s < coast_s - kTolerance_s;
}

void ByteTracker::report(double coast_s, std::int32_t frame, TrackRows& rows) const {
  for (const Track& track : tracks_) {
    if (!reported(track, coast_s)) continue;
    const Edges edges = edges_of(track.filter.position());
    rows.boxes.insert(rows.boxes.end(), {edges.x0, edges.y0, edges.x1, edges.y1});
    rows.scores.push_back(track.score);
    rows.ids.push_back(track.id);
    rows.frame.push_back(frame);
    rows.observed.push_back(track.observed ? 1 : 0);
  }
}

}  // namespace poseact
