// SPDX-License-Identifier: Apache-2.0
#include "crop/crop.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <random>

#include "core/error.h"
#include "crop/pixel.h"

namespace poseact {
namespace {

// Each plane in an allocation of exactly its size, so that a sanitizer sees any byte too far.
struct MadeFrame {
  std::vector<std::unique_ptr<std::uint8_t[]>> memory;
  Frame frame;

  MadeFrame(PixelFormat format, int width, int height, bool bottom_up) {
    std::mt19937 random(static_cast<unsigned>(width * height));
    frame.format = format;
    frame.width = width;
    frame.height = height;
    for (int p = 0; p < plane_count(format); ++p) {
      const PlaneSize size = plane_size(format, width, height, p);
      const auto bytes =
          static_cast<std::size_t>(size.width_bytes) * static_cast<std::size_t>(size.height);
      auto plane = std::make_unique<std::uint8_t[]>(bytes);
      for (std::size_t i = 0; i < bytes; ++i) plane[i] = static_cast<std::uint8_t>(random());
      std::uint8_t* const data = plane.get();
      frame.planes.at(static_cast<std::size_t>(p)) =
          bottom_up ? Plane{data + (size.height - 1) * size.width_bytes, -size.width_bytes}
                    : Plane{data, size.width_bytes};
      memory.push_back(std::move(plane));
    }
  }
};

std::vector<std::uint8_t> crop_on(const Frame& frame, const Window& window, const CropShape& shape,
                                  CropPath path) {
  const std::int32_t row = 0;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(3 * shape.height * shape.width));
  crop({{frame}}, {&row, 1}, {&window, 1}, shape, out, path);
  return out;
}

class EveryFormat : public testing::TestWithParam<PixelFormat> {};

TEST_P(EveryFormat, PathsAgreeAndStayInsideThePlanes) {
  std::mt19937 random(7);  // NOLINT(bugprone-random-generator-seed): the same cases on every run
  const auto between = [&](double low, double high) {
    return std::uniform_real_distribution(low, high)(random);
  };
  const auto whole = [&](int low, int high) {
    return std::uniform_int_distribution(low, high)(random);
  };
  for (int i = 0; i < 150; ++i) {
    MadeFrame made(GetParam(), whole(1, 400), whole(1, 40), whole(0, 1) == 1);
    made.frame.orientation = static_cast<Orientation>(whole(0, 7));
    made.frame.siting = static_cast<ChromaSiting>(whole(0, 5));
    const Window window{between(-9, 9), between(-300, 500), between(-2, 2), between(-40, 60)};
    const CropShape shape{whole(1, 60), whole(1, 130), {9, 8, 7}};
    const auto expected = crop_on(made.frame, window, shape, CropPath::scalar);
    for (const CropPath path : crop_paths()) {
      ASSERT_EQ(crop_on(made.frame, window, shape, path), expected)
          << "path " << static_cast<int>(path) << " case " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Crop, EveryFormat,
                         testing::Values(PixelFormat::nv12, PixelFormat::i420, PixelFormat::i422,
                                         PixelFormat::i444, PixelFormat::grey));

TEST(Crop, RefusesWhatHasNoMeaning) {
  const MadeFrame made(PixelFormat::grey, 8, 8, false);
  const CropShape shape{4, 4, {}};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto bad = [&](const Window& w) { return crop_on(made.frame, w, shape, CropPath::scalar); };
  EXPECT_THROW(bad({0, 0, 1, 0}), ConfigError);
  EXPECT_THROW(bad({1, nan, 1, 0}), ConfigError);
  EXPECT_THROW(bad({1, 0, nan, 0}), ConfigError);
  EXPECT_THROW(bad({1, 0, 1, 1e300}), ConfigError);
  std::vector<std::uint8_t> out(48);
  const Window window{1, 0, 1, 0};
  const std::int32_t beyond = 1;
  const std::int32_t first = 0;
  EXPECT_THROW(crop({{made.frame}}, {&beyond, 1}, {&window, 1}, shape, out, CropPath::scalar),
               ConfigError);
  EXPECT_THROW(crop({{made.frame}}, {}, {&window, 1}, shape, out, CropPath::scalar), ShapeError);
  out.pop_back();
  EXPECT_THROW(crop({{made.frame}}, {&first, 1}, {&window, 1}, shape, out, CropPath::scalar),
               ShapeError);
}

TEST(Crop, RefusesAFrameInGpuMemory) {
  MadeFrame made(PixelFormat::nv12, 8, 8, false);
  made.frame.device = Device::cuda;
  EXPECT_THROW(crop_on(made.frame, {1, 0, 1, 0}, {4, 4, {}}, CropPath::scalar), ConfigError);
}

// At the largest positions the checks let through, Q32 must still fit 64 bits.
TEST(Crop, FarAwayWindowsAreAllBorder) {
  const MadeFrame made(PixelFormat::nv12, 8, 8, false);
  const CropShape shape{2, 16384, {1, 2, 3}};
  const auto out =
      crop_on(made.frame, {32768, 1073741824, -32768, -1073741824}, shape, crop_paths().back());
  EXPECT_EQ(out.front(), 1);
  EXPECT_EQ(out.back(), 3);
}

TEST(Pixel, BlendsWithin16BitsAndKeepsFlatAreas) {
  for (int value = 0; value < 256; ++value) {
    const std::int32_t flat = centred(static_cast<std::uint8_t>(value));
    for (std::int32_t f = 0; f < 32768; f += 31) ASSERT_EQ(blend(flat, flat, f), flat);
  }
  for (const std::int32_t a : {-32768, -32767, 0, 32511, 32512}) {
    for (const std::int32_t b : {-32768, -32767, 0, 32511, 32512}) {
      for (std::int32_t f = 0; f < 32768; ++f) {
        const std::int32_t v = blend(a, b, f);
        ASSERT_GE(v, -32768);
        ASSERT_LE(v, 32767);
        ASSERT_NEAR(v, a + (b - a) * (f / 32768.0), 1.0);
      }
    }
  }
}

}  // namespace
}  // namespace poseact
