// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "crop/plan.h"

namespace poseact {

// Each renders the pixels of a tile that lie inside its frame; what it leaves in the others is
// undefined (the caller paints the border). Reads and writes only the tile's planes and output.
void render_scalar(const Tile& tile);

}  // namespace poseact
