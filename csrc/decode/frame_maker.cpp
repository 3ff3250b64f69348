// SPDX-License-Identifier: Apache-2.0
#include "decode/frame_maker.h"

#include <memory>
#include <utility>

#include "decode/picture_properties.h"
#include "decode/pixel_layout.h"

namespace poseact {
namespace {

constexpr std::size_t kAlign = 64;  // rows begin on a cache line

std::size_t padded(int bytes) {
  return (static_cast<std::size_t>(bytes) + kAlign - 1) & ~(kAlign - 1);
}

}  // namespace

FrameMaker::FrameMaker(AVCodecID codec, Orientation orientation)
    : codec_(codec), orientation_(orientation) {}

Frame FrameMaker::make(ffmpeg::FramePtr picture) {
  const PixelLayout layout = layout_of(*picture);
  Frame frame;
  frame.format = layout.target;
  frame.matrix = matrix_of(*picture);
  frame.range = range_of(*picture, codec_);
  frame.siting = siting_of(*picture, codec_);
  const std::int32_t* const matrix = display_matrix_of(*picture);
  frame.orientation = matrix != nullptr ? orientation_of(matrix) : orientation_;
  frame.width = picture->width;
  frame.height = picture->height;
  if (layout.shared) {
    for (int p = 0; p < plane_count(frame.format); ++p) {
      const int from = layout.source->comp[component_of(layout, p)].plane;
      frame.planes.at(static_cast<std::size_t>(p)) = {picture->data[from], picture->linesize[from]};
    }
    frame.owner = std::shared_ptr<AVFrame>(std::move(picture));
    return frame;
  }
  std::uint8_t* at = allocate(frame);
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const PlaneSize size = plane_size(frame.format, frame.width, frame.height, p);
    const std::size_t stride = padded(size.width_bytes);
    convert_plane(*picture, layout, p, at, static_cast<std::ptrdiff_t>(stride));
    frame.planes.at(static_cast<std::size_t>(p)) = {at, static_cast<std::ptrdiff_t>(stride)};
    at += stride * static_cast<std::size_t>(size.height);
  }
  return frame;
}

// Memory for all planes of the frame, which owns it from here on.
std::uint8_t* FrameMaker::allocate(Frame& frame) {
  std::size_t bytes = kAlign;
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const PlaneSize size = plane_size(frame.format, frame.width, frame.height, p);
    bytes += padded(size.width_bytes) * static_cast<std::size_t>(size.height);
  }
  if (!pool_ || pool_bytes_ != bytes) {
    pool_.reset(ffmpeg::not_null(av_buffer_pool_init(bytes, nullptr)));
    pool_bytes_ = bytes;
  }
  ffmpeg::BufferPtr buffer(ffmpeg::not_null(av_buffer_pool_get(pool_.get())));
  std::uint8_t* const data = buffer->data;
  frame.owner = std::shared_ptr<AVBufferRef>(std::move(buffer));
  return data;
}

}  // namespace poseact
