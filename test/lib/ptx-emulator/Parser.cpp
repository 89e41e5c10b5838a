//===- Parser.cpp - PTX text as statements --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recursive descent over the words of Lexer.h. Directives that describe, such
// as .loc, .file, .pragma and debug sections, are dropped; directives that
// change what a kernel computes and are not known here are errors.
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Parser.h"

#include "test/lib/ptx-emulator/Cursor.h"

#include <cstdlib>
#include <cstring>

namespace filigree::ptx {

namespace {

/// Bits of a fundamental type, 0 for what is not one.
unsigned bitsOfType(std::string_view type) {
  if (type == ".pred")
    return 1;
  for (auto [name, bits] : {std::pair{"8", 8u},
                            {"16", 16u},
                            {"32", 32u},
                            {"64", 64u},
                            {"128", 128u}})
    if (type.size() > 2 && type[0] == '.' && strchr("busf", type[1]) &&
        type.substr(2) == name)
      return bits;
  if (type == ".f16x2" || type == ".bf16x2")
    return 32;
  if (type == ".bf16")
    return 16;
  return 0;
}

/// Registers and labels of one pair of braces.
struct Block {
  int parent = -1;
  std::unordered_map<std::string, int> registers, labels;
  struct Family {
    std::string prefix;
    int first, count;
  };
  std::vector<Family> families; ///< `%r<9>` declares %r0 ... %r8
};

class Parser : Cursor {
public:
  Parser(std::string_view source, ParsedModule &module, std::string *error)
      : Cursor(source, error), module(module) {}

  bool run() {
    while (!at().is("") || at().kind != Token::End) {
      if (at().kind == Token::End)
        break;
      if (!topLevel())
        return false;
    }
    return true;
  }

private:
  ParsedModule &module;
  Function *function = nullptr;
  std::vector<Block> blocks;
  int block = -1;
  struct PendingLabel {
    size_t statement, operand;
    int block;
  };
  std::vector<PendingLabel> pendingLabels;
  struct PendingTable {
    std::string name;
    std::vector<std::string> labels;
    int block;
  };
  std::vector<PendingTable> pendingTables;

  bool topLevel();
  bool variable(std::vector<Variable> &into, bool isExtern);
  bool entry();
  bool parameters();
  bool body();
  bool registerDeclaration();
  bool directive();
  bool statement();
  bool operand(Operand &into);
  bool atom(Operand &into);
  bool number(Operand &into);
  int findRegister(const std::string &name) const;
  int findLabel(const std::string &name, int from) const;
  bool resolveLabels();
};

bool Parser::topLevel() {
  const Token &token = at();
  if (token.is(".version") || token.is(".address_size")) {
    bool version = next().is(".version");
    Token value = next();
    if (version)
      module.version = value.text;
    else if (value.text != "64")
      return fail("expected .address_size 64", value.line);
    return true;
  }
  if (token.is(".target")) {
    ++position;
    module.target = at().text;
    skipLine();
    return true;
  }
  if (token.is(".file") || token.is(".loc")) {
    skipLine();
    return true;
  }
  if (token.is(".pragma")) {
    skipStatement();
    return true;
  }
  if (token.is(".section")) {
    while (at().kind != Token::End && !at().is("{"))
      ++position;
    skipBraces();
    return true;
  }
  bool isExtern = false;
  while (at().is(".visible") || at().is(".extern") || at().is(".weak") ||
         at().is(".common"))
    isExtern |= next().is(".extern");
  if (take(".entry"))
    return entry();
  if (take(".func")) { // a call is refused where it stands
    while (at().kind != Token::End && !at().is("{") && !at().is(";"))
      ++position;
    if (!take(";"))
      skipBraces();
    return true;
  }
  return variable(module.variables, isExtern);
}

bool Parser::variable(std::vector<Variable> &into, bool isExtern) {
  Variable result;
  result.isExtern = isExtern;
  result.line = at().line;
  Token space = next();
  if (space.is(".shared"))
    result.space = Space::Shared;
  else if (space.is(".global"))
    result.space = Space::Global;
  else if (space.is(".const"))
    result.space = Space::Const;
  else if (space.is(".local"))
    result.space = Space::Local;
  else
    return fail("unknown directive '" + std::string(space.text) + "'",
                space.line);
  while (take(".align") || at().is(".attribute")) {
    if (at().is(".attribute"))
      return fail("unsupported directive '.attribute'");
    int64_t align;
    if (!integer(align))
      return false;
    result.align = static_cast<uint32_t>(align);
  }
  unsigned bits = bitsOfType(at().text);
  if (bits < 8)
    return fail("expected a type, but got '" + std::string(at().text) + "'");
  ++position;
  result.align = std::max(result.align, bits / 8);
  result.name = next().text;
  int64_t count = 1;
  while (take("[")) {
    int64_t extent = 0;
    if (!at().is("]") && !integer(extent))
      return false;
    count *= extent;
    if (!expect("]"))
      return false;
  }
  result.bytes = static_cast<uint64_t>(count) * (bits / 8);
  if (take("=")) {
    bool list = take("{");
    do {
      Operand value;
      if (!number(value))
        return false;
      for (unsigned byte = 0; byte < bits / 8; ++byte)
        result.initial.push_back(
            static_cast<uint8_t>(value.value >> (8 * byte)));
    } while (take(","));
    if (list && !expect("}"))
      return false;
    if (result.bytes == 0)
      result.bytes = result.initial.size();
    result.initial.resize(result.bytes);
  }
  into.push_back(std::move(result));
  return expect(";");
}

bool Parser::entry() {
  module.kernels.emplace_back();
  function = &module.kernels.back();
  function->line = at().line;
  function->name = next().text;
  if (at().is("(") && !parameters())
    return false;
  while (!at().is("{")) {
    Token token = next();
    std::vector<uint32_t> values;
    if (token.is(".explicitcluster"))
      continue;
    if (!token.is(".maxntid") && !token.is(".reqntid") &&
        !token.is(".minnctapersm") && !token.is(".maxnreg") &&
        !token.is(".maxnctapersm") && !token.is(".reqnctapercluster") &&
        !token.is(".maxclusterrank"))
      return fail("unknown directive '" + std::string(token.text) + "'",
                  token.line);
    if (!integers(values))
      return false;
    if (token.is(".maxntid"))
      function->maxThreads = values;
    else if (token.is(".reqntid"))
      function->requiredThreads = values;
    else if (token.is(".reqnctapercluster"))
      function->clusterShape = values;
  }
  return body();
}

bool Parser::parameters() {
  ++position; // (
  uint32_t offset = 0;
  while (!take(")")) {
    Parameter parameter;
    if (!expect(".param"))
      return false;
    unsigned bits = 0;
    while (at().kind == Token::Word && at().text[0] == '.') {
      if (take(".align")) {
        int64_t align;
        if (!integer(align))
          return false;
        if (!bits) // after the type it describes what the pointer points to
          parameter.align = static_cast<uint32_t>(align);
      } else if (unsigned typeBits = bitsOfType(at().text)) {
        bits = typeBits;
        ++position;
      } else if (at().is(".ptr") || at().is(".global") || at().is(".shared") ||
                 at().is(".const") || at().is(".local")) {
        ++position;
      } else {
        return fail("unknown directive '" + std::string(at().text) + "'");
      }
    }
    if (bits < 8)
      return fail("expected the type of a parameter");
    parameter.bytes = bits / 8;
    parameter.align = std::max(parameter.align, bits / 8);
    parameter.name = next().text;
    if (take("[")) {
      int64_t extent;
      if (!integer(extent) || !expect("]"))
        return false;
      parameter.bytes *= static_cast<uint32_t>(extent);
    }
    offset = (offset + parameter.align - 1) / parameter.align * parameter.align;
    parameter.offset = offset;
    offset += parameter.bytes;
    function->parameters.push_back(parameter);
    if (!take(",") && !at().is(")"))
      return fail("expected ',' or ')' after parameter `" + parameter.name +
                  "`");
  }
  function->parameterBytes = offset;
  return true;
}

bool Parser::body() {
  blocks.clear();
  pendingLabels.clear();
  pendingTables.clear();
  block = -1;
  do {
    if (at().kind == Token::End)
      return fail("kernel `" + function->name + "` has no end");
    if (take("{")) {
      blocks.emplace_back();
      blocks.back().parent = block;
      block = static_cast<int>(blocks.size()) - 1;
    } else if (take("}")) {
      block = blocks[block].parent;
    } else if (at().kind == Token::Word && at(1).is(":")) {
      std::string name(next().text);
      ++position;
      if (at().is(".branchtargets")) {
        ++position;
        PendingTable table{name, {}, block};
        do
          table.labels.emplace_back(next().text);
        while (take(","));
        pendingTables.push_back(table);
        if (!expect(";"))
          return false;
      } else if (!blocks[block]
                      .labels.emplace(name, function->statements.size())
                      .second) {
        return fail("label `" + name + "` is defined twice");
      }
    } else if (at().kind == Token::Word && at().text[0] == '.') {
      if (!directive())
        return false;
    } else if (!take(";") && !statement()) {
      return false;
    }
  } while (block >= 0);
  return resolveLabels();
}

bool Parser::directive() {
  const Token &token = at();
  if (token.is(".reg"))
    return registerDeclaration();
  if (token.is(".loc") || token.is(".file")) {
    skipLine();
    return true;
  }
  if (token.is(".pragma")) {
    skipStatement();
    return true;
  }
  bool isExtern = take(".extern");
  return variable(function->variables, isExtern);
}

bool Parser::registerDeclaration() {
  ++position; // .reg
  unsigned bits = bitsOfType(at().text);
  if (!bits)
    return fail("unknown register type '" + std::string(at().text) + "'");
  ++position;
  do {
    std::string name(next().text);
    int first = static_cast<int>(function->registers.size());
    if (take("<")) {
      int64_t count;
      if (!integer(count) || !expect(">"))
        return false;
      blocks[block].families.push_back({name, first, static_cast<int>(count)});
      for (int64_t i = 0; i < count; ++i)
        function->registers.push_back({name + std::to_string(i), bits});
    } else {
      blocks[block].registers[name] = first;
      function->registers.push_back({name, bits});
    }
  } while (take(","));
  return expect(";");
}

int Parser::findRegister(const std::string &name) const {
  size_t digits = name.size();
  while (digits && isdigit(static_cast<unsigned char>(name[digits - 1])))
    --digits;
  for (int b = block; b >= 0; b = blocks[b].parent) {
    auto found = blocks[b].registers.find(name);
    if (found != blocks[b].registers.end())
      return found->second;
    for (const Block::Family &family : blocks[b].families) {
      if (digits == name.size() || name.compare(0, digits, family.prefix) != 0)
        continue;
      int index = atoi(name.c_str() + digits);
      if (index < family.count)
        return family.first + index;
    }
  }
  return -1;
}

int Parser::findLabel(const std::string &name, int from) const {
  for (int b = from; b >= 0; b = blocks[b].parent) {
    auto found = blocks[b].labels.find(name);
    if (found != blocks[b].labels.end())
      return found->second;
  }
  return -1;
}

bool Parser::resolveLabels() {
  for (const PendingLabel &pending : pendingLabels) {
    Statement &statement = function->statements[pending.statement];
    Operand &operand = statement.operands[pending.operand];
    int target = findLabel(operand.name, pending.block);
    if (target < 0)
      return fail("label `" + operand.name + "` is not defined",
                  statement.line);
    operand.kind = Operand::Label;
    operand.value = target;
  }
  for (const PendingTable &table : pendingTables)
    for (const std::string &label : table.labels) {
      int target = findLabel(label, table.block);
      if (target < 0)
        return fail("label `" + label + "` is not defined");
      function->branchTables[table.name].push_back(target);
    }
  return true;
}

bool Parser::number(Operand &into) {
  bool negative = take("-");
  std::string word(at().text);
  if (word.empty() || !isdigit(static_cast<unsigned char>(word[0])))
    return fail("expected a number, but got '" + word + "'");
  char *end;
  if (word.size() == 10 && word[0] == '0' &&
      (word[1] == 'f' || word[1] == 'F')) {
    into.kind = Operand::Float32;
    into.value = static_cast<int64_t>(strtoul(word.c_str() + 2, &end, 16));
    if (negative)
      into.value ^= 0x80000000;
  } else if (word.size() == 18 && word[0] == '0' &&
             (word[1] == 'd' || word[1] == 'D')) {
    into.kind = Operand::Float64;
    into.value = static_cast<int64_t>(strtoull(word.c_str() + 2, &end, 16));
    if (negative)
      into.value ^= INT64_MIN;
  } else if (word.find('.') != std::string::npos) {
    into.kind = Operand::Float64;
    double value = strtod(word.c_str(), &end) * (negative ? -1 : 1);
    memcpy(&into.value, &value, 8);
  } else {
    into.kind = Operand::Integer;
    into.value = static_cast<int64_t>(strtoull(word.c_str(), &end, 0));
    if (*end == 'U')
      ++end;
    if (negative)
      into.value = -into.value;
  }
  if (*end)
    return fail("expected a number, but got '" + word + "'");
  ++position;
  return true;
}

/// One register, number, name, list or address.
bool Parser::atom(Operand &into) {
  if (take("!")) {
    if (!atom(into))
      return false;
    into.negated = true;
    return true;
  }
  if (take("{")) {
    into.kind = Operand::Vector;
    if (take("}"))
      return true;
    do {
      into.parts.emplace_back();
      if (!atom(into.parts.back()))
        return false;
    } while (take(","));
    return expect("}");
  }
  if (take("[")) {
    into.kind = Operand::Memory;
    into.parts.emplace_back();
    if (!atom(into.parts.back()))
      return false;
    std::swap(into.value, into.parts[0].value);
    if (into.parts[0].kind == Operand::Integer)
      std::swap(into.value, into.parts[0].value);
    if (take(",")) {
      into.parts.emplace_back();
      if (!atom(into.parts.back()))
        return false;
    }
    return expect("]");
  }
  if (at().is("-"))
    return number(into);
  if (at().kind != Token::Word)
    return fail("unexpected '" + std::string(at().text) + "'");
  std::string word(at().text);
  if (isdigit(static_cast<unsigned char>(word[0])))
    return number(into);
  ++position;
  if (word == "_") {
    into.kind = Operand::Sink;
    return true;
  }
  into.name = word;
  into.reg = findRegister(word);
  into.kind = into.reg >= 0    ? Operand::Reg
              : word[0] == '%' ? Operand::Special
                               : Operand::Symbol;
  if (at().is("+") || (at().is("-") && at(1).kind == Token::Word)) {
    take("+");
    return integer(into.value);
  }
  return true;
}

bool Parser::operand(Operand &into) {
  if (!atom(into))
    return false;
  if (!take("|"))
    return true;
  Operand first = std::move(into);
  into = Operand();
  into.kind = Operand::Pair;
  into.parts.push_back(std::move(first));
  into.parts.emplace_back();
  return atom(into.parts.back());
}

bool Parser::statement() {
  Statement result;
  const char *begin = at().text.data();
  result.line = at().line;
  if (take("@")) {
    result.guardNegated = take("!");
    std::string name(next().text);
    result.guard = findRegister(name);
    if (result.guard < 0 || function->registers[result.guard].bits != 1)
      return fail("guard `" + name + "` is not a predicate");
  }
  if (at().kind != Token::Word)
    return fail("expected an instruction, but got '" + std::string(at().text) +
                "'");
  result.opcode = next().text;
  if (result.opcode.rfind("call", 0) == 0)
    return fail("unsupported instruction `call`", result.line);
  if (!at().is(";"))
    do {
      result.operands.emplace_back();
      if (!operand(result.operands.back()))
        return false;
    } while (take(","));
  const char *end = at().text.data();
  if (!expect(";"))
    return false;
  for (const char *c = begin; c < end; ++c) {
    bool space = isspace(static_cast<unsigned char>(*c));
    if (!space || (!result.text.empty() && result.text.back() != ' '))
      result.text += space ? ' ' : *c;
  }
  if (result.text.size() > 100)
    result.text = result.text.substr(0, 97) + "...";
  if (result.opcode == "bra" || result.opcode == "bra.uni") {
    if (result.operands.size() != 1)
      return fail("expected one label", result.line);
    pendingLabels.push_back({function->statements.size(), 0, block});
  }
  function->statements.push_back(std::move(result));
  return true;
}

} // namespace

bool parseModule(std::string_view text, ParsedModule &module,
                 std::string *error) {
  return Parser(text, module, error).run();
}

} // namespace filigree::ptx
