// SPDX-License-Identifier: Apache-2.0
#include "decode/picture_properties.h"

#include <cstdlib>
#include <string>

#include "core/error.h"

namespace poseact {
namespace {

constexpr int kHdLines = 720;  // from here on unspecified colour is BT.709

const AVPixFmtDescriptor& descriptor(const AVFrame& picture) {
  const auto* const desc = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(picture.format));
  if (desc == nullptr) throw DecodeError("decode: expected a picture with a known pixel format");
  return *desc;
}

bool is_rgb(const AVPixFmtDescriptor& desc) {
  return (desc.flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL)) != 0;
}

bool is_yuvj(int format) {
  return format == AV_PIX_FMT_YUVJ420P || format == AV_PIX_FMT_YUVJ422P ||
         format == AV_PIX_FMT_YUVJ444P || format == AV_PIX_FMT_YUVJ440P ||
         format == AV_PIX_FMT_YUVJ411P;
}

// PNG, BMP, TIFF: every bit of the picture is kept, and nobody codes video levels.
bool is_lossless_only(AVCodecID codec) {
  const AVCodecDescriptor* const desc = avcodec_descriptor_get(codec);
  if (desc == nullptr) return false;
  constexpr int kBoth = AV_CODEC_PROP_LOSSY | AV_CODEC_PROP_LOSSLESS;
  return (desc->props & kBoth) == AV_CODEC_PROP_LOSSLESS;
}

}  // namespace

ColorMatrix matrix_of(const AVFrame& picture) {
  if (is_rgb(descriptor(picture))) return ColorMatrix::identity;
  switch (picture.colorspace) {
    case AVCOL_SPC_BT709:
      return ColorMatrix::bt709;
    case AVCOL_SPC_FCC:
      return ColorMatrix::fcc;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return ColorMatrix::bt601;
    case AVCOL_SPC_SMPTE240M:
      return ColorMatrix::smpte240m;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:  // constant luminance is not a matrix; this is the nearest one
      return ColorMatrix::bt2020;
    case AVCOL_SPC_RGB:  // a label that planes of Y, U and V cannot mean
    case AVCOL_SPC_UNSPECIFIED:
    case AVCOL_SPC_RESERVED:
      return picture.height >= kHdLines ? ColorMatrix::bt709 : ColorMatrix::bt601;
    default:
      break;
  }
  const char* const name = av_color_space_name(picture.colorspace);
  throw DecodeError(
      "decode: expected the colour matrix bt601, bt709, bt2020, smpte240m, fcc or RGB, got " +
      std::string(name != nullptr ? name : "an unknown one") + "; convert the video first");
}

ColorRange range_of(const AVFrame& picture, AVCodecID codec) {
  if (is_yuvj(picture.format) || picture.color_range == AVCOL_RANGE_JPEG) return ColorRange::full;
  if (picture.color_range == AVCOL_RANGE_MPEG) return ColorRange::limited;
  const AVPixFmtDescriptor& desc = descriptor(picture);
  const bool grey = desc.nb_components <= 2;  // grey, or grey and alpha
  const bool full = is_rgb(desc) || (grey && is_lossless_only(codec));
  return full ? ColorRange::full : ColorRange::limited;
}

ChromaSiting siting_of(const AVFrame& picture, AVCodecID codec) {
  switch (picture.chroma_location) {
    case AVCHROMA_LOC_LEFT:
      return ChromaSiting::left;
    case AVCHROMA_LOC_CENTER:
      return ChromaSiting::center;
    case AVCHROMA_LOC_TOPLEFT:
      return ChromaSiting::topleft;
    case AVCHROMA_LOC_TOP:
      return ChromaSiting::top;
    case AVCHROMA_LOC_BOTTOMLEFT:
      return ChromaSiting::bottomleft;
    case AVCHROMA_LOC_BOTTOM:
      return ChromaSiting::bottom;
    default:
      return codec == AV_CODEC_ID_MJPEG ? ChromaSiting::center : ChromaSiting::left;
  }
}

// libavutil/display.h: a stored point (p, q) is shown at (a p + c q + x, b p + d q + y), where the
// matrix is a b u / c d v / x y w. So a shows which way the stored x runs on screen when the axes
// stay, and b and c when they are swapped:
//
//   a > 0, d > 0  normal      a < 0, d > 0  mirror_x     c > 0, b > 0  transpose
//   a < 0, d < 0  rotate_180  a > 0, d < 0  mirror_y     c < 0, b > 0  rotate_90 (stored x runs
//   down) c < 0, b < 0  transverse                             c > 0, b < 0  rotate_270
Orientation orientation_of(const std::int32_t* matrix) {
  if (matrix == nullptr) return Orientation::normal;
  const std::int64_t a = matrix[0];
  const std::int64_t b = matrix[1];
  const std::int64_t c = matrix[3];
  const std::int64_t d = matrix[4];
  if (std::abs(b) + std::abs(c) > std::abs(a) + std::abs(d)) {
    if (b > 0) return c > 0 ? Orientation::transpose : Orientation::rotate_90;
    return c > 0 ? Orientation::rotate_270 : Orientation::transverse;
  }
  if (d < 0) return a < 0 ? Orientation::rotate_180 : Orientation::mirror_y;
  return a < 0 ? Orientation::mirror_x : Orientation::normal;
}

const std::int32_t* display_matrix_of(const AVFrame& picture) {
  const AVFrameSideData* const side = av_frame_get_side_data(&picture, AV_FRAME_DATA_DISPLAYMATRIX);
  if (side == nullptr || side->size < 9 * sizeof(std::int32_t)) return nullptr;
  return reinterpret_cast<const std::int32_t*>(side->data);
}

}  // namespace poseact
