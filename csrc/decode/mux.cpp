// SPDX-License-Identifier: Apache-2.0
#include "decode/mux.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>

#include "core/error.h"
#include "decode/source_url.h"

namespace poseact {

namespace {

[[noreturn]] void throw_closed() {
  throw ConfigError("Mux: expected an open mux, got a closed one; make another");
}

}  // namespace

Mux::Mux() = default;

Mux::~Mux() { close(); }

int Mux::add_reader(std::shared_ptr<Reader> reader) {
  check_open();  // before the reader is bound to this mux for good
  const std::shared_ptr<FrameQueue> queue = reader->queue();
  if (!queue->attach(bell_)) {
    throw ConfigError("Mux: expected a reader of its own, got '" + without_login(reader->uri()) +
                      "' which feeds a mux already");
  }
  reader->start();
  return add({std::move(reader), queue});
}

int Mux::add_stream(std::size_t queue_frames, bool live) {
  if (queue_frames < 1) throw ConfigError("Mux: expected queue_frames of 1 or more, got 0");
  auto queue =
      std::make_shared<FrameQueue>(queue_frames, live ? WhenFull::drop_oldest : WhenFull::wait);
  queue->attach(bell_);
  return add({nullptr, std::move(queue)});
}

void Mux::check_open() const {
  const std::lock_guard lock(streams_mutex_);
  if (closed_) throw_closed();
}

int Mux::add(Stream stream) {
  int index = 0;
  {
    const std::lock_guard lock(streams_mutex_);
    if (closed_) throw_closed();
    index = static_cast<int>(streams_.size());
    streams_.push_back(std::move(stream));
  }
  bell_->ring();  // frames may have come before
  return index;
}

Mux::Stream Mux::at(int stream) const {
  const std::lock_guard lock(streams_mutex_);
  if (stream < 0 || static_cast<std::size_t>(stream) >= streams_.size()) {
    throw ConfigError("Mux: expected a stream below " + std::to_string(streams_.size()) + ", got " +
                      std::to_string(stream));
  }
  return streams_[static_cast<std::size_t>(stream)];
}

Pushed Mux::push(int stream, Frame frame, Deadline deadline) {
  const Stream to = at(stream);
  if (to.reader) {
    throw ConfigError("Mux: expected a stream made by add_stream, got " + std::to_string(stream) +
                      ", which belongs to the reader of '" + without_login(to.reader->uri()) + "'");
  }
  return to.queue->push(std::move(frame), deadline);
}

void Mux::end_stream(int stream) {
  const Stream of = at(stream);
  of.queue->end();
}

Mux::Poll Mux::poll(std::size_t max_frames, double timeout_s, Deadline patience,
                    FrameBatch& batch) {
  if (max_frames < 1) throw ConfigError("Mux: expected max_frames of 1 or more, got 0");
  const std::lock_guard lock(consumer_mutex_);
  for (;;) {
    const std::uint64_t seen = bell_->version();
    const bool all_ended = gather(max_frames);
    if (pending_.empty() && all_ended) return Poll::end;
    Deadline wake = patience;
    if (!pending_.empty()) {
      const Deadline full = deadline_after(timeout_s, first_came_);
      if (pending_.size() >= max_frames || all_ended || Clock::now() >= full) {
        batch = take(max_frames);
        return Poll::batch;
      }
      wake = std::min(patience, full);
    }
    if (!bell_->wait(seen, wake) && Clock::now() >= patience) return Poll::waiting;
  }
}

// Moves ready frames to pending_, one of each stream in turn. True: no stream will give more.
bool Mux::gather(std::size_t max_frames) {
  std::vector<Frame> let_go;  // after the lock: a frame's owner may take Python's GIL when it goes
  const std::lock_guard lock(streams_mutex_);
  if (closed_) let_go.swap(pending_);
  std::size_t empty_in_a_row = 0;
  while (pending_.size() < max_frames && empty_in_a_row < streams_.size()) {
    const std::size_t i = cursor_++ % streams_.size();
    std::optional<Frame> frame = streams_[i].queue->try_pop();
    ++empty_in_a_row;
    if (!frame) continue;
    empty_in_a_row = 0;
    if (pending_.empty()) first_came_ = Clock::now();
    frame->stream = static_cast<std::int32_t>(i);
    pending_.push_back(std::move(*frame));
  }
  return std::all_of(streams_.begin(), streams_.end(),
                     [](const Stream& s) { return s.queue->drained(); });
}

FrameBatch Mux::take(std::size_t max_frames) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(max_frames, pending_.size()));
  const auto end = pending_.begin() + count;
  FrameBatch batch;
  batch.frames.assign(std::move_iterator(pending_.begin()), std::move_iterator(end));
  pending_.erase(pending_.begin(), end);
  first_came_ = Clock::now();
  return batch;
}

std::vector<int> Mux::ended_streams() {
  const std::lock_guard consumer(consumer_mutex_);
  const std::lock_guard lock(streams_mutex_);
  std::vector<int> ended;
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    const auto number = static_cast<std::int32_t>(i);
    const bool waiting = std::any_of(pending_.begin(), pending_.end(),
                                     [&](const Frame& f) { return f.stream == number; });
    if (streams_[i].reported || waiting || !streams_[i].queue->drained()) continue;
    streams_[i].reported = true;
    ended.push_back(number);
  }
  return ended;
}

ReaderCounts Mux::counts(int stream) const {
  const Stream of = at(stream);
  if (of.reader) return of.reader->counts();
  ReaderCounts counts;
  counts.frames = counts.delivered = static_cast<std::int64_t>(of.queue->pushed());
  counts.dropped = static_cast<std::int64_t>(of.queue->dropped());
  return counts;
}

void Mux::close() {
  std::vector<Stream> streams;
  {
    const std::lock_guard lock(streams_mutex_);
    closed_ = true;
    streams = streams_;
  }
  for (const Stream& s : streams) s.queue->close();
}

}  // namespace poseact
