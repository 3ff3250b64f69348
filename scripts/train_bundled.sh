#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/train_bundled.sh DIR
# Makes the models that come with the package: draws the made world into DIR, trains there and writes
# poseact_engine/bundled/*.onnx. On cores with AVX-512 BF16 detector and pose take about nine hours of one core,
# the action model an hour and a half beside them; a run that was broken off goes on with the same command.
source "$(dirname "$0")/common.sh"
[ $# = 1 ] || stop "usage: scripts/train_bundled.sh DIR"
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
BUNDLED=$PWD/poseact_engine/bundled
export PATH=$PWD/$VENV/bin:$PATH OMP_NUM_THREADS=1
cd "$DIR"

LICENCE=Apache-2.0
COMMON=(--pictures 6 --synthetic-validation 40 --cache made-scenes --precision bf16 --threads 1 --licence "$LICENCE")
# First scenes as they are measured, then more of the crowded ones, changed less. A detector that saw crowds last finds
# people where there are none; pictures of scenes as they are measured mend that: first alone, then beside the crowds.
FIRST=(--synthetic 1400 --validate-every 2 --seed 0 --epochs 10 "${COMMON[@]}")
THEN=(--synthetic 2200 --people 4 --lr 1.5e-3 --seed 1 "${COMMON[@]}")
LAST=(--synthetic 750 --first-seed 3000 --lr 5e-4 --average 0.99 --seed 2 --epochs 2 --validate-every 2 "${COMMON[@]}")
BOTH=(--synthetic 750 --first-seed 3000 --lr 1.2e-3 --seed 3 "${COMMON[@]}")

# What was broken off goes on; what is whole is kept.
train() { # KIND NAME OPTION...
  local kind=$1 name=$2 resume=()
  shift 2
  if [ -e "$name.pt" ] && [ ! -e "$name.pt.resume" ]; then return; fi
  if [ -e "$name.pt.resume" ]; then resume=(--resume); fi
  poseact train "$kind" "$@" "${resume[@]}" -o "$name.pt"
}

poses() { # NAME HOURS SEED NOISE
  [ -e "$1" ] || poseact synth --sequences "$2" --first-seed "$3" --noise "$4" -o "$1"
}

crowds() { # sets CROWDS: options for the pictures that THEN drew
  local found=(made-scenes/scenes-0-2200-*/person_keypoints.json)
  [ ${#found[@]} = 1 ] && [ -e "${found[0]}" ] || stop "$PWD/made-scenes: expected one folder scenes-0-2200-*"
  CROWDS=(--data "${found[0]}" --images "${found[0]%/*}/images")
}

detector() {
  train detector detector-1 "${FIRST[@]}" --size 256x416 --depth 0.33 --width 0.125
  train detector detector-2 "${THEN[@]}" --size 256x416 --init detector-1.pt --zoom 1.25 --epochs 12 --validate-every 3
  train detector detector-3 "${LAST[@]}" --size 256x416 --init detector-2.pt --zoom 1.25
  crowds
  local last=("${BOTH[@]}" "${CROWDS[@]}" --zoom 1.25)
  train detector detector-4 "${last[@]}" --size 256x416 --init detector-3.pt --epochs 8 --validate-every 2
  # Larger pictures come last: a round of them costs twice as much, and the weights fit at once.
  train detector detector "${last[@]}" --size 320x544 --init detector-4.pt --epochs 3 --seed 5
}

pose() {
  train pose pose-1 "${FIRST[@]}" --size 128x96 --stem 32 --width 18 --modules 1,1,1 --sigma 1.5 \
    --lr 2e-3 --rotate-deg 40 --scale 0.25 --hidden-weight 0.5
  local change=(--size 128x96 --sigma 1.5 --rotate-deg 20 --scale 0.15 --half-body 0.05 --cover 0.1 --hidden-weight 0.4
    --validate-every 2)
  train pose pose-2 "${THEN[@]}" "${change[@]}" --init pose-1.pt --epochs 6
  crowds
  train pose pose "${BOTH[@]}" "${CROWDS[@]}" "${change[@]}" --init pose-2.pt --seed 4 --epochs 4
}

action() {
  local learn=(--validation-data poses-held.npz --every 3 --epoch-windows 16384 --batch-size 256 --least-fall 0.15
    --no-fall-share 1 --threads 1)
  poses poses-1.npz 6 1 1
  poses poses-2.npz 4 2 0.6
  poses poses-3.npz 2 3 0.3
  poses poses-4.npz 6 4 0.8
  poses poses-5.npz 6 5 1
  poses poses-held.npz 1 900000 1
  train action action-1 poses-[123].npz --epochs 160 --seed 0 "${learn[@]}"
  train action action-2 poses-[1234].npz --init action-1.pt --epochs 120 --seed 1 "${learn[@]}"
  train action action-3 poses-[12345].npz --init action-2.pt --epochs 200 --seed 2 "${learn[@]}"
  train action action poses-[12345].npz --init action-3.pt --epochs 220 --seed 3 "${learn[@]}"
}

export_all() {
  local made="poseact_engine's made world, scripts/train_bundled.sh"
  poseact export yolox --weights detector.pt -o "$BUNDLED/detector.onnx" --track-scores 0.25,0.5,0.6 --source "$made" \
    --licence "$LICENCE"
  poseact export hrnet --weights pose.pt -o "$BUNDLED/pose.onnx" --precision fp16 --source "$made" --licence "$LICENCE"
  poseact export lstm --weights action.pt -o "$BUNDLED/action.onnx" --source "$made" --licence "$LICENCE"
}

trap 'jobs -p | xargs -r kill' EXIT
detector & # draws scenes which the pose model then finds in the cache
detector_job=$!
action
wait "$detector_job"
pose
export_all
