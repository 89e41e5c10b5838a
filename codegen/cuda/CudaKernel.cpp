//===- CudaKernel.cpp - the frame of a kernel -----------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/CudaKernel.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

/// Dynamic shared memory, of all kernels of a module.
static constexpr llvm::StringLiteral kSharedName = "filigree_shared";

/// Of a multiprocessor.
static constexpr int64_t kRegisters = 65536;

/// Scalar code: what the walk and the bodies are emitted for.
static constexpr CpuTarget kScalar = {"scalar", 0,    "",    "",          1, 64,
                                      true,     true, false, /*ex2=*/true};

CudaKernel::CudaKernel(tile::KernelOp kernel, const CudaTarget &target,
                       StringRef prefix, ModuleOp module, LaunchRole role)
    : WalkEmitter(kernel, kScalar, prefix, module), cuda(target), role(role),
      few(role == LaunchRole::Few), p(builder, kernel.getLoc()) {
  keys = schedule.getChunk();
  keyChunks = llvm::divideCeil(shape.keyDim, 64);
  valueChunks = llvm::divideCeil(shape.valueDim, 64);
  layOutWalk();
}

LogicalResult CudaKernel::refuse(const Twine &expected, const Twine &got) {
  return kernel.emitOpError("expected ")
         << expected << " on target `cuda:" << cuda.name << "`, but got "
         << got;
}

static std::string textOf(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << "'" << type << "'";
  return text;
}

LogicalResult CudaKernel::verify() {
  if (!keyType.isBF16() && !keyType.isF16())
    return refuse("keys of type bf16 or f16", textOf(keyType));
  for (walk::StreamCode &stream : streams)
    for (Value tensor : {stream.op.getKey(), stream.op.getValue()})
      if (Type type = getElementTypeOrSelf(tensor.getType()); type != keyType)
        return refuse("keys and values of one type", textOf(type));
  for (Type type : {queryType, outputType})
    if (type != keyType)
      return refuse("queries and outputs of the keys' type", textOf(type));
  for (int64_t dim : {shape.keyDim, shape.valueDim})
    if (dim % 8 != 0 || dim > 256)
      return refuse("head sizes divisible by 8, at most 256", Twine(dim));
  // A kernel has two launches with maps.
  size_t maps = tensorMaps().size();
  if (maps > FIL_ABI_TENSOR_MAPS / 2)
    return refuse("at most " + Twine(FIL_ABI_TENSOR_MAPS / 2) +
                      " tensor maps, of queries and of the keys and values of "
                      "each source,",
                  Twine(maps) + " of " + Twine(streams.size()) + " sources");
  if (int32_t most = cuda.sharedOf(ctasPerMultiprocessor()); sharedBytes > most)
    return refuse("at most " + Twine(most) + " bytes of shared memory in use",
                  Twine(sharedBytes));
  return success();
}

bool CudaKernel::hasExactLaunch() {
  // Keys behind the last are zeros, but those of the next document.
  if (fold.getCuQuery() && !isPaged())
    return true;
  return llvm::any_of(streams, [](walk::StreamCode &stream) {
    return !stream.op.getStarts().empty() ||
           llvm::any_of(stream.cases,
                        [](tile::CaseOp op) { return !op.getMask().empty(); });
  });
}

int32_t CudaKernel::layOutWalker(int32_t at) {
  auto take = [&](int32_t bytes) {
    int32_t offset = at;
    at += bytes;
    return offset;
  };
  offWalk = take(layout.bytes);
  offTile = take(kTiles * tileBytes());
  offPending = take(kEntries * tileBytes());
  at = llvm::alignTo(at, 16);
  offEntries = take(kEntries * 16);
  offPosted = take(8);
  offKept = take(8);
  offSlots = take(few ? 8 * int32_t(interface.slotCount) : 0);
  at = llvm::alignTo(at, 16);
  offEntryFull = take(8 * kEntries);
  offEntryEmpty = take(8 * kEntries);
  return at;
}

void CudaKernel::emitEntryBarrierInit(int32_t readers) {
  for (int32_t k = 0; k < kEntries; ++k) {
    p.barrierInit(address(offEntryFull + 8 * k), 1);
    p.barrierInit(address(offEntryEmpty + 8 * k), readers);
  }
}

LLVM::LLVMFuncOp CudaKernel::declareKernel(StringRef name, int32_t threads,
                                           int32_t ctas, int32_t planCount) {
  MLIRContext *context = builder.getContext();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(context);
  if (!module.lookupSymbol(kSharedName))
    LLVM::GlobalOp::create(
        builder, e.loc, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
        /*isConstant=*/false, LLVM::Linkage::External, kSharedName, Attribute(),
        /*alignment=*/1024, /*addrSpace=*/3);
  SmallVector<Type> types(maps.size(), pointer);
  types.append({pointer, pointer, e.i64()}); // slots, workspace, units
  if (planCount)
    types.push_back(pointer);
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), types);
  auto function = LLVM::LLVMFuncOp::create(builder, e.loc, name, type);
  function->setAttr("nvvm.kernel", builder.getUnitAttr());
  function->setAttr("nvvm.maxntid", builder.getDenseI32ArrayAttr({threads}));
  function->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(ctas));
  auto byValue = [&](unsigned index, Type value, int64_t align) {
    function.setArgAttr(index, "llvm.byval", TypeAttr::get(value));
    function.setArgAttr(index, "nvvm.grid_constant", builder.getUnitAttr());
    function.setArgAttr(index, "llvm.align", builder.getI64IntegerAttr(align));
  };
  for (unsigned k = 0; k < maps.size(); ++k)
    byValue(k, LLVM::LLVMArrayType::get(builder.getI8Type(), 128), 64);
  auto words = [&](int32_t count) {
    return LLVM::LLVMArrayType::get(builder.getI64Type(), count);
  };
  byValue(maps.size(), words(interface.slotCount), 8);
  if (planCount)
    byValue(maps.size() + 3, words(planCount), 8);
  return function;
}

Value CudaKernel::emitShared() {
  Value base = LLVM::AddressOfOp::create(
      builder, e.loc, LLVM::LLVMPointerType::get(builder.getContext(), 3),
      kSharedName);
  return LLVM::PtrToIntOp::create(builder, e.loc, e.i32(), base);
}

Value CudaKernel::usedRows() {
  if (!mayPack())
    return p.narrow(tileWord(walk::kRows));
  return p.narrow(e.mul(tileWord(walk::kRows), tileWord(walk::kPack)));
}

CudaKernel::RowPlace CudaKernel::placeOfRow(Value number) {
  if (!mayPack())
    return {p.wide(number), e.c(0)};
  number = p.here(number);
  Value pack = p.narrow(tileWord(walk::kPack));
  auto real = [&](Value value) -> Value {
    return arith::SIToFPOp::create(builder, e.loc, e.f32(), value);
  };
  // Halves lie between the quotients, far from what rounding moves.
  Value quotient = p.fmul(p.fadd(real(number), p.cf(0.5f)), p.rcp(real(pack)));
  Value token = arith::FPToSIOp::create(builder, e.loc, e.i32(), quotient);
  Value before = arith::MulIOp::create(builder, e.loc, token, pack);
  return {p.wide(token), p.wide(p.sub(number, before))};
}

CudaKernel::Stage CudaKernel::stageOf(Value number, int32_t count) {
  return {p.rem(number, count), p.bitAnd(p.div(number, count), 1)};
}

void CudaKernel::waitEmpty(int32_t ring, const Stage &stage) {
  p.barrierWait(address(ring, stage.index, 8), p.bitXor(stage.parity, p.c(1)));
}

Values CudaKernel::ifChanged(Value cond, Values values,
                             llvm::function_ref<Values(Values)> then) {
  auto op = scf::IfOp::create(builder, e.loc, ValueRange(values).getTypes(),
                              cond, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(op.elseBlock());
  scf::YieldOp::create(builder, e.loc, values);
  builder.setInsertionPointToStart(op.thenBlock());
  scf::YieldOp::create(builder, e.loc, then(values));
  return Values(op.getResults());
}

Values CudaKernel::ifElse(Value cond, llvm::function_ref<Values()> then,
                          llvm::function_ref<Values()> otherwise) {
  auto branch = [&](llvm::function_ref<Values()> values) {
    return [this, values](OpBuilder &, Location) {
      scf::YieldOp::create(builder, e.loc, values());
    };
  };
  auto op =
      scf::IfOp::create(builder, e.loc, cond, branch(then), branch(otherwise));
  return Values(op.getResults());
}

CudaLaunch CudaKernel::emitDevice() {
  maps = tensorMaps();
  emitRangeHelpers();
  post = emitPost();
  for (size_t s = 0; s < streams.size(); ++s) {
    walk::StreamCode &stream = streams[s];
    stream.fullChunk = emitChunk(s, -1);
    for (size_t k = 0; k < stream.cases.size(); ++k) {
      bool masked = !stream.cases[k].getMask().empty();
      stream.maskedChunk.push_back(masked ? emitChunk(s, k) : func::FuncOp());
      stream.ranges.push_back(masked ? emitRanges(s, k) : func::FuncOp());
      stream.process.push_back(emitProcess(s, k));
    }
    stream.walk = emitWalk(s);
  }
  pass = emitWalkPass();

  CudaLaunch launch;
  launch.role = role;
  launch.function = named("kernel");
  launch.threads = threads();
  launch.sharedBytes = sharedBytes;
  launch.ctasPerSm = ctasPerMultiprocessor();
  launch.persistent = true;
  // Clearing is a launch before this one.
  launch.zeroed = drawsUnits() && (!few || hasExactLaunch());
  launch.zeroedDrawn = drawsUnits() && !launch.zeroed;
  launch.tensorMaps = maps;
  launch.units = named("units");

  // A CTA gets no more registers than it hands on from warp to warp.
  auto registersOf = [](int64_t warps, int64_t count) {
    return 32 * warps * count;
  };
  tile::WarpsAttr warps = *kernel.getWarps();
  int32_t ctas = ctasPerMultiprocessor();
  if (int64_t used =
          registersOf(warps.getLoad(), warps.getLoadRegisters()) +
          registersOf(warps.getCompute(), warps.getComputeRegisters()))
    ctas = std::max(ctas, int32_t(kRegisters / used));
  if (few) {
    launch.plan = named("plan");
    launch.planCount = kPlanWords;
  }
  LLVM::LLVMFuncOp function =
      declareKernel(launch.function, threads(), ctas, launch.planCount);
  Block *body = function.addEntryBlock(builder);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(body);
  for (size_t k = 0; k < maps.size(); ++k)
    mapPointers.push_back(body->getArgument(k));
  slots = body->getArgument(maps.size());
  workspace = body->getArgument(maps.size() + 1);
  units = body->getArgument(maps.size() + 2);
  if (launch.planCount)
    plan = body->getArgument(maps.size() + 3);
  shared = emitShared();
  Value thread = p.special("tid.x");
  // Uniform in a warp, which the compiler cannot see otherwise.
  Value warpOfBlock = p.broadcastLane0(p.shr(thread, 5));
  e.ifThen(p.eq(thread, p.c(0)), [&] {
    emitBarrierInit();
    for (Value map : mapPointers)
      p.prefetchMap(map);
  });
  emitPrologue(thread);
  p.syncBlock();
  lane = p.bitAnd(thread, 31);
  emitRoles(thread, warpOfBlock);
  LLVM::ReturnOp::create(builder, e.loc, ValueRange());
  return launch;
}

func::FuncOp CudaKernel::emitUnits(StringRef name, func::FuncOp others) {
  return e.function(
      name, {e.ptr(), e.i64()}, {e.i64()},
      [&](ArrayRef<Value> args) -> SmallVector<Value> {
        Value slots = args[0], multiprocessors = args[1];
        Value units = tileCount(slots);
        if (few)
          units = e.select(takesFew(slots, multiprocessors),
                           e.mul(units, splitCount(slots, multiprocessors)),
                           e.c(0));
        if (!others)
          return {units};
        Value elsewhere = e.call(others, {slots, multiprocessors})[0];
        return {e.select(e.eq(elsewhere, e.c(0)), units, e.c(0))};
      });
}

void CudaKernel::emitPlan(StringRef name) {
  e.function(name, {e.ptr(), e.i64(), e.ptr()}, {},
             [&](ArrayRef<Value> args) -> SmallVector<Value> {
               Value slots = args[0];
               Value pack = packFactor(slots);
               RowTiles tiles = rowTiles(slots);
               HeadTiles heads = headTiles(slots, pack);
               Value words[kPlanWords];
               words[kPlanSplits] = splitCount(slots, args[1]);
               words[kPlanWarps] = tileWarps(slots);
               words[kPlanPack] = pack;
               words[kPlanRows] = tiles.rows;
               words[kPlanRowTiles] = tiles.count;
               words[kPlanGroup] = heads.group;
               words[kPlanOfGroup] = heads.ofGroup;
               words[kPlanOfBatch] = heads.ofBatch;
               for (auto [k, word] : llvm::enumerate(words))
                 e.storeI64(word, args[2], k);
               return {};
             });
}

CudaKernel::RowTiles CudaKernel::rowTiles(Value slots) {
  if (!plan)
    return WalkEmitter::rowTiles(slots);
  return {planned(kPlanRows), planned(kPlanRowTiles)};
}

CudaKernel::HeadTiles CudaKernel::headTiles(Value slots, Value pack) {
  if (!plan)
    return WalkEmitter::headTiles(slots, pack);
  return {planned(kPlanGroup), planned(kPlanOfGroup), planned(kPlanOfBatch)};
}

std::string CudaKernel::emitWorkspaceBytes() {
  std::string name = named("workspace_bytes");
  e.function(name, {e.ptr(), e.i64()}, {e.i64()},
             [&](ArrayRef<Value> args) -> SmallVector<Value> {
               return {workspaceBytes(args[0], args[1])};
             });
  return name;
}
