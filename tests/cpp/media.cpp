// SPDX-License-Identifier: Apache-2.0
#include "media.h"

#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace poseact::testing {
namespace {

void check(int code) {
  if (code < 0) throw std::runtime_error("media: " + ffmpeg::error_text(code));
}

struct CloseOutput {
  void operator()(AVFormatContext* p) const {
    avio_closep(&p->pb);
    avformat_free_context(p);
  }
};
using OutputPtr = std::unique_ptr<AVFormatContext, CloseOutput>;

ffmpeg::CodecContextPtr open_encoder(const ClipOptions& o, bool global_header) {
  const AVCodec* const codec = ffmpeg::not_null(avcodec_find_encoder(o.codec));
  ffmpeg::CodecContextPtr encoder(avcodec_alloc_context3(codec));
  encoder->width = o.width;
  encoder->height = o.height;
  const bool full_range = o.codec == AV_CODEC_ID_MJPEG;
  encoder->pix_fmt = full_range ? AV_PIX_FMT_YUVJ420P : AV_PIX_FMT_YUV420P;
  encoder->time_base = {1, o.fps};
  encoder->framerate = {o.fps, 1};
  encoder->gop_size = 6;
  encoder->bit_rate = 400000;
  if (global_header) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  check(avcodec_open2(encoder.get(), codec, nullptr));
  return encoder;
}

ffmpeg::FramePtr grey_picture(const AVCodecContext& encoder, int index) {
  ffmpeg::FramePtr picture(av_frame_alloc());
  picture->format = encoder.pix_fmt;
  picture->width = encoder.width;
  picture->height = encoder.height;
  picture->pts = index;
  check(av_frame_get_buffer(picture.get(), 0));
  for (int p = 0; p < 3; ++p) {
    const int rows = p == 0 ? encoder.height : (encoder.height + 1) / 2;
    const int value = p == 0 ? grey_level(index) : 128;
    std::memset(picture->data[p], value,
                static_cast<std::size_t>(picture->linesize[p]) * static_cast<std::size_t>(rows));
  }
  return picture;
}

void drain(AVCodecContext& encoder, AVFormatContext& output) {
  const ffmpeg::PacketPtr packet(av_packet_alloc());
  while (avcodec_receive_packet(&encoder, packet.get()) == 0) {
    av_packet_rescale_ts(packet.get(), encoder.time_base, output.streams[0]->time_base);
    packet->stream_index = 0;
    check(av_interleaved_write_frame(&output, packet.get()));
  }
}

}  // namespace

void write_clip(const std::string& path, const ClipOptions& options) {
  AVFormatContext* made = nullptr;
  check(avformat_alloc_output_context2(&made, nullptr, nullptr, path.c_str()));
  const OutputPtr output(made);
  const bool global_header = (output->oformat->flags & AVFMT_GLOBALHEADER) != 0;
  const ffmpeg::CodecContextPtr encoder = open_encoder(options, global_header);
  AVStream* const stream = ffmpeg::not_null(avformat_new_stream(output.get(), nullptr));
  stream->time_base = encoder->time_base;
  stream->avg_frame_rate = encoder->framerate;
  check(avcodec_parameters_from_context(stream->codecpar, encoder.get()));
  check(avio_open(&output->pb, path.c_str(), AVIO_FLAG_WRITE));
  check(avformat_write_header(output.get(), nullptr));
  for (int k = 0; k < options.frames; ++k) {
    check(avcodec_send_frame(encoder.get(), grey_picture(*encoder, k).get()));
    drain(*encoder, *output);
  }
  check(avcodec_send_frame(encoder.get(), nullptr));
  drain(*encoder, *output);
  check(av_write_trailer(output.get()));
}

std::vector<std::uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

ScratchFolder::ScratchFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "poseact-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("media: no temporary folder");
  folder_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

}  // namespace poseact::testing

#ifdef __SANITIZE_THREAD__
// FFmpeg's libraries are not instrumented, so ThreadSanitizer does not see the atomics by which
// they count references; what it reports of their own memory is no race. Ours is watched.
// NOLINTNEXTLINE(bugprone-reserved-identifier): the name is the sanitizer's
extern "C" const char* __tsan_default_suppressions() {
  return "race:libavcodec.so\nrace:libavformat.so\nrace:libavutil.so\n";
}
#endif
