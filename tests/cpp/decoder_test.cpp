// SPDX-License-Identifier: Apache-2.0
#include "decode/decoder.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"
#include "decode/demuxer.h"
#include "media.h"

namespace poseact {
namespace {

// Decodes everything; `damage` may change a packet on its way, by its number.
template <typename Damage>
std::vector<int> greys_of(const std::string& path, int threads, int& faults, Damage damage) {
  Interrupt interrupt;
  Demuxer demuxer(path, {}, interrupt);
  Decoder decoder(demuxer.codec_parameters(), demuxer.info().time_base, {threads});
  const ffmpeg::PacketPtr packet(av_packet_alloc());
  const ffmpeg::FramePtr picture(av_frame_alloc());
  std::vector<int> greys;
  int number = 0;
  for (;;) {
    try {
      const Pull pull = decoder.receive(*picture);
      if (pull == Pull::end) return greys;
      if (pull == Pull::frame) greys.push_back(picture->data[0][picture->linesize[0] * 20 + 20]);
      if (pull != Pull::need_packet) continue;
      if (demuxer.read(*packet) == Demuxer::Read::end) {
        decoder.send(nullptr);
        continue;
      }
      damage(number++, *packet);
      decoder.send(packet.get());
    } catch (const DecodeError&) {
      ++faults;
    }
  }
}

class DecoderTest : public ::testing::TestWithParam<std::tuple<AVCodecID, int>> {};

TEST_P(DecoderTest, GivesTheGreyStepsInOrder) {
  const auto [codec, threads] = GetParam();
  const testing::ScratchFolder folder;
  const std::string path = folder.path("clip.avi");
  testing::write_clip(path, {.codec = codec});
  int faults = 0;
  const std::vector<int> greys = greys_of(path, threads, faults, [](int, AVPacket&) {});
  ASSERT_EQ(greys.size(), 12U);
  for (int k = 0; k < 12; ++k) {
    EXPECT_NEAR(greys[static_cast<std::size_t>(k)], testing::grey_level(k),
                testing::kGreyTolerance);
  }
  EXPECT_EQ(faults, 0);
}

INSTANTIATE_TEST_SUITE_P(Codecs, DecoderTest,
                         ::testing::Combine(::testing::Values(AV_CODEC_ID_MPEG4, AV_CODEC_ID_MJPEG),
                                            ::testing::Values(1, 3)));

TEST(Decoder, DamagedPacketsAreFaultsAndTheRestIsDecoded) {
  const testing::ScratchFolder folder;
  const std::string path = folder.path("clip.avi");
  testing::write_clip(path, {.codec = AV_CODEC_ID_MJPEG});
  int faults = 0;
  const std::vector<int> greys = greys_of(path, 1, faults, [](int number, AVPacket& packet) {
    if (number == 4) packet.size = 3;  // MJPEG: every packet stands for itself
  });
  EXPECT_EQ(faults, 1);
  ASSERT_EQ(greys.size(), 11U);
  EXPECT_NEAR(greys[4], testing::grey_level(5), testing::kGreyTolerance);
}

TEST(Decoder, RefusesACodecThatNobodyHas) {
  AVCodecParameters parameters{};
  parameters.codec_type = AVMEDIA_TYPE_VIDEO;
  parameters.codec_id = AV_CODEC_ID_NONE;
  EXPECT_THROW(Decoder(parameters, {1, 25}, {}), SourceError);
}

}  // namespace
}  // namespace poseact
