// SPDX-License-Identifier: Apache-2.0
#include "decode/demuxer.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "media.h"

namespace poseact {
namespace {

int packets_of(Demuxer& demuxer) {
  const ffmpeg::PacketPtr packet(av_packet_alloc());
  int packets = 0;
  for (;;) {
    const Demuxer::Read read = demuxer.read(*packet);
    if (read == Demuxer::Read::end) return packets;
    packets += read == Demuxer::Read::packet ? 1 : 0;
  }
}

class DemuxerTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::string made() {
    const std::string path = folder_.path(std::string("clip.") + GetParam());
    testing::write_clip(path, {});
    return path;
  }
  testing::ScratchFolder folder_;
  Interrupt interrupt_;
};

TEST_P(DemuxerTest, GivesEveryPacketFromFileAndMemory) {
  const std::string path = made();
  Demuxer file(path, {}, interrupt_);
  EXPECT_EQ(file.info().codec, "mpeg4");
  EXPECT_EQ(file.info().width, 64);
  EXPECT_EQ(file.info().fps_num, 25 * file.info().fps_den);
  EXPECT_EQ(packets_of(file), 12);
  EXPECT_FALSE(file.truncated());
  const std::vector<std::uint8_t> bytes = testing::read_file(path);
  Demuxer memory(bytes, "memory", interrupt_);
  EXPECT_EQ(packets_of(memory), 12);
}

// Whatever is cut off or overwritten, reading ends, and nothing outside the bytes is touched.
TEST_P(DemuxerTest, SurvivesAnyCutAndAnyOverwrittenStretch) {
  const std::vector<std::uint8_t> whole = testing::read_file(made());
  for (std::size_t cut = 0; cut < whole.size(); cut += 1 + whole.size() / 40) {
    std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
    std::vector<std::uint8_t> holed = whole;
    for (std::size_t k = cut; k < std::min(cut + 40, holed.size()); ++k) holed[k] ^= 0x5A;
    for (const auto& bytes : {part, holed}) {
      try {
        Demuxer demuxer(bytes, "damaged", interrupt_);
        EXPECT_LE(packets_of(demuxer), 200);
      } catch (const SourceError& e) {
        EXPECT_NE(std::string(e.what()).find("expected"), std::string::npos);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Containers, DemuxerTest, ::testing::Values("mp4", "mkv", "avi", "ts"));

TEST(Demuxer, RefusesWhatIsNoVideo) {
  const testing::ScratchFolder folder;
  Interrupt interrupt;
  EXPECT_THROW(Demuxer(folder.path("absent.mp4"), {}, interrupt), SourceError);
  EXPECT_THROW(Demuxer(folder.path(""), {}, interrupt), SourceError);
  EXPECT_THROW(Demuxer("/dev/zero", {}, interrupt), SourceError);
  testing::write_file(folder.path("empty.mp4"), {});
  EXPECT_THROW(Demuxer(folder.path("empty.mp4"), {}, interrupt), SourceError);
  testing::write_file(folder.path("notes.txt"), std::vector<std::uint8_t>(500, 'x'));
  EXPECT_THROW(Demuxer(folder.path("notes.txt"), {}, interrupt), SourceError);
}

TEST(Demuxer, StopEndsReading) {
  const testing::ScratchFolder folder;
  const std::string path = folder.path("clip.mkv");
  testing::write_clip(path, {.frames = 200});
  Interrupt interrupt;
  Demuxer demuxer(path, {}, interrupt);
  interrupt.stop();
  EXPECT_EQ(packets_of(demuxer), 0);
}

}  // namespace
}  // namespace poseact
