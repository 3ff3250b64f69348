// SPDX-License-Identifier: Apache-2.0
#include "bindings/registers.h"

// In the order in which data flows.
PYBIND11_MODULE(_core, m) {
  using namespace poseact::bindings;
  m.doc() = "The C++ half of poseact_engine; see _core.pyi.";
  register_error(m);
  register_build(m);
  register_frame(m);
  register_decode(m);
  register_crop(m);
  register_detect(m);
  register_track(m);
  register_window(m);
}
