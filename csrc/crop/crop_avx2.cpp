// SPDX-License-Identifier: Apache-2.0
#include "crop/render.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Not popped: templates are instantiated at the end of the file.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#include "crop/render_simd.h"

namespace poseact {
namespace {

// 16 columns in the 16-bit lanes of a register; lookups by one pshufb a chunk.
struct Avx2 {
  using Reg = __m256i;
  using Taps = Taps256;

  static Reg load(const void* p) { return _mm256_load_si256(static_cast<const Reg*>(p)); }
  static Reg broadcast(std::int16_t value) { return _mm256_set1_epi16(value); }
  static Reg add(Reg a, Reg b) { return _mm256_adds_epi16(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm256_sub_epi16(a, b); }
  static Reg mul_q15(Reg a, Reg b) { return _mm256_mulhrs_epi16(a, b); }
  static Reg exclusive_or(Reg a, Reg b) { return _mm256_xor_si256(a, b); }

  // centred() of the lower and the upper byte of each lane.
  static Reg low_bytes(Reg pairs) {
    return _mm256_xor_si256(_mm256_slli_epi16(pairs, 8), broadcast(-32768));
  }
  static Reg high_bytes(Reg pairs) {
    return _mm256_xor_si256(_mm256_and_si256(pairs, broadcast(-256)), broadcast(-32768));
  }

  template <int kChunks>
  static Reg lookup(const std::uint8_t* row, const Taps& taps, int component) {
    const auto* const base = reinterpret_cast<const std::int32_t*>(&taps.base);
    const auto* const index =
        reinterpret_cast<const std::uint8_t*>(&taps.index) + 32 * Taps::kMaxChunks * component;
    Reg found = _mm256_shuffle_epi8(chunk(row, base, 0), load(index));
    for (int k = 1; k < kChunks; ++k) {
      const Reg more = _mm256_shuffle_epi8(chunk(row, base, k), load(index + 32 * k));
      found = _mm256_or_si256(found, more);
    }
    return found;
  }

  // Begin of both groups and end of the second: a group is less than a line.
  template <int kChunks>
  static void fetch(const std::uint8_t* row, const Taps& taps) {
    const auto* const base = reinterpret_cast<const std::int32_t*>(&taps.base);
    prefetch_line<Avx2>(row + base[0]);
    if constexpr (kChunks > 1) prefetch_line<Avx2>(row + base[Taps::kMaxChunks]);
    prefetch_line<Avx2>(row + base[Taps::kMaxChunks + kChunks - 1] + Taps::kChunkBytes - 1);
  }

  // Q6 to bytes.
  static void store(std::uint8_t* out, std::ptrdiff_t plane, Reg r, Reg g, Reg b) {
    constexpr int kOrder = 0xD8;  // packus works within 128 bits
    const Reg rg = _mm256_permute4x64_epi64(
        _mm256_packus_epi16(_mm256_srai_epi16(r, 6), _mm256_srai_epi16(g, 6)), kOrder);
    const Reg blue = _mm256_srai_epi16(b, 6);
    const Reg bb = _mm256_permute4x64_epi64(_mm256_packus_epi16(blue, blue), kOrder);
    put(out, _mm256_castsi256_si128(rg));
    put(out + plane, _mm256_extracti128_si256(rg, 1));
    put(out + 2 * plane, _mm256_castsi256_si128(bb));
  }

 private:
  // The kth chunk of both groups.
  static Reg chunk(const std::uint8_t* row, const std::int32_t* base, int k) {
    const auto half = [&](int group) {
      return _mm_loadu_si128(
          reinterpret_cast<const __m128i*>(row + base[group * Taps::kMaxChunks + k]));
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(half(0)), half(1), 1);
  }
  static void put(std::uint8_t* out, __m128i bytes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  }
};

}  // namespace

bool render_avx2(const Tile& tile, Strips<Taps256>& strips) {
  return render_simd<Avx2>(tile, strips);
}

}  // namespace poseact

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace poseact {
bool render_avx2(const Tile& /*tile*/, Strips<Taps256>& /*strips*/) { return false; }
}  // namespace poseact

#endif
