// SPDX-License-Identifier: Apache-2.0
#include "bindings/registers.h"
#include "core/error.h"

namespace py = pybind11;

namespace poseact::bindings {
namespace {

void raise_as(const char* name, const Error& error) {
  const py::object type = py::module_::import("poseact_engine.errors").attr(name);
  PyErr_SetString(type.ptr(), error.what());
}

}  // namespace

void register_error(py::module_& /*m*/) {
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
