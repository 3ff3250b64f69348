// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/frame.h"
#include "decode/ffmpeg_handles.h"
#include "decode/interrupt.h"

namespace poseact {

struct DemuxerOptions {
  double open_timeout_s = 10.0;
  double read_timeout_s = 10.0;  // longest silence of a source before reading fails
};

// What is known of a stream once it is open, before the first frame.
struct StreamInfo {
  std::string codec;         // "h264", "hevc", ...
  std::string container;     // FFmpeg's name of the format: "mov,mp4,m4a,3gp,3g2,mj2"
  std::string pixel_format;  // FFmpeg's name, "yuv420p"; empty: not known yet
  std::int32_t width = 0;    // stored pixels
  std::int32_t height = 0;
  Orientation orientation = Orientation::normal;
  TimeBase time_base{};
  std::int32_t fps_num = 0;  // average frame rate; 0/1: not known
  std::int32_t fps_den = 1;
  std::optional<double> duration_s;
  std::optional<std::int64_t> frames;  // as the container says, or duration x rate; an estimate
  int wrap_bits = 64;                  // pts count modulo 2^wrap_bits
};

// Splits a file, image, URL or block of memory into the packets of its best video stream: of those
// that are no attached picture and have a decoder, the default one, then the largest.
// Owns the open source. Not thread-safe; `interrupt` ends a call that waits, from any thread.
class Demuxer {
 public:
  // Throws SourceError when there is nothing to open or no video in it.
  Demuxer(const std::string& uri, const DemuxerOptions& options, Interrupt& interrupt);
  // Reads from memory, which must outlive the demuxer; `name` is for messages.
  Demuxer(std::span<const std::uint8_t> bytes, const std::string& name, Interrupt& interrupt);
  ~Demuxer();
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;

  // unreadable: something was there that is no packet; the next one may be good.
  enum class Read : std::uint8_t { packet, unreadable, end };

  // The next packet of the stream, into `packet` (unreferenced first).
  // Throws SourceError when the source fails or stays silent for read_timeout_s.
  Read read(AVPacket& packet);

  // After the end: the source had less than its container promised.
  bool truncated() const { return truncated_; }

  const StreamInfo& info() const { return info_; }
  const AVCodecParameters& codec_parameters() const { return *stream_->codecpar; }

 private:
  struct Memory;

  void open(const std::string& url);
  void choose_stream();
  void describe();
  [[noreturn]] void fail_open(int code) const;
  Read on_error(int code);
  Read finish(bool cut_off);
  void note(const AVPacket& packet);
  bool shorter_than_promised() const;
  bool ends_inside_ts_packet() const;

  std::string name_;
  DemuxerOptions options_;
  Interrupt& interrupt_;
  std::unique_ptr<Memory> memory_;
  ffmpeg::IoPtr io_;  // before format_, which reads through it while it closes
  ffmpeg::InputPtr format_;
  AVStream* stream_ = nullptr;  // format_'s
  StreamInfo info_;

  int bad_reads_ = 0;                  // in a row
  std::int64_t packets_ = 0;           // of our stream
  std::int64_t end_ = AV_NOPTS_VALUE;  // latest end of a packet, in ticks
  bool last_corrupt_ = false;
  bool truncated_ = false;
};

}  // namespace poseact
