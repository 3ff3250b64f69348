// SPDX-License-Identifier: Apache-2.0
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "bindings/arrays.h"
#include "bindings/registers.h"
#include "detect/nms.h"
#include "detect/pose_nms.h"

namespace poseact::bindings {
namespace {

// Below this many candidates the work is shorter than taking the GIL back may be.
constexpr std::size_t kLargeBatch = 1024;
constexpr std::size_t kManyPoses = 32;

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

PoseRows pose_rows(const std::string& who, const py::array& keypoints, const py::array& scores,
                   const py::array& frame) {
  const auto score_view = view<float>((who + " (scores)").c_str(), scores, {kAny});
  const py::ssize_t rows = scores.shape(0);
  return {.keypoints = view<float>((who + " (keypoints)").c_str(), keypoints, {rows, kAny, 3}),
          .scores = score_view,
          .frame = view<std::int32_t>((who + " (frame)").c_str(), frame, {rows})};
}

template <typename Suppress>
py::array_t<bool> kept(const PoseRows& poses, const Suppress& suppress) {
  std::vector<std::uint8_t> keep;
  {
    std::optional<py::gil_scoped_release> nogil;
    if (poses.scores.size() >= kManyPoses) nogil.emplace();
    keep = suppress();
  }
  py::array_t<bool> result(static_cast<py::ssize_t>(keep.size()));
  std::ranges::copy(keep, result.mutable_data());
  return result;
}

py::array_t<bool> oks_nms(const py::array& keypoints, const py::array& scores,
                          const py::array& areas, const py::array& frame, double oks,
                          const std::optional<std::vector<double>>& sigmas) {
  const PoseRows poses = pose_rows("oks_nms", keypoints, scores, frame);
  const auto area_view = view<float>("oks_nms (areas)", areas, {scores.shape(0)});
  OksOptions options{.oks = oks};
  if (sigmas) options.sigmas = *sigmas;
  return kept(poses, [&] { return suppress_by_oks(poses, area_view, options); });
}

py::array_t<bool> parametric_nms(const py::array& keypoints, const py::array& scores,
                                 const py::array& boxes, const py::array& frame,
                                 const ParametricOptions& options) {
  const PoseRows poses = pose_rows("parametric_nms", keypoints, scores, frame);
  const auto box_view = view<float>("parametric_nms (boxes)", boxes, {scores.shape(0), 4});
  return kept(poses, [&] { return suppress_parametric(poses, box_view, options); });
}

void register_pose_nms(py::module_& m) {
  using namespace pybind11::literals;
  m.def("oks_nms", &oks_nms, "keypoints"_a, "scores"_a, "areas"_a, "frame"_a,
        "oks"_a = OksOptions{}.oks, py::kw_only(), "sigmas"_a = std::nullopt,
        "Poses float32 [M, K, 3] of any frames int32 [M], with scores and areas (px^2) float32 "
        "[M], to bool [M]: false for each that is more alike than `oks` to a better one of its "
        "frame (HRNet's authors' OKS-NMS). sigmas: [K], None for COCO's 17. Rules: "
        "csrc/detect/pose_nms.h.");
  const ParametricOptions defaults;
  m.def(
      "parametric_nms",
      [](const py::array& keypoints, const py::array& scores, const py::array& boxes,
         const py::array& frame, double sigma1, double sigma2, double lambda, double eta) {
        return parametric_nms(keypoints, scores, boxes, frame, {sigma1, sigma2, lambda, eta});
      },
      "keypoints"_a, "scores"_a, "boxes"_a, "frame"_a, py::kw_only(), "sigma1"_a = defaults.sigma1,
      "sigma2"_a = defaults.sigma2, "lambda_"_a = defaults.lambda, "eta"_a = defaults.eta,
      "As oks_nms, with boxes float32 [M, 4] (x0 y0 x1 y1) for areas: parametric pose NMS (RMPE, "
      "Fang et al. 2017), by elimination. Rules: csrc/detect/pose_nms.h.");
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
  register_pose_nms(m);
}

}  // namespace poseact::bindings
