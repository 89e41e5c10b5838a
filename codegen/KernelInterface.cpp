//===- KernelInterface.cpp - a kernel's arguments as slots ----------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "codegen/KernelInterface.h"

using namespace mlir;
using namespace filigree;

static_assert(FIL_ABI_MOST_EXTENT < maxSymbolMagnitude,
              "the runtime keeps extents within what the proofs assume");

namespace {

uint32_t dtypeOf(Type type) {
  Type element = getElementTypeOrSelf(type);
  if (element.isF32())
    return FIL_ABI_F32;
  if (element.isBF16())
    return FIL_ABI_BF16;
  if (element.isF16())
    return FIL_ABI_F16;
  if (element.isF64())
    return FIL_ABI_F64;
  return element.isInteger(32) ? FIL_ABI_I32 : FIL_ABI_I64;
}

class ExtentTable {
public:
  explicit ExtentTable(KernelInterface &interface) : interface(interface) {}

  /// A constant extent or the index of a named one.
  fil_abi_dim dim(StringRef text) {
    int64_t extent;
    if (!text.getAsInteger(10, extent))
      return {-1, int32_t(extent)};
    return {symbol(text), 0};
  }

  int32_t symbol(StringRef name) {
    auto *it = llvm::find(interface.dims, name.str());
    if (it != interface.dims.end())
      return it - interface.dims.begin();
    interface.dims.push_back(name.str());
    int32_t index = interface.dims.size() - 1;
    relate(name, index);
    return index;
  }

private:
  /// Names say how extents hang together: "Bg..", "Hg..", "ceil(Nq/128)".
  void relate(StringRef name, int32_t index) {
    if (name == "Hkv")
      add(FIL_ABI_MULTIPLE, symbol("Hq"), index, -1);
    else if (name.starts_with("Bg"))
      add(FIL_ABI_ONE_OF, index, symbol("B"), -1);
    else if (name.starts_with("Hg"))
      add(FIL_ABI_ONE_OF, index, symbol("Hkv"), symbol("Hq"));
    else if (name == "docs")
      add(FIL_ABI_EQUAL_PLUS, symbol("docs+1"), index, 1);
    else if (name.consume_front("ceil(")) {
      auto [extent, divisor] = name.drop_back().split('/');
      int32_t c = 1;
      divisor.getAsInteger(10, c);
      add(FIL_ABI_CEIL_DIV, index, symbol(extent), c);
    }
  }

  void add(uint32_t kind, int32_t a, int32_t b, int32_t c) {
    interface.relations.push_back({sizeof(fil_abi_relation), kind, a, b, c, 0});
  }

  KernelInterface &interface;
};

} // namespace

KernelInterface filigree::interfaceOf(tile::KernelOp kernel) {
  return interfaceOf(kernel.getSymName(), kernel.getArgs(),
                     kernel.getBody().front().getArgumentTypes());
}

KernelInterface filigree::interfaceOf(StringRef name, ArrayAttr args,
                                      TypeRange types) {
  KernelInterface interface;
  interface.name = name.str();
  ExtentTable builder(interface);
  for (auto [attr, type] : llvm::zip(args, types)) {
    auto attrs = cast<DictionaryAttr>(attr);
    InterfaceArg arg;
    arg.name = attrs.getAs<StringAttr>("name").str();
    StringRef kind = attrs.getAs<StringAttr>("kind");
    arg.kind = kind == "scalar"  ? FIL_ABI_SCALAR
               : kind == "input" ? FIL_ABI_INPUT
                                 : FIL_ABI_OUTPUT;
    arg.dtype = dtypeOf(type);
    if (arg.kind == FIL_ABI_SCALAR) {
      if (auto min = attrs.getAs<IntegerAttr>("min"))
        arg.min = std::max(arg.min, min.getInt());
      if (auto max = attrs.getAs<IntegerAttr>("max"))
        arg.max = std::min(arg.max, max.getInt());
      if (auto preset = attrs.getAs<IntegerAttr>("preset")) {
        arg.preset = preset.getInt();
        arg.hasPreset = true;
      } else if (auto preset = attrs.getAs<FloatAttr>("preset")) {
        float value = preset.getValueAsDouble();
        uint32_t bits;
        memcpy(&bits, &value, sizeof(bits));
        arg.preset = bits;
        arg.hasPreset = true;
      }
    } else {
      auto dims = attrs.getAs<ArrayAttr>("dims");
      arg.rank = dims.size();
      for (Attribute entry : dims)
        arg.dims.push_back(builder.dim(cast<StringAttr>(entry).getValue()));
      // [H, N, D] stands for [1, H, N, D].
      StringRef leading = cast<StringAttr>(dims[0]).getValue();
      bool isWide = arg.rank == 4 || (arg.rank == 3 && arg.name == "lse");
      if ((leading == "B" || leading == "1" || leading.starts_with("Bg")) &&
          (isWide || leading.starts_with("Bg") || arg.kind == FIL_ABI_OUTPUT))
        arg.flags |= FIL_ABI_LEADING_OPTIONAL;
      if (auto flags = attrs.getAs<ArrayAttr>("flags"))
        for (Attribute flag : flags)
          arg.flags |= cast<StringAttr>(flag).getValue() == "broadcast"
                           ? FIL_ABI_MAY_BROADCAST
                           : FIL_ABI_ARG_OPTIONAL;
    }
    interface.args.push_back(arg);
  }
  uint32_t slot = FIL_ABI_SLOT_DIMS + interface.dims.size();
  for (InterfaceArg &arg : interface.args) {
    arg.slot = slot;
    slot += arg.kind == FIL_ABI_SCALAR ? 1 : FIL_ABI_TENSOR_SLOTS;
  }
  interface.slotCount = slot;
  return interface;
}
