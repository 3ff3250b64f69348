// SPDX-License-Identifier: Apache-2.0
#include <mutex>
#include <optional>
#include <tuple>

#include "bindings/arrays.h"
#include "bindings/registers.h"
#include "window/windows.h"

namespace poseact::bindings {
namespace {

constexpr const char* kWho = "Windows.push";
constexpr std::size_t kSmallPush =
    64;  // rows; below, letting go of the GIL costs more than it gives

// Adds a lock: the GIL is released during a push, so two Python threads could meet in one.
class PyWindows {
 public:
  explicit PyWindows(const WindowOptions& options) : windows_(options) {}

  DueWindows push(const ObservationBatch& batch) {
    std::optional<py::gil_scoped_release> nogil;  // taken back after the lock has been let go of
    if (batch.track.size() >= kSmallPush) nogil.emplace();
    const std::lock_guard lock(mutex_);
    return windows_.push(batch);
  }

  void forget(std::span<const std::int32_t> stream, std::span<const std::int64_t> track) {
    const std::lock_guard lock(mutex_);
    windows_.forget(stream, track);
  }

  void forget_stream(std::int32_t stream) {
    const std::lock_guard lock(mutex_);
    windows_.forget_stream(stream);
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return windows_.size();
  }

  WindowCounts counts() const {
    const std::lock_guard lock(mutex_);
    return windows_.counts();
  }

  const WindowOptions& options() const { return windows_.options(); }  // never changes

 private:
  mutable std::mutex mutex_;
  Windows windows_;
};

py::tuple push(PyWindows& self, const py::array& keypoints, const py::array& track,
               const py::array& stream, const py::array& pts, const py::array& time_base) {
  const WindowOptions& options = self.options();
  const auto tracks = view<std::int64_t>(kWho, track, {kAny});
  const auto rows = static_cast<py::ssize_t>(tracks.size());
  const ObservationBatch batch{
      .keypoints = view<float>(kWho, keypoints, {rows, options.joints, 3}),
      .track = tracks,
      .stream = view<std::int32_t>(kWho, stream, {rows}),
      .pts = view<std::int64_t>(kWho, pts, {rows}),
      .time_base = view<std::int32_t>(kWho, time_base, {rows, 2}),
  };
  DueWindows due = self.push(batch);
  const auto count = static_cast<py::ssize_t>(due.row.size());
  return py::make_tuple(to_array(std::move(due.poses), {count, options.length, options.joints, 3}),
                        to_array(std::move(due.row), {count}),
                        to_array(std::move(due.end_s), {count}));
}

void forget(PyWindows& self, const py::array& stream, const py::array& track) {
  const auto tracks = view<std::int64_t>("Windows.forget", track, {kAny});
  const auto rows = static_cast<py::ssize_t>(tracks.size());
  self.forget(view<std::int32_t>("Windows.forget", stream, {rows}), tracks);
}

py::dict counts_of(const PyWindows& self) {
  const WindowCounts counts = self.counts();
  py::dict result;
  result["poses"] = counts.poses;
  result["windows"] = counts.windows;
  result["repeated"] = counts.repeated;
  result["backward"] = counts.backward;
  result["missing"] = counts.missing;
  result["restarts"] = counts.restarts;
  result["tracks"] = counts.tracks;
  return result;
}

}  // namespace

void register_window(py::module_& m) {
  using namespace pybind11::literals;
  py::class_<PyWindows>(m, "Windows", py::is_final(),
                        "The last poses of every track on a common grid of stream time; the rules "
                        "stand in csrc/window/windows.h. Calls from several threads take turns.")
      .def(py::init([](int length, std::tuple<std::int32_t, std::int32_t> rate, int joints,
                       int stride, double max_gap_s) {
             return std::make_unique<PyWindows>(
                 WindowOptions{.length = length,
                               .rate = {std::get<0>(rate), std::get<1>(rate)},
                               .joints = joints,
                               .stride = stride,
                               .max_gap_s = max_gap_s});
           }),
           py::kw_only(), "length"_a, "rate"_a, "joints"_a, "stride"_a, "max_gap_s"_a)
      .def("push", &push, "keypoints"_a, "track"_a, py::kw_only(), "stream"_a, "pts"_a,
           "time_base"_a,
           "Takes float32 [M, K, 3] poses, those of a stream in pts order; gives the windows that "
           "became due: float32 [W, T, K, 3], int32 [W] the row that completed each, float64 [W] "
           "end times in seconds.")
      .def("forget", &forget, "stream"_a, "track"_a,
           "Drops the given tracks (int32 [E], int64 [E]); unknown ones are no error.")
      .def("forget_stream", &PyWindows::forget_stream, "stream"_a, "Drops all tracks of a stream.")
      .def("__len__", &PyWindows::size)
      .def_property_readonly("counts", &counts_of, "What happened so far; the counts only grow.");
}

}  // namespace poseact::bindings
