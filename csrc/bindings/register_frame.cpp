// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <tuple>

#include "bindings/arrays.h"
#include "bindings/frame_names.h"
#include "bindings/registers.h"

namespace poseact::bindings {
namespace {

using Pair = std::tuple<std::int32_t, std::int32_t>;

// Keeps Python's arrays alive for a frame; they may be let go of on any thread, so under the GIL.
// A frame that outlives the interpreter (a queue at exit) leaves them: there is no GIL to take.
std::shared_ptr<const void> keep(py::object object) {
  return {object.release().ptr(), [](PyObject* p) {
            if (Py_IsInitialized() == 0) return;
            const py::gil_scoped_acquire gil;
            Py_DECREF(p);
          }};
}

void set_time(Frame& frame, std::int64_t pts, Pair time_base, std::int32_t stream,
              std::int64_t index) {
  frame.pts = pts;
  frame.time_base = {std::get<0>(time_base), std::get<1>(time_base)};
  check_time_base(frame.time_base);
  frame.stream = stream;
  frame.index = index;
}

void set_plane(Frame& frame, int p, const py::array& array) {
  const PlaneSize size = plane_size(frame.format, frame.width, frame.height, p);
  const bool ok = py::isinstance<py::array_t<std::uint8_t>>(array) && array.ndim() == 2 &&
                  array.shape(0) == size.height && array.shape(1) == size.width_bytes &&
                  (array.strides(1) == 1 || size.width_bytes == 1);
  if (!ok) {
    throw ShapeError("Frame: expected plane " + std::to_string(p) + " as uint8 [" +
                     std::to_string(size.height) + ", " + std::to_string(size.width_bytes) +
                     "] with contiguous rows, got " + py::str(array.dtype()).cast<std::string>() +
                     " " + py::str(array.attr("shape")).cast<std::string>());
  }
  frame.planes.at(static_cast<std::size_t>(p)) = {static_cast<const std::uint8_t*>(array.data()),
                                                  array.strides(0)};
}

// The planes as a tuple of our own: the caller may change its list, and what is not an array would
// be converted into one that nobody holds.
py::tuple own_planes(const py::list& planes, std::string_view format, int count) {
  if (static_cast<int>(planes.size()) != count) {
    throw ShapeError("Frame: expected " + std::to_string(count) + " planes for " +
                     std::string(format) + ", got " + std::to_string(planes.size()));
  }
  for (const py::handle plane : planes) {
    if (!py::isinstance<py::array>(plane)) {
      throw ShapeError("Frame: expected planes as NumPy arrays, got " +
                       py::str(py::type::of(plane)).cast<std::string>());
    }
  }
  return py::tuple(planes);
}

void set_size(Frame& frame, const py::array& luma) {
  constexpr py::ssize_t kMost = 1 << 16;  // beyond what any codec has; keeps sizes in int
  if (luma.ndim() != 2 || luma.size() == 0 || luma.shape(0) > kMost || luma.shape(1) > kMost) {
    throw ShapeError("Frame: expected plane 0 as uint8 [height, width], 1 to 65536 each, got " +
                     py::str(luma.attr("shape")).cast<std::string>());
  }
  frame.height = static_cast<std::int32_t>(luma.shape(0));
  frame.width = static_cast<std::int32_t>(luma.shape(1));
}

Frame from_planes(const py::list& planes, std::string_view format, std::string_view matrix,
                  std::string_view range, std::string_view siting, std::string_view orientation,
                  std::int64_t pts, Pair time_base, std::int32_t stream, std::int64_t index) {
  Frame frame;
  frame.format = parse_name<PixelFormat>("Frame format", kFormats, format);
  frame.matrix = parse_name<ColorMatrix>("Frame matrix", kMatrices, matrix);
  frame.range = parse_name<ColorRange>("Frame range", kRanges, range);
  frame.siting = parse_name<ChromaSiting>("Frame siting", kSitings, siting);
  frame.orientation = parse_name<Orientation>("Frame orientation", kOrientations, orientation);
  if (frame.matrix == ColorMatrix::identity && frame.format != PixelFormat::i444) {
    throw ConfigError("Frame: expected format i444 (planes G, B, R) with matrix identity, got " +
                      std::string(format));
  }
  const int count = plane_count(frame.format);
  const py::tuple arrays = own_planes(planes, format, count);
  set_size(frame, py::reinterpret_borrow<py::array>(arrays[0]));
  for (int p = 0; p < count; ++p) {
    set_plane(frame, p, py::reinterpret_borrow<py::array>(arrays[static_cast<std::size_t>(p)]));
  }
  set_time(frame, pts, time_base, stream, index);
  frame.owner = keep(arrays);
  return frame;
}

Frame from_rgb(const py::array& rgb, std::int64_t pts, Pair time_base, std::int32_t stream,
               std::int64_t index) {
  const auto bytes = view<std::uint8_t>("Frame.from_rgb", rgb, {kAny, kAny, 3});
  const auto height = static_cast<int>(rgb.shape(0));
  const auto width = static_cast<int>(rgb.shape(1));
  Frame frame = [&] {
    const py::gil_scoped_release nogil;
    return frame_from_rgb(bytes, width, height);
  }();
  set_time(frame, pts, time_base, stream, index);
  return frame;
}

// Read-only views of the planes; each holds the frame.
py::list planes_of(const py::object& self) {
  const auto& frame = self.cast<const Frame&>();
  if (frame.device != Device::cpu) {
    throw ConfigError("Frame.planes: expected a frame in CPU memory, got one on cuda");
  }
  py::list result;
  for (int p = 0; p < plane_count(frame.format); ++p) {
    const PlaneSize size = plane_size(frame.format, frame.width, frame.height, p);
    const Plane& plane = frame.planes.at(static_cast<std::size_t>(p));
    py::array_t<std::uint8_t> array({py::ssize_t{size.height}, py::ssize_t{size.width_bytes}},
                                    {py::ssize_t{plane.stride_bytes}, py::ssize_t{1}}, plane.data,
                                    self);
    array.attr("flags").attr("writeable") = false;
    result.append(array);
  }
  return result;
}

template <typename T, typename Get>
py::array_t<T> column(const FrameBatch& batch, Get get) {
  std::vector<T> values;
  values.reserve(batch.frames.size());
  for (const Frame& frame : batch.frames) values.push_back(get(frame));
  const auto count = static_cast<py::ssize_t>(values.size());
  return to_array(std::move(values), {count});
}

template <typename Get>
py::array_t<std::int32_t> pairs(const FrameBatch& batch, Get get) {
  std::vector<std::int32_t> values;
  for (const Frame& frame : batch.frames) {
    const auto [first, second] = get(frame);
    values.insert(values.end(), {first, second});
  }
  return to_array(std::move(values), {static_cast<py::ssize_t>(batch.frames.size()), 2});
}

const Frame& at(const FrameBatch& batch, std::int64_t i) {
  const auto size = static_cast<std::int64_t>(batch.frames.size());
  if (i < -size || i >= size) {
    throw py::index_error("FrameBatch: expected an index below " + std::to_string(size) + ", got " +
                          std::to_string(i));
  }
  return batch.frames[static_cast<std::size_t>(i < 0 ? i + size : i)];
}

FrameBatch select(const FrameBatch& batch, const py::array& rows) {
  FrameBatch chosen;
  for (const std::int32_t row : view<std::int32_t>("FrameBatch.select", rows, {kAny})) {
    chosen.frames.push_back(at(batch, row));
  }
  return chosen;
}

double seconds(const Frame& f) {
  return static_cast<double>(f.pts) * f.time_base.num / f.time_base.den;
}

template <typename Enum, std::size_t N>
auto name_getter(Enum Frame::* field, const std::array<std::string_view, N>& names) {
  return [field, &names](const Frame& f) { return name_of(names, f.*field); };
}

template <typename T>
auto column_getter(T Frame::* field) {
  return [field](const FrameBatch& batch) {
    return column<T>(batch, [field](const Frame& f) { return f.*field; });
  };
}

Pair time_base_of(const Frame& f) { return {f.time_base.num, f.time_base.den}; }
Pair shown_size(const Frame& f) { return {f.shown_width(), f.shown_height()}; }
Pair stored_size(const Frame& f) { return {f.width, f.height}; }

void register_one(py::module_& m) {
  using namespace pybind11::literals;
  py::class_<Frame>(m, "Frame", py::is_final())
      .def_static("from_planes", &from_planes, "planes"_a, py::kw_only(), "format"_a, "matrix"_a,
                  "range"_a, "siting"_a = "left", "orientation"_a = "normal", "pts"_a = 0,
                  "time_base"_a = Pair{1, 1}, "stream"_a = 0, "index"_a = 0,
                  "A frame that reads the given uint8 arrays [rows, bytes] in place, no copy; do "
                  "not write to them while the frame lives.")
      .def_static("from_rgb", &from_rgb, "rgb"_a, py::kw_only(), "pts"_a = 0,
                  "time_base"_a = Pair{1, 1}, "stream"_a = 0, "index"_a = 0,
                  "A frame from uint8 RGB [H, W, 3], copied into G, B, R planes without loss.")
      .def_property_readonly("planes", &planes_of, "Read-only uint8 views [rows, bytes], no copy.")
      .def_property_readonly("format", name_getter(&Frame::format, kFormats))
      .def_property_readonly("matrix", name_getter(&Frame::matrix, kMatrices))
      .def_property_readonly("range", name_getter(&Frame::range, kRanges))
      .def_property_readonly("siting", name_getter(&Frame::siting, kSitings))
      .def_property_readonly("orientation", name_getter(&Frame::orientation, kOrientations))
      .def_property_readonly("device", name_getter(&Frame::device, kDevices))
      .def_property_readonly("stored_size", &stored_size, "(width, height) as stored.")
      .def_property_readonly("size", &shown_size, "(width, height) as displayed.")
      .def_property_readonly("time_base", &time_base_of)
      .def_readonly("pts", &Frame::pts)
      .def_readonly("stream", &Frame::stream)
      .def_readonly("index", &Frame::index);
}

void register_batch(py::module_& m) {
  using namespace pybind11::literals;
  py::class_<FrameBatch>(m, "FrameBatch", py::is_final())
      .def(py::init([](std::vector<Frame> frames) { return FrameBatch{std::move(frames)}; }),
           "frames"_a)
      .def("__len__", [](const FrameBatch& b) { return b.frames.size(); })
      .def("__getitem__", &at, "index"_a, py::pos_only())
      .def_property_readonly("stream", column_getter(&Frame::stream), "int32 [F].")
      .def_property_readonly("index", column_getter(&Frame::index), "int64 [F].")
      .def_property_readonly("pts", column_getter(&Frame::pts), "int64 [F]: ticks.")
      .def_property_readonly(
          "time_base", [](const FrameBatch& b) { return pairs(b, &time_base_of); },
          "int32 [F, 2]: numerator, denominator.")
      .def_property_readonly(
          "pts_s", [](const FrameBatch& b) { return column<double>(b, &seconds); },
          "float64 [F]: stream time in seconds.")
      .def_property_readonly(
          "size", [](const FrameBatch& b) { return pairs(b, &shown_size); },
          "int32 [F, 2]: width, height as displayed.")
      .def("select", &select, "rows"_a, "The given rows (int32) as a batch; copies no pixel.");
}

}  // namespace

void register_frame(py::module_& m) {
  register_one(m);
  register_batch(m);
}

}  // namespace poseact::bindings
