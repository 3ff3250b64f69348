// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace poseact::bindings {

namespace py = pybind11;

inline constexpr py::ssize_t kAny = -1;  // a dimension that may have any size

// Checks dtype, C order and shape; a ShapeError "who: expected a C-contiguous float32 array [*, 4],
// got ..." otherwise. Returns the array's elements; valid as long as the caller holds `array`.
template <typename T>
std::span<const T> view(const char* who, const py::array& array,
                        std::initializer_list<py::ssize_t> shape) {
  bool ok = py::isinstance<py::array_t<T, py::array::c_style>>(array) &&
            array.ndim() == static_cast<py::ssize_t>(shape.size());
  py::ssize_t axis = 0;
  for (const py::ssize_t size : shape) {
    ok = ok && (size == kAny || array.shape(axis) == size);
    ++axis;
  }
  if (!ok) {
    std::string expected;
    for (const py::ssize_t size : shape) {
      if (!expected.empty()) expected += ", ";
      expected += size == kAny ? std::string("*") : std::to_string(size);
    }
    throw ShapeError(std::string(who) + ": expected a C-contiguous " +
                     py::str(py::dtype::of<T>()).cast<std::string>() + " array [" + expected +
                     "], got " + py::str(array.dtype()).cast<std::string>() + " " +
                     py::str(array.attr("shape")).cast<std::string>());
  }
  return {static_cast<const T*>(array.data()), static_cast<std::size_t>(array.size())};
}

// Hands a vector's memory to NumPy without a copy; the array owns it.
template <typename T>
py::array_t<T> to_array(std::vector<T> values, std::vector<py::ssize_t> shape) {
  auto owner = std::make_unique<std::vector<T>>(std::move(values));
  T* data = owner->data();
  const py::capsule keeper(owner.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  owner.release();
  return py::array_t<T>(std::move(shape), data, keeper);
}

}  // namespace poseact::bindings
