// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <new>
#include <string>

#include "decode/ffmpeg_compat.h"

namespace poseact::ffmpeg {

// Every handle of FFmpeg's has one owner, and that is one of these.
struct FreePacket {
  void operator()(AVPacket* p) const { av_packet_free(&p); }
};
struct FreeFrame {
  void operator()(AVFrame* p) const { av_frame_free(&p); }
};
struct FreeCodecContext {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
};
struct CloseInput {
  void operator()(AVFormatContext* p) const { avformat_close_input(&p); }
};
struct FreeIo {  // a context of our own: its buffer is ours to free, and may have been replaced
  void operator()(AVIOContext* p) const {
    av_freep(&p->buffer);
    avio_context_free(&p);
  }
};
struct UninitPool {  // the memory goes when the last buffer of the pool comes back
  void operator()(AVBufferPool* p) const { av_buffer_pool_uninit(&p); }
};
struct UnrefBuffer {
  void operator()(AVBufferRef* p) const { av_buffer_unref(&p); }
};

using PacketPtr = std::unique_ptr<AVPacket, FreePacket>;
using FramePtr = std::unique_ptr<AVFrame, FreeFrame>;
using CodecContextPtr = std::unique_ptr<AVCodecContext, FreeCodecContext>;
using InputPtr = std::unique_ptr<AVFormatContext, CloseInput>;
using IoPtr = std::unique_ptr<AVIOContext, FreeIo>;
using BufferPoolPtr = std::unique_ptr<AVBufferPool, UninitPool>;
using BufferPtr = std::unique_ptr<AVBufferRef, UnrefBuffer>;

// FFmpeg answers "out of memory" with a null pointer.
template <typename T>
T* not_null(T* pointer) {
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

inline std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof text);
  return text;
}

}  // namespace poseact::ffmpeg
