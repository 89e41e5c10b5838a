//===- Builder.h - patterns written in C++ --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Makes what LANGUAGE.md makes, without text. The parser's generator is written
// with it, so both give the same IR.
//
//   PatternBuilder p("window", {f32, 64, 64}, UnknownLoc::get(&context));
//   Value q = p.addKeyLike("q"), k = p.addKeyLike("k"), v = p.addValues("v");
//   Value w = p.addInt("w", {1, 65536, 4096});
//   Value near = p.where([&](Body &x) {
//     return x.j <= x.i && x.i - x.j < x.useInt(w);
//   });
//   OwningOpRef<ModuleOp> module = p.finish(p.attend(q, p.source(k, v, near)));
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_BUILDER_H
#define FILIGREE_FRONTEND_BUILDER_H

#include "frontend/Scalar.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace filigree::frontend {

/// Element type of q, k, v and o, and the head sizes.
struct HeadTypes {
  mlir::Type elementType;
  int64_t headDim = 64;
  int64_t valueDim = 64;
};

/// Inclusive bounds and the value used when a run gives none.
struct IntParam {
  int64_t min = INT32_MIN;
  int64_t max = INT32_MAX;
  std::optional<int64_t> preset;
};

/// An unfinished softmax; `sink` is null if no sink logits joined it.
struct Attention {
  mlir::Value partial;
  mlir::Value sink;
};

/// Where the queries of an `attend` stand; null means not given.
struct Placement {
  mlir::Value cuQuery, cuKey; ///< packed documents
  /// With `cuQuery`, packed sequences whose keys lie in pages of `page` slots.
  mlir::Value pageTable, lengths;
  std::optional<int64_t> page;
  mlir::Value offsets;
  attn::Align align = attn::Align::bottom_right;
};

class PatternBuilder {
public:
  PatternBuilder(llvm::StringRef name, HeadTypes types, mlir::Location loc);

  /// Of the operations and arguments made next.
  void setLoc(mlir::Location newLoc) { loc = newLoc; }

  // Arguments, in the order of the function.
  mlir::Value addKeyLike(llvm::StringRef name); ///< queries and keys
  mlir::Value addValues(llvm::StringRef name);
  mlir::Value addInt(llvm::StringRef name, IntParam param);
  mlir::Value addFloat(llvm::StringRef name, std::optional<double> preset);
  mlir::Value addIntTable(llvm::StringRef name, unsigned rank);
  mlir::Value addFloatTable(llvm::StringRef name, unsigned rank,
                            mlir::Type elementType);
  /// Adds `name`.start, `name`.count and `name`.cols; gives their graph.
  mlir::Value addBlocks(llvm::StringRef name, int64_t rows, int64_t cols);

  // Graphs.
  mlir::Value where(llvm::function_ref<Bool(Body &)> condition);
  mlir::Value causal();
  mlir::Value all();
  mlir::Value unite(mlir::Value a, mlir::Value b);
  mlir::Value intersect(mlir::Value a, mlir::Value b);
  mlir::Value subtract(mlir::Value a, mlir::Value b);
  mlir::Value complement(mlir::Value a);

  // Attention.
  mlir::Value source(mlir::Value key, mlir::Value value, mlir::Value graph,
                     std::optional<double> scale = std::nullopt,
                     llvm::function_ref<Float(Body &)> edge = nullptr);
  Attention attend(mlir::Value query, mlir::ValueRange sources,
                   Placement placement = {}, mlir::Value sink = nullptr);
  /// At most one of the two has a sink.
  Attention merge(Attention a, Attention b);

  /// Ends the function and verifies the module; null if that fails.
  mlir::OwningOpRef<mlir::ModuleOp> finish(Attention result);

private:
  mlir::Value addArgument(llvm::StringRef name, mlir::Type type,
                          llvm::ArrayRef<mlir::NamedAttribute> attrs = {});
  mlir::RankedTensorType tensorOf(unsigned rank, mlir::Type elementType);
  mlir::RankedTensorType headsOf(int64_t headSize);

  HeadTypes types;
  mlir::Location loc;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  mlir::func::FuncOp func;
  mlir::OpBuilder builder;
  bool failed = false;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_BUILDER_H
