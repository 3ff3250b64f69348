// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "crop/plan.h"
#include "crop/taps.h"

namespace poseact {

// Each renders the pixels of a tile that lie inside its frame; what it leaves in the others is
// undefined (the caller paints the border). Reads and writes only the tile's planes and output.
void render_scalar(const Tile& tile);

// The SIMD paths fill the lookups of the tile's columns into `strips` (memory to be reused). False:
// nothing done, this way of reading cannot serve this tile. Call only where crop_paths() lists
// them.
bool render_avx2(const Tile& tile, Strips<Taps256>& strips);
bool render_avx512(const Tile& tile, Strips<Taps512>& strips);

// How the planes of a format lie. half: chroma at half width, so it needs half the chunks.
enum class Layout : std::uint8_t { nv12, half, full, identity, grey };

Layout layout_of(const Frame& frame);

// Chunks to load per lookup of luma so that luma and chroma have all they need (layout half loads
// half of them for chroma, rounded up). May be more than a path has.
int chunks_of(Layout layout, int luma_chunks, int chroma_chunks);

// What one output row reads and writes. The two rows of each plane that it blends; for nv12 u and v
// are both the UV plane.
struct Row {
  const std::uint8_t* y[2];
  const std::uint8_t* u[2];
  const std::uint8_t* v[2];
  std::uint8_t* out;
  std::int16_t luma_fraction;
  std::int16_t chroma_fraction;
};

// Row y of a tile, or its last one inside the frame when y lies behind that.
Row row_of(const Tile& tile, std::int32_t y);

// Output rows between the one being computed and the one whose memory is fetched: rows of a window
// lie pages apart, where no hardware prefetcher follows. Measured: 3 to 8 serve alike, none
// takes 3.5 times as long (433 px window, AVX-512).
inline constexpr std::int32_t kRowsAhead = 5;

}  // namespace poseact
