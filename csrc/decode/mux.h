// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/bounded_queue.h"
#include "core/frame.h"
#include "decode/reader.h"

namespace poseact {

// Many streams into batches. A stream is a Reader's or is pushed by the embedding program; its
// number is its place in the order in which the streams were added. Takes frames in turn from the
// streams that have some, several of one stream if the others have none, and never waits for one
// stream in particular: all of them ring one bell.
// Shares the Readers. Thread-safe; batches go to whoever asks first.
class Mux {
 public:
  Mux();
  ~Mux();
  Mux(const Mux&) = delete;
  Mux& operator=(const Mux&) = delete;

  // Starts the reader if nobody has. Throws ConfigError when it feeds a mux already.
  int add_reader(std::shared_ptr<Reader> reader);
  int add_stream(std::size_t queue_frames, bool live);

  // Gives a frame to a stream of add_stream's. A full queue drops its oldest frame when live, else
  // waits.
  Pushed push(int stream, Frame frame, Deadline deadline);
  void end_stream(int stream);  // a reader is not stopped, its frames are let go

  enum class Poll : std::uint8_t { batch, waiting, end };

  // `batch`: max_frames, or what had come `timeout_s` after the first, or all that was left.
  // `waiting`: neither by `patience`; frames gathered so far are kept for the next call.
  // `end`: all streams have ended and everything was given out.
  Poll poll(std::size_t max_frames, double timeout_s, Deadline patience, FrameBatch& batch);

  // Streams that ended and whose frames have all been given out; each is named once.
  std::vector<int> ended_streams();

  // Of a pushed stream: frames, delivered and dropped; the rest is 0.
  ReaderCounts counts(int stream) const;

  void close();  // ends all streams and wakes everybody

 private:
  struct Stream {
    std::shared_ptr<Reader> reader;  // null: pushed
    std::shared_ptr<FrameQueue> queue;
    bool reported = false;
  };

  void check_open() const;
  int add(Stream stream);
  Stream at(int stream) const;
  bool gather(std::size_t max_frames);
  FrameBatch take(std::size_t max_frames);

  const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();

  mutable std::mutex streams_mutex_;
  std::vector<Stream> streams_;
  bool closed_ = false;

  std::mutex consumer_mutex_;  // one poll at a time; taken before streams_mutex_
  std::vector<Frame> pending_;
  Deadline first_came_{};  // of pending_
  std::size_t cursor_ = 0;
};

}  // namespace poseact
