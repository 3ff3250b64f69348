// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cmath>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/registers.h"
#include "track/assignment.h"
#include "track/tracker.h"

namespace poseact::bindings {
namespace {

// Below this many boxes the work (some 50 ns a box) is shorter than taking the GIL back may be.
constexpr std::size_t kLargeBatch = 4096;

// A Tracker that says so when two threads use it at once: with the GIL let go they could.
class PyTracker {
 public:
  explicit PyTracker(const TrackOptions& options) : tracker_(options) {}

  template <typename Work>
  auto alone(Work work) {
    if (busy_.test_and_set(std::memory_order_acquire)) {
      throw Error(
          "Tracker: expected one thread at a time, got a second call before the first "
          "had returned; give each thread a tracker of its own");
    }
    struct Done {  // NOLINT(cppcoreguidelines-special-member-functions): lives in this call alone
      std::atomic_flag& flag;
      ~Done() { flag.clear(std::memory_order_release); }
    } const done{busy_};
    return work(tracker_);
  }

 private:
  Tracker tracker_;
  std::atomic_flag busy_;
};

template <typename T, typename U>
py::array_t<T> copied(const std::vector<U>& values) {
  static_assert(sizeof(T) == sizeof(U));
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()),
                        reinterpret_cast<const T*>(values.data()));
}

py::tuple to_tuple(const TrackRows& rows) {
  const auto count = static_cast<py::ssize_t>(rows.ids.size());
  return py::make_tuple(
      py::array_t<float>({count, py::ssize_t{4}}, rows.boxes.data()), copied<float>(rows.scores),
      copied<std::int64_t>(rows.ids), copied<std::int32_t>(rows.frame), copied<bool>(rows.observed),
      copied<std::int32_t>(rows.ended_stream), copied<std::int64_t>(rows.ended_ids));
}

py::tuple update(PyTracker& self, const py::array& boxes, const py::array& scores,
                 const py::array& frame, const py::array& stream, const py::array& pts,
                 const py::array& time_base, const py::array& detected) {
  const TrackBatch batch{view<float>("Tracker.update (boxes)", boxes, {kAny, 4}),
                         view<float>("Tracker.update (scores)", scores, {kAny}),
                         view<std::int32_t>("Tracker.update (frame)", frame, {kAny}),
                         view<std::int32_t>("Tracker.update (stream)", stream, {kAny}),
                         view<std::int64_t>("Tracker.update (pts)", pts, {kAny}),
                         view<std::int32_t>("Tracker.update (time_base)", time_base, {kAny, 2}),
                         view<bool>("Tracker.update (detected)", detected, {kAny})};
  return self.alone([&](Tracker& tracker) {
    const TrackRows* rows = nullptr;
    {
      std::optional<py::gil_scoped_release> nogil;
      if (batch.scores.size() >= kLargeBatch) nogil.emplace();
      rows = &tracker.update(batch);
    }
    return to_tuple(*rows);
  });
}

py::array_t<std::int64_t> end_stream(PyTracker& self, std::int32_t stream) {
  return self.alone(
      [&](Tracker& tracker) { return copied<std::int64_t>(tracker.end_stream(stream)); });
}

py::array_t<std::int32_t> assign(const py::array& costs) {
  const auto values = view<double>("assign", costs, {kAny, kAny});
  for (const double value : values) {
    if (!std::isfinite(value)) {
      throw ConfigError("assign: expected finite costs, got " + std::to_string(value));
    }
  }
  py::array_t<std::int32_t> column(costs.shape(0));
  AssignmentSolver().solve(values, static_cast<std::size_t>(costs.shape(0)),
                           static_cast<std::size_t>(costs.shape(1)),
                           {column.mutable_data(), static_cast<std::size_t>(column.size())});
  return column;
}

}  // namespace

void register_track(py::module_& m) {
  using namespace pybind11::literals;
  m.def("assign", &assign, "costs"_a,
        "Optimal assignment: float64 costs [R, C] to int32 [R], the column of each row or -1, such "
        "that min(R, C) pairs are made and the sum of their costs is least.");
  py::class_<PyTracker>(m, "Tracker", py::is_final())
      .def(py::init([](float high_score, float low_score, float new_score, float match_iou,
                       float low_match_iou, float new_match_iou, double confirm_s, double coast_s,
                       double lost_s) {
             return std::make_unique<PyTracker>(
                 TrackOptions{high_score, low_score, new_score, match_iou, low_match_iou,
                              new_match_iou, confirm_s, coast_s, lost_s});
           }),
           py::kw_only(), "high_score"_a, "low_score"_a, "new_score"_a, "match_iou"_a,
           "low_match_iou"_a, "new_match_iou"_a, "confirm_s"_a, "coast_s"_a, "lost_s"_a)
      .def("update", &update, "boxes"_a, "scores"_a, "frame"_a, py::kw_only(), "stream"_a, "pts"_a,
           "time_base"_a, "detected"_a,
           "Moves the trackers of a step's F frames on: boxes float32 [N, 4], scores [N], frame "
           "int32 [N] (non-decreasing); stream int32 [F], pts int64 [F], time_base int32 [F, 2], "
           "detected bool [F]. Returns boxes [M, 4], scores [M], ids [M], frame [M], observed [M], "
           "ended stream [E], ended id [E]. Boxes that are not finite or have no area are dropped; "
           "on an error nothing has changed.")
      .def("end_stream", &end_stream, "stream"_a,
           "Ends all tracks of a stream and returns their ids (int64); ids are never used again.")
      .def("__len__",
           [](PyTracker& self) { return self.alone([](Tracker& t) { return t.size(); }); });
}

}  // namespace poseact::bindings
