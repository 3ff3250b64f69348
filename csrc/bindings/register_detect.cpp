// SPDX-License-Identifier: Apache-2.0
#include "bindings/registers.h"

namespace poseact::bindings {

void register_detect(pybind11::module_& m) { static_cast<void>(m); }

}  // namespace poseact::bindings
