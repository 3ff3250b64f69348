// SPDX-License-Identifier: Apache-2.0
// Writes the fuzzer's seeds, one small clip of each container and codec, into the folder given.
#include <cstdio>

#include "media.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz_corpus FOLDER\n", stderr);
    return 2;
  }
  std::filesystem::create_directories(argv[1]);
  const std::string folder = std::string(argv[1]) + "/";
  for (const char* ending : {"mp4", "mkv", "avi", "ts"}) {
    poseact::testing::write_clip(folder + "mpeg4." + ending,
                                 {.frames = 3, .width = 32, .height = 32});
  }
  for (const char* ending : {"mp4", "mkv", "avi"}) {
    poseact::testing::write_clip(
        folder + "mjpeg." + ending,
        {.frames = 2, .width = 32, .height = 32, .codec = AV_CODEC_ID_MJPEG});
  }
  return 0;
}
