# SPDX-License-Identifier: Apache-2.0
"""The registry: official weights whose addresses, figures and terms are published.

AlphaPose's own HRNet is not here: it is fed ``RGB/255 - (0.406, 0.457, 0.480)`` without a division
(``alphapose/utils/presets/simple_transform.py``), and its licence forbids commercial use.
"""

from __future__ import annotations

from poseact_engine.zoo.registry import Entry

_HRNET = "https://github.com/leoxiaobin/deep-high-resolution-net.pytorch"
_MMPOSE = "https://github.com/open-mmlab/mmpose"
_YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX"
_OPENMMLAB = "https://download.openmmlab.com/mmpose"

_COCO_POSE = "COCO val2017, {size}, flip test, boxes of a detector with person AP 56.4"
_WEIGHTS = "no terms of their own are published for the weights"
_COCO_TERMS = (
    f"the repository is under {{licence}}, {_WEIGHTS}; trained on COCO (annotations CC BY 4.0, "
    "pictures under Flickr's terms){start}"
)
_IMAGENET = ", from weights pre-trained on ImageNet (research terms)"


def _hrnet(width: int, size: str, accuracy: float) -> Entry:
    """The authors' own (Sun et al. 2019): shared folders, no plain link, no checksum published."""
    file = f"pose_hrnet_w{width}_{size}.pth"
    return Entry(
        name=f"hrnet-w{width}-{size}",
        task="pose",
        title=f"HRNet-W{width} {size}",
        file=file,
        url=None,
        manual=(
            f"open {_HRNET}#quick-start, follow its model zoo link (GoogleDrive or OneDrive), "
            f"take pytorch/pose_coco/{file}"
        ),
        licence="MIT",
        commercial="unclear",
        terms=_COCO_TERMS.format(licence="MIT", start=_IMAGENET),
        accuracy=accuracy,
        metric="AP",
        setting=_COCO_POSE.format(size=size),
        page=_HRNET,
        export=("hrnet", "--size", size),
    )


def _mmpose(width: int, size: str, digits: str, accuracy: float, variant: str = "") -> Entry:
    """MMPose's trainings; ``digits``: the hash and date of the official name.

    Its publishing tool puts the first eight digits of the file's sha256 into the name
    (``tools/misc/publish_model.py``).
    """
    batch = {32: 64, 48: 32}[width]
    if variant:
        file = f"td-hm_hrnet-w{width}_{variant}-8xb{batch}-210e_coco-{size}-{digits}.pth"
        url = f"{_OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/{file}"
    else:
        file = f"hrnet_w{width}_coco_{size}-{digits}.pth"
        url = f"{_OPENMMLAB}/top_down/hrnet/{file}"
    # UDPHeatmap decodes as UDP's own post-processing does, which is DARK's refinement.
    options = {
        "": (),
        "dark": ("--decode", "dark"),
        "udp": ("--geometry", "udp", "--decode", "dark"),
    }[variant]
    metafile = f"hrnet_{variant}_coco.yml" if variant else "hrnet_coco.yml"
    return Entry(
        name="-".join(filter(None, ("mmpose-hrnet", f"w{width}", size, variant))),
        task="pose",
        title=" ".join(filter(None, (f"HRNet-W{width} {size}", variant.upper(), "of MMPose"))),
        file=file,
        url=url,
        name_sha256=digits[:8],
        licence="Apache-2.0",
        commercial="unclear",
        terms=_COCO_TERMS.format(licence="Apache-2.0", start=_IMAGENET)
        + f"; its maintainers believe that commercial use is allowed ({_MMPOSE}/issues/2106)",
        accuracy=accuracy,
        metric="AP",
        setting=_COCO_POSE.format(size=size),
        page=f"{_MMPOSE}/blob/main/configs/body_2d_keypoint/topdown_heatmap/coco/{metafile}",
        export=("hrnet", "--size", size, *options),
    )


def _yolox(
    size: str, side: int, sha256: str, accuracy: float, size_bytes: int | None = None
) -> Entry:
    """Megvii's release 0.1.1rc0."""
    return Entry(
        name=f"yolox-{size}",
        task="detector",
        title=f"YOLOX-{size} {side}",
        file=f"yolox_{size}.pth",
        url=f"{_YOLOX}/releases/download/0.1.1rc0/yolox_{size}.pth",
        size_bytes=size_bytes,
        sha256=sha256,
        sha256_source="not Megvii's: several public projects that fetch this file state it alike",
        licence="Apache-2.0",
        commercial="yes",
        terms=_COCO_TERMS.format(licence="Apache-2.0", start=" from scratch")
        + f" ({_YOLOX}/issues/1865 asks, unanswered)",
        accuracy=accuracy,
        metric="mAP",
        setting=f"COCO val2017, 80 classes, {side}x{side}",
        page=f"{_YOLOX}#benchmark",
        export=("yolox", "--size", f"{side}x{side}"),
    )


_SDK = f"{_OPENMMLAB}/v1/projects/rtmposev1/onnx_sdk"
_RTMPOSE_INPUT = ("--color", "rgb", "--mean", "123.675,116.28,103.53", "--std")
_RTMPOSE_CROP = ("--border", "0,0,0", "--geometry", "default", "--expansion", "1.25")


def _rtmpose(letter: str, digits: str, accuracy: float) -> Entry:
    """The hash in the archive's name is of the torch file, not of the archive or the ONNX file."""
    stem = f"rtmpose-{letter}_simcc-body7_pt-body7_420e-256x192-{digits}"
    return Entry(
        name=f"rtmpose-{letter}-256x192",
        task="pose",
        title=f"RTMPose-{letter} 256x192 Body7",
        file=f"{stem}.onnx",
        url=f"{_SDK}/{stem}.zip",
        member="end2end.onnx",
        licence="Apache-2.0",
        commercial="unclear",
        terms=(
            f"the repository is under Apache-2.0, {_WEIGHTS}; trained on seven sets, some for "
            "research only (AI Challenger, MPII, Halpe, ...); a maintainer says use is free "
            f"({_MMPOSE}/issues/3062)"
        ),
        accuracy=accuracy,
        metric="AP",
        setting=_COCO_POSE.format(size="256x192"),
        page=f"{_MMPOSE}/blob/main/configs/body_2d_keypoint/rtmpose/body8/rtmpose_body8-coco.md",
        export=(
            *("pose", "--layout", "simcc", "--size", "256x192", *_RTMPOSE_INPUT),
            *("58.395,57.12,57.375", "--scale", "1", *_RTMPOSE_CROP, "--joints", "coco17"),
        ),
    )


_RTMDET = Entry(
    name="rtmdet-nano-person",
    task="detector",
    title="RTMDet-nano person 320",
    file="rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.onnx",
    url=f"{_SDK}/rtmdet_nano_8xb32-100e_coco-obj365-person-05d8511e.zip",
    member="end2end.onnx",
    sha256="8297e829ccc5590c8e2d32d5a211f322a0585fb7467eec85eb12c9525b0b95d6",
    sha256_source="not OpenMMLab's: public projects that fetch this file state it alike",
    licence="Apache-2.0",
    commercial="unclear",
    terms=(
        f"the repository is under Apache-2.0, {_WEIGHTS} ({_MMPOSE}/issues/3273 asks, unanswered); "
        "trained on COCO and Objects365"
    ),
    accuracy=40.3,
    metric="AP",
    setting="COCO val2017, persons alone, 320x320",
    page=f"{_MMPOSE}/tree/main/projects/rtmpose",
    export=(
        *("detector", "--layout", "rtmdet", "--size", "320x320", "--color", "bgr"),
        *("--mean", "103.53,116.28,123.675", "--std", "57.375,57.12,58.395", "--scale", "1"),
        *("--border", "114,114,114", "--letterbox", "top_left"),
        *("--nms-iou", "0.6", "--max-boxes", "300"),
    ),
)

ENTRIES: tuple[Entry, ...] = (
    _hrnet(32, "256x192", 74.4),
    _hrnet(32, "384x288", 75.8),
    _hrnet(48, "256x192", 75.1),
    _hrnet(48, "384x288", 76.3),
    _mmpose(32, "256x192", "c78dce93_20200708", 74.6),
    _mmpose(32, "384x288", "d9f0d786_20200708", 76.0),
    _mmpose(48, "256x192", "b9e0b3ab_20200708", 75.6),
    _mmpose(48, "384x288", "314c8528_20200708", 76.7),
    _mmpose(32, "256x192", "0e00bf12_20220914", 75.7, "dark"),
    _mmpose(32, "384x288", "9bab4c9b_20220917", 76.6, "dark"),
    _mmpose(48, "256x192", "e1ebdd6f_20220913", 76.4, "dark"),
    _mmpose(48, "384x288", "39c3c381_20220916", 77.2, "dark"),
    _mmpose(32, "256x192", "73ede547_20220914", 76.2, "udp"),
    _mmpose(32, "384x288", "9a3f7c85_20220914", 76.8, "udp"),
    _mmpose(48, "256x192", "3feaef8f_20220913", 76.8, "udp"),
    _mmpose(48, "384x288", "70d7ab01_20220913", 77.3, "udp"),
    _rtmpose("t", "026a1439_20230504", 65.9),
    _rtmpose("s", "acd4a1ef_20230504", 69.7),
    _rtmpose("m", "e48f03d0_20230504", 74.9),
    _yolox("nano", 416, "cd28f55fbbc1829f99d9ac9b38a16d259a22889739c8728ea877610201feff7b", 25.8),
    _yolox(
        *("tiny", 416, "9de513de589ac98bb92d3bca53b5af7b9acfa9b0bacb831f7999d0f7afaee8f0", 32.8),
        size_bytes=40_755_013,
    ),
    _yolox(
        *("s", 640, "f55ded7181e1b0c13285c56e7790b8f0e8f8db590fe4edb37f0b7f345c913a30", 40.5),
        size_bytes=72_089_125,
    ),
    _yolox(
        *("m", 640, "60076992b32da82951c90cfa7bd6ab70eba9eda243e08b940a396f60ac2d19b6", 46.9),
        size_bytes=203_114_461,
    ),
    _RTMDET,
)
