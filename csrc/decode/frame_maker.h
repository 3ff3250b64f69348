// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/frame.h"
#include "decode/ffmpeg_handles.h"

namespace poseact {

// Makes Frames of decoded pictures, for one stream.
//   8-bit nv12, 4:2:0, 4:2:2, 4:4:4, planar RGB, grey     shared, no pixel is copied
//   deeper ones                                           min(255, (v + half) >> (depth - 8))
//   packed and palette RGB                                planes G, B, R, matrix identity
//   other layouts (4:1:1, 4:4:0, yuyv422, 1 bit, ...)     i420, i422 or i444; chroma repeated where
//                                                         none of these fits
// Alpha is dropped. Copies go to memory that is used again once the frames are gone.
// Not thread-safe; the frames are, and outlive it.
class FrameMaker {
 public:
  // `orientation`: the container's, where a picture has none of its own.
  FrameMaker(AVCodecID codec, Orientation orientation);

  // All of a Frame but stream, index and time. Throws DecodeError for pixels that are none of ours.
  Frame make(ffmpeg::FramePtr picture);

 private:
  std::uint8_t* allocate(Frame& frame);

  AVCodecID codec_;
  Orientation orientation_;
  ffmpeg::BufferPoolPtr pool_;
  std::size_t pool_bytes_ = 0;
};

}  // namespace poseact
