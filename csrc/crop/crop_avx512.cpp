// SPDX-License-Identifier: Apache-2.0
#include "crop/render.h"

#if defined(__x86_64__)
#include <immintrin.h>

// Not popped: templates are instantiated at the end of the file.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))), \
                             apply_to = function)
#else
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi")
// GCC bug 105593: its own intrinsics start from undefined registers.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include "crop/render_simd.h"

namespace poseact {
namespace {

// 32 columns in the 16-bit lanes of a register; lookups by vpermb and vpermi2b.
struct Avx512 {
  using Reg = __m512i;
  using Taps = Taps512;

  static Reg load(const void* p) { return _mm512_load_si512(p); }
  static Reg broadcast(std::int16_t value) { return _mm512_set1_epi16(value); }
  static Reg add(Reg a, Reg b) { return _mm512_adds_epi16(a, b); }
  static Reg subtract(Reg a, Reg b) { return _mm512_sub_epi16(a, b); }
  static Reg mul_q15(Reg a, Reg b) { return _mm512_mulhrs_epi16(a, b); }
  static Reg exclusive_or(Reg a, Reg b) { return _mm512_xor_si512(a, b); }

  // centred() of the lower and the upper byte of each lane.
  static Reg low_bytes(Reg pairs) {
    return _mm512_xor_si512(_mm512_slli_epi16(pairs, 8), broadcast(-32768));
  }
  static Reg high_bytes(Reg pairs) {
    constexpr int kAndThenXor = 0x6A;  // (a & b) ^ c
    return _mm512_ternarylogic_epi32(pairs, broadcast(-256), broadcast(-32768), kAndThenXor);
  }

  template <int kChunks>
  static Reg lookup(const std::uint8_t* row, const Taps& taps, int component) {
    const auto* const base = reinterpret_cast<const std::int32_t*>(&taps.base);
    const Reg index = load(reinterpret_cast<const std::uint8_t*>(&taps.index) + 64 * component);
    const auto chunk = [&](int k) { return _mm512_loadu_si512(row + base[k]); };
    if constexpr (kChunks == 1) return _mm512_permutexvar_epi8(index, chunk(0));
    const Reg low = _mm512_permutex2var_epi8(chunk(0), index, chunk(1));
    if constexpr (kChunks <= 2) return low;
    const Reg high = _mm512_permutex2var_epi8(chunk(2), index, chunk(kChunks - 1));
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high);
  }

  template <int kChunks>
  static void fetch(const std::uint8_t* row, const Taps& taps) {
    const auto* const base = reinterpret_cast<const std::int32_t*>(&taps.base);
    for (int k = 0; k < kChunks; ++k) prefetch_line<Avx512>(row + base[k]);
    prefetch_line<Avx512>(row + base[kChunks - 1] + Taps::kChunkBytes - 1);
  }

  // Q6 to bytes.
  static void store(std::uint8_t* out, std::ptrdiff_t plane, Reg r, Reg g, Reg b) {
    const Reg order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);  // packus works within 128 bits
    const Reg rg = _mm512_permutexvar_epi64(
        order, _mm512_packus_epi16(_mm512_srai_epi16(r, 6), _mm512_srai_epi16(g, 6)));
    const Reg blue = _mm512_srai_epi16(b, 6);
    const Reg bb = _mm512_permutexvar_epi64(order, _mm512_packus_epi16(blue, blue));
    put(out, _mm512_castsi512_si256(rg));
    put(out + plane, _mm512_extracti64x4_epi64(rg, 1));
    put(out + 2 * plane, _mm512_castsi512_si256(bb));
  }

 private:
  static void put(std::uint8_t* out, __m256i bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), bytes);
  }
};

}  // namespace

bool render_avx512(const Tile& tile, Strips<Taps512>& strips) {
  return render_simd<Avx512>(tile, strips);
}

}  // namespace poseact

#if defined(__clang__)
#pragma clang attribute pop
#endif

#else

namespace poseact {
bool render_avx512(const Tile& /*tile*/, Strips<Taps512>& /*strips*/) { return false; }
}  // namespace poseact

#endif
