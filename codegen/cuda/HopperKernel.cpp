//===- HopperKernel.cpp - shape, memory and roles of a Hopper kernel ------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/HopperKernel.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Scalar code: what the walk and the bodies are emitted for.
static constexpr CpuTarget kScalar = {"scalar", 0,    "",    "",          1, 64,
                                      true,     true, false, /*ex2=*/true};

/// Most dynamic shared memory of a block.
static constexpr int32_t kSharedLimit = 227 * 1024;
/// Bytes of a row of a tile in shared memory: 64 elements, swizzled.
static constexpr int32_t kRowBytes = 128;
/// Bytes of the words of a chunk: key, n, code.
static constexpr int32_t kChunkBytes = 16;

HopperKernel::HopperKernel(tile::KernelOp kernel, const CudaTarget &target,
                           StringRef prefix, ModuleOp module)
    : KernelEmitter(kernel, kScalar, prefix, module), cuda(target),
      p(builder, kernel.getLoc()) {
  keys = schedule.getChunk();
  warpgroups = llvm::divideCeil(schedule.getRows(), 64);
  rows = 64 * warpgroups;
  keyChunks = llvm::divideCeil(shape.keyDim, 64);
  valueChunks = llvm::divideCeil(shape.valueDim, 64);
  keyBytes = keys * kRowBytes * keyChunks;
  valueBytes = keys * kRowBytes * valueChunks;
  layOutShared();
}

LogicalResult HopperKernel::verify() {
  auto refuse = [&](const Twine &expected, const auto &got) {
    return kernel.emitOpError("expected ")
           << expected << " on target `cuda:" << cuda.name << "`, but got "
           << got;
  };
  if (!keyType.isBF16() && !keyType.isF16())
    return refuse("keys of type bf16 or f16", keyType);
  for (cpu::StreamCode &stream : streams)
    for (Value tensor : {stream.op.getKey(), stream.op.getValue()})
      if (Type type = getElementTypeOrSelf(tensor.getType()); type != keyType)
        return refuse("keys and values of one type", type);
  for (Type type : {queryType, outputType})
    if (type != keyType)
      return refuse("queries and outputs of the keys' type", type);
  for (int64_t dim : {shape.keyDim, shape.valueDim})
    if (dim % 8 != 0 || dim > 256)
      return refuse("head sizes divisible by 8, at most 256", dim);
  if (sharedBytes > kSharedLimit)
    return refuse("at most " + Twine(kSharedLimit) +
                      " bytes of shared memory in use",
                  sharedBytes);
  return success();
}

void HopperKernel::layOutShared() {
  layOutWalk();
  int32_t query = rows * kRowBytes * std::max(keyChunks, valueChunks);
  int32_t stage = keyBytes + valueBytes + kChunkBytes + 4 * 8;
  int32_t fixed = query + layout.bytes + tileBytes() + 64 +
                  kEntries * (tileBytes() + 16 + 16) + 8 * kRings;
  stages = std::max(1, std::min(4, (kSharedLimit - fixed) / stage));
  if (stages == 3)
    stages = 2; // stage and parity by shift and mask
  offKeys = query;
  offValues = offKeys + stages * keyBytes;
  offWalk = offValues + stages * valueBytes;
  offTile = offWalk + layout.bytes;
  offPending = offTile + tileBytes();
  offEntries = offPending + kEntries * tileBytes();
  offEntries = llvm::alignTo(offEntries, 16);
  offChunk = offEntries + kEntries * 16;
  offPosted = offChunk + stages * kChunkBytes;
  offBarriers = offPosted + 16;
  sharedBytes = offBarriers + 8 * (kRings + 4 * stages + 2 * kEntries);
}

LLVM::LLVMFuncOp HopperKernel::declareKernel(StringRef name) {
  MLIRContext *context = builder.getContext();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(context);
  LLVM::GlobalOp::create(
      builder, e.loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
      /*isConstant=*/false, LLVM::Linkage::External, "filigree_shared",
      Attribute(), /*alignment=*/1024, /*addrSpace=*/3);
  SmallVector<Type> types(maps.size(), pointer);
  types.append({pointer, pointer, e.i64()}); // slots, workspace, units
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types);
  auto function = LLVM::LLVMFuncOp::create(builder, e.loc, name, type);
  function->setAttr("nvvm.kernel", builder.getUnitAttr());
  int32_t threads = 128 * (1 + warpgroups);
  function->setAttr("nvvm.maxntid", builder.getDenseI32ArrayAttr({threads}));
  function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(1));
  auto byValue = [&](unsigned index, Type value, int64_t align) {
    function.setArgAttr(index, "llvm.byval", TypeAttr::get(value));
    function.setArgAttr(index, "nvvm.grid_constant", builder.getUnitAttr());
    function.setArgAttr(index, "llvm.align", builder.getI64IntegerAttr(align));
  };
  for (unsigned k = 0; k < maps.size(); ++k)
    byValue(k, LLVM::LLVMArrayType::get(builder.getI8Type(), 128), 64);
  byValue(maps.size(),
          LLVM::LLVMArrayType::get(builder.getI64Type(), interface.slotCount),
          8);
  return function;
}

Value HopperKernel::emitShared() {
  Value base = LLVM::AddressOfOp::create(
      builder, e.loc, LLVM::LLVMPointerType::get(builder.getContext(), 3),
      "filigree_shared");
  return LLVM::PtrToIntOp::create(builder, e.loc, e.i32(), base);
}

void HopperKernel::emitBarrierInit() {
  int32_t warps = 4 * warpgroups;
  auto init = [&](int32_t offset, int32_t count) {
    p.barrierInit(address(offset), count);
  };
  init(barrier(kQueryFull), 1);
  init(barrier(kQueryEmpty), warps);
  for (int32_t s = 0; s < stages; ++s) {
    init(keyFull(s), 1);
    init(keyEmpty() + 8 * s, warps);
    init(valueFull() + 8 * s, 1);
    init(valueEmpty() + 8 * s, warps);
  }
  for (int32_t k = 0; k < kEntries; ++k) {
    init(entryFull() + 8 * k, 1);
    init(entryEmpty() + 8 * k, 1);
  }
  p.fenceBarrierInit();
  for (Value map : mapPointers)
    p.prefetchMap(map);
}

CudaEntryPoints HopperKernel::emitDevice() {
  auto argOf = [&](Value value) {
    return uint32_t(argument(value).getArgNumber());
  };
  auto use = [&](Value tensor, int32_t boxRows) {
    maps.push_back({sizeof(fil_abi_tensor_map),
                    argOf(tensor),
                    {1, 1, uint32_t(boxRows), 64},
                    128,
                    0});
  };
  use(fold.getQuery(), rows);
  for (cpu::StreamCode &stream : streams) {
    use(stream.op.getKey(), keys);
    use(stream.op.getValue(), keys);
  }
  emitRangeHelpers();
  post = emitPost();
  for (size_t s = 0; s < streams.size(); ++s) {
    cpu::StreamCode &stream = streams[s];
    stream.fullChunk = emitLoadChunk(s, -1);
    for (size_t k = 0; k < stream.cases.size(); ++k) {
      bool masked = !stream.cases[k].getMask().empty();
      stream.maskedChunk.push_back(masked ? emitLoadChunk(s, k)
                                          : func::FuncOp());
      stream.ranges.push_back(masked ? emitRanges(s, k) : mlir::func::FuncOp());
      stream.process.push_back(emitProcess(s, k));
    }
    stream.walk = emitWalk(s);
  }

  func::FuncOp pass = emitPass();

  CudaEntryPoints entries;
  entries.function = named("kernel");
  entries.threads = 128 * (1 + warpgroups);
  entries.sharedBytes = sharedBytes;
  entries.ctasPerMultiprocessor = 1;
  entries.persistent = entries.zeroed = true; // tiles are drawn one by one
  entries.maps = maps;
  entries.units = named("units");
  entries.workspaceBytes = named("workspace_bytes");

  LLVM::LLVMFuncOp function = declareKernel(entries.function);
  Block *body = function.addEntryBlock(builder);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  for (size_t k = 0; k < maps.size(); ++k)
    mapPointers.push_back(body->getArgument(k));
  slots = body->getArgument(maps.size());
  workspace = body->getArgument(maps.size() + 1);
  units = body->getArgument(maps.size() + 2);
  shared = emitShared();
  Value thread = p.special("tid.x");
  // Uniform in a warp, which the compiler cannot see otherwise.
  Value warpOfBlock = p.broadcastLane0(p.shr(thread, 5));
  e.ifThen(p.eq(thread, p.c(0)), [&] { emitBarrierInit(); });
  p.fenceProxy();
  p.syncBlock();
  lane = p.bitAnd(thread, 31);
  warp = p.bitAnd(warpOfBlock, 3);
  group = p.sub(p.shr(warpOfBlock, 2), p.c(1));
  e.ifThen(
      p.lt(warpOfBlock, p.c(4)),
      [&] {
        p.setMaxRegisters(cuda.producerRegisters[warpgroups > 2],
                          /*increase=*/false);
        e.ifThen(p.eq(thread, p.c(0)), [&] { emitWalker(pass); });
        e.ifThen(p.eq(thread, p.c(32)), [&] { emitLoader(); });
      },
      [&] {
        p.setMaxRegisters(cuda.consumerRegisters[warpgroups > 2],
                          /*increase=*/true);
        emitConsumer();
      });
  LLVM::ReturnOp::create(builder, e.loc, ValueRange());
  return entries;
}

void HopperKernel::emitHost(const CudaEntryPoints &entries) {
  e.function(entries.units, {e.ptr()}, {e.i64()},
             [&](ArrayRef<Value> args) -> SmallVector<Value> {
               return {tileCount(args[0])};
             });
  e.function(entries.workspaceBytes, {e.ptr(), e.i64()}, {e.i64()},
             [&](ArrayRef<Value>) -> SmallVector<Value> {
               return {e.c(FIL_ABI_ZEROED_BYTES)};
             });
}

FailureOr<CudaEntryPoints> cuda::emitKernel(tile::KernelOp kernel,
                                            const CudaTarget &target,
                                            StringRef prefix, ModuleOp device,
                                            ModuleOp host) {
  kernel.getContext()
      ->loadDialect<affine::AffineDialect, arith::ArithDialect,
                    cf::ControlFlowDialect, func::FuncDialect,
                    LLVM::LLVMDialect, NVVM::NVVMDialect, scf::SCFDialect,
                    vector::VectorDialect>();
  HopperKernel code(kernel, target, prefix, device);
  if (failed(code.verify()))
    return failure();
  CudaEntryPoints entries = code.emitDevice();
  HopperKernel(kernel, target, prefix, host).emitHost(entries);
  return entries;
}
