// SPDX-License-Identifier: Apache-2.0
#include "decode/reader.h"

#include <pthread.h>

#include <algorithm>
#include <limits>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "decode/source_url.h"

namespace poseact {
namespace {

// A drained decoder has at most as many packets left as it has threads; one that reports more
// faults than that would do so for ever.
constexpr int kMostFaultsAtEnd = 256;

constexpr int kMostUnreadable = 64;  // pictures in a row

void check(bool ok, const char* option, const char* expected, double got) {
  if (ok) return;
  throw ConfigError("Reader: expected " + std::string(option) + " " + expected + ", got " +
                    std::to_string(got));
}

ReaderOptions checked(const ReaderOptions& o) {
  constexpr std::int64_t kMostFrames = 1024;  // a queue of this many 1080p frames is 3 GB
  constexpr int kMostThreads = 64;
  check(o.queue_frames >= 1 && o.queue_frames <= kMostFrames, "queue_frames", "from 1 to 1024",
        static_cast<double>(o.queue_frames));
  check(o.every >= 1, "every", "of 1 or more", static_cast<double>(o.every));
  check(!o.max_frames || *o.max_frames >= 1, "max_frames", "of 1 or more, or none",
        static_cast<double>(o.max_frames.value_or(0)));
  check(o.threads >= 1 && o.threads <= kMostThreads, "threads", "from 1 to 64", o.threads);
  check(o.open_timeout_s >= 0, "open_timeout_s", "of 0 or more", o.open_timeout_s);
  check(o.read_timeout_s >= 0, "read_timeout_s", "of 0 or more", o.read_timeout_s);
  return o;
}

double seconds_of(clockid_t clock) {
  timespec t{};
  if (clock_gettime(clock, &t) != 0) return 0;
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Where neither picture nor container says how long a frame is, it is taken for 1/25 s.
std::int64_t ticks_per_frame(const StreamInfo& info) {
  const TimeBase tb = info.time_base;
  const bool known = info.fps_num > 0;
  const AVRational frame{known ? info.fps_den : 1, known ? info.fps_num : 25};
  return std::max<std::int64_t>(1, av_rescale_q(1, frame, {tb.num, tb.den}));
}

std::optional<std::int64_t> pts_of(const AVFrame& picture) {
  // AVI has decoding times alone; best_effort_timestamp is made of them.
  for (const std::int64_t pts : {picture.pts, picture.best_effort_timestamp}) {
    if (pts != AV_NOPTS_VALUE) return pts;
  }
  return std::nullopt;
}

}  // namespace

Reader::Reader(std::string uri, const ReaderOptions& options)
    : uri_(std::move(uri)),
      options_(checked(options)),
      queue_(std::make_shared<FrameQueue>(static_cast<std::size_t>(options.queue_frames),
                                          options.live ? WhenFull::drop_oldest : WhenFull::wait)) {
  if (!options_.live) open();
}

Reader::~Reader() { stop(); }

void Reader::start() {
  const std::lock_guard lock(life_);
  if (started_) return;
  try {
    thread_ = std::thread(&Reader::run, this);
  } catch (const std::system_error& e) {
    throw SourceError("source '" + without_login(uri_) +
                      "': expected a thread to decode on, got \"" + e.what() +
                      "\"; read fewer streams at once or raise the limit of threads");
  }
  started_ = true;
}

void Reader::stop() {
  interrupt_.stop();
  queue_->close();
  const std::lock_guard lock(life_);
  started_ = true;  // for good
  if (thread_.joinable()) thread_.join();
}

std::optional<std::string> Reader::error() const {
  const std::lock_guard lock(mutex_);
  return error_;
}

std::optional<StreamInfo> Reader::info() const {
  const std::lock_guard lock(mutex_);
  return info_;
}

ReaderCounts Reader::counts() const {
  const std::lock_guard lock(mutex_);
  ReaderCounts counts = counts_;
  counts.dropped = static_cast<std::int64_t>(queue_->dropped());
  return counts;
}

double Reader::cpu_s() const {
  const std::lock_guard lock(mutex_);
  return cpu_clock_ ? seconds_of(*cpu_clock_) : cpu_s_;
}

void Reader::open() {
  demuxer_ = std::make_unique<Demuxer>(
      uri_, DemuxerOptions{options_.open_timeout_s, options_.read_timeout_s}, interrupt_);
  const StreamInfo& info = demuxer_->info();
  const AVCodecParameters& parameters = demuxer_->codec_parameters();
  decoder_.emplace(parameters, info.time_base, DecoderOptions{options_.threads});
  maker_.emplace(parameters.codec_id, info.orientation);
  clock_.emplace(info.time_base, info.wrap_bits, ticks_per_frame(info));
  const std::lock_guard lock(mutex_);
  info_ = info;
}

// The thread: whatever happens, the queue ends and the fault, if any, can be read.
void Reader::run() {
  {
    const std::lock_guard lock(mutex_);
    clockid_t clock{};
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0) cpu_clock_ = clock;
  }
  std::optional<std::string> error;
  try {
    if (!demuxer_) open();
    decode_all();
    if (counts_.frames == 0 && !interrupt_.stopped()) {
      error = "source '" + without_login(uri_) + "': expected pictures, got none from " +
              std::to_string(counts_.packets) + " packets of " + demuxer_->info().codec;
    }
  } catch (const std::exception& e) {
    error = e.what();
  }
  decoder_.reset();
  demuxer_.reset();  // a camera is let go of when its stream ends, not when Python forgets it
  {
    const std::lock_guard lock(mutex_);
    if (!interrupt_.stopped()) error_ = std::move(error);
    cpu_clock_.reset();
    cpu_s_ = seconds_of(CLOCK_THREAD_CPUTIME_ID);
  }
  queue_->end();
}

void Reader::decode_all() {
  const ffmpeg::PacketPtr packet(ffmpeg::not_null(av_packet_alloc()));
  ffmpeg::FramePtr picture;
  bool draining = false;
  int faults_at_end = 0;
  while (!interrupt_.stopped()) {
    if (!picture) picture.reset(ffmpeg::not_null(av_frame_alloc()));
    Pull pull = Pull::need_packet;
    try {
      // NOLINTNEXTLINE(bugprone-use-after-move): a picture that was moved is made anew above
      pull = decoder_->receive(*picture);
      if (pull == Pull::need_packet && !draining) draining = !feed(*packet);
    } catch (const DecodeError&) {
      const std::lock_guard lock(mutex_);
      counts_.corrupt_packets += flagged_ ? 0 : 1;  // counted when it was read
      if (draining && ++faults_at_end > kMostFaultsAtEnd) return;
      continue;
    }
    if (pull == Pull::end) return;
    if (pull == Pull::frame && !deliver(std::move(picture))) return;
  }
}

// Hands the decoder its next packet. False: that was the end.
bool Reader::feed(AVPacket& packet) {
  const Demuxer::Read read = demuxer_->read(packet);
  const bool is_packet = read == Demuxer::Read::packet;
  // A packet with a gap in it is decoded all the same: most of its picture can often be saved, and
  // without it the decoder would leave out the pictures that refer to it too.
  const bool damaged = is_packet && (packet.flags & AV_PKT_FLAG_CORRUPT) != 0;
  flagged_ = damaged;
  {
    const std::lock_guard lock(mutex_);
    counts_.packets += is_packet ? 1 : 0;
    counts_.corrupt_packets += damaged || read == Demuxer::Read::unreadable ? 1 : 0;
    counts_.truncated = demuxer_->truncated() ? 1 : 0;
  }
  if (is_packet) decoder_->send(&packet);
  if (read == Demuxer::Read::end) decoder_->send(nullptr);
  return read != Demuxer::Read::end;
}

// False: nobody wants more.
bool Reader::deliver(ffmpeg::FramePtr picture) {
  const std::int64_t pts = clock_->next(pts_of(*picture), ffmpeg::duration_of(*picture));
  note(*picture);
  const std::int64_t index = frames_++;
  if (index % options_.every != 0) {
    const std::lock_guard lock(mutex_);
    ++counts_.skipped;
    return true;
  }
  std::optional<Frame> frame = make(std::move(picture));
  if (!frame) return true;
  frame->index = index;
  frame->pts = pts;
  frame->time_base = demuxer_->info().time_base;
  if (queue_->push(std::move(*frame)) != Pushed::yes) return false;
  const std::lock_guard lock(mutex_);
  ++counts_.delivered;
  return counts_.delivered < options_.max_frames.value_or(std::numeric_limits<std::int64_t>::max());
}

// Nothing: a damaged header says what no picture of this stream is. Where none was good before, or
// many in a row are bad, it is not damage but a kind of picture that cannot be read, and the end.
std::optional<Frame> Reader::make(ffmpeg::FramePtr picture) {
  try {
    Frame frame = maker_->make(std::move(picture));
    unreadable_ = 0;
    return frame;
  } catch (const DecodeError&) {
    if (counts_.delivered == 0 || ++unreadable_ > kMostUnreadable) throw;
    const std::lock_guard lock(mutex_);
    ++counts_.damaged_frames;
    return std::nullopt;
  }
}

void Reader::note(const AVFrame& picture) {
  const bool changed = width_ != 0 && (width_ != picture.width || height_ != picture.height);
  width_ = picture.width;
  height_ = picture.height;
  const bool damaged =
      picture.decode_error_flags != 0 || (picture.flags & AV_FRAME_FLAG_CORRUPT) != 0;
  const PtsClock::Counts& pts = clock_->counts();
  const std::lock_guard lock(mutex_);
  ++counts_.frames;
  counts_.resolution_changes += changed ? 1 : 0;
  counts_.damaged_frames += damaged ? 1 : 0;
  counts_.missing_pts = pts.missing;
  counts_.repeated_pts = pts.repeated;
  counts_.backward_pts = pts.backward;
  counts_.clock_resets = pts.resets;
}

}  // namespace poseact
