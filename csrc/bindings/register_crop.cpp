// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/frame_names.h"
#include "bindings/registers.h"
#include "crop/crop.h"

namespace poseact::bindings {
namespace {

constexpr const char* kWho = "crop";
inline constexpr std::array<std::string_view, 3> kPaths{"scalar", "avx2", "avx512"};

static_assert(sizeof(Window) == 4 * sizeof(double), "a row of the windows array is a Window");

CropPath pick_path(const std::optional<std::string>& name) {
  const std::vector<CropPath> usable = crop_paths();
  if (!name) return usable.back();
  const auto path = parse_name<CropPath>(kWho, kPaths, *name);
  if (std::ranges::find(usable, path) == usable.end()) {
    throw ConfigError("crop: expected a path this CPU can run (see crop_paths()), got '" + *name +
                      "'");
  }
  return path;
}

// The caller's array when given (checked), a new one otherwise.
py::array_t<std::uint8_t> output(const std::optional<py::array>& out, py::ssize_t count,
                                 const CropShape& shape) {
  if (!out)
    return py::array_t<std::uint8_t>(
        {count, py::ssize_t{3}, py::ssize_t{shape.height}, py::ssize_t{shape.width}});
  static_cast<void>(view<std::uint8_t>("crop: out", *out, {count, 3, shape.height, shape.width}));
  if (!out->writeable()) throw ShapeError("crop: out: expected a writable array");
  return py::reinterpret_borrow<py::array_t<std::uint8_t>>(*out);
}

py::array_t<std::uint8_t> crop_batch(const FrameBatch& frames, const py::array& frame,
                                     const py::array& windows, std::int32_t height,
                                     std::int32_t width, std::array<std::uint8_t, 3> border,
                                     const std::optional<py::array>& out,
                                     const std::optional<std::string>& path) {
  const CropShape shape{height, width, border};
  const auto rows = view<std::int32_t>("crop: frame", frame, {kAny});
  const auto numbers = view<double>("crop: windows", windows, {frame.shape(0), 4});
  if (height < 1 || width < 1) {
    throw ConfigError("crop: expected height and width of 1 or more, got " +
                      std::to_string(height) + " x " + std::to_string(width));
  }
  const CropPath chosen = pick_path(path);
  py::array_t<std::uint8_t> result = output(out, frame.shape(0), shape);
  const std::span<std::uint8_t> bytes{result.mutable_data(),
                                      static_cast<std::size_t>(result.size())};
  // A Window is four doubles, so the array's rows are Windows.
  const std::span<const Window> parsed{reinterpret_cast<const Window*>(numbers.data()),
                                       numbers.size() / 4};
  {
    const py::gil_scoped_release nogil;
    crop(frames, rows, parsed, shape, bytes, chosen);
  }
  return result;
}

}  // namespace

void register_crop(py::module_& m) {
  using namespace pybind11::literals;
  m.def("crop", &crop_batch, "frames"_a, "frame"_a, "windows"_a, py::kw_only(), "height"_a,
        "width"_a, "border"_a, "out"_a = py::none(), "path"_a = py::none(),
        "Windows of frames, resampled from their planes, as uint8 RGB [M, 3, height, width].\n\n"
        "frame: int32 [M], index into frames. windows: float64 [M, 4], ax bx ay by: displayed "
        "source\n"
        "pixel = a * destination pixel + b (pixel indices). border: RGB outside the frame. out: "
        "array\n"
        "to fill and return. path: one of crop_paths(), None for the fastest; results are equal.");
  m.def(
      "crop_paths",
      [] {
        std::vector<std::string> names;
        for (const CropPath path : crop_paths()) names.push_back(name_of(kPaths, path));
        return names;
      },
      "Ways to compute crops that this CPU can run, slowest first.");
}

}  // namespace poseact::bindings
