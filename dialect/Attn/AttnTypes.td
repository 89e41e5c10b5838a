//===- AttnTypes.td - graphs, sources and partial results as values ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_ATTN_TYPES
#define FILIGREE_ATTN_TYPES

include "dialect/Attn/AttnDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Attn_Type<string name, string typeMnemonic>
    : TypeDef<Attn_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Attn_GraphType : Attn_Type<"Graph", "graph"> {
  let summary = "a set of (b, h, i, j): query i of head h in batch b sees key j";
  let description = [{
    `i` and `j` are positions (SPEC.md, Positions). A graph is a set: a pair is
    in it or not, however many ways it got there.
  }];
}

def Attn_SourceType : Attn_Type<"Source", "source"> {
  let summary = "keys, values, the graph that reaches them and an edge's worth";
}

def Attn_PartialType : Attn_Type<"Partial", "partial"> {
  let summary = "an unfinished softmax: o, l and m, which merge";
  let description = [{
    Unnormalised `o` (f32 [B, H, Nq, Dv]), `l` and `m` (f32 [B, H, Nq]), in
    natural-log units: the result is o / l, the log-sum-exp m + log l.
    `value_dim` is Dv, or -1 where unknown.
  }];
  let parameters = (ins "int64_t":$valueDim);
  let assemblyFormat = "`<` $valueDim `>`";
}

#endif // FILIGREE_ATTN_TYPES
