// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/pybind11.h>

namespace poseact::bindings {

void register_error(pybind11::module_& m);
void register_build(pybind11::module_& m);
void register_frame(pybind11::module_& m);
void register_decode(pybind11::module_& m);
void register_crop(pybind11::module_& m);
void register_detect(pybind11::module_& m);
void register_track(pybind11::module_& m);
void register_window(pybind11::module_& m);

}  // namespace poseact::bindings
