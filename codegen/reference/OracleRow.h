//===- OracleRow.h - what computes one row of an oracle -------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A function of the oracle, member by member: which keys a row sees
// (OracleGraph.cpp), and what it makes of them (OracleFold.cpp).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_REFERENCE_ORACLEROW_H
#define FILIGREE_CODEGEN_REFERENCE_ORACLEROW_H

#include "codegen/reference/OracleFold.h"

namespace filigree::oracle {

inline mlir::Type elementOf(mlir::Value tensor) {
  return mlir::getElementTypeOrSelf(tensor.getType());
}
inline int64_t widthOf(mlir::Value tensor) {
  return mlir::cast<mlir::RankedTensorType>(tensor.getType()).getDimSize(3);
}
inline int64_t bytesOf(mlir::Type element) {
  return element.getIntOrFloatBitWidth() / 8;
}

/// Lists in a graph, each once.
void collectLists(mlir::Value graph, llvm::SmallVector<attn::BlocksOp> &lists);

/// Bytes from the start of a worker's scratch.
struct Layout {
  struct Source {
    Val seen, logits;             ///< a byte and 8 bytes for each key
    llvm::SmallVector<Val> lists; ///< a byte for each key
  };
  llvm::SmallVector<Source> sources;
  Val query, sum; ///< 8 bytes for each number
  Val total;

  Layout(const Fold &fold, Code &code, Bodies &bodies);
};

/// Where a row lies, as one source sees it.
struct Place {
  Val b;        ///< of bodies: batch entry, or number of the document
  Val i;        ///< position of the query
  Val lo, hi;   ///< storage range of the keys
  Val keyShift; ///< position of key c is c - keyShift
};

/// fold(slots, b, h, r, scratch, o, lse), see emitFold.
class RowEmitter {
public:
  RowEmitter(const Fold &fold, llvm::Module &module, oracle::Math &math,
             llvm::Function *report, const llvm::Twine &name,
             reference::Arithmetic arithmetic, reference::SumOrder order)
      : fold(fold), finalize(fold.finalize), math(math), report(report),
        order(order), isNaive(arithmetic == reference::Arithmetic::Naive),
        code(module, name, llvm::Type::getVoidTy(module.getContext()),
             argumentTypes(module.getContext()), /*isEntry=*/false),
        b(code.b), bodies(code, math, fold.interface),
        real(isNaive ? code.f32() : code.f64()), batch(code.arg(1)),
        head(code.arg(2)), row(code.arg(3)), scratch(code.arg(4)),
        output(code.arg(5)), lse(code.arg(6)) {}

  /// Null with a diagnostic.
  llvm::Function *emit();

  static llvm::SmallVector<llvm::Type *>
  argumentTypes(llvm::LLVMContext &context) {
    llvm::Type *i64 = llvm::Type::getInt64Ty(context);
    llvm::Type *ptr = llvm::PointerType::get(context, 0);
    return {ptr, i64, i64, i64, ptr, ptr, ptr};
  }

private:
  // OracleFold.cpp
  Val lit(double value) { return Code::real(real, value); }
  Val extent(mlir::Value tensor, unsigned axis) {
    return bodies.slot(tensor, 1 + axis);
  }
  Val stride(mlir::Value tensor, unsigned axis) {
    return bodies.slot(tensor, 5 + axis);
  }
  Val area(Val offset) { return code.bytesAt(scratch, offset); }
  /// Address of element 0 of a row of a [B, H, N, D] tensor.
  Val rowOf(mlir::Value tensor, Val b, Val h, Val n);
  /// The same of key c, wherever it is stored.
  Val keyRowOf(attn::AttendOp attend, mlir::Value tensor, const Place &place,
               Val h, Val c);
  Val dot(Val key, mlir::Type element, int64_t width);
  Val dotInLanes(Val key, mlir::Type element, int64_t width);
  bool emitLogits(unsigned number);
  void emitWeights(unsigned number, Val m);
  void emitSums(unsigned number, Val l);
  Val rounded(Val value, mlir::Type element);
  Val exp(Val x) { return viaDouble("exp", x); }
  Val viaDouble(llvm::StringRef name, Val x);

  // OracleGraph.cpp
  void reportAt(int64_t what, Val b, Val row, Val column) {
    this->b.CreateCall(report, {bodies.slotAt(FIL_ABI_SLOT_STATUS),
                                code.c(what), b, head, row, column});
  }
  Val pageOf(attn::AttendOp attend, const Place &place, Val c);
  Val pageExists(attn::AttendOp attend, mlir::Value key, const Place &place,
                 Val c, Val isSeen);
  Place placeOf(attn::AttendOp attend, attn::SourceOp source);
  Place placeInDocument(attn::AttendOp attend, attn::SourceOp source);
  std::pair<Val, Val> keysInPages(attn::AttendOp attend, Val sequence);
  void expandList(attn::BlocksOp list, Val mask, mlir::Value key,
                  const Place &place);
  Val seen(mlir::Value graph, const Pair &pair, unsigned source);

  const Fold &fold;
  attn::FinalizeOp finalize;
  oracle::Math &math;
  llvm::Function *report;
  reference::SumOrder order;
  bool isNaive;
  Code code;
  llvm::IRBuilder<> &b;
  Bodies bodies;
  llvm::Type *real;
  Val batch, head, row, scratch, output, lse;
  std::optional<Layout> layout;
  llvm::SmallVector<Place> places;
  llvm::DenseMap<mlir::Value, Val> graphs; ///< of the pair at hand
  llvm::AllocaInst *m = nullptr, *l = nullptr;
};

} // namespace filigree::oracle

#endif // FILIGREE_CODEGEN_REFERENCE_ORACLEROW_H
