//===- Ptx.cpp - the instructions of a kernel, one function each ----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/cuda/Ptx.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;
using namespace filigree;
using namespace filigree::cuda;

//===----------------------------------------------------------------------===//
// Scalars
//===----------------------------------------------------------------------===//

Value Ptx::c(int32_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 32);
}
Value Ptx::c64(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 64);
}
Value Ptx::cf(float value) {
  return arith::ConstantFloatOp::create(b, loc, b.getF32Type(), APFloat(value));
}
Value Ptx::add(Value a, Value x) { return arith::AddIOp::create(b, loc, a, x); }
Value Ptx::sub(Value a, Value x) { return arith::SubIOp::create(b, loc, a, x); }
Value Ptx::mul(Value a, int32_t x) {
  return x == 1 ? a : arith::MulIOp::create(b, loc, a, c(x)).getResult();
}
Value Ptx::div(Value a, int32_t x) {
  return arith::DivUIOp::create(b, loc, a, c(x));
}
Value Ptx::rem(Value a, int32_t x) {
  return arith::RemUIOp::create(b, loc, a, c(x));
}
Value Ptx::bitAnd(Value a, int32_t x) {
  return arith::AndIOp::create(b, loc, a, c(x));
}
Value Ptx::bitXor(Value a, Value x) {
  return arith::XOrIOp::create(b, loc, a, x);
}
Value Ptx::shr(Value a, int32_t x) {
  return arith::ShRUIOp::create(b, loc, a, c(x));
}
Value Ptx::eq(Value a, Value x) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, a, x);
}
Value Ptx::lt(Value a, Value x) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, a, x);
}
Value Ptx::wide(Value a) { return arith::ExtSIOp::create(b, loc, i64(), a); }
Value Ptx::narrow(Value a) { return arith::TruncIOp::create(b, loc, i32(), a); }
Value Ptx::fmul(Value a, Value x) {
  return arith::MulFOp::create(b, loc, a, x);
}
Value Ptx::fadd(Value a, Value x) {
  return arith::AddFOp::create(b, loc, a, x);
}
Value Ptx::fsub(Value a, Value x) {
  return arith::SubFOp::create(b, loc, a, x);
}
Value Ptx::fma(Value a, Value x, Value y) {
  return LLVM::FMAOp::create(b, loc, a, x, y);
}
Value Ptx::fmax(Value a, Value x) {
  return LLVM::MaxNumOp::create(b, loc, a, x);
}
Value Ptx::isValue(Value a, float value) {
  return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, a, cf(value));
}
Value Ptx::select(Value cond, Value a, Value x) {
  return arith::SelectOp::create(b, loc, cond, a, x);
}

static Value intrinsic(Ptx &p, StringRef name, Value a) {
  return LLVM::CallIntrinsicOp::create(p.b, p.loc, p.f32(),
                                       p.b.getStringAttr(name), ValueRange(a))
      .getResult(0);
}
Value Ptx::ex2(Value a) {
  return intrinsic(*this, "llvm.nvvm.ex2.approx.ftz.f32", a);
}
Value Ptx::lg2(Value a) {
  return intrinsic(*this, "llvm.nvvm.lg2.approx.ftz.f", a);
}
Value Ptx::rcp(Value a) {
  return intrinsic(*this, "llvm.nvvm.rcp.approx.ftz.f", a);
}
Value Ptx::pack(Type element, Value lo, Value hi) {
  StringRef type = element.isBF16() ? "bf16x2" : "f16x2";
  return ptx("cvt.rn." + type + ".f32 $0, $1, $2;", {i32()}, {}, {hi, lo},
             /*pure=*/true)[0];
}

//===----------------------------------------------------------------------===//
// Inline PTX
//===----------------------------------------------------------------------===//

static StringRef constraintOf(Type type) {
  if (type.isF32())
    return "f";
  return type.isInteger(64) || isa<LLVM::LLVMPointerType>(type) ? "l" : "r";
}

Values Ptx::ptx(const Twine &text, ArrayRef<Type> outputs, ValueRange tied,
                ValueRange inputs, bool pure) {
  SmallVector<std::string> constraints;
  for (Type type : outputs)
    constraints.push_back("=" + constraintOf(type).str());
  for (size_t k = 0; k < tied.size(); ++k)
    constraints.push_back(std::to_string(k));
  for (Value value : inputs)
    constraints.push_back(constraintOf(value.getType()).str());
  if (!pure)
    constraints.push_back("~{memory}");
  Values operands(tied);
  operands.append(inputs.begin(), inputs.end());
  Type result;
  if (outputs.size() == 1)
    result = outputs[0];
  else if (outputs.size() > 1)
    result = LLVM::LLVMStructType::getLiteral(b.getContext(), outputs);
  auto op = LLVM::InlineAsmOp::create(
      b, loc, result ? TypeRange(result) : TypeRange(), operands, text.str(),
      llvm::join(constraints, ","), /*has_side_effects=*/!pure,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      /*asm_dialect=*/nullptr, /*operand_attrs=*/nullptr);
  if (outputs.size() < 2)
    return Values(op->getResults());
  Values values;
  for (size_t k = 0; k < outputs.size(); ++k)
    values.push_back(
        LLVM::ExtractValueOp::create(b, loc, op.getRes(), int64_t(k)));
  return values;
}

//===----------------------------------------------------------------------===//
// Threads and shared memory
//===----------------------------------------------------------------------===//

Value Ptx::special(StringRef name) {
  return ptx("mov.u32 $0, %" + name + ";", {i32()}, {}, {}, /*pure=*/true)[0];
}
Value Ptx::broadcastLane0(Value a) {
  return ptx("shfl.sync.idx.b32 $0, $1, 0, 31, 0xffffffff;", {i32()}, {},
             {a})[0];
}
Value Ptx::shuffleXor(Value a, int32_t lanes) {
  return ptx("shfl.sync.bfly.b32 $0, $1, " + Twine(lanes) + ", 31, 0xffffffff;",
             {f32()}, {}, {a})[0];
}
Value Ptx::shuffle(Value a, Value lane) {
  return ptx("shfl.sync.idx.b32 $0, $1, $2, 31, 0xffffffff;", {f32()}, {},
             {a, lane})[0];
}
Value Ptx::ballot(Value cond) {
  Value flag = arith::ExtUIOp::create(b, loc, i32(), cond);
  return ptx("{\n.reg .pred p;\nsetp.ne.u32 p, $1, 0;\n"
             "vote.sync.ballot.b32 $0, p, 0xffffffff;\n}",
             {i32()}, {}, {flag})[0];
}
void Ptx::syncBlock() { ptx("bar.sync 0;", {}, {}, {}); }
void Ptx::syncNamed(Value id, int32_t threads) {
  ptx("bar.sync $0, " + Twine(threads) + ";", {}, {}, {id});
}
void Ptx::syncWarp() { ptx("bar.warp.sync 0xffffffff;", {}, {}, {}); }
void Ptx::setMaxRegisters(int32_t count, bool increase) {
  ptx(Twine("setmaxnreg.") + (increase ? "inc" : "dec") + ".sync.aligned.u32 " +
          Twine(count) + ";",
      {}, {}, {});
}

static Value sharedPointer(Ptx &p, Value address) {
  return LLVM::IntToPtrOp::create(
      p.b, p.loc, LLVM::LLVMPointerType::get(p.b.getContext(), 3), address);
}
Value Ptx::join(ValueRange values) {
  Type type = VectorType::get({int64_t(values.size())}, values[0].getType());
  Value vector = LLVM::UndefOp::create(b, loc, type);
  for (auto [k, value] : llvm::enumerate(values))
    vector = LLVM::InsertElementOp::create(b, loc, type, vector, value,
                                           c(int32_t(k)));
  return vector;
}

Values Ptx::split(Value vector) {
  Values values;
  int64_t count = cast<VectorType>(vector.getType()).getNumElements();
  for (int64_t k = 0; k < count; ++k)
    values.push_back(
        LLVM::ExtractElementOp::create(b, loc, vector, c(int32_t(k))));
  return values;
}

Value Ptx::loadShared(Type type, Value address) {
  return LLVM::LoadOp::create(b, loc, type, sharedPointer(*this, address));
}
Value Ptx::zeroPiece() {
  Type four = VectorType::get({4}, i32());
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(cast<ShapedType>(four), int32_t(0)));
}

void Ptx::storeShared(Value value, Value address) {
  LLVM::StoreOp::create(b, loc, value, sharedPointer(*this, address));
}

void Ptx::storeRelaxed(Value value, Value pointer) {
  ptx("st.relaxed.gpu.u32 [$0], $1;", {}, {}, {pointer, value});
}

//===----------------------------------------------------------------------===//
// mbarrier
//===----------------------------------------------------------------------===//

void Ptx::barrierInit(Value address, int32_t count) {
  ptx("mbarrier.init.shared::cta.b64 [$0], " + Twine(count) + ";", {}, {},
      {address});
}
void Ptx::fenceBarrierInit() {
  ptx("fence.mbarrier_init.release.cluster;", {}, {}, {});
}
void Ptx::barrierArrive(Value address) {
  ptx("mbarrier.arrive.shared::cta.b64 _, [$0];", {}, {}, {address});
}
void Ptx::barrierArriveIf(Value cond, Value address) {
  // A branch here would end a basic block while wgmma is in flight.
  Value flag = arith::ExtUIOp::create(b, loc, i32(), cond);
  ptx("{\n.reg .pred p;\nsetp.ne.u32 p, $1, 0;\n"
      "@p mbarrier.arrive.shared::cta.b64 _, [$0];\n}",
      {}, {}, {address, flag});
}
void Ptx::barrierExpect(Value address, int32_t bytes) {
  ptx("mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], " + Twine(bytes) +
          ";",
      {}, {}, {address});
}
void Ptx::barrierExpectOnly(Value address, Value bytes) {
  ptx("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [$0], $1;", {}, {},
      {address, bytes});
}
void Ptx::barrierWait(Value address, Value parity) {
  auto loop = scf::WhileOp::create(b, loc, TypeRange(), ValueRange());
  OpBuilder::InsertionGuard guard(b);
  b.createBlock(&loop.getBefore());
  Value ready =
      ptx("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [$1], "
          "$2, 10000000;\nselp.u32 $0, 1, 0, p;\n}",
          {i32()}, {}, {address, parity})[0];
  scf::ConditionOp::create(b, loc, eq(ready, c(0)), ValueRange());
  b.createBlock(&loop.getAfter());
  scf::YieldOp::create(b, loc);
}

//===----------------------------------------------------------------------===//
// Asynchronous copies
//===----------------------------------------------------------------------===//

void Ptx::prefetchMap(Value map) {
  ptx("prefetch.tensormap [$0];", {}, {}, {map});
}
void Ptx::loadTile(Value shared, Value map, ArrayRef<Value> coordinates,
                   Value barrier, Value policy) {
  Values operands = {shared, map, barrier};
  std::string list;
  for (Value coordinate : coordinates) {
    list += (list.empty() ? "$" : ", $") + std::to_string(operands.size());
    operands.push_back(coordinate);
  }
  std::string end = "}], [$2]";
  if (policy) {
    end += ", $" + std::to_string(operands.size());
    operands.push_back(policy);
  }
  ptx("cp.async.bulk.tensor." + Twine(coordinates.size()) +
          "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes" +
          (policy ? ".L2::cache_hint" : "") + " [$0], [$1, {" + list + end +
          ";",
      {}, {}, operands);
}
Value Ptx::evictFirst() {
  return ptx("createpolicy.fractional.L2::evict_first.b64 $0, 1.0;", {i64()},
             {}, {}, /*pure=*/true)[0];
}

void Ptx::prefetchTile(Value map, ArrayRef<Value> coordinates) {
  Values operands = {map};
  std::string list;
  for (Value coordinate : coordinates) {
    list += (list.empty() ? "$" : ", $") + std::to_string(operands.size());
    operands.push_back(coordinate);
  }
  ptx("cp.async.bulk.prefetch.tensor." + Twine(coordinates.size()) +
          "d.L2.global.tile [$0, {" + list + "}];",
      {}, {}, operands);
}
void Ptx::prefetchLine(Value pointer) {
  ptx("prefetch.global.L2 [$0];", {}, {}, {pointer});
}
void Ptx::fenceProxy() { ptx("fence.proxy.async.shared::cta;", {}, {}, {}); }
void Ptx::waitForLaunches() { ptx("griddepcontrol.wait;", {}, {}, {}); }

//===----------------------------------------------------------------------===//
// Copies of single threads, mma.sync
//===----------------------------------------------------------------------===//

void Ptx::copyPiece(Value shared, int32_t offset, Value global, Value bytes) {
  ptx("cp.async.cg.shared.global [$0 + " + Twine(offset) + "], [$1], 16, $2;",
      {}, {}, {shared, global, bytes});
}
void Ptx::waitCopies() { ptx("cp.async.wait_all;", {}, {}, {}); }

/// "{$first, ..., $(first + count - 1)}".
static std::string registerList(int64_t first, int64_t count) {
  std::string text = "{";
  for (int64_t k = 0; k < count; ++k)
    text += (k ? ", $" : "$") + std::to_string(first + k);
  return text + "}";
}

Values Ptx::loadMatrices(Value address, int32_t offset, int32_t count,
                         bool transposed) {
  return ptx(Twine("ldmatrix.sync.aligned.m8n8.x") + Twine(count) +
                 (transposed ? ".trans" : "") + ".shared.b16 " +
                 registerList(0, count) + ", [$" + Twine(count) + " + " +
                 Twine(offset) + "];",
             SmallVector<Type>(count, i32()), {}, {address});
}
Values Ptx::multiply(Type element, ValueRange sums, ValueRange a,
                     ValueRange x) {
  std::string type = element.isBF16() ? "bf16" : "f16";
  Values inputs(a);
  inputs.append(x.begin(), x.end());
  return ptx("mma.sync.aligned.m16n8k16.row.col.f32." + type + "." + type +
                 ".f32 " + registerList(0, 4) + ", " + registerList(8, 4) +
                 ", " + registerList(12, 2) + ", " + registerList(0, 4) + ";",
             SmallVector<Type>(4, f32()), sums, inputs);
}

//===----------------------------------------------------------------------===//
// wgmma
//===----------------------------------------------------------------------===//

Value Ptx::descriptor(Value address, int32_t leadingBytes,
                      int32_t strideBytes) {
  Value field = shr(bitAnd(address, 0x3ffff), 4);
  Value low = arith::ExtUIOp::create(b, loc, i64(), field);
  int64_t rest = (int64_t(leadingBytes >> 4) << 16) |
                 (int64_t(strideBytes >> 4) << 32) | (int64_t(1) << 62);
  return arith::OrIOp::create(b, loc, low, c64(rest));
}
void Ptx::wgmmaFence() { ptx("wgmma.fence.sync.aligned;", {}, {}, {}); }
Values Ptx::wgmmaFence(ValueRange values) {
  return ptx("wgmma.fence.sync.aligned;", SmallVector<Type>(values.getTypes()),
             values, {});
}
void Ptx::wgmmaCommit() { ptx("wgmma.commit_group.sync.aligned;", {}, {}, {}); }
Values Ptx::wgmmaWait(int32_t pending, ValueRange results, ValueRange kept) {
  return ptx("wgmma.wait_group.sync.aligned " + Twine(pending) + ";",
             SmallVector<Type>(results.getTypes()), results, kept);
}

static std::string shapeOf(Type element, int32_t n) {
  std::string type = element.isBF16() ? "bf16" : "f16";
  return "wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) + "k16.f32." +
         type + "." + type + " ";
}

Values Ptx::wgmmaShared(Operand kind, int32_t n, Value a, Value x,
                        ArrayRef<int32_t> aSteps, ArrayRef<int32_t> bSteps) {
  int64_t sums = n / 2;
  std::string sumList = registerList(0, sums);
  std::string descA = "$" + std::to_string(sums),
              descB = "$" + std::to_string(sums + 1);
  std::string text = "{\n.reg .b64 da, db;\n";
  for (size_t k = 0; k < aSteps.size(); ++k)
    text += "add.s64 da, " + descA + ", " + std::to_string(aSteps[k]) +
            ";\nadd.s64 db, " + descB + ", " + std::to_string(bSteps[k]) +
            ";\n" + shapeOf(kind.element, n) + sumList + ", da, db, " +
            (k ? "1, " : "0, ") + (kind.negateA ? "-1" : "1") + ", 1, 0, 0;\n";
  return ptx(text + "}", SmallVector<Type>(sums, f32()), {}, {a, x});
}

Values Ptx::wgmmaRegisters(Operand kind, int32_t n, ValueRange sums,
                           ValueRange a, Value x, ArrayRef<int32_t> bSteps) {
  int64_t count = n / 2, firstA = 2 * count;
  std::string sumList = registerList(0, count);
  std::string descB = "$" + std::to_string(firstA + a.size());
  std::string text = "{\n.reg .b64 db;\n";
  for (size_t k = 0; k < bSteps.size(); ++k)
    text += "add.s64 db, " + descB + ", " + std::to_string(bSteps[k]) + ";\n" +
            shapeOf(kind.element, n) + sumList + ", " +
            registerList(firstA + 4 * k, 4) + ", db, 1, 1, 1, 1;\n";
  Values inputs(a);
  inputs.push_back(x);
  return ptx(text + "}", SmallVector<Type>(count, f32()), sums, inputs);
}

void Ptx::storeMatrices(Value address, ValueRange registers) {
  Values operands = {address};
  operands.append(registers.begin(), registers.end());
  ptx("stmatrix.sync.aligned.m8n8.x" + Twine(registers.size()) +
          ".shared.b16 [$0], " + registerList(1, registers.size()) + ";",
      {}, {}, operands);
}
