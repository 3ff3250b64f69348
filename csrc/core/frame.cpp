// SPDX-License-Identifier: Apache-2.0
#include "core/frame.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"

namespace poseact {

PlaneSize plane_size(PixelFormat format, int width, int height, int plane) {
  if (plane == 0) return {width, height};
  const int w = (width + (1 << chroma_shift_x(format)) - 1) >> chroma_shift_x(format);
  const int h = (height + (1 << chroma_shift_y(format)) - 1) >> chroma_shift_y(format);
  return {format == PixelFormat::nv12 ? 2 * w : w, h};
}

void check_time_base(TimeBase time_base) {
  if (time_base.num <= 0 || time_base.den <= 0) {
    throw ConfigError("frame: expected a time base of two positive numbers, got " +
                      std::to_string(time_base.num) + "/" + std::to_string(time_base.den));
  }
}

Frame frame_from_rgb(std::span<const std::uint8_t> rgb, int width, int height) {
  const std::size_t pixels = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  if (width <= 0 || height <= 0 || rgb.size() != 3 * pixels) {
    throw ShapeError("frame: expected RGB bytes [H, W, 3] with H and W > 0, got " +
                     std::to_string(height) + " x " + std::to_string(width) + " and " +
                     std::to_string(rgb.size()) + " bytes");
  }
  auto planes = std::make_shared<std::vector<std::uint8_t>>(3 * pixels);
  std::uint8_t* const green = planes->data();
  std::uint8_t* const blue = green + pixels;
  std::uint8_t* const red = blue + pixels;
  for (std::size_t i = 0; i < pixels; ++i) {
    red[i] = rgb[3 * i];
    green[i] = rgb[3 * i + 1];
    blue[i] = rgb[3 * i + 2];
  }
  Frame frame;
  frame.format = PixelFormat::i444;
  frame.matrix = ColorMatrix::identity;
  frame.range = ColorRange::full;
  frame.siting = ChromaSiting::center;
  frame.width = width;
  frame.height = height;
  frame.planes = {Plane{green, width}, Plane{blue, width}, Plane{red, width}};
  frame.owner = std::move(planes);
  return frame;
}

}  // namespace poseact
