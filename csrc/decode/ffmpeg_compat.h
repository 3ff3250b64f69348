// SPDX-License-Identifier: Apache-2.0
#pragma once

// Everything that differs between FFmpeg 5.1 and 8 stands here and nowhere else.

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
}

#include <cstddef>
#include <cstdint>

#if LIBAVCODEC_VERSION_INT < AV_VERSION_INT(59, 37, 100)
#error "poseact_engine needs FFmpeg 5.1 or newer (libavcodec 59.37)"
#endif

namespace poseact::ffmpeg {

// AVFrame::pkt_duration became AVFrame::duration in 6.0 and is gone since 7.0.
inline std::int64_t duration_of(const AVFrame& frame) {
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
  return frame.duration;
#else
  return frame.pkt_duration;
#endif
}

// The stream's 3 x 3 display matrix or null. Side data moved from AVStream to AVCodecParameters in
// 6.1; the old function is gone since 8.
inline const std::int32_t* display_matrix_of(const AVStream& stream) {
  constexpr std::size_t kBytes = 9 * sizeof(std::int32_t);
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
  const AVPacketSideData* const side =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  if (side == nullptr || side->size < kBytes) return nullptr;
  return reinterpret_cast<const std::int32_t*>(side->data);
#else
  std::size_t size = 0;
  const std::uint8_t* const data =
      av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (data == nullptr || size < kBytes) return nullptr;
  return reinterpret_cast<const std::int32_t*>(data);
#endif
}

}  // namespace poseact::ffmpeg
