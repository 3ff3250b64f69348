// SPDX-License-Identifier: Apache-2.0
#include "decode/pixel_layout.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "core/error.h"

namespace poseact {
namespace {

bool has(const AVPixFmtDescriptor& desc, std::uint64_t flag) { return (desc.flags & flag) != 0; }

bool is_rgb(const AVPixFmtDescriptor& desc) {
  return has(desc, AV_PIX_FMT_FLAG_RGB) || has(desc, AV_PIX_FMT_FLAG_PAL);
}

bool is_native_endian(const AVPixFmtDescriptor& desc) {
  return has(desc, AV_PIX_FMT_FLAG_BE) == (std::endian::native == std::endian::big);
}

int color_components(const AVPixFmtDescriptor& desc) { return desc.nb_components <= 2 ? 1 : 3; }

// Y, then U and V interleaved at half size, in whole bytes or native 16-bit words: nv12, p010.
bool is_like_nv12(const AVPixFmtDescriptor& desc) {
  const auto& [y, u, v, a] = desc.comp;
  return desc.nb_components == 3 && !is_rgb(desc) && is_native_endian(desc) &&
         desc.log2_chroma_w == 1 && desc.log2_chroma_h == 1 && u.plane == 1 && v.plane == 1 &&
         u.offset == 0 && v.offset == u.step / 2 && y.step * 2 == u.step && y.step <= 2;
}

PixelFormat target_of(const AVPixFmtDescriptor& desc) {
  if (is_rgb(desc)) return PixelFormat::i444;
  if (color_components(desc) == 1) return PixelFormat::grey;
  if (is_like_nv12(desc)) return PixelFormat::nv12;
  if (desc.log2_chroma_w == 1 && desc.log2_chroma_h == 1) return PixelFormat::i420;
  if (desc.log2_chroma_w == 1 && desc.log2_chroma_h == 0) return PixelFormat::i422;
  return PixelFormat::i444;
}

bool target_fits(const AVPixFmtDescriptor& desc, PixelFormat target) {
  if (is_rgb(desc) || target == PixelFormat::grey) return true;
  return desc.log2_chroma_w == chroma_shift_x(target) &&
         desc.log2_chroma_h == chroma_shift_y(target);
}

// Planes of whole bytes, each component in one of its own (or as in nv12).
bool is_shared(const AVPixFmtDescriptor& desc, PixelFormat target) {
  if (has(desc, AV_PIX_FMT_FLAG_PAL) || has(desc, AV_PIX_FMT_FLAG_BITSTREAM)) return false;
  if (!target_fits(desc, target)) return false;
  for (int c = 0; c < color_components(desc); ++c) {
    const AVComponentDescriptor& part = desc.comp[c];
    const int step = target == PixelFormat::nv12 && c > 0 ? 2 : 1;
    if (part.depth != 8 || part.shift != 0 || part.step != step) return false;
  }
  return true;
}

// v8 = min(255, (v + half) >> (depth - 8)); the sum is split so that 16 bits never overflow.
template <int kDepth>
void narrow(const std::uint16_t* in, int count, std::uint8_t* out) {
  constexpr int kShift = kDepth - 8;
  for (int x = 0; x < count; ++x) {
    const int v = (in[x] >> kShift) + ((in[x] >> (kShift - 1)) & 1);
    out[x] = static_cast<std::uint8_t>(std::min(v, 255));
  }
}

void narrow(const std::uint16_t* in, int depth, int count, std::uint8_t* out) {
  switch (depth) {
    case 9:
      return narrow<9>(in, count, out);
    case 10:
      return narrow<10>(in, count, out);
    case 12:
      return narrow<12>(in, count, out);
    case 14:
      return narrow<14>(in, count, out);
    case 16:
      return narrow<16>(in, count, out);
    default:
      break;
  }
  const int most = (1 << depth) - 1;
  for (int x = 0; x < count; ++x) {  // 1 to 8 bits fill the scale; 11, 13, 15 do not exist yet
    const int v =
        depth > 8 ? (in[x] + (1 << (depth - 9))) >> (depth - 8) : (in[x] * 255 + most / 2) / most;
    out[x] = static_cast<std::uint8_t>(std::min(v, 255));
  }
}

// Reads rows of one component as bytes; which way is decided once per plane.
class RowReader {
 public:
  RowReader(const AVFrame& picture, const AVPixFmtDescriptor& desc, int component, bool pairs)
      : picture_(picture), desc_(desc), component_(component), part_(desc.comp[component]) {
    if (pairs) part_.step /= 2;  // U and V of a row are one row of twice the length
    const bool in_bits = has(desc, AV_PIX_FMT_FLAG_BITSTREAM);
    if (has(desc, AV_PIX_FMT_FLAG_PAL)) {
      way_ = Way::palette;
    } else if (part_.depth == 8 && part_.shift == 0 && !in_bits) {
      way_ = Way::bytes;
    } else if (part_.depth > 8 && part_.step == 2 && is_native_endian(desc) &&
               (part_.shift == 0 || part_.shift + part_.depth == 16)) {
      // Bits at the top of a word with zeros below (p010) are a 16-bit number.
      way_ = Way::words;
      depth_ = part_.shift == 0 ? part_.depth : 16;
    }
  }

  void read(int y, int count, std::uint8_t* out) {
    const std::uint8_t* const row = picture_.data[part_.plane] +
                                    std::ptrdiff_t{y} * picture_.linesize[part_.plane] +
                                    part_.offset;
    switch (way_) {
      case Way::bytes:
        return read_bytes(row, count, out);
      case Way::words:
        return narrow(reinterpret_cast<const std::uint16_t*>(row), depth_, count, out);
      case Way::palette:
        return read_palette(row, count, out);
      case Way::any:
        return read_any(y, count, out);
    }
  }

 private:
  enum class Way : std::uint8_t { bytes, words, palette, any };

  void read_bytes(const std::uint8_t* row, int count, std::uint8_t* out) const {
    if (part_.step == 1) {
      std::memcpy(out, row, static_cast<std::size_t>(count));
      return;
    }
    for (int x = 0; x < count; ++x) out[x] = row[std::ptrdiff_t{x} * part_.step];
  }

  // The palette is 256 native words 0xAARRGGBB.
  void read_palette(const std::uint8_t* row, int count, std::uint8_t* out) const {
    const int shift = 16 - 8 * component_;
    for (int x = 0; x < count; ++x) {
      std::uint32_t color = 0;
      std::memcpy(&color, picture_.data[1] + std::ptrdiff_t{4} * row[x], sizeof color);
      out[x] = static_cast<std::uint8_t>(color >> shift);
    }
  }

  void read_any(int y, int count, std::uint8_t* out) {
    line_.resize(static_cast<std::size_t>(count));
    const std::uint8_t* data[4] = {picture_.data[0], picture_.data[1], picture_.data[2],
                                   picture_.data[3]};
    av_read_image_line2(line_.data(), data, picture_.linesize, &desc_, 0, y, component_, count, 0,
                        sizeof(std::uint16_t));
    narrow(line_.data(), part_.depth, count, out);
    if (picture_.format == AV_PIX_FMT_MONOWHITE) {
      for (int x = 0; x < count; ++x) out[x] = static_cast<std::uint8_t>(255 - out[x]);
    }
  }

  const AVFrame& picture_;
  const AVPixFmtDescriptor& desc_;
  int component_;
  AVComponentDescriptor part_;
  Way way_ = Way::any;
  int depth_ = 8;
  std::vector<std::uint16_t> line_;
};

}  // namespace

PixelLayout layout_of(const AVFrame& picture) {
  const auto* const desc = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
  constexpr std::uint64_t kForeign =
      AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
  const bool readable = desc != nullptr && !has(*desc, kForeign) && desc->comp[0].depth <= 16 &&
                        std::string(desc->name).find("xyz") == std::string::npos;
  if (!readable) {
    throw DecodeError("decode: expected YUV, RGB or grey pixels of 1 to 16 bits, got " +
                      std::string(desc != nullptr ? desc->name : "an unknown pixel format") +
                      "; convert the video first");
  }
  const PixelFormat target = target_of(*desc);
  return {desc, target, is_shared(*desc, target)};
}

int component_of(const PixelLayout& layout, int p) {
  constexpr int kGreenBlueRed[] = {1, 2, 0};
  return is_rgb(*layout.source) ? kGreenBlueRed[p] : p;
}

void convert_plane(const AVFrame& picture, const PixelLayout& layout, int p, std::uint8_t* out,
                   std::ptrdiff_t stride_bytes) {
  const AVPixFmtDescriptor& desc = *layout.source;
  const bool pairs = layout.target == PixelFormat::nv12 && p == 1;
  RowReader reader(picture, desc, component_of(layout, p), pairs);
  const PlaneSize size = plane_size(layout.target, picture.width, picture.height, p);
  if (p == 0 || target_fits(desc, layout.target)) {
    for (int y = 0; y < size.height; ++y) reader.read(y, size.width_bytes, out + y * stride_bytes);
    return;
  }
  // i444 of coarser chroma: each sample is repeated over the pixels it stands for.
  const int sx = desc.log2_chroma_w;
  const int sy = desc.log2_chroma_h;
  const int count = AV_CEIL_RSHIFT(size.width_bytes, sx);
  std::vector<std::uint8_t> row(static_cast<std::size_t>(count));
  for (int y = 0; y < size.height; ++y) {
    if (y % (1 << sy) == 0) reader.read(y >> sy, count, row.data());
    std::uint8_t* const to = out + y * stride_bytes;
    for (int x = 0; x < size.width_bytes; ++x) to[x] = row[static_cast<std::size_t>(x >> sx)];
  }
}

}  // namespace poseact
