// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "bindings/registers.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/ffversion.h>
}

namespace poseact::bindings {
namespace py = pybind11;

namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

std::string dotted(unsigned version) {
  return std::to_string(AV_VERSION_MAJOR(version)) + "." +
         std::to_string(AV_VERSION_MINOR(version)) + "." +
         std::to_string(AV_VERSION_MICRO(version));
}

py::dict versions(unsigned built, unsigned running) {
  py::dict pair;
  pair["built"] = dotted(built);
  pair["running"] = dotted(running);
  return pair;
}

py::dict ffmpeg_libraries() {
  py::dict libraries;
  libraries["libavformat"] = versions(LIBAVFORMAT_VERSION_INT, avformat_version());
  libraries["libavcodec"] = versions(LIBAVCODEC_VERSION_INT, avcodec_version());
  libraries["libavutil"] = versions(LIBAVUTIL_VERSION_INT, avutil_version());
  return libraries;
}

// What this CPU has and its system lets a process use; empty on other architectures.
py::dict cpu_features() {
  py::dict features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features["avx2"] = __builtin_cpu_supports("avx2") != 0;
  features["fma"] = __builtin_cpu_supports("fma") != 0;
  features["avx512f"] = __builtin_cpu_supports("avx512f") != 0;
  features["avx512bw"] = __builtin_cpu_supports("avx512bw") != 0;
  features["avx512vbmi"] = __builtin_cpu_supports("avx512vbmi") != 0;
  features["avx512vnni"] = __builtin_cpu_supports("avx512vnni") != 0;
#endif
  return features;
}

// What was compiled in and what runs, for `poseact doctor`.
py::dict build_info() {
  py::dict info;
  info["compiler"] = kCompiler;
  info["cuda"] = false;
  info["ffmpeg_built"] = FFMPEG_VERSION;
  info["ffmpeg"] = av_version_info();
  info["ffmpeg_libraries"] = ffmpeg_libraries();
  info["cpu_features"] = cpu_features();
  return info;
}

}  // namespace

void register_build(py::module_& m) {
  m.def("build_info", &build_info, "What was compiled in, and which FFmpeg and CPU it runs on.");
}

}  // namespace poseact::bindings
