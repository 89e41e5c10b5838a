//===- Picture.cpp - a raster as text, svg, html or png -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Picture.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <png.h>

using namespace filigree;
using llvm::formatv;

/// Red, green, blue of empty, partial, full.
static const uint8_t kColors[3][3] = {
    {0xf3, 0xf2, 0xee}, {0x8f, 0xbc, 0xe0}, {0x1c, 0x4f, 0x8c}};

static std::string hex(TileClass cls) {
  const uint8_t *rgb = kColors[unsigned(cls)];
  return formatv("#{0:x-2}{1:x-2}{2:x-2}", rgb[0], rgb[1], rgb[2]).str();
}

/// Pixels a tile is wide, so that the picture is about 768 pixels.
static int64_t scaleOf(const Raster &raster) {
  int64_t longest = std::max<int64_t>({raster.rows, raster.cols, 1});
  return std::clamp<int64_t>(768 / longest, 1, 48);
}

static std::string escaped(llvm::StringRef text) {
  std::string out;
  llvm::raw_string_ostream os(out);
  llvm::printHTMLEscaped(text, os);
  return out;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

void filigree::drawText(llvm::raw_ostream &os, const Raster &raster) {
  // Two columns a tile, so that tiles look square.
  static const char *const cell[] = {"\u00b7 ", "\u2592\u2592", "\u2588\u2588"};
  for (int64_t row = 0; row < raster.rows; ++row) {
    for (int64_t col = 0; col < raster.cols; ++col)
      os << cell[unsigned(raster.at(row, col))];
    os << "\n";
  }
  os << raster.caption() << "\n";
}

//===----------------------------------------------------------------------===//
// SVG
//===----------------------------------------------------------------------===//

void filigree::drawSvg(llvm::raw_ostream &os, const Raster &raster,
                       llvm::StringRef title) {
  int64_t scale = scaleOf(raster), margin = 16, band = 24;
  int64_t width = std::max<int64_t>(raster.cols * scale, 480) + 2 * margin;
  int64_t height = raster.rows * scale + 2 * margin + 2 * band;
  os << formatv("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" "
                "height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
                "font-family=\"sans-serif\" font-size=\"13\">\n",
                width, height)
     << formatv("<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
                width, height)
     << formatv("<text x=\"{0}\" y=\"{1}\">{2}</text>\n", margin,
                margin + band / 2, escaped(title))
     << formatv("<g transform=\"translate({0},{1})\" "
                "shape-rendering=\"crispEdges\">\n",
                margin, margin + band)
     << formatv("<rect width=\"{0}\" height=\"{1}\" fill=\"{2}\"/>\n",
                raster.cols * scale, raster.rows * scale,
                hex(TileClass::Empty));
  for (int64_t row = 0; row < raster.rows; ++row)
    for (int64_t col = 0; col < raster.cols;) {
      TileClass cls = raster.at(row, col);
      int64_t end = col + 1;
      while (end < raster.cols && raster.at(row, end) == cls)
        ++end;
      if (cls != TileClass::Empty)
        os << formatv("<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" "
                      "height=\"{3}\" fill=\"{4}\"/>\n",
                      col * scale, row * scale, (end - col) * scale, scale,
                      hex(cls));
      col = end;
    }
  os << "</g>\n"
     << formatv("<text x=\"{0}\" y=\"{1}\">{2}</text>\n</svg>\n", margin,
                height - margin, escaped(raster.caption()));
}

//===----------------------------------------------------------------------===//
// HTML
//===----------------------------------------------------------------------===//

static const char *const kPage = R"(
<canvas id="mask"></canvas><p id="tile">&nbsp;</p>
<script>
const r = DATA;
const canvas = document.getElementById("mask"), out = document.getElementById("tile");
const context = canvas.getContext("2d");
canvas.width = r.cols * r.scale; canvas.height = r.rows * r.scale;
const size = (n, all) => Math.min(r.tile, all - n * r.tile);
const name = (have, all) => have == 0 ? "empty" : have == all ? "full" : "partial";
for (let y = 0; y < r.rows; ++y)
  for (let x = 0; x < r.cols; ++x) {
    const have = r.counts[y * r.cols + x], all = size(y, r.queries) * size(x, r.keys);
    context.fillStyle = r.colors[name(have, all)];
    context.fillRect(x * r.scale, y * r.scale, r.scale, r.scale);
  }
canvas.onmousemove = e => {
  const x = Math.floor(e.offsetX / r.scale), y = Math.floor(e.offsetY / r.scale);
  if (x < 0 || y < 0 || x >= r.cols || y >= r.rows) return;
  const h = size(y, r.queries), w = size(x, r.keys), have = r.counts[y * r.cols + x];
  out.textContent = `queries ${y * r.tile} to ${y * r.tile + h - 1}, keys ${x * r.tile} to ` +
    `${x * r.tile + w - 1}: ${name(have, h * w)}, ${have} of ${h * w} pairs`;
};
canvas.onmouseleave = () => { out.textContent = "\u00a0"; };
</script>
)";

void filigree::drawHtml(llvm::raw_ostream &os, const Raster &raster,
                        llvm::StringRef title) {
  std::string data;
  llvm::raw_string_ostream text(data);
  llvm::json::OStream json(text);
  json.object([&] {
    json.attribute("queries", raster.queries);
    json.attribute("keys", raster.keys);
    json.attribute("tile", raster.tile);
    json.attribute("rows", raster.rows);
    json.attribute("cols", raster.cols);
    json.attribute("scale", scaleOf(raster));
    json.attributeObject("colors", [&] {
      json.attribute("empty", hex(TileClass::Empty));
      json.attribute("partial", hex(TileClass::Partial));
      json.attribute("full", hex(TileClass::Full));
    });
    json.attributeArray("counts", [&] {
      for (uint64_t count : raster.counts)
        json.value(int64_t(count));
    });
  });
  auto [before, after] = llvm::StringRef(kPage).split("DATA");
  os << "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" << escaped(title)
     << "</title>\n<body style=\"font:14px sans-serif;margin:24px\">\n<p>"
     << escaped(title) << "<br>" << escaped(raster.caption()) << "</p>"
     << before << data << after;
}

//===----------------------------------------------------------------------===//
// PNG
//===----------------------------------------------------------------------===//

llvm::Error filigree::drawPng(llvm::raw_ostream &os, const Raster &raster) {
  int64_t scale = scaleOf(raster);
  int64_t width = raster.cols * scale, height = raster.rows * scale;
  if (width < 1 || height < 1)
    return llvm::createStringError(
        "expected at least one pair for a png, but the mask has none");
  std::vector<uint8_t> pixels(width * height);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      pixels[y * width + x] = uint8_t(raster.at(y / scale, x / scale));

  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = png_uint_32(width);
  image.height = png_uint_32(height);
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.colormap_entries = 3;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  if (!png_image_write_to_memory(&image, bytes.data(), &size, 0, pixels.data(),
                                 0, kColors))
    return llvm::createStringError(llvm::Twine("cannot make a png: ") +
                                   image.message);
  os << llvm::StringRef(bytes).take_front(size);
  return llvm::Error::success();
}
