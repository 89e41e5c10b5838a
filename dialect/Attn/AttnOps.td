//===- AttnOps.td - the operations of attn ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Meaning and constraints: dialect/SPEC.md. Lifespan of all of these: made by a
// front end, gone after lower-to-tile.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_ATTN_OPS
#define FILIGREE_ATTN_OPS

include "dialect/Attn/AttnTypes.td"
include "mlir/IR/EnumAttr.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class Attn_Op<string mnemonic, list<Trait> traits = []>
    : Op<Attn_Dialect, mnemonic, traits>;

def Attn_AlignBottomRight : I32EnumAttrCase<"bottom_right", 0>;
def Attn_AlignTopLeft : I32EnumAttrCase<"top_left", 1>;
def Attn_AlignAttr : I32EnumAttr<"Align", "where query positions start",
    [Attn_AlignBottomRight, Attn_AlignTopLeft]> {
  let cppNamespace = "::filigree::attn";
}

//===----------------------------------------------------------------------===//
// Graphs
//===----------------------------------------------------------------------===//

def Attn_WhereOp : Attn_Op<"where", [Pure,
    SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "the pairs for which a condition holds";
  let description = [{
    { (b, h, i, j) | body(b, h, i, j) }. The body is integer arithmetic on its
    four i64 arguments, on i64 values from outside (run-time parameters) and on
    `attn.lookup`s; see SPEC.md, `where`, C1-C8.

    ```mlir
    %causal = attn.where {
    ^bb0(%b: i64, %h: i64, %i: i64, %j: i64):
      %c = arith.cmpi sle, %j, %i : i64
      attn.yield %c : i1
    }
    ```
  }];
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Attn_GraphType:$graph);
  let assemblyFormat = "attr-dict-with-keyword $body";
  let hasRegionVerifier = 1;
}

def Attn_BlocksOp : Attn_Op<"blocks", [Pure]> {
  let summary = "the pairs inside listed blocks";
  let description = [{
    Row block I (rows [I*rows, (I+1)*rows) of storage) sees every key of the
    column blocks cols[start[b,h,I] + t], t < count[b,h,I]: strictly ascending
    ids of blocks of `block_cols` keys. SPEC.md, `blocks`, C1-C3.

    ```mlir
    %g = attn.blocks %start, %count, %cols [128, 128] : tensor<?x?x?xi32>, tensor<?x?x?xi32>, tensor<?xi32>
    ```
  }];
  let arguments = (ins
    TensorRankOf<[I32], [3]>:$start, TensorRankOf<[I32], [3]>:$count,
    TensorRankOf<[I32], [1]>:$cols,
    I64Attr:$blockRows, I64Attr:$blockCols);
  let results = (outs Attn_GraphType:$graph);
  let assemblyFormat = [{
    $start `,` $count `,` $cols `[` $blockRows `,` $blockCols `]` attr-dict
    `:` type($start) `,` type($count) `,` type($cols)
  }];
  let hasVerifier = 1;
}

class Attn_SetOp<string mnemonic, list<Trait> traits = []>
    : Attn_Op<mnemonic, !listconcat(traits, [Pure])> {
  let arguments = (ins Attn_GraphType:$lhs, Attn_GraphType:$rhs);
  let results = (outs Attn_GraphType:$graph);
  let assemblyFormat = "$lhs `,` $rhs attr-dict";
  let hasFolder = 1;
}

def Attn_UnionOp : Attn_SetOp<"union", [Commutative]> {
  let summary = "pairs in either graph";
}
def Attn_IntersectOp : Attn_SetOp<"intersect", [Commutative]> {
  let summary = "pairs in both graphs";
}
def Attn_DifferenceOp : Attn_SetOp<"difference"> {
  let summary = "pairs in the first graph and not in the second";
}
def Attn_ComplementOp : Attn_Op<"complement", [Pure]> {
  let summary = "valid pairs not in the graph";
  let arguments = (ins Attn_GraphType:$operand);
  let results = (outs Attn_GraphType:$graph);
  let assemblyFormat = "$operand attr-dict";
  let hasFolder = 1;
}

//===----------------------------------------------------------------------===//
// Inside the bodies of graphs and edges
//===----------------------------------------------------------------------===//

def Attn_ModOp : Attn_Op<"mod", [Pure, SameOperandsAndResultType]> {
  let summary = "remainder of the division that rounds to minus infinity";
  let description = "x - (x floordiv c) * c; c is a positive constant (C1).";
  let arguments = (ins I64:$dividend, I64:$divisor);
  let results = (outs I64:$remainder);
  let assemblyFormat = "$dividend `,` $divisor attr-dict";
  let hasFolder = 1;
}

def Attn_LookupOp : Attn_Op<"lookup", [Pure]> {
  let summary = "an entry of a table or of a bias tensor";
  let description = [{
    Integer tables (i32, rank 1 or 2) give an i64 and are indexed by b and h
    only; they may stand in graphs and edges. Bias tensors (f32, bf16, f16,
    rank 1 to 4) give an f32 and stand in edges only, indexed by b, h and the
    storage indices of the pair (`attn.lookup` maps positions back). An extent
    of 1 broadcasts. SPEC.md, `lookup`, C1-C4.
  }];
  let arguments = (ins AnyRankedTensor:$table, Variadic<I64>:$indices);
  let results = (outs AnyTypeOf<[I64, F32]>:$value);
  let assemblyFormat = [{
    $table `[` $indices `]` attr-dict `:` type($table) `->` type($value)
  }];
  let hasVerifier = 1;
}

def Attn_YieldOp : Attn_Op<"yield", [Pure, Terminator,
    ParentOneOf<["WhereOp", "SourceOp"]>]> {
  let summary = "the value of a body";
  let arguments = (ins Variadic<AnyTypeOf<[I1, F32]>>:$values);
  let builders = [OpBuilder<(ins), [{ (void)$_state; }]>];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

def Attn_SourceOp : Attn_Op<"source", [Pure,
    SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "keys and values, who sees them, and what an edge is worth";
  let description = [{
    The logit of an edge is edge(scale * (q . k), b, h, i, j); without an edge
    body it is scale * (q . k). `scale` defaults to 1/sqrt(Dk). SPEC.md,
    `source`, C1-C5.

    ```mlir
    %s = attn.source %k, %v over %causal : tensor<?x?x?x64xf32>, tensor<?x?x?x64xf32> edge {
    ^bb0(%x: f32, %b: i64, %h: i64, %i: i64, %j: i64):
      %y = math.tanh %x : f32
      attn.yield %y : f32
    }
    ```
  }];
  let arguments = (ins
    TensorRankOf<[F32, BF16, F16], [4]>:$key,
    TensorRankOf<[F32, BF16, F16], [4]>:$value,
    Attn_GraphType:$graph, OptionalAttr<F64Attr>:$scale);
  let regions = (region MaxSizedRegion<1>:$edge);
  let results = (outs Attn_SourceType:$source);
  let assemblyFormat = [{
    $key `,` $value `over` $graph (`scale` $scale^)? attr-dict
    `:` type($key) `,` type($value) (`edge` $edge^)?
  }];
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
}

def Attn_AttendOp : Attn_Op<"attend", [Pure, AttrSizedOperandSegments]> {
  let summary = "fold the edges of every source into one softmax per query";
  let description = [{
    m = max of the logits, l = sum exp(logit - m), o = sum exp(logit - m) v,
    over all edges of all sources: sources add. With `documents` the token axes
    are packed (B = 1): document d holds queries [cu_q[d], cu_q[d+1]) and keys
    [cu_k[d], cu_k[d+1]), positions restart at 0 in each, and pairs across
    documents do not exist. With `paged` the queries are packed alike, sequence
    s has lengths[s] keys, and key j of it lies in slot j % page of page
    table[s, j / page]: keys and values are [pages, Hkv, page, D]. `offsets`
    gives the position of the first query per batch entry; otherwise `align`
    decides. SPEC.md, `attend`, C1-C13.

    ```mlir
    %p = attn.attend %q, %s : tensor<?x?x?x64xf32> -> !attn.partial<64>
    ```
  }];
  let arguments = (ins
    TensorRankOf<[F32, BF16, F16], [4]>:$query,
    Variadic<Attn_SourceType>:$sources,
    Optional<TensorRankOf<[I32], [1]>>:$cuQuery,
    Optional<TensorRankOf<[I32], [1]>>:$cuKey,
    Optional<TensorRankOf<[I32], [2]>>:$pageTable,
    Optional<TensorRankOf<[I32], [1]>>:$lengths,
    Optional<TensorRankOf<[I32], [1]>>:$offsets,
    OptionalAttr<I64Attr>:$page,
    DefaultValuedAttr<Attn_AlignAttr, "Align::bottom_right">:$align);
  let results = (outs Attn_PartialType:$partial);
  let assemblyFormat = [{
    $query `,` $sources
    (custom<Packing>($cuQuery, type($cuQuery), $cuKey, type($cuKey),
                     $pageTable, type($pageTable), $lengths, type($lengths),
                     $page)^)?
    (`offsets` `(` $offsets^ `:` type($offsets) `)`)?
    (`align` $align^)? attr-dict
    `:` type($query) `->` type($partial)
  }];
  let hasVerifier = 1;
}

def Attn_MergeOp : Attn_Op<"merge", [Pure, Commutative,
    SameOperandsAndResultType]> {
  let summary = "one softmax over the edges of both";
  let description = [{
    m = max(m1, m2), l = l1 exp(m1 - m) + l2 exp(m2 - m), o likewise; a partial
    with m = -inf is the neutral element.
  }];
  let arguments = (ins Attn_PartialType:$lhs, Attn_PartialType:$rhs);
  let results = (outs Attn_PartialType:$partial);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` type($partial)";
  let hasCanonicalizeMethod = 1;
}

def Attn_FinalizeOp : Attn_Op<"finalize", [Pure]> {
  let summary = "divide by the denominator, give the log-sum-exp";
  let description = [{
    O = o / l and LSE = m + log l; a row without edges gives 0 and -inf. `sink`
    (f32 [Hq]) is one more logit with value zero: in the denominator and the
    LSE. SPEC.md, `finalize`, C1-C3.
  }];
  let arguments = (ins Attn_PartialType:$partial,
    Optional<TensorRankOf<[F32], [1]>>:$sink);
  let results = (outs
    TensorRankOf<[F32, BF16, F16], [4]>:$output, TensorRankOf<[F32], [3]>:$lse);
  let assemblyFormat = [{
    $partial (`sink` `(` $sink^ `:` type($sink) `)`)? attr-dict
    `:` type($partial) `->` type($output) `,` type($lse)
  }];
  let hasVerifier = 1;
}

#endif // FILIGREE_ATTN_OPS
