// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/frame.h"

namespace poseact::bindings {

// Names of the enums of core/frame.h as Python sees them, in the order of their values.
inline constexpr std::array<std::string_view, 5> kFormats{"nv12", "i420", "i422", "i444", "grey"};
inline constexpr std::array<std::string_view, 6> kMatrices{"bt601",     "bt709", "bt2020",
                                                           "smpte240m", "fcc",   "identity"};
inline constexpr std::array<std::string_view, 2> kRanges{"limited", "full"};
inline constexpr std::array<std::string_view, 6> kSitings{"left", "center",     "topleft",
                                                          "top",  "bottomleft", "bottom"};
inline constexpr std::array<std::string_view, 8> kOrientations{
    "normal",    "mirror_x",  "rotate_180", "mirror_y",
    "transpose", "rotate_90", "transverse", "rotate_270"};
inline constexpr std::array<std::string_view, 2> kDevices{"cpu", "cuda"};

template <typename Enum, std::size_t N>
Enum parse_name(const char* who, const std::array<std::string_view, N>& names,
                std::string_view name) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
    if (i > 0) known += ", ";
    known += names[i];
  }
  throw ConfigError(std::string(who) + ": expected one of " + known + ", got '" +
                    std::string(name) + "'");
}

template <typename Enum, std::size_t N>
std::string name_of(const std::array<std::string_view, N>& names, Enum value) {
  return std::string(names.at(static_cast<std::size_t>(value)));
}

}  // namespace poseact::bindings
