// SPDX-License-Identifier: Apache-2.0
#include "decode/decoder.h"

#include <string>

#include "core/error.h"

namespace poseact {
namespace {

// 16384 x 16384: larger than any camera, small enough that a damaged header cannot take all memory.
constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

// Out of memory is not the stream's fault; everything else a decoder reports is.
void check(int code) {
  if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
  if (code < 0)
    throw DecodeError("decode: expected sound data, got \"" + ffmpeg::error_text(code) + "\"");
}

}  // namespace

Decoder::Decoder(const AVCodecParameters& parameters, TimeBase time_base,
                 const DecoderOptions& options) {
  const AVCodec* const codec = avcodec_find_decoder(parameters.codec_id);
  const std::string name = avcodec_get_name(parameters.codec_id);
  if (codec == nullptr) {
    throw SourceError("decode: expected a codec that this FFmpeg can decode, got " + name);
  }
  context_.reset(ffmpeg::not_null(avcodec_alloc_context3(codec)));
  check(avcodec_parameters_to_context(context_.get(), &parameters));
  context_->pkt_timebase = {time_base.num, time_base.den};
  context_->thread_count = options.threads;
  context_->thread_type = FF_THREAD_FRAME | FF_THREAD_SLICE;
  context_->flags |= AV_CODEC_FLAG_UNALIGNED;  // else the left edge is cropped to a multiple of 32
  context_->max_pixels = kMostPixels;
  const int opened = avcodec_open2(context_.get(), codec, nullptr);
  if (opened < 0) {
    throw SourceError("decode: expected the " + name + " decoder to open, got \"" +
                      ffmpeg::error_text(opened) + "\"; is the file complete?");
  }
}

void Decoder::send(const AVPacket* packet) {
  const int code = avcodec_send_packet(context_.get(), packet);
  if (code != AVERROR_EOF) check(code);  // ended already: `receive` says so
}

Pull Decoder::receive(AVFrame& picture) {
  const int code = avcodec_receive_frame(context_.get(), &picture);
  if (code == AVERROR(EAGAIN)) return Pull::need_packet;
  if (code == AVERROR_EOF) return Pull::end;
  check(code);
  return Pull::frame;
}

}  // namespace poseact
