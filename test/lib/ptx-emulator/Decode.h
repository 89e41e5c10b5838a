//===- Decode.h - what an opcode means ------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: statements with opcodes as text. After: instructions with handlers.
// An opcode is a name and suffixes; a family (one Exec*.cpp or one mechanism)
// takes the suffixes that it understands, and a suffix that nobody took is an
// error, so nothing is ever half understood.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_DECODE_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_DECODE_H

#include "test/lib/ptx-emulator/Program.h"

#include <initializer_list>

namespace filigree::ptx {

enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  BF16,
  F16x2,
  BF16x2,
  TF32,
  F32,
  F64
};
unsigned bitsOf(Type type);
bool isSigned(Type type);
bool isFloat(Type type);

/// An opcode, its suffixes being taken one by one.
class Opcode {
public:
  explicit Opcode(const std::string &text);
  const std::string &name() const { return parts[0]; }
  /// The first suffix that nobody took, or "".
  std::string rest() const;
  /// Takes a suffix wherever it stands.
  bool take(const char *suffix);
  /// Takes the first of these that is there; its index, or -1.
  int takeOneOf(std::initializer_list<const char *> suffixes);
  /// Takes the first suffix that is a type.
  Type takeType();
  /// Takes .global, .shared, ..., also with ::cta.
  Space takeSpace();

private:
  std::vector<std::string> parts;
  std::vector<bool> taken;
};

class Decoder {
public:
  Decoder(const ParsedModule &module, const Function &function,
          Program &program, const std::map<std::string, uint64_t> &globals,
          std::string *error)
      : module(module), function(function), program(program), globals(globals),
        error(error) {}

  bool run();

  // For families. Each refuses what does not fit with a sentence.
  const ParsedModule &module;
  const Function &function;
  Program &program;
  const Statement *statement = nullptr;

  bool fail(const std::string &sentence);
  bool failed() const { return hasFailed; }
  bool operandCount(size_t least, size_t most);
  const Operand &operand(size_t i) const { return statement->operands[i]; }
  size_t operands() const { return statement->operands.size(); }

  /// A value of `bits` bits: register, constant, special register or symbol.
  Slot read(const Operand &operand, unsigned bits);
  Slot read(const Operand &operand, Type type);
  /// A value that may come from a wider register: st, cvt.
  Slot readWide(const Operand &operand, unsigned bits, unsigned &registerBits);
  Slot write(const Operand &operand, unsigned bits);
  Slot writeWide(const Operand &operand, unsigned bits, unsigned &registerBits);
  /// Slot of a predicate operand; negated ones are refused.
  Slot readPred(const Operand &operand) { return read(operand, 1); }
  /// Address [base + offset] into inst.src[which], inst.imm; inst.flags gets
  /// `wide` if the base has 64 bits.
  bool address(Inst &inst, const Operand &operand, int which = 0);
  bool constant(const Operand &operand, int64_t &value);
  /// Puts the elements of a vector operand, or a single one, into the list.
  bool readList(Inst &inst, const Operand &operand, unsigned bits);
  bool writeList(Inst &inst, const Operand &operand, unsigned bits);
  Slot constantSlot(uint64_t value, unsigned bits);
  /// The carry flag of add.cc and its like: a predicate of its own.
  Slot carrySlot() { return carry == noSlot ? carry = newSlot(1) : carry; }
  /// Appends to the list of the instruction.
  void append(Inst &inst, Slot slot);

private:
  const std::map<std::string, uint64_t> &globals;
  std::string *error;
  bool hasFailed = false;
  Slot carry = noSlot;
  std::vector<Slot> slotOfRegister;
  std::vector<int> reads, writes;

  bool symbols();
  bool decodeStatement(const Statement &statement, Inst &inst);
  Slot slotOf(int reg);
  Slot newSlot(unsigned bits);
  Slot special(const std::string &name, unsigned bits);
  bool symbolValue(const std::string &name, uint64_t &value) const;
  std::map<std::string, uint64_t> addresses; ///< of local and shared symbols
};

/// Address flag in Inst::flags: the base register has 64 bits.
constexpr uint32_t wideAddress = 1u << 31;

// A family returns false if the opcode is not its own.
bool decodeInteger(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeBits(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeFloat(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeCompare(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeConvert(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeMove(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeControl(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeMemory(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeAtomic(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeCollective(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeBarrier(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeMbarrier(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeAsyncCopy(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeBulk(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeMma(Decoder &decoder, Opcode &opcode, Inst &inst);
bool decodeWgmma(Decoder &decoder, Opcode &opcode, Inst &inst);

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_DECODE_H
