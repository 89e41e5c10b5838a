//===- Parser.h - PTX text as statements ----------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Before: text. After: every kernel as a flat list of statements whose
// registers are numbers, whose labels are statement indices and whose symbols
// are names. Opcodes are still text: Decode.h gives them meaning. Nested
// blocks, which inline assembly uses for its own registers and labels, are
// resolved here.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_PARSER_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_PARSER_H

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace filigree::ptx {

enum class Space : uint8_t { Generic, Global, Const, Shared, Local, Param };

struct Register {
  std::string name;
  unsigned bits = 0; ///< 1 for .pred
};

struct Operand {
  enum Kind : uint8_t {
    None,
    Reg,     ///< reg
    Integer, ///< value
    Float32, ///< value holds the bits
    Float64, ///< value holds the bits
    Special, ///< name, with its percent sign
    Symbol,  ///< name, plus value
    Label,   ///< value: statement index, or name of a branch table
    Sink,    ///< _
    Memory,  ///< [parts[0] + value], and parts[1] the coordinates of a tensor
    Vector,  ///< {parts}
    Pair     ///< parts[0] | parts[1]
  } kind = None;
  bool negated = false; ///< !p
  int reg = -1;
  int64_t value = 0;
  std::string name;
  std::vector<Operand> parts;
};

struct Statement {
  int line = 0;
  std::string opcode; ///< with all its suffixes
  int guard = -1;     ///< register, or none
  bool guardNegated = false;
  std::vector<Operand> operands;
  std::string text; ///< as written, shortened
};

struct Parameter {
  std::string name;
  uint32_t bytes = 0, align = 1, offset = 0;
};

struct Variable {
  std::string name;
  Space space = Space::Global;
  uint64_t bytes = 0;
  uint32_t align = 1;
  bool isExtern = false; ///< with no size: the dynamic shared memory
  std::vector<uint8_t> initial;
  int line = 0;
};

struct Function {
  std::string name;
  int line = 0;
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  std::vector<Register> registers;
  std::vector<Variable> variables; ///< declared in the body
  std::vector<Statement> statements;
  std::unordered_map<std::string, std::vector<int>> branchTables;
  std::vector<uint32_t> maxThreads, requiredThreads, clusterShape;
};

struct ParsedModule {
  std::string version, target;
  std::vector<Variable> variables;
  std::vector<Function> kernels;
};

/// False: *error is one sentence with the line.
bool parseModule(std::string_view text, ParsedModule &module,
                 std::string *error);

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_PARSER_H
