// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/bounded_queue.h"
#include "core/frame.h"
#include "decode/decoder.h"
#include "decode/demuxer.h"
#include "decode/frame_maker.h"
#include "decode/pts_clock.h"

namespace poseact {

using FrameQueue = BoundedQueue<Frame>;

struct ReaderOptions {
  std::int64_t queue_frames = 8;  // decoded frames held; each is a picture of the decoder's memory
  bool live = false;              // full queue: true drops the oldest frame, false waits
  std::int64_t every = 1;         // takes frames 0, every, 2 * every, ...
  std::optional<std::int64_t> max_frames = std::nullopt;  // ends after this many taken frames
  int threads = 1;  // of the decoder; 1 decodes on the reader's own thread
  double open_timeout_s = 10.0;
  double read_timeout_s = 10.0;
};

struct ReaderCounts {
  std::int64_t packets = 0;
  std::int64_t frames = 0;           // decoded
  std::int64_t delivered = 0;        // put into the queue
  std::int64_t skipped = 0;          // by `every`
  std::int64_t dropped = 0;          // delivered, but pushed out by a newer one: live only
  std::int64_t corrupt_packets = 0;  // damaged: so the container says, or refused by the decoder
  std::int64_t damaged_frames = 0;   // of those decoded, with faults that the decoder covered up
  std::int64_t missing_pts = 0;      // this and the next three: see PtsClock
  std::int64_t repeated_pts = 0;
  std::int64_t backward_pts = 0;
  std::int64_t clock_resets = 0;
  std::int64_t resolution_changes = 0;
  std::int64_t truncated = 0;  // 1: the source ended before its container said so
};

// One stream on its own thread: demuxes, decodes, and holds frames in a bounded queue. Their pts
// rise strictly. A file is opened by the constructor, so that a bad path throws at once; a live
// stream by the thread, so that a hundred slow cameras do not wait for one another.
// Owns the thread. Thread-safe.
class Reader {
 public:
  // Throws ConfigError for options, SourceError for a file that cannot be read.
  Reader(std::string uri, const ReaderOptions& options);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void start();  // does nothing the second time
  void stop();   // also while the thread waits for a source; frames left are thrown away; final

  bool started() const { return started_; }

  // Nothing: the deadline passed, or the stream has ended.
  std::optional<Frame> next(Deadline deadline) { return queue_->pop(deadline); }

  const std::string& uri() const { return uri_; }
  const ReaderOptions& options() const { return options_; }
  const std::shared_ptr<FrameQueue>& queue() const { return queue_; }
  bool ended() const { return queue_->drained(); }  // and all frames have been taken
  std::optional<std::string> error() const;         // the fault that ended the stream
  std::optional<StreamInfo> info() const;           // nothing: not open yet
  ReaderCounts counts() const;
  double cpu_s() const;  // CPU time of the reader's thread so far

 private:
  void open();
  void run();
  void decode_all();
  bool feed(AVPacket& packet);
  bool deliver(ffmpeg::FramePtr picture);
  std::optional<Frame> make(ffmpeg::FramePtr picture);
  void note(const AVFrame& picture);

  const std::string uri_;
  const ReaderOptions options_;
  const std::shared_ptr<FrameQueue> queue_;
  Interrupt interrupt_;

  // The thread's own once it runs.
  std::unique_ptr<Demuxer> demuxer_;
  std::optional<Decoder> decoder_;
  std::optional<FrameMaker> maker_;
  std::optional<PtsClock> clock_;
  std::int64_t frames_ = 0;  // decoded
  int unreadable_ = 0;       // pictures in a row
  bool flagged_ = false;     // the last packet was damaged, so the container says
  int width_ = 0;            // of the last frame
  int height_ = 0;

  mutable std::mutex mutex_;  // guards what follows
  ReaderCounts counts_;
  std::optional<StreamInfo> info_;
  std::optional<std::string> error_;
  std::optional<clockid_t> cpu_clock_;  // of the running thread
  double cpu_s_ = 0;                    // of the ended one

  std::mutex life_;  // start and stop, one at a time
  std::atomic<bool> started_{false};
  std::thread thread_;
};

}  // namespace poseact
