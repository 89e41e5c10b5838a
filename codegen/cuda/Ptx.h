//===- Ptx.h - the instructions of a kernel, one function each ------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Addresses of shared memory are i32, of anything else i64. LLVM does not know
// that wgmma is asynchronous, so registers that an instruction in flight reads
// or writes go through `fence` and `wait`: what comes out of `wait` may be
// used, and what is only kept alive by it is not reused before.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_CODEGEN_CUDA_PTX_H
#define FILIGREE_CODEGEN_CUDA_PTX_H

#include "codegen/walk/Emitter.h"

namespace filigree::cuda {

using mlir::Type;
using mlir::Value;
using mlir::ValueRange;
using Values = llvm::SmallVector<Value>;

class Ptx {
public:
  Ptx(mlir::OpBuilder &b, mlir::Location loc) : b(b), loc(loc) {}

  // i32 and f32 scalars.
  Value c(int32_t value);
  Value c64(int64_t value);
  Value cf(float value);
  Value add(Value a, Value x);
  Value add(Value a, int32_t x) { return x ? add(a, c(x)) : a; }
  Value sub(Value a, Value x);
  Value mul(Value a, int32_t x);
  Value div(Value a, int32_t x); ///< unsigned
  Value rem(Value a, int32_t x); ///< unsigned
  Value bitAnd(Value a, int32_t x);
  Value bitXor(Value a, Value x);
  Value shr(Value a, int32_t x);
  Value eq(Value a, Value x);
  Value lt(Value a, Value x);
  Value wide(Value a);   ///< i32 to i64, signed
  Value narrow(Value a); ///< i64 to i32
  Value fmul(Value a, Value x);
  Value fadd(Value a, Value x);
  Value fsub(Value a, Value x);
  Value fma(Value a, Value x, Value y);
  Value fmax(Value a, Value x); ///< the other one where one is NaN
  Value isValue(Value a, float value);
  Value select(Value cond, Value a, Value x);
  Value ex2(Value a); ///< 2^a, relative error 2^-22, subnormals are 0
  Value lg2(Value a);
  Value rcp(Value a);
  /// Two f32 rounded to `element` (bf16 or f16), `lo` in the low half.
  Value pack(Type element, Value lo, Value hi);

  // Threads.
  Value special(llvm::StringRef name);      ///< %tid.x and the like
  Value broadcastLane0(Value a);            ///< i32 of lane 0 in all lanes
  Value shuffleXor(Value a, int32_t lanes); ///< f32
  Value ballot(Value cond);                 ///< i32: of i1, a bit a lane
  Value shuffle(Value a, Value lane);       ///< f32 of one lane in all lanes
  void syncBlock();
  void syncNamed(Value id, int32_t threads);
  void syncWarp();
  void setMaxRegisters(int32_t count, bool increase);

  // Shared memory.
  Value loadShared(Type type, Value address);
  void storeShared(Value value, Value address);

  /// Values of one type as a vector, and back.
  Value join(ValueRange values);
  /// 16 bytes.
  Value zeroPiece();
  Values split(Value vector);

  /// To memory where others may write the same.
  void storeRelaxed(Value value, Value pointer);

  // mbarrier.
  void barrierInit(Value address, int32_t count);
  void fenceBarrierInit();
  void barrierArrive(Value address);
  void barrierArriveIf(Value cond, Value address);
  void barrierExpect(Value address, int32_t bytes);
  /// The same without arriving.
  void barrierExpectOnly(Value address, Value bytes);
  /// Waits until the phase of `parity` (i32) has completed.
  void barrierWait(Value address, Value parity);

  // Asynchronous copies.
  void prefetchMap(Value map);
  /// With a cache policy, unless that is null.
  void loadTile(Value shared, Value map, llvm::ArrayRef<Value> coordinates,
                Value barrier, Value policy = {});
  /// Policy (i64) of what is read once.
  Value evictFirst();
  /// Brings what loadTile would load into the second-level cache.
  void prefetchTile(Value map, llvm::ArrayRef<Value> coordinates);
  void fenceProxy();
  /// What the launches before wrote is there (griddepcontrol).
  void waitForLaunches();
  /// Brings the line of `pointer`, in global memory, into that cache.
  void prefetchLine(Value pointer);

  // Copies of single threads, 16 bytes each.
  /// To `shared` + `offset`; what is beyond the first `bytes` (0 to 16) of
  /// `global` is zero and not read.
  void copyPiece(Value shared, int32_t offset, Value global, Value bytes);
  /// Until all copies that this thread has begun are complete.
  void waitCopies();

  // mma.sync m16n8k16.
  /// 2 or 4 registers: matrices of 8 x 8 from the rows the lanes name.
  Values loadMatrices(Value address, int32_t offset, int32_t count,
                      bool transposed);
  /// `sums` [16 x 8] += A [16 x 16] times B [16 x 8].
  Values multiply(Type element, ValueRange sums, ValueRange a, ValueRange x);

  // wgmma m64nNk16.
  /// Descriptor of a tile with 128-byte swizzle at `address`.
  Value descriptor(Value address, int32_t leadingBytes, int32_t strideBytes);
  void wgmmaFence();
  /// The same for what `values` hold.
  Values wgmmaFence(ValueRange values);
  void wgmmaCommit();
  Values wgmmaWait(int32_t pending, ValueRange results, ValueRange kept);
  struct Operand {
    Type element;
    bool negateA = false;
  };
  /// n / 2 sums: A [64 x 16 k] times B [n x 16 k] transposed, both in shared
  /// memory, K-major; `aSteps`, `bSteps`: descriptor offsets of each k16.
  Values wgmmaShared(Operand kind, int32_t n, Value a, Value b,
                     llvm::ArrayRef<int32_t> aSteps,
                     llvm::ArrayRef<int32_t> bSteps);
  /// `sums` += A [64 x 16 k] in registers times B [16 k x n], MN-major.
  Values wgmmaRegisters(Operand kind, int32_t n, ValueRange sums, ValueRange a,
                        Value b, llvm::ArrayRef<int32_t> bSteps);

  /// 2 or 4 registers: matrices of 8 x 8 to the rows the lanes name.
  void storeMatrices(Value address, ValueRange registers);

  /// The same i32, so that what follows from it is computed here and takes no
  /// register of the loops around.
  Value here(Value a) { return ptx("", {i32()}, {a}, {})[0]; }

  /// Inline PTX: `outputs` first, then `tied` (to the first outputs), then
  /// `inputs`. Nothing moves across it in memory, unless it is `pure`: a
  /// function of its inputs.
  Values ptx(const llvm::Twine &text, llvm::ArrayRef<Type> outputs,
             ValueRange tied, ValueRange inputs, bool pure = false);

  Type i32() { return b.getI32Type(); }
  Type i64() { return b.getI64Type(); }
  Type f32() { return b.getF32Type(); }

  mlir::OpBuilder &b;
  mlir::Location loc;
};

} // namespace filigree::cuda

#endif // FILIGREE_CODEGEN_CUDA_PTX_H
