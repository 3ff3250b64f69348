// SPDX-License-Identifier: Apache-2.0
#include "decode/demuxer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>
#include <tuple>

#include "core/error.h"
#include "decode/picture_properties.h"
#include "decode/source_url.h"

namespace poseact {
namespace {

// A container that yields this many unreadable packets in a row has nothing more to give.
constexpr int kMostBadReads = 64;

// libavformat takes a text file for a film of ANSI art; nobody who names one means that.
bool is_text_art(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

// FFmpeg reports to stderr what we report through exceptions and counts. Its log level is the
// process's, so a level that somebody has set is left alone.
void quieten_ffmpeg() {
  if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
}

std::optional<double> duration_of(const AVFormatContext& format, const AVStream& stream) {
  if (stream.duration != AV_NOPTS_VALUE && stream.duration > 0) {
    return static_cast<double>(stream.duration) * av_q2d(stream.time_base);
  }
  if (format.duration != AV_NOPTS_VALUE && format.duration > 0) {
    return static_cast<double>(format.duration) / AV_TIME_BASE;
  }
  return std::nullopt;
}

// When the stream ends, in ticks, by the file's header: Matroska keeps it in a tag.
std::optional<std::int64_t> promised_end(const AVFormatContext& format, const AVStream& stream) {
  if (const AVDictionaryEntry* tag = av_dict_get(stream.metadata, "DURATION", nullptr, 0)) {
    double hours = 0;
    double minutes = 0;
    double seconds = 0;
    // NOLINTNEXTLINE(bugprone-unchecked-string-to-number-conversion): the sum is checked
    if (std::sscanf(tag->value, "%lf:%lf:%lf", &hours, &minutes, &seconds) == 3) {
      const double ticks = (hours * 3600 + minutes * 60 + seconds) / av_q2d(stream.time_base);
      // A tag may say anything, and beyond int64 the conversion is undefined.
      if (ticks >= 0 && ticks < 0x1p62) return static_cast<std::int64_t>(ticks);
    }
  }
  const bool in_header = format.duration_estimation_method == AVFMT_DURATION_FROM_STREAM;
  if (!in_header || stream.duration == AV_NOPTS_VALUE) return std::nullopt;
  const bool started = stream.start_time != AV_NOPTS_VALUE;
  return av_sat_add64(started ? stream.start_time : 0, stream.duration);
}

}  // namespace

// A block of memory behind libavformat's reading and seeking functions.
struct Demuxer::Memory {
  std::span<const std::uint8_t> bytes;
  std::int64_t at = 0;

  static int read(void* self, std::uint8_t* out, int size) {
    auto& m = *static_cast<Memory*>(self);
    const std::int64_t left = static_cast<std::int64_t>(m.bytes.size()) - m.at;
    if (left <= 0) return AVERROR_EOF;
    const auto n = std::min<std::int64_t>(left, size);
    std::memcpy(out, m.bytes.data() + m.at, static_cast<std::size_t>(n));
    m.at += n;
    return static_cast<int>(n);
  }

  static std::int64_t seek(void* self, std::int64_t offset, int whence) {
    auto& m = *static_cast<Memory*>(self);
    const auto size = static_cast<std::int64_t>(m.bytes.size());
    if (whence == AVSEEK_SIZE) return size;
    const std::int64_t from = whence == SEEK_CUR ? m.at : whence == SEEK_END ? size : 0;
    if (offset < -from || offset > size - from) return AVERROR(EINVAL);
    return m.at = from + offset;
  }
};

Demuxer::Demuxer(const std::string& uri, const DemuxerOptions& options, Interrupt& interrupt)
    : name_(without_login(uri)), options_(options), interrupt_(interrupt) {
  open(url_of(uri));
}

Demuxer::Demuxer(std::span<const std::uint8_t> bytes, const std::string& name, Interrupt& interrupt)
    : name_(name), interrupt_(interrupt), memory_(std::make_unique<Memory>(Memory{bytes})) {
  constexpr int kBuffer = 32768;
  auto* const buffer = static_cast<std::uint8_t*>(ffmpeg::not_null(av_malloc(kBuffer)));
  io_.reset(
      avio_alloc_context(buffer, kBuffer, 0, memory_.get(), &Memory::read, nullptr, &Memory::seek));
  if (!io_) {
    av_free(buffer);
    throw std::bad_alloc();
  }
  open("");
}

Demuxer::~Demuxer() = default;

void Demuxer::open(const std::string& url) {
  quieten_ffmpeg();
  AVFormatContext* format = ffmpeg::not_null(avformat_alloc_context());
  format->interrupt_callback = {&Interrupt::callback, &interrupt_};
  format->pb = io_.get();
  interrupt_.set_deadline(deadline_after(options_.open_timeout_s));
  AVDictionary* settings = nullptr;
  av_dict_set(&settings, "pattern_type", "none", 0);  // image "50%d.png" is one file, no sequence
  if (url.starts_with("rtsp")) av_dict_set(&settings, "rtsp_transport", "tcp", 0);
  // Frees `format` when it fails.
  const int code = avformat_open_input(&format, url.c_str(), nullptr, &settings);
  av_dict_free(&settings);
  if (code < 0) fail_open(code);
  format_.reset(format);
  const int probed = avformat_find_stream_info(format_.get(), nullptr);
  if (probed < 0) fail_open(probed);
  choose_stream();
  describe();
}

void Demuxer::fail_open(int code) const {
  if (code == AVERROR_EXIT && interrupt_.stopped()) {
    throw SourceError("source '" + name_ + "': stopped while it was being opened");
  }
  if (interrupt_.late()) {
    throw SourceError("source '" + name_ + "': expected an answer within " +
                      std::to_string(options_.open_timeout_s) +
                      " s, got none; check the address or raise open_timeout_s");
  }
  throw SourceError("source '" + name_ +
                    "': expected a video or image that FFmpeg can read, got \"" +
                    ffmpeg::error_text(code) + "\"; check " +
                    (name_.find("://") == std::string::npos ? "that the file is complete"
                                                            : "the address and the camera"));
}

void Demuxer::choose_stream() {
  const std::span<AVStream*> streams{format_->streams, format_->nb_streams};
  const auto rank = [](const AVStream& s) {
    const AVCodecParameters& p = *s.codecpar;
    return std::tuple((s.disposition & AV_DISPOSITION_DEFAULT) != 0,
                      std::int64_t{p.width} * p.height);
  };
  std::string no_decoder;
  for (AVStream* const stream : streams) {
    const AVCodecID codec = stream->codecpar->codec_id;
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO || is_text_art(codec)) continue;
    if ((stream->disposition & AV_DISPOSITION_ATTACHED_PIC) != 0) continue;
    if (avcodec_find_decoder(codec) == nullptr) {
      no_decoder = avcodec_get_name(codec);
    } else if (stream_ == nullptr || rank(*stream) > rank(*stream_)) {
      stream_ = stream;
    }
  }
  if (stream_ == nullptr) {
    throw SourceError("source '" + name_ + "': expected a video stream, got " +
                      (no_decoder.empty()
                           ? "none among " + std::to_string(streams.size()) +
                                 " streams; is this a video or image file?"
                           : "one of codec " + no_decoder + ", which this FFmpeg cannot decode"));
  }
  for (AVStream* const stream : streams) {
    if (stream != stream_) stream->discard = AVDISCARD_ALL;
  }
}

void Demuxer::describe() {
  const AVCodecParameters& p = *stream_->codecpar;
  info_.codec = avcodec_get_name(p.codec_id);
  info_.container = format_->iformat->name;
  const char* const pixel_format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(p.format));
  if (pixel_format != nullptr) info_.pixel_format = pixel_format;
  info_.width = p.width;
  info_.height = p.height;
  info_.orientation = orientation_of(ffmpeg::display_matrix_of(*stream_));
  info_.time_base = {stream_->time_base.num, stream_->time_base.den};
  const AVRational rate = av_guess_frame_rate(format_.get(), stream_, nullptr);
  if (rate.num > 0 && rate.den > 0) {
    info_.fps_num = rate.num;
    info_.fps_den = rate.den;
  }
  info_.duration_s = duration_of(*format_, *stream_);
  if (stream_->nb_frames > 0) {
    info_.frames = stream_->nb_frames;
  } else if (info_.duration_s && info_.fps_num > 0) {
    info_.frames = std::llround(*info_.duration_s * info_.fps_num / info_.fps_den);
  }
  info_.wrap_bits = stream_->pts_wrap_bits;
}

Demuxer::Read Demuxer::read(AVPacket& packet) {
  interrupt_.set_deadline(deadline_after(options_.read_timeout_s));
  for (;;) {
    av_packet_unref(&packet);
    if (interrupt_.stopped()) return Read::end;  // what is buffered already would not ask
    const int code = av_read_frame(format_.get(), &packet);
    if (code == AVERROR(EAGAIN)) {  // a device that has nothing yet
      if (Interrupt::callback(&interrupt_) != 0) return on_error(AVERROR_EXIT);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      continue;
    }
    if (code < 0) return on_error(code);
    if (packet.stream_index != stream_->index) continue;
    bad_reads_ = 0;
    note(packet);
    return Read::packet;
  }
}

void Demuxer::note(const AVPacket& packet) {
  ++packets_;
  last_corrupt_ = (packet.flags & AV_PKT_FLAG_CORRUPT) != 0;
  const std::int64_t start = packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
  if (start == AV_NOPTS_VALUE) return;
  const std::int64_t end = av_sat_add64(start, std::max<std::int64_t>(packet.duration, 0));
  end_ = std::max(end_, end);  // AV_NOPTS_VALUE is the least of all numbers
}

Demuxer::Read Demuxer::on_error(int code) {
  if (interrupt_.stopped()) return Read::end;
  AVIOContext* const io = format_->pb;
  const bool at_end = code == AVERROR_EOF || (io != nullptr && avio_feof(io) != 0);
  if (at_end && (io == nullptr || io->error >= 0 || io->error == AVERROR_EOF)) {
    return finish(code != AVERROR_EOF);
  }
  if (code == AVERROR_INVALIDDATA) {
    return ++bad_reads_ < kMostBadReads ? Read::unreadable : finish(true);
  }
  if (code == AVERROR_EXIT) {
    throw SourceError("source '" + name_ + "': expected data within " +
                      std::to_string(options_.read_timeout_s) +
                      " s, got none; check the camera or raise read_timeout_s");
  }
  throw SourceError("source '" + name_ + "': expected more data, got \"" +
                    ffmpeg::error_text(code) + "\" after " + std::to_string(packets_) + " packets");
}

Demuxer::Read Demuxer::finish(bool cut_off) {
  truncated_ = cut_off || last_corrupt_ || shorter_than_promised();
  return Read::end;
}

bool Demuxer::shorter_than_promised() const {
  // An index of all samples, edit lists applied, says it exactly.
  if (std::strstr(format_->iformat->name, "mov") != nullptr) {
    return packets_ < avformat_index_get_entries_count(stream_);
  }
  if (ends_inside_ts_packet()) return true;
  const std::optional<std::int64_t> promised = promised_end(*format_, *stream_);
  if (!promised || end_ == AV_NOPTS_VALUE) return false;
  const std::int64_t two_frames =
      info_.fps_num > 0 ? av_rescale_q(2, {info_.fps_den, info_.fps_num}, stream_->time_base) : 0;
  return end_ < av_sat_sub64(*promised, two_frames);
}

// A transport stream promises no length, but it is made of whole packets of 188 bytes (192 with
// times of arrival, 204 with checksums).
bool Demuxer::ends_inside_ts_packet() const {
  if (std::strcmp(format_->iformat->name, "mpegts") != 0 || format_->pb == nullptr) return false;
  const std::int64_t bytes = avio_size(format_->pb);
  return bytes > 0 && bytes % 188 != 0 && bytes % 192 != 0 && bytes % 204 != 0;
}

}  // namespace poseact
