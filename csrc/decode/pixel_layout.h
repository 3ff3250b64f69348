// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/frame.h"
#include "decode/ffmpeg_compat.h"

namespace poseact {

// How the pixels of one of FFmpeg's formats become planes of ours.
struct PixelLayout {
  const AVPixFmtDescriptor* source;
  PixelFormat target;
  bool shared;  // the planes are ours already: nothing to copy
};

// Throws DecodeError for formats that hold no picture we can read (Bayer, float, GPU surfaces).
PixelLayout layout_of(const AVFrame& picture);

// Which of FFmpeg's components (Y U V or R G B) plane `p` of ours holds, its first one for nv12.
int component_of(const PixelLayout& layout, int p);

// Writes plane `p` of the target: rows `stride_bytes` apart from `out` on.
void convert_plane(const AVFrame& picture, const PixelLayout& layout, int p, std::uint8_t* out,
                   std::ptrdiff_t stride_bytes);

}  // namespace poseact
