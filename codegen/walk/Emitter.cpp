//===- Emitter.cpp - short words for emitting loops and vectors -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/walk/Emitter.h"

using namespace mlir;
using namespace filigree::walk;

using arith::CmpFPredicate;
using arith::CmpIPredicate;

//===----------------------------------------------------------------------===//
// Constants
//===----------------------------------------------------------------------===//

Value Emitter::c(int64_t value) {
  return arith::ConstantIntOp::create(b, loc, value, 64);
}
Value Emitter::cf(float value) {
  return arith::ConstantFloatOp::create(b, loc, b.getF32Type(), APFloat(value));
}
Value Emitter::truth(bool value) {
  return arith::ConstantIntOp::create(b, loc, value, 1);
}
Value Emitter::splat(float value) {
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vec(f32()), APFloat(value)));
}
Value Emitter::splat(Value scalar) {
  return vector::BroadcastOp::create(b, loc, vec(scalar.getType()), scalar);
}
Value Emitter::iota() {
  SmallVector<int64_t> values(lanes());
  for (int64_t i = 0; i < lanes(); ++i)
    values[i] = i;
  return arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vec(i64()), ArrayRef(values)));
}

//===----------------------------------------------------------------------===//
// Integers
//===----------------------------------------------------------------------===//

Value Emitter::add(Value a, Value x) {
  return arith::AddIOp::create(b, loc, a, x);
}
Value Emitter::sub(Value a, Value x) {
  return arith::SubIOp::create(b, loc, a, x);
}
Value Emitter::mul(Value a, Value x) {
  return arith::MulIOp::create(b, loc, a, x);
}
Value Emitter::udiv(Value a, Value x) {
  return arith::DivUIOp::create(b, loc, a, x);
}
Value Emitter::urem(Value a, Value x) {
  return arith::RemUIOp::create(b, loc, a, x);
}
Value Emitter::ceilDiv(Value a, int64_t x) { return udiv(add(a, x - 1), c(x)); }
Value Emitter::min(Value a, Value x) {
  return arith::MinSIOp::create(b, loc, a, x);
}
Value Emitter::max(Value a, Value x) {
  return arith::MaxSIOp::create(b, loc, a, x);
}
Value Emitter::cmp(CmpIPredicate predicate, Value a, Value x) {
  return arith::CmpIOp::create(b, loc, predicate, a, x);
}
Value Emitter::lt(Value a, Value x) { return cmp(CmpIPredicate::slt, a, x); }
Value Emitter::le(Value a, Value x) { return cmp(CmpIPredicate::sle, a, x); }
Value Emitter::eq(Value a, Value x) { return cmp(CmpIPredicate::eq, a, x); }
Value Emitter::band(Value a, Value x) {
  return arith::AndIOp::create(b, loc, a, x);
}
Value Emitter::bor(Value a, Value x) {
  return arith::OrIOp::create(b, loc, a, x);
}
Value Emitter::bnot(Value a) {
  return arith::XOrIOp::create(b, loc, a, truth(true));
}
Value Emitter::select(Value cond, Value a, Value x) {
  return arith::SelectOp::create(b, loc, cond, a, x);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value Emitter::fadd(Value a, Value x) {
  return arith::AddFOp::create(b, loc, a, x);
}
Value Emitter::fsub(Value a, Value x) {
  return arith::SubFOp::create(b, loc, a, x);
}
Value Emitter::fmul(Value a, Value x) {
  return arith::MulFOp::create(b, loc, a, x);
}
Value Emitter::negate(Value a) { return arith::NegFOp::create(b, loc, a); }
Value Emitter::fdiv(Value a, Value x) {
  return arith::DivFOp::create(b, loc, a, x);
}
Value Emitter::fma(Value a, Value x, Value y) {
  if (target.fma)
    return LLVM::FMAOp::create(b, loc, a.getType(), a, x, y);
  return fadd(fmul(a, x), y);
}
Value Emitter::fmaxRaw(Value a, Value x) {
  Value greater = arith::CmpFOp::create(b, loc, CmpFPredicate::OGT, a, x);
  return select(greater, a, x);
}

/// An NVPTX intrinsic on the one lane of a vector.
static Value onLane(Emitter &e, StringRef name, Value x) {
  Value lane = vector::ExtractOp::create(e.b, e.loc, x, ArrayRef<int64_t>{0});
  return e.splat(LLVM::CallIntrinsicOp::create(e.b, e.loc, e.f32(),
                                               e.b.getStringAttr(name),
                                               ValueRange(lane))
                     .getResult(0));
}

Value Emitter::exp2(Value x, float c) {
  if (target.ex2)
    return onLane(*this, "llvm.nvvm.ex2.approx.ftz.f32",
                  c == 1.0f ? x : fmul(x, splat(c)));
  // c x = n + f, |f| <= 1/2; 2^f by a polynomial with p(0) = 1.
  auto poly = [&](Value f) {
    const float k[] = {0.001326472731f, 0.009671512991f, 0.05550733581f,
                       0.2402224243f,   0.6931470037f,   1.0f};
    Value p = splat(k[0]);
    for (float next : ArrayRef(k).drop_front())
      p = fma(p, f, splat(next));
    return p;
  };
  VectorType vecF = vec(f32()), vecI = vec(i32());
  if (target.scalef) {
    // Adding 1.5 * 2^23 rounds to an integer. The clamp keeps -inf out of the
    // subtraction and lets NaN through (fmaxRaw gives its second operand).
    Value clamped = fmaxRaw(splat(-1000.0f / c), x);
    Value magic = splat(12582912.0f), factor = splat(c);
    Value n = fsub(fma(clamped, factor, magic), magic);
    Value p = poly(fma(clamped, factor, negate(n)));
    Value allLanes = arith::ConstantIntOp::create(b, loc, -1, 16);
    Value current = arith::ConstantIntOp::create(b, loc, 4, 32);
    return LLVM::CallIntrinsicOp::create(
               b, loc, vecF,
               b.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
               ValueRange{p, n, p, allLanes, current})
        .getResult(0);
  }
  // The conversion gives 0x80000000 for NaN; shifted left by 23 that is 0, so
  // the NaN of the polynomial survives the addition to the exponent.
  Value clamped = fmaxRaw(splat(-126.0f / c), x);
  Value scaled = c == 1.0f ? clamped : fmul(clamped, splat(c));
  Value n = LLVM::CallIntrinsicOp::create(
                b, loc, vecI,
                b.getStringAttr(lanes() == 8 ? "llvm.x86.avx.cvt.ps2dq.256"
                                             : "llvm.x86.sse2.cvtps2dq"),
                ValueRange{scaled})
                .getResult(0);
  Value p = poly(
      fma(clamped, splat(c), negate(arith::SIToFPOp::create(b, loc, vecF, n))));
  Value shift = arith::ConstantOp::create(
      b, loc, DenseElementsAttr::get(vecI, APInt(32, 23)));
  Value bits = add(arith::BitcastOp::create(b, loc, vecI, p),
                   arith::ShLIOp::create(b, loc, n, shift));
  Value result = arith::BitcastOp::create(b, loc, vecF, bits);
  Value tiny =
      arith::CmpFOp::create(b, loc, CmpFPredicate::OLT, x, splat(-126.0f / c));
  return select(tiny, splat(0.0f), result);
}

Value Emitter::log2(Value x) {
  if (target.ex2)
    return onLane(*this, "llvm.nvvm.lg2.approx.ftz.f", x);
  // x = 2^e * m with m in [sqrt(1/2), sqrt(2)); log2 m = 2/ln2 atanh(t).
  VectorType vecF = vec(f32()), vecI = vec(i32());
  auto ci = [&](int32_t v) -> Value {
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::get(vecI, APInt(32, uint32_t(v))));
  };
  Value bits = arith::BitcastOp::create(b, loc, vecI, x);
  Value shifted = sub(bits, ci(0x3f3504f3)); // sqrt(1/2)
  Value e = arith::ShRSIOp::create(b, loc, shifted, ci(23));
  Value m = arith::BitcastOp::create(
      b, loc, vecF, sub(bits, arith::ShLIOp::create(b, loc, e, ci(23))));
  Value t = fdiv(fsub(m, splat(1.0f)), fadd(m, splat(1.0f)));
  Value t2 = fmul(t, t);
  const float k[] = {1.0f / 9, 1.0f / 7, 1.0f / 5, 1.0f / 3, 1.0f};
  Value p = splat(k[0]);
  for (float next : ArrayRef(k).drop_front())
    p = fma(p, t2, splat(next));
  Value logM = fmul(fmul(p, t), splat(2.8853900817779268f));
  return fadd(arith::SIToFPOp::create(b, loc, vecF, e), logM);
}

Value Emitter::checkedExp2(Value x) {
  Value large =
      arith::CmpFOp::create(b, loc, CmpFPredicate::OGE, x, splat(128.0f));
  return select(large, splat(std::numeric_limits<float>::infinity()),
                exp2(select(large, splat(0.0f), x)));
}

Value Emitter::checkedLog2(Value x) {
  const float inf = std::numeric_limits<float>::infinity();
  auto is = [&](CmpFPredicate predicate, float value) -> Value {
    return arith::CmpFOp::create(b, loc, predicate, x, splat(value));
  };
  // Subnormal numbers are scaled by 2^23 first.
  Value small = is(CmpFPredicate::OLT, 1.17549435e-38f);
  Value scaled = select(small, fmul(x, splat(8388608.0f)), x);
  Value result = fsub(log2(scaled), select(small, splat(23.0f), splat(0.0f)));
  result = select(is(CmpFPredicate::OEQ, 0.0f), splat(-inf), result);
  result = select(is(CmpFPredicate::OEQ, inf), splat(inf), result);
  Value noNumber = is(CmpFPredicate::ULT, 0.0f);
  return select(noNumber, splat(std::numeric_limits<float>::quiet_NaN()),
                result);
}

Value Emitter::tanh(Value x) {
  // Near zero an odd series; elsewhere 1 - 2 / (1 + e^(2x)), which would cancel
  // there. x is clamped where the result is +-1 in f32.
  Value x2 = fmul(x, x);
  const float k[] = {
      -1.455834e-3f,  3.592128e-3f,  -8.863236e-3f,  2.1869489e-2f,
      -5.3968254e-2f, 1.3333334e-1f, -3.3333334e-1f, 1.0f};
  Value p = splat(k[0]);
  for (float next : ArrayRef(k).drop_front())
    p = fma(p, x2, splat(next));
  Value nearZero = fmul(p, x);
  Value high =
      arith::CmpFOp::create(b, loc, CmpFPredicate::OGT, x, splat(15.0f));
  Value clamped = select(high, splat(15.0f), x);
  Value power = exp2(fmul(clamped, splat(2.8853900817779268f)));
  Value one = splat(1.0f);
  Value far = fsub(one, fdiv(splat(2.0f), fadd(one, power)));
  Value isNear =
      arith::CmpFOp::create(b, loc, CmpFPredicate::OLT, x2, splat(0.3f));
  return select(isNear, nearZero, far);
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Value Emitter::at(Value pointer, Value bytes) {
  return LLVM::GEPOp::create(b, loc, ptr(), b.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{bytes});
}
Value Emitter::at(Value pointer, int64_t bytes) {
  if (bytes == 0)
    return pointer;
  return LLVM::GEPOp::create(b, loc, ptr(), b.getI8Type(), pointer,
                             ArrayRef<LLVM::GEPArg>{int32_t(bytes)});
}
Value Emitter::load(Type type, Value pointer, unsigned align) {
  return LLVM::LoadOp::create(b, loc, type, pointer, align);
}
void Emitter::store(Value value, Value pointer, unsigned align) {
  LLVM::StoreOp::create(b, loc, value, pointer, align);
}
Value Emitter::loadI64(Value pointer, int64_t index) {
  return load(i64(), at(pointer, 8 * index));
}
void Emitter::storeI64(Value value, Value pointer, int64_t index) {
  store(value, at(pointer, 8 * index));
}
void Emitter::prefetch(Value pointer, int32_t locality) {
  // Read, keep in every level, data cache.
  LLVM::Prefetch::create(b, loc, pointer, 0, locality, 1);
}
Value Emitter::opaque(Value pointer) {
  return LLVM::InlineAsmOp::create(
             b, loc, ptr(), pointer, /*asm_string=*/"",
             /*constraints=*/"=r,0", /*has_side_effects=*/true,
             /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
             /*asm_dialect=*/nullptr, /*operand_attrs=*/nullptr)
      .getResult(0);
}
Value Emitter::asPtr(Value integer) {
  return LLVM::IntToPtrOp::create(b, loc, ptr(), integer);
}
Value Emitter::asInt(Value pointer) {
  return LLVM::PtrToIntOp::create(b, loc, i64(), pointer);
}

namespace {
/// Integer and float helpers on i32 values that may be scalars or vectors.
struct Bits {
  Emitter &e;
  Type like; // i32 or vector of i32

  Type as(Type element) const {
    if (auto vector = dyn_cast<VectorType>(like))
      return VectorType::get(vector.getShape(), element);
    return element;
  }
  Value c(uint32_t value) const {
    TypedAttr attr = isa<VectorType>(like)
                         ? TypedAttr(DenseElementsAttr::get(
                               cast<VectorType>(like), APInt(32, value)))
                         : TypedAttr(IntegerAttr::get(like, APInt(32, value)));
    return arith::ConstantOp::create(e.b, e.loc, attr);
  }
  Value toFloat(Value bits) const {
    return arith::BitcastOp::create(e.b, e.loc, as(e.f32()), bits);
  }
  Value toBits(Value value) const {
    return arith::BitcastOp::create(e.b, e.loc, like, value);
  }
  Value shr(Value a, uint32_t n) const {
    return arith::ShRUIOp::create(e.b, e.loc, a, c(n));
  }
  Value shl(Value a, uint32_t n) const {
    return arith::ShLIOp::create(e.b, e.loc, a, c(n));
  }
  Value trunc16(Value a) const {
    return arith::TruncIOp::create(e.b, e.loc, as(e.b.getI16Type()), a);
  }
  Value ult(Value a, Value x) const { return e.cmp(CmpIPredicate::ult, a, x); }
};
} // namespace

/// f16 bits (in i32) to f32 without a conversion instruction.
static Value widenF16(const Bits &k, Value h) {
  Emitter &e = k.e;
  Value magnitude = k.shl(e.band(h, k.c(0x7fff)), 13);
  // Scaling by 2^112 corrects the exponent bias, for subnormals too.
  Value scaled = e.fmul(k.toFloat(magnitude), k.toFloat(k.c(0x77800000)));
  Value isInfNan = k.ult(k.c(0x0f7fffff), magnitude);
  Value special = e.bor(k.toBits(scaled), k.c(0x7f800000));
  Value bits = e.select(isInfNan, special, k.toBits(scaled));
  return k.toFloat(e.bor(bits, k.shl(e.band(h, k.c(0x8000)), 16)));
}

/// f32 to f16 bits (in i32), round to nearest even, without a conversion
/// instruction.
static Value narrowF16(const Bits &k, Value value) {
  Emitter &e = k.e;
  Value bits = k.toBits(value);
  Value magnitude = e.band(bits, k.c(0x7fffffff));
  // Normal: add half of the dropped bits, ties to even; then rebias.
  Value odd = e.band(k.shr(magnitude, 13), k.c(1));
  Value rounded = e.add(e.add(magnitude, k.c(0xc8000fff)), odd);
  Value normal = k.shr(rounded, 13);
  // Subnormal: a float addition rounds at the right bit.
  Value magic = k.c(0x3f000000);
  Value sum = e.fadd(k.toFloat(magnitude), k.toFloat(magic));
  Value subnormal = e.sub(k.toBits(sum), magic);
  Value result = e.select(k.ult(magnitude, k.c(0x38800000)), subnormal, normal);
  result = e.select(k.ult(k.c(0x477fefff), magnitude), k.c(0x7c00), result);
  result = e.select(k.ult(k.c(0x7f800000), magnitude), k.c(0x7e00), result);
  return e.bor(result, e.band(k.shr(bits, 16), k.c(0x8000)));
}

static Value narrowBF16(const Bits &k, Value value) {
  Emitter &e = k.e;
  Value bits = k.toBits(value);
  Value odd = e.band(k.shr(bits, 16), k.c(1));
  Value rounded = k.shr(e.add(e.add(bits, k.c(0x7fff)), odd), 16);
  Value isNan = k.ult(k.c(0x7f800000), e.band(bits, k.c(0x7fffffff)));
  return e.select(isNan, e.bor(k.shr(bits, 16), k.c(0x40)), rounded);
}

static Value widen(Emitter &e, Type element, Value pointer, bool vector) {
  Type f32 = vector ? Type(e.vec(e.f32())) : e.f32();
  unsigned align = Emitter::bytesOf(element);
  if (element.isF32())
    return e.load(f32, pointer, align);
  Type i16 = e.b.getI16Type();
  Type narrow = vector ? Type(e.vec(i16)) : i16;
  Type i32 = vector ? Type(e.vec(e.i32())) : e.i32();
  if (element.isF16() && e.target.f16Convert) {
    Type half = vector ? Type(e.vec(element)) : element;
    return arith::ExtFOp::create(e.b, e.loc, f32, e.load(half, pointer, align));
  }
  Value bits =
      arith::ExtUIOp::create(e.b, e.loc, i32, e.load(narrow, pointer, align));
  Bits k{e, i32};
  return element.isBF16() ? k.toFloat(k.shl(bits, 16)) : widenF16(k, bits);
}

Value Emitter::loadWide(Type element, Value pointer) {
  return widen(*this, element, pointer, /*vector=*/false);
}
Value Emitter::loadWideVec(Type element, Value pointer) {
  return widen(*this, element, pointer, /*vector=*/true);
}

std::array<Value, 2> Emitter::loadWidePair(Value pointer) {
  Type words = vec(i32());
  Value both = load(words, pointer, /*align=*/2);
  Bits k{*this, words};
  return {k.toFloat(k.shl(both, 16)), k.toFloat(band(both, k.c(0xffff0000u)))};
}

void Emitter::storeNarrow(Type element, Value value, Value pointer) {
  unsigned align = bytesOf(element);
  if (element.isF32())
    return store(value, pointer, align);
  bool vector = isa<VectorType>(value.getType());
  Bits k{*this, vector ? Type(vec(i32())) : i32()};
  if (element.isF16() && target.f16Convert) {
    Value half = arith::TruncFOp::create(b, loc, k.as(element), value);
    return store(half, pointer, align);
  }
  Value bits = element.isBF16() ? narrowBF16(k, value) : narrowF16(k, value);
  store(k.trunc16(bits), pointer, align);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

SmallVector<Value> Emitter::loop(Value lo, Value hi, Value step,
                                 ValueRange init, LoopBody body) {
  auto op = scf::ForOp::create(b, loc, lo, hi, step, init);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.getBody());
  // The builder adds a terminator only when nothing is carried.
  SmallVector<Value> next = body(op.getInductionVar(), op.getRegionIterArgs());
  if (!init.empty())
    scf::YieldOp::create(b, loc, next);
  return SmallVector<Value>(op.getResults());
}

void Emitter::loop(Value lo, Value hi, Value step,
                   llvm::function_ref<void(Value)> body) {
  loop(lo, hi, step, ValueRange(), [&](Value iv, ValueRange) {
    body(iv);
    return SmallVector<Value>();
  });
}

void Emitter::ifThen(Value cond, llvm::function_ref<void()> then,
                     llvm::function_ref<void()> otherwise) {
  auto op = scf::IfOp::create(b, loc, cond, bool(otherwise));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(op.thenBlock());
  then();
  if (otherwise) {
    b.setInsertionPointToStart(op.elseBlock());
    otherwise();
  }
}

SmallVector<Value>
Emitter::whileLoop(ValueRange init, llvm::function_ref<Value(ValueRange)> cond,
                   llvm::function_ref<SmallVector<Value>(ValueRange)> body) {
  SmallVector<Type> types(init.getTypes());
  auto op = scf::WhileOp::create(
      b, loc, types, init,
      [&](OpBuilder &, Location, ValueRange state) {
        Value go = cond(state);
        scf::ConditionOp::create(b, loc, go, state);
      },
      [&](OpBuilder &, Location, ValueRange state) {
        SmallVector<Value> next = body(state);
        scf::YieldOp::create(b, loc, next);
      });
  return SmallVector<Value>(op.getResults());
}

func::FuncOp Emitter::function(
    StringRef name, ArrayRef<Type> inputs, ArrayRef<Type> results,
    llvm::function_ref<SmallVector<Value>(ArrayRef<Value>)> body) {
  OpBuilder::InsertionGuard guard(b);
  auto func =
      func::FuncOp::create(b, loc, name, b.getFunctionType(inputs, results));
  Block *entry = func.addEntryBlock();
  b.setInsertionPointToStart(entry);
  SmallVector<Value> arguments(entry->getArguments());
  SmallVector<Value> returned = body(arguments);
  func::ReturnOp::create(b, loc, returned);
  return func;
}

ValueRange Emitter::call(func::FuncOp callee, ValueRange operands) {
  return func::CallOp::create(b, loc, callee, operands).getResults();
}
