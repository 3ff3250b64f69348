// SPDX-License-Identifier: Apache-2.0
#include <exception>
#include <string_view>

#include "bindings/registers.h"
#include "core/error.h"

namespace py = pybind11;

namespace poseact::bindings {
namespace {

// A message may hold a path or a tag of any bytes: what is not UTF-8 is replaced, for otherwise
// Python would raise UnicodeDecodeError instead of the error.
void raise_as(const char* name, const Error& error) {
  const std::string_view what = error.what();
  const py::object type = py::module_::import("poseact_engine.errors").attr(name);
  const auto text = py::reinterpret_steal<py::object>(
      PyUnicode_DecodeUTF8(what.data(), static_cast<py::ssize_t>(what.size()), "replace"));
  if (text) PyErr_SetObject(type.ptr(), text.ptr());
}

}  // namespace

void register_error(py::module_& /*m*/) {
  // NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11 fixes the signature
  py::register_local_exception_translator([](std::exception_ptr pending) {
    try {
      if (pending) std::rethrow_exception(pending);
    } catch (const ConfigError& e) {
      raise_as("ConfigError", e);
    } catch (const ShapeError& e) {
      raise_as("ShapeError", e);
    } catch (const SourceError& e) {
      raise_as("SourceError", e);
    } catch (const DecodeError& e) {
      raise_as("DecodeError", e);
    } catch (const Error& e) {
      raise_as("PoseActError", e);
    }
  });
}

}  // namespace poseact::bindings
