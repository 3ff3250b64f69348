// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace poseact {

// Where memory lies. Resolved, never "auto": that exists only in what a user asks for.
enum class Device : std::uint8_t { cpu, cuda };

}  // namespace poseact
