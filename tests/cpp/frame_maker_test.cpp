// SPDX-License-Identifier: Apache-2.0
#include "decode/frame_maker.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/error.h"

namespace poseact {
namespace {

constexpr int kWidth = 35;
constexpr int kHeight = 19;

ffmpeg::FramePtr random_picture(AVPixelFormat format) {
  ffmpeg::FramePtr picture(av_frame_alloc());
  picture->format = format;
  picture->width = kWidth;
  picture->height = kHeight;
  EXPECT_EQ(av_frame_get_buffer(picture.get(), 0), 0);
  std::mt19937 random(3);
  for (int b = 0; b < AV_NUM_DATA_POINTERS && picture->buf[b] != nullptr; ++b) {
    std::generate_n(picture->buf[b]->data, picture->buf[b]->size,
                    [&] { return static_cast<std::uint8_t>(random()); });
  }
  return picture;
}

int word(const AVFrame& picture, int plane, int x, int y) {
  const std::uint8_t* const at = picture.data[plane] + y * picture.linesize[plane] + 2 * x;
  return at[0] | at[1] << 8;
}

int narrowed(int value, int depth) {
  return std::min(255, (value + (1 << (depth - 9))) >> (depth - 8));
}

TEST(FrameMaker, SharesWhatIsOursAlready) {
  for (const AVPixelFormat format : {AV_PIX_FMT_NV12, AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ422P,
                                     AV_PIX_FMT_GBRP, AV_PIX_FMT_GRAY8}) {
    FrameMaker maker(AV_CODEC_ID_H264, Orientation::normal);
    ffmpeg::FramePtr picture = random_picture(format);
    const std::uint8_t* const luma = picture->data[0];
    AVBufferRef* const witness = av_buffer_ref(picture->buf[0]);
    Frame frame = maker.make(std::move(picture));
    EXPECT_EQ(frame.planes[0].data, luma);
    EXPECT_EQ(av_buffer_get_ref_count(witness), 2);
    const Frame copy = frame;  // shares too
    frame = {};
    EXPECT_EQ(av_buffer_get_ref_count(witness), 2);
    AVBufferRef* last = witness;
    av_buffer_unref(&last);
    EXPECT_GE(copy.planes[0].data[0], 0);
  }
}

TEST(FrameMaker, NarrowsP010ToNv12) {
  FrameMaker maker(AV_CODEC_ID_HEVC, Orientation::normal);
  ffmpeg::FramePtr picture = random_picture(AV_PIX_FMT_P010LE);
  const ffmpeg::FramePtr kept(av_frame_clone(picture.get()));
  const Frame frame = maker.make(std::move(picture));
  ASSERT_EQ(frame.format, PixelFormat::nv12);
  for (int p = 0; p < 2; ++p) {
    const PlaneSize size = plane_size(frame.format, kWidth, kHeight, p);
    for (int y = 0; y < size.height; ++y) {
      for (int x = 0; x < size.width_bytes; ++x) {
        const auto& plane = frame.planes.at(static_cast<std::size_t>(p));
        // The low 6 bits of a p010 word are zero by definition; noise there must not matter much.
        const int exact = narrowed(word(*kept, p, x, y), 16);
        ASSERT_EQ(plane.data[y * plane.stride_bytes + x], exact) << p << ' ' << x << ' ' << y;
      }
    }
  }
}

TEST(FrameMaker, SplitsNv16) {
  FrameMaker maker(AV_CODEC_ID_RAWVIDEO, Orientation::normal);
  ffmpeg::FramePtr picture = random_picture(AV_PIX_FMT_NV16);
  const ffmpeg::FramePtr kept(av_frame_clone(picture.get()));
  const Frame frame = maker.make(std::move(picture));
  ASSERT_EQ(frame.format, PixelFormat::i422);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < (kWidth + 1) / 2; ++x) {
      const std::uint8_t* const uv = kept->data[1] + y * kept->linesize[1] + 2 * x;
      ASSERT_EQ(frame.planes[1].data[y * frame.planes[1].stride_bytes + x], uv[0]);
      ASSERT_EQ(frame.planes[2].data[y * frame.planes[2].stride_bytes + x], uv[1]);
    }
  }
}

TEST(FrameMaker, UsesItsMemoryAgainAndFramesOutliveIt) {
  auto maker = std::make_unique<FrameMaker>(AV_CODEC_ID_HEVC, Orientation::normal);
  const std::uint8_t* first = nullptr;
  for (int k = 0; k < 5; ++k) {
    const Frame frame = maker->make(random_picture(AV_PIX_FMT_YUV420P10LE));
    if (k == 0) first = frame.planes[0].data;
    EXPECT_EQ(frame.planes[0].data, first);
  }
  const Frame kept = maker->make(random_picture(AV_PIX_FMT_YUV420P10LE));
  maker.reset();
  int sum = 0;
  for (int y = 0; y < kHeight; ++y) sum += kept.planes[0].data[y * kept.planes[0].stride_bytes];
  EXPECT_GT(sum, 0);
}

TEST(FrameMaker, TakesTheContainersOrientationWhereAPictureHasNone) {
  FrameMaker maker(AV_CODEC_ID_H264, Orientation::rotate_90);
  EXPECT_EQ(maker.make(random_picture(AV_PIX_FMT_YUV420P)).orientation, Orientation::rotate_90);
  ffmpeg::FramePtr turned = random_picture(AV_PIX_FMT_YUV420P);
  AVFrameSideData* const side =
      av_frame_new_side_data(turned.get(), AV_FRAME_DATA_DISPLAYMATRIX, 9 * sizeof(std::int32_t));
  av_display_rotation_set(reinterpret_cast<std::int32_t*>(side->data), 180);
  EXPECT_EQ(maker.make(std::move(turned)).orientation, Orientation::rotate_180);
}

TEST(FrameMaker, RefusesForeignPixels) {
  FrameMaker maker(AV_CODEC_ID_RAWVIDEO, Orientation::normal);
  EXPECT_THROW(maker.make(random_picture(AV_PIX_FMT_BAYER_RGGB8)), DecodeError);
  EXPECT_THROW(maker.make(random_picture(AV_PIX_FMT_GRAYF32LE)), DecodeError);
  EXPECT_THROW(maker.make(random_picture(AV_PIX_FMT_XYZ12LE)), DecodeError);
  ffmpeg::FramePtr ycgco = random_picture(AV_PIX_FMT_YUV420P);
  ycgco->colorspace = AVCOL_SPC_YCGCO;
  EXPECT_THROW(maker.make(std::move(ycgco)), DecodeError);
}

}  // namespace
}  // namespace poseact
