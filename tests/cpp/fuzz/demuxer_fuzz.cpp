// SPDX-License-Identifier: Apache-2.0
// Any bytes at all: they are a source, or a SourceError; what decodes becomes frames of our
// formats.
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/error.h"
#include "decode/decoder.h"
#include "decode/demuxer.h"
#include "decode/frame_maker.h"

namespace poseact {
namespace {

constexpr int kMostSteps = 200;  // a damaged file may promise millions of frames
constexpr std::int64_t kMostPixels = 1 << 20;

// False: the end. Damaged packets are DecodeErrors, as in a Reader.
bool step(Demuxer& demuxer, Decoder& decoder, FrameMaker& maker, AVPacket& packet) {
  ffmpeg::FramePtr picture(ffmpeg::not_null(av_frame_alloc()));
  const Pull pull = decoder.receive(*picture);
  if (pull == Pull::end) return false;
  if (pull == Pull::frame) {
    static_cast<void>(maker.make(std::move(picture)));
    return true;
  }
  const Demuxer::Read read = demuxer.read(packet);
  if (read == Demuxer::Read::packet) decoder.send(&packet);
  return read != Demuxer::Read::end;
}

void fuzz(std::span<const std::uint8_t> bytes) {
  Interrupt interrupt;
  Demuxer demuxer(bytes, "fuzz", interrupt);
  const StreamInfo& info = demuxer.info();
  if (std::int64_t{info.width} * info.height > kMostPixels) return;
  Decoder decoder(demuxer.codec_parameters(), info.time_base, {});
  FrameMaker maker(demuxer.codec_parameters().codec_id, info.orientation);
  const ffmpeg::PacketPtr packet(ffmpeg::not_null(av_packet_alloc()));
  for (int k = 0; k < kMostSteps; ++k) {
    try {
      if (!step(demuxer, decoder, maker, *packet)) return;
    } catch (const DecodeError&) {
      continue;
    }
  }
}

}  // namespace
}  // namespace poseact

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    poseact::fuzz({data, size});
  } catch (const poseact::SourceError&) {
    return 0;
  }
  return 0;
}
