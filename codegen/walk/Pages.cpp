//===- Pages.cpp - keys that lie in pages of a cache ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The walk counts keys of a sequence and does not know where they lie: ranges
// and lists are the same as of keys in a row. Where a run is cut into chunks,
// pages are looked up, and a chunk ends before a page that does not exist, so
// that those who fold a chunk find all of its pages.
//
//   keys_in_pages(scratch, key, n):           keys from `key` on that have
//   pages for each chunk of a run [from, to):
//     m = keys_in_pages(at, n)
//     m > 0: fold [at, at + m)
//     else:  the page of `at` is bad: report it if a query may see it, skip it
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/WalkEmitter.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::walk;

Value WalkEmitter::pageOf(Value scratch, Value key) {
  Value stride = tensorSlot(slotsOf(scratch), fold.getPageTable(), 6);
  Value place = e.mul(e.udiv(key, e.c(pageSlots())), stride);
  Value row = e.asPtr(frame(scratch, kPageRow));
  Value entry = e.load(e.i32(), e.at(row, e.mul(place, 4)));
  return arith::ExtSIOp::create(e.b, e.loc, e.i64(), entry);
}

/// keys_in_pages_<s>(scratch, key, n): how many of [key, key + n), n > 0, come
/// before one whose page does not exist.
func::FuncOp WalkEmitter::emitKeysInPages(size_t s) {
  return e.function(
      named("keys_in_pages_" + Twine(s)), {e.ptr(), e.i64(), e.i64()},
      {e.i64()}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value scratch = args[0], key = args[1], end = e.add(key, args[2]);
        Value pages = tensorSlot(slotsOf(scratch), streams[s].op.getKey(), 1);
        SmallVector<Value> found = e.whileLoop(
            {key, e.truth(true)},
            [&](ValueRange at) { return e.band(e.lt(at[0], end), at[1]); },
            [&](ValueRange at) -> SmallVector<Value> {
              Value page = pageOf(scratch, at[0]);
              Value exists = e.band(e.le(e.c(0), page), e.lt(page, pages));
              Value next = e.mul(e.add(e.udiv(at[0], e.c(pageSlots())), 1),
                                 e.c(pageSlots()));
              return {e.select(exists, e.min(next, end), at[0]), exists};
            });
        return {e.sub(found[0], key)};
      });
}

void WalkEmitter::forKeysInPages(
    size_t s, Value scratch, Value from, Value to, Value width,
    llvm::function_ref<void(Value, Value, Value)> body) {
  e.whileLoop(
      {from}, [&](ValueRange at) { return e.lt(at[0], to); },
      [&](ValueRange at) -> SmallVector<Value> {
        Value left = e.sub(to, at[0]), slots = e.c(pageSlots());
        Value n = e.call(streams[s].keysInPages,
                         {scratch, at[0], e.min(left, width)})[0];
        Value exists = e.lt(e.c(0), n);
        Value rest = e.sub(slots, e.urem(at[0], slots));
        n = e.select(exists, n, e.min(rest, left));
        body(at[0], n, exists);
        return {e.add(at[0], n)};
      });
}

void WalkEmitter::reportPage(Value scratch, Value key) {
  emitReport(scratch, FIL_ABI_PAGE_OUT_OF_RANGE, pageOf(scratch, key));
}
