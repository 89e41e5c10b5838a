//===- Picture.h - a raster as text, svg, html or png ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Queries run down, keys to the right. All formats show the same three classes;
// html adds the numbers of the tile under the pointer and loads nothing.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_PICTURE_H
#define FILIGREE_FRONTEND_DRIVER_PICTURE_H

#include "frontend/driver/Raster.h"
#include "llvm/Support/raw_ostream.h"

namespace filigree {

void drawText(llvm::raw_ostream &os, const Raster &raster);
void drawSvg(llvm::raw_ostream &os, const Raster &raster,
             llvm::StringRef title);
void drawHtml(llvm::raw_ostream &os, const Raster &raster,
              llvm::StringRef title);
llvm::Error drawPng(llvm::raw_ostream &os, const Raster &raster);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_PICTURE_H
