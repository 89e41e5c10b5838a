//===- Decode.cpp - what an opcode means ----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace filigree::ptx {

//===----------------------------------------------------------------------===//
// Types and suffixes
//===----------------------------------------------------------------------===//

static constexpr struct {
  const char *name;
  Type type;
  unsigned bits;
} typeTable[] = {
    {"pred", Type::Pred, 1},    {"b8", Type::B8, 8},
    {"b16", Type::B16, 16},     {"b32", Type::B32, 32},
    {"b64", Type::B64, 64},     {"b128", Type::B128, 128},
    {"u8", Type::U8, 8},        {"u16", Type::U16, 16},
    {"u32", Type::U32, 32},     {"u64", Type::U64, 64},
    {"s8", Type::S8, 8},        {"s16", Type::S16, 16},
    {"s32", Type::S32, 32},     {"s64", Type::S64, 64},
    {"f16", Type::F16, 16},     {"bf16", Type::BF16, 16},
    {"f16x2", Type::F16x2, 32}, {"bf16x2", Type::BF16x2, 32},
    {"tf32", Type::TF32, 32},   {"f32", Type::F32, 32},
    {"f64", Type::F64, 64},
};

unsigned bitsOf(Type type) {
  for (const auto &entry : typeTable)
    if (entry.type == type)
      return entry.bits;
  return 0;
}

bool isSigned(Type type) { return type >= Type::S8 && type <= Type::S64; }
bool isFloat(Type type) { return type >= Type::F16; }

Opcode::Opcode(const std::string &text) {
  size_t start = 0;
  while (start <= text.size()) {
    size_t dot = std::min(text.find('.', start), text.size());
    parts.push_back(text.substr(start, dot - start));
    start = dot + 1;
  }
  taken.assign(parts.size(), false);
  taken[0] = true;
}

std::string Opcode::rest() const {
  for (size_t i = 1; i < parts.size(); ++i)
    if (!taken[i])
      return parts[i];
  return "";
}

bool Opcode::take(const char *suffix) {
  for (size_t i = 1; i < parts.size(); ++i)
    if (!taken[i] && parts[i] == suffix)
      return taken[i] = true;
  return false;
}

int Opcode::takeOneOf(std::initializer_list<const char *> suffixes) {
  int index = 0;
  for (const char *suffix : suffixes) {
    if (take(suffix))
      return index;
    ++index;
  }
  return -1;
}

Type Opcode::takeType() {
  for (size_t i = 1; i < parts.size(); ++i)
    for (const auto &entry : typeTable)
      if (!taken[i] && parts[i] == entry.name) {
        taken[i] = true;
        return entry.type;
      }
  return Type::None;
}

Space Opcode::takeSpace() {
  // A cluster is one CTA here, so its window is the CTA's own.
  if (takeOneOf({"shared", "shared::cta", "shared::cluster"}) >= 0)
    return Space::Shared;
  if (take("global"))
    return Space::Global;
  if (take("const"))
    return Space::Const;
  if (take("local"))
    return Space::Local;
  if (takeOneOf({"param", "param::entry"}) >= 0)
    return Space::Param;
  return Space::Generic;
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

bool Decoder::fail(const std::string &sentence) {
  if (!hasFailed && error)
    *error = "line " +
             std::to_string(statement ? statement->line : function.line) +
             ": " + (statement ? "`" + statement->text + "`: " : "") + sentence;
  hasFailed = true;
  return false;
}

bool Decoder::operandCount(size_t least, size_t most) {
  if (operands() >= least && operands() <= most)
    return true;
  return fail("expected " + std::to_string(least) + " operands, but got " +
              std::to_string(operands()));
}

Slot Decoder::newSlot(unsigned bits) {
  uint32_t bytes = bits == 1 ? 4 : 32 * bits / 8, align = bits == 1 ? 4 : 64;
  program.fileBytes = (program.fileBytes + align - 1) / align * align;
  Slot slot = program.fileBytes;
  program.fileBytes += bytes;
  return slot;
}

Slot Decoder::slotOf(int reg) {
  if (slotOfRegister[reg] == noSlot)
    slotOfRegister[reg] = newSlot(function.registers[reg].bits);
  return slotOfRegister[reg];
}

Slot Decoder::constantSlot(uint64_t value, unsigned bits) {
  if (bits < 64)
    value &= (1ull << bits) - 1;
  if (bits == 8)
    bits = 16;
  for (const Program::Constant &known : program.constants)
    if (known.value == value && known.bits == bits)
      return known.slot;
  Slot slot = newSlot(bits);
  program.constants.push_back({value, bits, slot});
  return slot;
}

Slot Decoder::special(const std::string &name, unsigned bits) {
  static const char *const known[] = {"%tid.x",
                                      "%tid.y",
                                      "%tid.z",
                                      "%ntid.x",
                                      "%ntid.y",
                                      "%ntid.z",
                                      "%ctaid.x",
                                      "%ctaid.y",
                                      "%ctaid.z",
                                      "%nctaid.x",
                                      "%nctaid.y",
                                      "%nctaid.z",
                                      "%laneid",
                                      "%warpid",
                                      "%nwarpid",
                                      "%lanemask_eq",
                                      "%lanemask_lt",
                                      "%lanemask_le",
                                      "%lanemask_gt",
                                      "%lanemask_ge",
                                      "%clusterid.x",
                                      "%clusterid.y",
                                      "%clusterid.z",
                                      "%nclusterid.x",
                                      "%nclusterid.y",
                                      "%nclusterid.z",
                                      "%cluster_ctaid.x",
                                      "%cluster_ctaid.y",
                                      "%cluster_ctaid.z",
                                      "%cluster_nctaid.x",
                                      "%cluster_nctaid.y",
                                      "%cluster_nctaid.z",
                                      "%cluster_ctarank",
                                      "%cluster_nctarank",
                                      "%smid",
                                      "%nsmid",
                                      "%gridid",
                                      "%dynamic_smem_size",
                                      "%total_smem_size",
                                      "WARP_SZ"};
  if (std::find(std::begin(known), std::end(known), name) == std::end(known)) {
    fail("unknown special register " + name);
    return 0;
  }
  auto key = name + (bits == 64 ? ":64" : "");
  auto found = program.specials.find(key);
  if (found == program.specials.end())
    found = program.specials.emplace(key, newSlot(bits)).first;
  return found->second;
}

bool Decoder::symbolValue(const std::string &name, uint64_t &value) const {
  auto local = addresses.find(name);
  if (local != addresses.end()) {
    value = local->second;
    return true;
  }
  auto global = globals.find(name);
  if (global != globals.end()) {
    value = global->second;
    return true;
  }
  return false;
}

Slot Decoder::readWide(const Operand &operand, unsigned bits,
                       unsigned &registerBits) {
  registerBits = bits < 16 && bits > 1 ? 16 : bits;
  if (operand.negated && operand.kind != Operand::Integer) {
    fail("a negated operand is not understood here");
    return 0;
  }
  switch (operand.kind) {
  case Operand::Reg:
    registerBits = function.registers[operand.reg].bits;
    reads.push_back(static_cast<int>(slotOf(operand.reg) / 64));
    return slotOf(operand.reg);
  case Operand::Integer:
    return constantSlot(static_cast<uint64_t>(operand.value), registerBits);
  case Operand::Float32:
    if (bits == 32)
      return constantSlot(static_cast<uint64_t>(operand.value), 32);
    break;
  case Operand::Float64:
    if (bits == 64)
      return constantSlot(static_cast<uint64_t>(operand.value), 64);
    if (bits == 32) {
      double value;
      memcpy(&value, &operand.value, 8);
      float narrow = static_cast<float>(value);
      uint32_t word;
      memcpy(&word, &narrow, 4);
      return constantSlot(word, 32);
    }
    break;
  case Operand::Special:
  case Operand::Symbol: {
    if (operand.kind == Operand::Special || operand.name == "WARP_SZ") {
      if (bits != 32 && bits != 64)
        break;
      return special(operand.name, bits);
    }
    uint64_t value;
    if (!symbolValue(operand.name, value)) {
      fail("unknown name `" + operand.name + "`");
      return 0;
    }
    return constantSlot(value + static_cast<uint64_t>(operand.value),
                        registerBits);
  }
  default:
    break;
  }
  fail("an operand of this form is not understood here");
  return 0;
}

Slot Decoder::read(const Operand &operand, unsigned bits) {
  unsigned registerBits;
  Slot slot = readWide(operand, bits, registerBits);
  if (registerBits != bits && !failed())
    fail("expected a register of " + std::to_string(bits) + " bits, but `" +
         operand.name + "` has " + std::to_string(registerBits));
  return slot;
}

Slot Decoder::read(const Operand &operand, Type type) {
  return read(operand, bitsOf(type));
}

Slot Decoder::writeWide(const Operand &operand, unsigned bits,
                        unsigned &registerBits) {
  registerBits = bits;
  if (operand.kind == Operand::Sink) {
    registerBits = bits < 16 && bits > 1 ? 16 : bits;
    return newSlot(registerBits);
  }
  if (operand.kind != Operand::Reg) {
    fail("expected a register as destination");
    return 0;
  }
  registerBits = function.registers[operand.reg].bits;
  writes.push_back(static_cast<int>(slotOf(operand.reg) / 64));
  return slotOf(operand.reg);
}

Slot Decoder::write(const Operand &operand, unsigned bits) {
  unsigned registerBits;
  Slot slot = writeWide(operand, bits, registerBits);
  if (registerBits != bits && !failed())
    fail("expected a register of " + std::to_string(bits) + " bits, but `" +
         operand.name + "` has " + std::to_string(registerBits));
  return slot;
}

bool Decoder::address(Inst &inst, const Operand &operand, int which) {
  const Operand *base = &operand;
  if (operand.kind == Operand::Memory) {
    base = &operand.parts[0];
    inst.imm = operand.value;
  }
  if (base->kind == Operand::Reg) {
    unsigned bits = function.registers[base->reg].bits;
    if (bits != 32 && bits != 64)
      return fail("an address has 32 or 64 bits");
    inst.src[which] = read(*base, bits);
    if (bits == 64)
      inst.flags |= wideAddress >> which;
    return !failed();
  }
  inst.src[which] = read(*base, 64);
  inst.flags |= wideAddress >> which;
  return !failed();
}

bool Decoder::constant(const Operand &operand, int64_t &value) {
  if (operand.kind != Operand::Integer)
    return fail("expected a constant");
  value = operand.value;
  return true;
}

void Decoder::append(Inst &inst, Slot slot) {
  if (!inst.listCount)
    inst.list = static_cast<uint32_t>(program.lists.size());
  program.lists.push_back(slot);
  ++inst.listCount;
}

bool Decoder::readList(Inst &inst, const Operand &operand, unsigned bits) {
  if (operand.kind != Operand::Vector)
    append(inst, read(operand, bits));
  else
    for (const Operand &part : operand.parts)
      append(inst, read(part, bits));
  return !failed();
}

bool Decoder::writeList(Inst &inst, const Operand &operand, unsigned bits) {
  if (operand.kind != Operand::Vector)
    append(inst, write(operand, bits));
  else
    for (const Operand &part : operand.parts)
      append(inst, write(part, bits));
  return !failed();
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

/// Gives shared, local and param symbols their addresses.
bool Decoder::symbols() {
  uint32_t shared = 0, dynamicAlign = 16;
  std::vector<const Variable *> dynamic;
  std::vector<const Variable *> all;
  for (const Variable &variable : module.variables)
    all.push_back(&variable);
  for (const Variable &variable : function.variables)
    all.push_back(&variable);
  for (const Variable *variable : all) {
    uint32_t align = std::max(variable->align, 1u);
    if (variable->space == Space::Shared && variable->isExtern) {
      dynamic.push_back(variable);
      dynamicAlign = std::max(dynamicAlign, align);
    } else if (variable->space == Space::Shared) {
      shared = (shared + align - 1) / align * align;
      addresses[variable->name] = sharedStart + shared;
      shared += static_cast<uint32_t>(variable->bytes);
    } else if (variable->space == Space::Local) {
      program.localBytes = (program.localBytes + align - 1) / align * align;
      addresses[variable->name] = program.localBytes;
      program.localBytes += static_cast<uint32_t>(variable->bytes);
    }
  }
  program.sharedBytes = shared;
  program.dynamicShared =
      (shared + dynamicAlign - 1) / dynamicAlign * dynamicAlign;
  for (const Variable *variable : dynamic)
    addresses[variable->name] = sharedStart + program.dynamicShared;
  for (const Parameter &parameter : function.parameters)
    addresses[parameter.name] = parameter.offset;
  return true;
}

/// What a module for an older target must not use: the start of an opcode, a
/// suffix that must be among the rest (or ""), the least target, and whether it
/// must be the architecture's own (the `a` of sm_90a).
static constexpr struct {
  const char *start, *suffix;
  int target;
  bool own;
} requirements[] = {
    {"wgmma.", "", 90, true},
    {"setmaxnreg.", "", 90, true},
    {"cp.async.bulk.", "", 90, false},
    {"mbarrier.try_wait.", "", 90, false},
    {"mbarrier.", ".expect_tx", 90, false},
    {"mbarrier.complete_tx", "", 90, false},
    {"fence.proxy.async", "", 90, false},
    {"fence.mbarrier_init.", "", 90, false},
    {"elect.", "", 90, false},
    {"stmatrix.", "", 90, false},
    {"griddepcontrol.", "", 90, false},
    {"createpolicy.", "", 80, false},
    {"add.", ".bf16", 90, false},
    {"sub.", ".bf16", 90, false},
    {"mul.", ".bf16", 90, false},
};

/// Why the module's target lacks the instruction, or "".
static std::string missingOn(const std::string &target,
                             const Statement &statement) {
  int number = target.rfind("sm_", 0) == 0 ? atoi(target.c_str() + 3) : 0;
  bool own = !target.empty() && target.back() == 'a';
  for (const auto &each : requirements) {
    if (statement.opcode.rfind(each.start, 0) != 0 ||
        statement.opcode.find(each.suffix) == std::string::npos)
      continue;
    if (number < each.target || (each.own && (!own || number != each.target)))
      return "needs sm_" + std::to_string(each.target) + (each.own ? "a" : "") +
             ", but the module is for " + target;
  }
  bool three = (statement.opcode.rfind("min.", 0) == 0 ||
                statement.opcode.rfind("max.", 0) == 0) &&
               statement.operands.size() == 4;
  if (three && number < 100)
    return "three inputs need sm_100, but the module is for " + target;
  return "";
}

bool Decoder::decodeStatement(const Statement &s, Inst &inst) {
  Opcode opcode(s.opcode);
  using Family = bool (*)(Decoder &, Opcode &, Inst &);
  static constexpr Family families[] = {
      decodeControl,   decodeMove,       decodeInteger, decodeBits,
      decodeFloat,     decodeCompare,    decodeConvert, decodeMemory,
      decodeAtomic,    decodeCollective, decodeBarrier, decodeMbarrier,
      decodeAsyncCopy, decodeBulk,       decodeMma,     decodeWgmma};
  for (Family family : families) {
    if (!family(*this, opcode, inst))
      continue;
    if (failed())
      return false;
    std::string rest = opcode.rest();
    if (!rest.empty())
      return fail("unsupported: ." + rest + " of `" + opcode.name() + "`");
    std::string missing = missingOn(module.target, s);
    if (!missing.empty())
      return fail(missing);
    return true;
  }
  if (failed())
    return false;
  return fail("unsupported instruction `" + s.opcode + "`");
}

bool Decoder::run() {
  program.function = &function;
  slotOfRegister.assign(function.registers.size(), noSlot);
  symbols();
  // %r0 and its like are only slots once something uses them; 64 bytes in front
  // keep slot 0 free of meaning.
  program.fileBytes = 64;
  program.code.reserve(function.statements.size() + 1);
  for (const Statement &s : function.statements) {
    statement = &s;
    reads.clear();
    writes.clear();
    Inst inst;
    inst.line = s.line;
    if (s.guard >= 0) {
      inst.guard = slotOf(s.guard);
      inst.guardNegated = s.guardNegated;
    }
    if (!decodeStatement(s, inst))
      return false;
    inst.uses = static_cast<uint32_t>(program.uses.size());
    inst.readCount = static_cast<uint32_t>(reads.size());
    inst.writeCount = static_cast<uint32_t>(writes.size());
    program.uses.insert(program.uses.end(), reads.begin(), reads.end());
    program.uses.insert(program.uses.end(), writes.begin(), writes.end());
    program.code.push_back(inst);
  }
  statement = nullptr;
  program.registerOf.assign(program.fileBytes / 64 + 4, -1);
  for (size_t reg = 0; reg < slotOfRegister.size(); ++reg)
    if (slotOfRegister[reg] != noSlot)
      program.registerOf[slotOfRegister[reg] / 64] = static_cast<int>(reg);
  if (program.code.empty() || (program.code.back().flow != Flow::Exit &&
                               program.code.back().flow != Flow::Branch))
    return fail("kernel `" + function.name + "` runs off its end");
  return true;
}

} // namespace filigree::ptx
