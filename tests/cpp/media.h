// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "decode/ffmpeg_handles.h"

namespace poseact::testing {

// How a clip is made: `frames` pictures of the grey levels grey_level(0), grey_level(1), ...
struct ClipOptions {
  int frames = 12;
  int width = 64;
  int height = 48;
  int fps = 25;
  AVCodecID codec = AV_CODEC_ID_MPEG4;  // built into libavcodec, as is MJPEG
};

// Far enough apart that a lossy codec cannot swap two frames.
constexpr int kGreyFirst = 24;
constexpr int kGreyStep = 16;
constexpr double kGreyTolerance = 4;
constexpr int grey_level(int index) { return kGreyFirst + kGreyStep * (index % 13); }

// Writes the clip with libavcodec and libavformat; the file's ending says the container.
void write_clip(const std::string& path, const ClipOptions& options);

std::vector<std::uint8_t> read_file(const std::string& path);
void write_file(const std::string& path, const std::vector<std::uint8_t>& bytes);

// A folder that goes with its owner.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

 private:
  std::filesystem::path folder_;
};

}  // namespace poseact::testing
