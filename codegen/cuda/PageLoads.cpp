//===- PageLoads.cpp - keys that lie in pages of a cache ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A chunk is loaded in boxes of keys that lie in one page. Where that is goes
// through the walker's ring: entries of the table are asked for once, some at a
// time, and are brought near some chunks before.
//
//   keys_in_pages(scratch, key, n):       (walker, before it posts a chunk)
//     wait for the next entry of the ring
//     pages of all boxes -> the entry, those behind n as that of the last key
//     n, or the keys before the first box whose page does not exist
//
// What is behind the n keys of a chunk is loaded as zeros, by a slot that no
// page has. Of the last page of a sequence values are copied eight rows at a
// time, and row by row where the sequence ends: a slot that holds none may hold
// NaN, which a weight of 0 does not keep out.
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Chunks from one that is posted to one whose pages are asked for.
static constexpr int32_t kAhead = 8;
/// Rows of the smallest copy but one: the swizzle begins anew.
static constexpr int32_t kEight = 8;

func::FuncOp HopperKernel::emitKeysInPages(size_t s) {
  int32_t page = int32_t(pageSlots()), width = 4;
  while (boxes() % width != 0)
    --width;
  return e.function(
      named("keys_in_pages_" + Twine(s)), {e.ptr(), e.i64(), e.i64()},
      {e.i64()}, [&](ArrayRef<Value> args) -> SmallVector<Value> {
        shared = emitShared();
        Value scratch = args[0], slots = slotsOf(scratch);
        Value key = p.narrow(args[1]), n = p.narrow(args[2]);
        Stage at = CudaKernel::stageOf(
            p.loadShared(e.i32(), address(offPosted)), kEntries);
        waitEmpty(offEntryEmpty, at);
        Value to = address(offPages, at.index, 4 * boxes());
        Value row = e.asPtr(frame(scratch, walk::kPageRow));
        Value stride = e.mul(tensorSlot(slots, fold.getPageTable(), 6), e.c(4));
        Value pages = p.narrow(tensorSlot(slots, streams[s].op.getKey(), 1));
        auto least = [&](Value a, Value x) -> Value {
          return arith::MinSIOp::create(builder, e.loc, a, x);
        };
        auto entryAt = [&](Value key) {
          return e.at(row, e.mul(p.wide(p.div(key, page)), stride));
        };
        Value last = p.add(p.add(key, n), -1);
        Value found = e.loop(
            e.c(0), e.c(boxes()), width, {n},
            [&](Value number, ValueRange carried) -> SmallVector<Value> {
              Value box = p.narrow(number), first = p.mul(box, boxKeys);
              Values entries;
              for (int32_t k = 0; k < width; ++k) {
                Value begin = p.add(p.add(key, first), k * boxKeys);
                entries.push_back(
                    e.load(e.i32(), entryAt(least(begin, last)), 4));
              }
              Value found = carried[0];
              for (auto [k, entry] : llvm::enumerate(entries)) {
                Value exists = arith::CmpIOp::create(
                    builder, e.loc, arith::CmpIPredicate::ult, entry, pages);
                Value before = least(found, p.add(first, int32_t(k) * boxKeys));
                found = p.select(exists, found, before);
                p.storeShared(entry,
                              p.add(p.add(to, p.mul(box, 4)), 4 * int32_t(k)));
              }
              return {found};
            })[0];
        Value later = p.add(p.narrow(stream(scratch, s, walk::kNk)), -1);
        p.prefetchLine(entryAt(least(p.add(key, kAhead * keys), later)));
        return {p.wide(found)};
      });
}

void HopperKernel::emitLoadPages(Value barrierAt, Value at, int32_t chunks,
                                 Value map, const ValueMaps *ofValues,
                                 Value head, const Entry &chunk) {
  int32_t page = int32_t(pageSlots());
  auto entryOf = [&](Value box) {
    return p.loadShared(e.i32(), p.add(chunk.pages, p.mul(box, 4)));
  };
  // Boxes lie within pages, so they begin at slot 0 where they are as long.
  auto slotOf = [&](Value row) {
    return boxKeys == page ? p.c(0) : p.rem(p.add(chunk.row, row), page);
  };
  auto load = [&](Value row, Value map, Value slot, Value entry) {
    for (int32_t k = 0; k < chunks; ++k)
      p.loadTile(p.add(p.add(at, k * keys * kRowBytes), p.mul(row, kRowBytes)),
                 map, {p.c(64 * k), slot, head, entry}, barrierAt, keyPolicy);
  };
  auto whole = [&] {
    Values entries;
    for (int32_t box = 0; box < boxes(); ++box)
      entries.push_back(entryOf(p.c(box)));
    for (int32_t box = 0; box < boxes(); ++box) {
      Value first = p.c(box * boxKeys);
      load(first, map, slotOf(first), entries[box]);
    }
  };
  Value none = p.c(page);
  auto box = [&](Value number) {
    Value first = p.mul(number, boxKeys), left = p.sub(chunk.n, first);
    Value slot = slotOf(first), some = p.lt(p.c(0), left);
    Value entry = ifElse(
        some, [&] { return Values{entryOf(number)}; },
        [&] { return Values{p.c(0)}; })[0];
    auto atOnce = [&] { load(first, map, p.select(some, slot, none), entry); };
    if (!ofValues)
      return atOnce();
    auto eight = [&](Value row) {
      Value rest = p.sub(left, row);
      auto rowOf = [&](Value number) {
        Value from = p.select(p.lt(number, left), p.add(slot, number), none);
        return std::pair<Value, Value>(p.add(first, number), from);
      };
      Value ends = e.band(p.lt(p.c(0), rest), p.lt(rest, p.c(kEight)));
      e.ifThen(
          ends,
          [&] {
            e.loop(e.c(0), e.c(kEight), 1, [&](Value index) {
              auto [to, from] = rowOf(p.add(row, p.narrow(index)));
              load(to, ofValues->ones, from, entry);
            });
          },
          [&] {
            auto [to, from] = rowOf(row);
            load(to, ofValues->eights, from, entry);
          });
    };
    e.ifThen(
        e.band(some, p.lt(left, p.c(boxKeys))),
        [&] {
          e.loop(e.c(0), e.c(boxKeys), kEight,
                 [&](Value row) { eight(p.narrow(row)); });
        },
        atOnce);
  };
  e.ifThen(p.eq(chunk.n, p.c(keys)), whole, [&] {
    e.loop(e.c(0), e.c(boxes()), 1,
           [&](Value number) { box(p.narrow(number)); });
  });
}
