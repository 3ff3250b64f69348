#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# usage: scripts/demo.sh [OPTION...]   OPTION: those of `poseact demo`, as --seed 3 or -o DIR
# Sets up what running needs, then plays a made scene; everything else it says itself.
source "$(dirname "$0")/common.sh"

scripts/setup.sh --only cpu video
poseact=$PWD/$VENV/bin/poseact
cd "$OLDPWD" # files are named, and made, where the call was
exec "$poseact" demo "$@"
