//===- Frame.cpp - where a stream lies in the scratch memory --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/Frame.h"

using namespace filigree;

void walk::ScratchLayout::addStream(tile::StreamOp op) {
  stream.push_back(take(8 * kStreamWords));
  auto &lists = list.emplace_back();
  for (size_t l = 0; l < op.getStarts().size(); ++l)
    lists.push_back(take(8 * kListWords));
  auto &ofTouched = touched.emplace_back(), &ofNotFull = notFull.emplace_back();
  // One range more than there can be, so that a search may look at it.
  auto area = [&](tile::SideAttr side) {
    return take(8 * (1 + 2 * (int64_t(side.getClusters().size()) + 1)));
  };
  for (tile::CaseOp one : op.getOps<tile::CaseOp>()) {
    auto runs = one.getRuns();
    ofTouched.push_back(runs ? area(runs->getTouched()) : 0);
    ofNotFull.push_back(runs ? area(runs->getNotFull()) : 0);
  }
}
