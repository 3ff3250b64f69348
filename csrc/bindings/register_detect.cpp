// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include "bindings/arrays.h"
#include "bindings/registers.h"
#include "detect/nms.h"

namespace poseact::bindings {
namespace {

// Below this many candidates the work is shorter than taking the GIL back may be.
constexpr std::size_t kLargeBatch = 1024;

py::tuple nms(const py::array& boxes, const py::array& scores, float min_score,
              std::optional<float> iou, std::int32_t max_boxes) {
  const auto score_view = view<float>("nms (scores)", scores, {kAny, kAny});
  const auto box_view = view<float>("nms (boxes)", boxes, {scores.shape(0), scores.shape(1), 4});
  const auto images = static_cast<std::size_t>(scores.shape(0));
  const NmsOptions options{min_score, iou, max_boxes};
  Kept kept;
  {
    std::optional<py::gil_scoped_release> nogil;
    if (score_view.size() >= kLargeBatch) nogil.emplace();
    kept = suppress(box_view, score_view, images, options);
  }
  const auto count = static_cast<py::ssize_t>(kept.scores.size());
  return py::make_tuple(to_array(std::move(kept.boxes), {count, 4}),
                        to_array(std::move(kept.scores), {count}),
                        to_array(std::move(kept.image), {count}));
}

}  // namespace

void register_detect(py::module_& m) {
  using namespace pybind11::literals;
  m.def(
      "nms", &nms, "boxes"_a, "scores"_a, py::kw_only(), "min_score"_a, "iou"_a,
      "max_boxes"_a = 300,
      "Greedy non-maximum suppression of each image: float32 boxes [B, N, 4] and scores [B, N] to "
      "(boxes [K, 4], scores [K], image int32 [K]), grouped by image, best first; equal scores: "
      "lower index first. A box that overlaps a better one by more than `iou` goes (None: all "
      "stay). Boxes that are not finite or have no area, and scores that are not finite, are "
      "dropped.");
}

}  // namespace poseact::bindings
