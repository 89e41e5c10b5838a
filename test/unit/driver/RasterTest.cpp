//===- RasterTest.cpp - tiles counted by hand -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Picture.h"
#include "test/unit/reference/Harness.h"

using namespace filigree;
using namespace filigree::reference;

namespace {

Raster causal(int64_t queries, int64_t keys, int64_t tile) {
  Problem p;
  p.B = p.Hq = p.Hkv = 1;
  p.graph = where("g", kCausal);
  for (auto [name, n, d] :
       {std::tuple<const char *, int64_t, int64_t>{"q", queries, p.Dk},
        {"k", keys, p.Dk},
        {"v", keys, p.Dv}})
    p.inputs.tensors[name] = Tensor::compact(DType::F32, {1, 1, n, d}, nullptr);
  Parsed parsed(p.text());
  return llvm::cantFail(rasterize(parsed.function(), p.inputs, 0, 0, tile));
}

template <typename F> std::string drawn(F draw) {
  std::string text;
  llvm::raw_string_ostream os(text);
  draw(os);
  return text;
}

} // namespace

TEST(Raster, RaggedCausal) {
  Raster raster = causal(10, 10, 4);
  ASSERT_EQ(raster.rows, 3);
  ASSERT_EQ(raster.cols, 3);
  EXPECT_FALSE(raster.sampled);
  EXPECT_EQ(raster.pairs(), 55u);
  EXPECT_EQ(raster.count(0, 0), 10u);
  EXPECT_EQ(raster.count(2, 2), 3u);
  EXPECT_EQ(raster.at(0, 1), TileClass::Empty);
  EXPECT_EQ(raster.at(1, 1), TileClass::Partial);
  EXPECT_EQ(raster.at(2, 0), TileClass::Full); // 2 x 4, at the ragged edge
  EXPECT_EQ(raster.caption(), "10 x 10, tiles of 4: 55.00 % of the pairs; 3 "
                              "tiles empty, 3 partial, 3 full");
}

TEST(Raster, SampledRowsKeepTheClasses) {
  Raster raster = causal(40000, 40000, 4000);
  EXPECT_TRUE(raster.sampled);
  EXPECT_EQ(raster.tiles(TileClass::Partial), 10u);
  EXPECT_EQ(raster.tiles(TileClass::Full), 45u);
  EXPECT_NEAR(double(raster.pairs()) / 1.6e9, 0.5, 0.001);
}

TEST(Picture, EveryFormat) {
  Raster raster = causal(10, 10, 4);
  EXPECT_EQ(drawn([&](auto &os) { drawText(os, raster); }),
            "▒▒· · \n██▒▒· \n████▒▒\n" + raster.caption() + "\n");
  std::string svg = drawn([&](auto &os) { drawSvg(os, raster, "a < b"); });
  EXPECT_EQ(svg.substr(0, 4), "<svg");
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  // The background, the page, and a rectangle for each run of a class.
  size_t rects = 0;
  for (size_t at = 0; (at = svg.find("<rect", at)) != std::string::npos; ++at)
    ++rects;
  EXPECT_EQ(rects, 2u + 5u);
  std::string html = drawn([&](auto &os) { drawHtml(os, raster, "</title>"); });
  EXPECT_NE(html.find("\"counts\":[10,0,0,16,10,0,8,8,3]"), std::string::npos);
  EXPECT_EQ(html.find("<title></title>"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos); // loads nothing
  std::string png =
      drawn([&](auto &os) { llvm::cantFail(drawPng(os, raster)); });
  EXPECT_EQ(png.substr(0, 4), "\x89PNG");
}

TEST(Picture, NothingToDraw) {
  Raster raster = causal(0, 10, 4);
  EXPECT_EQ(raster.caption(), "0 x 10, tiles of 4: 0.00 % of the pairs; 0 "
                              "tiles empty, 0 partial, 0 full");
  std::string ignored;
  llvm::raw_string_ostream os(ignored);
  EXPECT_EQ(llvm::toString(drawPng(os, raster)),
            "expected at least one pair for a png, but the mask has none");
}
