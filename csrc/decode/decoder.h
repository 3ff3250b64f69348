// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/frame.h"
#include "decode/ffmpeg_handles.h"

namespace poseact {

// What a pull gave. Damaged data is no answer but a DecodeError, after which one may go on.
enum class Pull : std::uint8_t { frame, need_packet, end };

struct DecoderOptions {
  int threads = 1;  // 1: in the caller's thread; more: FFmpeg's own, by frame and by slice
};

// Packets in, pictures out, in display order; libavcodec on the CPU. Passive: no thread of ours, no
// queue. A picture shares the decoder's memory and may outlive it.
// A decoder on a GPU differs in how the context is opened (hw_device_ctx, get_format) and in what
// FrameMaker does with AVFrame::hw_frames_ctx; this interface stays.
// Owns the codec. Not thread-safe.
class Decoder {
 public:
  // Throws SourceError when FFmpeg has no decoder or it does not open.
  Decoder(const AVCodecParameters& parameters, TimeBase time_base, const DecoderOptions& options);

  // Call when `receive` has asked for it; null begins the end. Throws DecodeError on damaged data.
  void send(const AVPacket* packet);

  // Into `picture`, unreferenced first; cropping is applied to the pixel.
  // Throws DecodeError on damaged data.
  Pull receive(AVFrame& picture);

 private:
  ffmpeg::CodecContextPtr context_;
};

}  // namespace poseact
