// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "crop/plan.h"

namespace poseact {

// How the SIMD paths read a row: not by gathering, but by loading a few consecutive chunks of bytes
// and shuffling them. A strip is as many neighbouring columns as one register holds in 16-bit
// lanes; its columns are split into groups, each with chunks of its own (pshufb works within 128
// bits).
//
//   row bytes   ..[ chunk 0 ][ chunk 1 ]..      base[group][chunk]: where a chunk begins
//   shuffle       L0 R0 L1 R1 L2 R2 ...         index: for each column the bytes of both its taps
//
// Chunks that would pass the end of the row begin earlier instead, so nothing outside it is read.
//
// AVX2: two groups of 8 columns, 16-byte chunks. Eight serve windows shrunk up to 16 times (an 8K
// picture to a detector's 640). An index for each chunk; 0x80 where the byte comes from another
// chunk (pshufb gives 0 there, so the results are joined by or).
struct alignas(32) Taps256 {
  static constexpr int kGroups = 2;
  static constexpr int kGroupColumns = 8;
  static constexpr int kChunkBytes = 16;
  static constexpr int kMaxChunks = 8;
  std::array<std::array<std::array<std::uint8_t, 32>, kMaxChunks>, 2> index;  // [U or V][chunk]
  std::array<std::int16_t, 16> fraction;
  std::array<std::array<std::int32_t, kMaxChunks>, kGroups> base;

  void clear() {
    for (auto& component : index) {
      for (auto& chunk : component) chunk.fill(0x80);
    }
  }
  void put(int component, int at, int chunk, int offset) {
    index.at(static_cast<std::size_t>(component))
        .at(static_cast<std::size_t>(chunk))
        .at(static_cast<std::size_t>(at)) = static_cast<std::uint8_t>(offset);
  }
};

// AVX-512: one group of 32 columns, 64-byte chunks: four of them are as far as a byte can point.
struct alignas(64) Taps512 {
  static constexpr int kGroups = 1;
  static constexpr int kGroupColumns = 32;
  static constexpr int kChunkBytes = 64;
  static constexpr int kMaxChunks = 4;
  std::array<std::array<std::uint8_t, 64>, 2> index;  // [U or V]
  std::array<std::int16_t, 32> fraction;
  std::array<std::array<std::int32_t, kMaxChunks>, kGroups> base;

  void clear() {}
  void put(int component, int at, int chunk, int offset) {
    index.at(static_cast<std::size_t>(component)).at(static_cast<std::size_t>(at)) =
        static_cast<std::uint8_t>(chunk * kChunkBytes + offset);
  }
};

template <typename Taps>
struct Strip {
  static constexpr int kColumns = Taps::kGroups * Taps::kGroupColumns;
  Taps luma;
  Taps chroma;
  std::int32_t column;  // of the crop
};

template <typename Taps>
struct Strips {
  std::vector<Strip<Taps>> strips;
  const Strip<Taps>* first = nullptr;  // of `strips`; plain pointers, see render_simd.h
  const Strip<Taps>* last = nullptr;
  int luma_chunks = 0;  // most that a group needs
  int chroma_chunks = 0;
};

// Covers the columns of `tile` that lie inside its frame. False where this way of reading does not
// serve: crops or planes narrower than a register, or columns too far apart for kMaxChunks.
template <typename Taps>
bool plan_strips(const Tile& tile, Strips<Taps>& strips);

extern template bool plan_strips<Taps256>(const Tile&, Strips<Taps256>&);
extern template bool plan_strips<Taps512>(const Tile&, Strips<Taps512>&);

}  // namespace poseact
