#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Compiles csrc/core and csrc/decode against the headers of a newer FFmpeg than this machine's. The
# headers are Debian's or Ubuntu's packages of a later release, unpacked under build/, not installed.
# Where they cannot be had it says so; POSEACT_REQUIRE=ffmpeg-newer makes that a failure.
source "$(dirname "$0")/common.sh"

DIR=$PWD/build/ffmpeg-newer
PACKAGES=(libavformat-dev libavcodec-dev libavutil-dev libswresample-dev)

give_up() {
  case ",${POSEACT_REQUIRE:-}," in
    *,ffmpeg-newer,*) stop "POSEACT_REQUIRE names ffmpeg-newer: $1" ;;
  esac
  say "NOT compiled against a newer FFmpeg: $1"
  exit 0
}

# The machine's own mirror, a later release, its lists and cache apart from the machine's.
fetch() {
  local mirror suite keyring
  # shellcheck source=/dev/null
  case "$(. /etc/os-release && echo "$ID")" in
    debian) suite=trixie keyring=debian-archive-keyring.gpg ;;
    ubuntu) suite=resolute keyring=ubuntu-archive-keyring.gpg ;;
    *) return 1 ;;
  esac
  mirror=$(apt-get --print-uris update | sed -n "s/^'\(.*\)\/dists\/.*/\1/p" | head -n 1)
  mkdir -p "$DIR"/{lists/partial,cache/archives/partial}
  echo "deb [signed-by=/usr/share/keyrings/$keyring] $mirror $suite main" >"$DIR/sources.list"
  local options=(-q -o "Dir::Etc::SourceList=$DIR/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o "Dir::State::Lists=$DIR/lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$DIR/cache"
    -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=2)
  (
    cd "$DIR"
    apt-get "${options[@]}" -o Acquire::Languages=none update
    apt-get "${options[@]}" download "${PACKAGES[@]}"
    for package in ./*.deb; do dpkg -x "$package" root; done
    rm -rf lists cache ./*.deb
  ) >"$DIR/log" 2>&1
}

major() { # of the libavformat that the compiler finds with these options
  echo '#include <libavformat/version.h>
LIBAVFORMAT_VERSION_MAJOR' | g++ -x c++ -E -P "$@" - | tail -n 1
}

if [ ! -e "$DIR/done" ]; then
  rm -rf "$DIR"
  fetch || give_up "no headers of a later release from this machine's apt (see $DIR/log)"
  touch "$DIR/done"
fi
include=(-I "$DIR/root/usr/include" -I "$DIR/root/usr/include/$(g++ -print-multiarch)")
here=$(major)
newer=$(major "${include[@]}")
[ "$newer" -gt "$here" ] || give_up "this machine's libavformat $here is as new as the later release's"

say "compiling against libavformat $newer (this machine has $here)"
find csrc/core csrc/decode -name '*.cpp' -print0 |
  xargs -0 -n 1 -P "$JOBS" g++ -std=c++20 -fsyntax-only -Wall -Wextra -Werror -I csrc "${include[@]}"
