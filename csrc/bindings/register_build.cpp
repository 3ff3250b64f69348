// SPDX-License-Identifier: Apache-2.0
#include "bindings/registers.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
}

namespace poseact::bindings {
namespace py = pybind11;

// What was compiled in, for `poseact doctor`.
py::dict build_info() {
  py::dict info;
  info["compiler"] = __VERSION__;
  info["ffmpeg"] = av_version_info();
  info["cuda"] = false;
  return info;
}

void register_build(py::module_& m) {
  m.def("build_info", &build_info, "What was compiled in and which FFmpeg runs.");
}

}  // namespace poseact::bindings
