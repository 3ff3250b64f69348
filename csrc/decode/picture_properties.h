// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "core/frame.h"
#include "decode/ffmpeg_compat.h"

namespace poseact {

// What a decoded picture says of its colours, and what it means where it says nothing:
// BT.709 from 720 stored lines up, BT.601 below; limited range, full for yuvj, RGB and grey still
// images; chroma sited left, centre for MJPEG. Throws DecodeError for a matrix that is none of
// ours.
ColorMatrix matrix_of(const AVFrame& picture);
ColorRange range_of(const AVFrame& picture, AVCodecID codec);
ChromaSiting siting_of(const AVFrame& picture, AVCodecID codec);

// The orientation of a display matrix (nine numbers as libavutil/display.h says, or null: normal).
// Angles that are no multiple of 90 degrees go to the nearest one.
Orientation orientation_of(const std::int32_t* matrix);

// A picture's own display matrix (EXIF, H.264 and HEVC messages), or null.
const std::int32_t* display_matrix_of(const AVFrame& picture);

}  // namespace poseact
