//===- ScalarCompiler.h - bodies of graphs and edges to steps -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What becomes of a value, where it lies in a frame, and how an operation maps
// over a strip. Which operations there are: ScalarCompiler.cpp.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_SCALARCOMPILER_H
#define FILIGREE_CODEGEN_REFERENCE_SCALARCOMPILER_H

#include "codegen/reference/ScalarProgram.h"
#include "dialect/Attn/Attn.h"

namespace filigree::reference {

// Integers of any width are kept sign-extended; i1 is 0 or 1.

inline unsigned widthOf(mlir::Type type) {
  return type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
}

inline int64_t wrap(uint64_t value, unsigned width) {
  if (width >= 64)
    return int64_t(value);
  if (width == 1)
    return int64_t(value & 1);
  return int64_t(value << (64 - width)) >> (64 - width);
}

template <typename Real> class ScalarCompiler {
public:
  using Program = ScalarProgram<Real>;
  using Frame = typename Program::Frame;
  enum Level : unsigned { Once, OfRow, OfKey };
  /// Where a value lies in a frame.
  struct Slot {
    bool isReal;
    unsigned index;
    Level level;
  };
  /// Integer slots 0..5 hold b, h, i, j, r, c; real slot 0 the logit.
  enum { SlotB, SlotH, SlotI, SlotJ, SlotR, SlotC, FirstInt };

  ScalarCompiler(const Environment &outside, const BodyExtents &extents)
      : outside(outside), extents(extents) {
    program.numInts = FirstInt;
    program.numReals = 1;
  }

  llvm::Error compileBody(mlir::Block &body) {
    unsigned first = body.getNumArguments() - 4;
    if (first)
      slots[body.getArgument(0)] = {true, 0, OfKey};
    for (unsigned k = 0; k < 4; ++k)
      slots[body.getArgument(first + k)] = {false, k,
                                            k == SlotJ ? OfKey : OfRow};
    for (mlir::Operation &op : body.without_terminator())
      if (llvm::Error error = compileOp(op))
        return error;
    auto slot = slotOf(body.getTerminator()->getOperand(0));
    if (!slot)
      return slot.takeError();
    program.result = slot->index;
    return llvm::Error::success();
  }

  llvm::Error compileOp(mlir::Operation &op);

  llvm::Expected<Slot> slotOf(mlir::Value value) {
    auto found = slots.find(value);
    if (found != slots.end())
      return found->second;
    auto scalar = outside.scalars.find(value);
    if (scalar == outside.scalars.end()) {
      std::string text;
      llvm::raw_string_ostream(text) << value;
      return llvm::createStringError("expected a scalar known before the run, "
                                     "but got " +
                                     text);
    }
    return addConstant(value, scalar->second);
  }

  Slot addConstant(mlir::Value value, const Scalar &scalar) {
    Slot slot = scalar.isFloat ? makeReal(value, Once) : makeInt(value, Once);
    unsigned k = slot.index;
    if (scalar.isFloat)
      program.steps[Once].push_back(
          [k, v = Real(scalar.f)](Frame &f, unsigned) {
            std::fill(f.reals[k].begin(), f.reals[k].end(), v);
          });
    else
      program.steps[Once].push_back([k, v = scalar.i](Frame &f, unsigned) {
        std::fill(f.ints[k].begin(), f.ints[k].end(), v);
      });
    return slot;
  }

  Program program;

private:
  Slot makeInt(mlir::Value value, Level level) {
    return slots[value] = {false, program.numInts++, level};
  }
  Slot makeReal(mlir::Value value, Level level) {
    return slots[value] = {true, program.numReals++, level};
  }
  template <typename T> static T *data(Frame &frame, unsigned index) {
    if constexpr (std::is_same_v<T, int64_t>)
      return frame.ints[index].data();
    else
      return frame.reals[index].data();
  }

  /// result = f(operands...), element by element; To and From... are int64_t or
  /// Real and decide which half of the frame is meant.
  template <typename To, typename... From, typename F>
  llvm::Error map(mlir::Operation &op, F f) {
    return mapIndexed<To, From...>(op, f,
                                   std::make_index_sequence<sizeof...(From)>());
  }
  template <typename To, typename... From, typename F, size_t... K>
  llvm::Error mapIndexed(mlir::Operation &op, F f, std::index_sequence<K...>) {
    assert(op.getNumOperands() == sizeof...(From));
    unsigned in[sizeof...(From)];
    Level level = Once;
    for (auto [k, operand] : llvm::enumerate(op.getOperands())) {
      auto slot = slotOf(operand);
      if (!slot)
        return slot.takeError();
      in[k] = slot->index;
      level = std::max(level, slot->level);
    }
    constexpr bool toInt = std::is_same_v<To, int64_t>;
    unsigned out = (toInt ? makeInt(op.getResult(0), level)
                          : makeReal(op.getResult(0), level))
                       .index;
    std::array<unsigned, sizeof...(From)> from = {in[K]...};
    program.steps[level].push_back([=](Frame &frame, unsigned n) {
      To *to = data<To>(frame, out);
      std::tuple<const From *...> source = {data<From>(frame, from[K])...};
      for (unsigned t = 0; t < n; ++t)
        to[t] = f(std::get<K>(source)[t]...);
    });
    return llvm::Error::success();
  }

  /// Integer operations whose result wraps to the width of the type.
  template <typename F> llvm::Error integers(mlir::Operation &op, F f) {
    unsigned width = widthOf(op.getResult(0).getType());
    return map<int64_t, int64_t, int64_t>(op, [=](int64_t a, int64_t b) {
      return wrap(uint64_t(f(a, b)), width);
    });
  }
  template <typename F> llvm::Error real1(mlir::Operation &op, F f) {
    return map<Real, Real>(op, f);
  }
  template <typename F> llvm::Error real2(mlir::Operation &op, F f) {
    return map<Real, Real, Real>(op, f);
  }

  llvm::Error compileInteger(mlir::Operation &op);
  llvm::Error compileReal(mlir::Operation &op);
  llvm::Error compileMath(mlir::Operation &op);
  llvm::Error compileCompare(mlir::arith::CmpIOp op);
  llvm::Error compileCompare(mlir::arith::CmpFOp op);
  llvm::Error compileLookup(attn::LookupOp op);
  llvm::Error unknown(mlir::Operation &op) {
    return llvm::createStringError("operation '" + op.getName().getStringRef() +
                                   "' has no meaning in the reference");
  }

  const Environment &outside;
  const BodyExtents &extents;
  llvm::DenseMap<mlir::Value, Slot> slots;
};

extern template class ScalarCompiler<double>;
extern template class ScalarCompiler<float>;

} // namespace filigree::reference

#endif // FILIGREE_CODEGEN_REFERENCE_SCALARCOMPILER_H
