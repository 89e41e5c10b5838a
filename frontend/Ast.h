//===- Ast.h - a parsed .attn file ----------------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The parser fills the syntax, the checker the fields below "found by the
// checker". Nodes live in the arena of their `File`, are never freed one by one
// and hold no owning members; names point into the source buffer, which must
// outlive the tree. The depth of every tree is bounded (Parser.h), so walks may
// recurse.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_AST_H
#define FILIGREE_FRONTEND_AST_H

#include "frontend/Lexer.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Allocator.h"
#include "llvm/Support/Casting.h"
#include <optional>

namespace filigree::frontend {

struct Decl;
struct Builtin;

/// A word of the text and where it stands.
struct Ident {
  llvm::StringRef name;
  llvm::SMRange range;
};

//===----------------------------------------------------------------------===//
// Types and constants
//===----------------------------------------------------------------------===//

enum class Type {
  Error, ///< already reported
  Int,
  Float,
  Bool,
  Graph,
  Blocks, ///< a block list; stands wherever a graph may
  IntTable,
  FloatTable,
  Tensor,    ///< q, k or v
  Edge,      ///< what an edge is worth
  Source,    ///< keys, values, graph and edge
  Attention, ///< an unfinished softmax
};

/// The axes of a table; `Doc` is the one of cumulative lengths, `Page` that of
/// the pages of a sequence.
enum class Axis { B, H, I, J, Doc, Page };

struct Constant {
  Type type; ///< Int, Float or Bool
  int64_t integer = 0;
  double real = 0;
  bool truth = false;

  static Constant ofInt(int64_t v) { return {Type::Int, v, 0, false}; }
  static Constant ofFloat(double v) { return {Type::Float, 0, v, false}; }
  static Constant ofBool(bool v) { return {Type::Bool, 0, 0, v}; }
  double asReal() const { return type == Type::Int ? double(integer) : real; }
};

/// All values an integer expression can take, inclusive; wide enough that sums
/// and products of 64-bit bounds stay exact.
struct Range {
  __int128 lo = INT64_MIN;
  __int128 hi = INT64_MAX;
};

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

enum class ExprKind {
  Literal,
  Name,
  Unary,
  Binary,
  Compare,
  Call,
  Index,
  Tuple,
  Where,
  Edge,
};

struct Expr {
  ExprKind kind;
  llvm::SMRange range;
  /// Where an error about this expression points: the operator, the callee.
  llvm::SMLoc loc;
  /// Height of the tree below.
  unsigned depth = 1;

  // Found by the checker.
  Type type = Type::Error;
  std::optional<Constant> constant;
  Range bounds;
  bool usesFloat = false; ///< computed from a float known at run time
  /// Of an `Attention`: the sink logits that joined it.
  Decl *sink = nullptr;

  Expr(ExprKind kind, llvm::SMRange range, llvm::SMLoc loc)
      : kind(kind), range(range), loc(loc) {}
};

template <ExprKind K> struct ExprNode : Expr {
  ExprNode(llvm::SMRange range, llvm::SMLoc loc) : Expr(K, range, loc) {}
  static bool classof(const Expr *e) { return e->kind == K; }
};

struct LiteralExpr : ExprNode<ExprKind::Literal> {
  using ExprNode::ExprNode;
};

struct NameExpr : ExprNode<ExprKind::Name> {
  using ExprNode::ExprNode;
  llvm::StringRef name;
  // Found by the checker: one of the two, or neither after an error.
  Decl *decl = nullptr;
  const Builtin *builtin = nullptr;
};

struct UnaryExpr : ExprNode<ExprKind::Unary> {
  using ExprNode::ExprNode;
  Tok op;
  Expr *operand;
};

/// Arithmetic, `&& ||` and the set operators.
struct BinaryExpr : ExprNode<ExprKind::Binary> {
  using ExprNode::ExprNode;
  Tok op;
  Expr *lhs, *rhs;
};

/// a < b <= c means a < b && b <= c.
struct CompareExpr : ExprNode<ExprKind::Compare> {
  using ExprNode::ExprNode;
  llvm::ArrayRef<Expr *> operands; ///< one more than ops
  llvm::ArrayRef<Tok> ops;
};

struct Argument {
  Ident label; ///< empty name if positional
  Expr *value;
};

struct CallExpr : ExprNode<ExprKind::Call> {
  using ExprNode::ExprNode;
  Ident callee;
  llvm::ArrayRef<Argument> args;
  // Found by the checker.
  const Builtin *builtin = nullptr;
};

struct IndexExpr : ExprNode<ExprKind::Index> {
  using ExprNode::ExprNode;
  Ident table;
  llvm::ArrayRef<Expr *> indices;
  // Found by the checker.
  Decl *decl = nullptr;
};

/// (a, b): the tensors of `documents:` and `paged:`.
struct TupleExpr : ExprNode<ExprKind::Tuple> {
  using ExprNode::ExprNode;
  llvm::ArrayRef<Expr *> elements;
};

/// { let a = ... let b = ... value }
struct Block {
  llvm::ArrayRef<Decl *> lets;
  Expr *value = nullptr;
};

/// where (b, h, i, j) { ... }; the leading variables may be left out.
struct WhereExpr : ExprNode<ExprKind::Where> {
  using ExprNode::ExprNode;
  llvm::ArrayRef<Decl *> variables;
  Block body;
};

/// (s, b, h, i, j) -> ...; b, then h, then i and j may be left out.
struct EdgeExpr : ExprNode<ExprKind::Edge> {
  using ExprNode::ExprNode;
  llvm::ArrayRef<Decl *> variables;
  Block body;
};

/// Calls `visit` on the expressions right below `expr`, outside of bodies.
template <typename Visit> void forEachChild(const Expr &expr, Visit visit) {
  if (auto *unary = llvm::dyn_cast<UnaryExpr>(&expr)) {
    visit(*unary->operand);
  } else if (auto *binary = llvm::dyn_cast<BinaryExpr>(&expr)) {
    visit(*binary->lhs);
    visit(*binary->rhs);
  } else if (auto *compare = llvm::dyn_cast<CompareExpr>(&expr)) {
    for (Expr *operand : compare->operands)
      visit(*operand);
  } else if (auto *call = llvm::dyn_cast<CallExpr>(&expr)) {
    for (const Argument &arg : call->args)
      visit(*arg.value);
  } else if (auto *index = llvm::dyn_cast<IndexExpr>(&expr)) {
    for (Expr *one : index->indices)
      visit(*one);
  } else if (auto *tuple = llvm::dyn_cast<TupleExpr>(&expr)) {
    for (Expr *element : tuple->elements)
      visit(*element);
  }
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

/// What follows the colon of a run-time parameter.
struct ParamType {
  Ident base; ///< int, float or blocks
  Expr *min = nullptr;
  Expr *max = nullptr;
  llvm::ArrayRef<Ident> axes;
  Ident elementType;    ///< empty for f32
  Expr *rows = nullptr; ///< of blocks
  Expr *cols = nullptr; ///< of blocks
};

enum class DeclKind { Input, CompileTime, RunTime, Let, Variable };

/// How `attend` uses an input; decides its head size.
enum class Role { Unknown, Key, Value };

struct Decl {
  DeclKind kind;
  llvm::StringRef name;
  llvm::SMRange nameRange;
  llvm::SMRange range;
  ParamType *spec = nullptr; ///< of a run-time parameter
  Expr *init = nullptr;      ///< value, default or preset
  bool isBroken = false;     ///< has an error of syntax; only its name is sure

  // Found by the checker.
  Type type = Type::Error;
  std::optional<Constant> constant; ///< compile-time value, or the preset
  Range bounds;
  llvm::ArrayRef<Axis> axes;
  int64_t rows = 0, cols = 0; ///< of Blocks
  Role role = Role::Unknown;
  unsigned position = 0; ///< of a variable: 0 = b, 1 = h, 2 = i, 3 = j, 4 = s
  bool isUsed = false;
  bool isChecked = false; ///< its value has a type by now
};

struct Pattern {
  Ident name;
  llvm::SMRange range;
  llvm::ArrayRef<Decl *> inputs;
  llvm::ArrayRef<Decl *> params; ///< those of the list, then those of the body
  llvm::ArrayRef<Decl *> lets;
  Expr *result = nullptr;
};

/// A file and everything it owns.
class File {
public:
  template <typename T, typename... Args> T *make(Args &&...args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (arena.Allocate<T>()) T{std::forward<Args>(args)...};
  }
  template <typename T> llvm::ArrayRef<T> copy(llvm::ArrayRef<T> values) {
    T *to = arena.Allocate<T>(values.size());
    std::uninitialized_copy(values.begin(), values.end(), to);
    return {to, values.size()};
  }

  std::vector<Pattern *> patterns;

private:
  llvm::BumpPtrAllocator arena;
};

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_AST_H
