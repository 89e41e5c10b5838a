//===- TileOps.td - the tile dialect: how a fold runs ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A kernel is a fold over a stream of tiles for one tile of an outer axis.
// Lifespan of all of these: made by lower-to-tile, completed by choose-schedule
// and classify-blocks, for CUDA also by specialize-warps and pipeline-loads, gone
// after tile-to-vector (CPU) or tile-to-nvvm (CUDA).
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TILE_OPS
#define FILIGREE_TILE_OPS

include "dialect/Attn/AttnTypes.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::filigree::tile";
  let summary = "folds over streams of tiles";
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

class Tile_Op<string mnemonic, list<Trait> traits = []>
    : Op<Tile_Dialect, mnemonic, traits>;

//===----------------------------------------------------------------------===//
// Types and attributes
//===----------------------------------------------------------------------===//

def Tile_StreamType : TypeDef<Tile_Dialect, "Stream"> {
  let mnemonic = "stream";
  let summary = "keys and values to fold, in order, a tile at a time";
}

def Tile_StateType : TypeDef<Tile_Dialect, "State"> {
  let mnemonic = "state";
  let summary = "the running o, l, m of a fold";
}

def Tile_BoxAttr : AttrDef<Tile_Dialect, "Box"> {
  let mnemonic = "box";
  let summary = "tiles max(lo) <= J < min(hi) where the guard holds";
  let description = [{
    One dimension, the outer coordinate; symbols Nq, Nk, then the values the
    case's `symbols` region yields. See dialect/BlockSet.h.
  }];
  let parameters = (ins "::mlir::AffineMapAttr":$lo, "::mlir::AffineMapAttr":$hi,
                        "::mlir::IntegerSetAttr":$guard);
  let assemblyFormat = "`<` $lo `,` $hi `,` $guard `>`";
}

def Tile_SideAttr : AttrDef<Tile_Dialect, "Side"> {
  let mnemonic = "side";
  let summary = "one projection: clusters of boxes, and whether it is exact";
  let parameters = (ins "::mlir::ArrayAttr":$clusters, "bool":$exact,
                        "bool":$sorted);
  let assemblyFormat = "`<` $clusters `,` `exact` `=` $exact `,` `sorted` `=` $sorted `>`";
}

def Tile_RunsAttr : AttrDef<Tile_Dialect, "Runs"> {
  let mnemonic = "runs";
  let summary = "closed-form runs of tiles: where the predicate holds at all, "
                "and where it fails at all";
  let parameters = (ins "int64_t":$granule, "::filigree::tile::SideAttr":$touched,
                        "::filigree::tile::SideAttr":$notFull);
  let assemblyFormat = "`<` `granule` `=` $granule `,` `touched` `=` $touched `,` `not_full` `=` $notFull `>`";
}

def Tile_ScheduleAttr : AttrDef<Tile_Dialect, "Schedule"> {
  let mnemonic = "schedule";
  let summary = "shape of the loops: rows an outer tile, keys a chunk";
  let description = [{
    `rows` queries are held at a time; the stream is folded `chunk` keys at a
    time where no mask is needed, `masked_chunk` keys where one is. `granule`:
    keys per tile of the proof. `reason` is what `explain` prints.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$chunk,
                        "int64_t":$maskedChunk, "int64_t":$granule,
                        "::mlir::StringAttr":$reason);
  let assemblyFormat = "`<` `rows` `=` $rows `,` `chunk` `=` $chunk `,` `masked_chunk` `=` $maskedChunk `,` `granule` `=` $granule `,` $reason `>`";
}

def Tile_WarpsAttr : AttrDef<Tile_Dialect, "Warps"> {
  let mnemonic = "warps";
  let summary = "who does what on a GPU: warps that load, warps that compute";
  let description = [{
    Of one CTA; `ctas` share a multiprocessor. Registers are those of a thread; 0: threads keep those they start
    with. `reason` is what `explain` prints. Made by specialize-warps.
  }];
  let parameters = (ins "int64_t":$ctas, "int64_t":$load, "int64_t":$compute,
                        "int64_t":$loadRegisters, "int64_t":$computeRegisters,
                        "::mlir::StringAttr":$reason);
  let assemblyFormat = "`<` `ctas` `=` $ctas `,` `load` `=` $load `,` `compute` `=` $compute `,` `load_registers` `=` $loadRegisters `,` `compute_registers` `=` $computeRegisters `,` $reason `>`";
}

def Tile_PipelineAttr : AttrDef<Tile_Dialect, "Pipeline"> {
  let mnemonic = "pipeline";
  let summary = "how far loads run ahead on a GPU";
  let description = [{
    `stages` of a ring of tiles of keys and of one of values, each a chunk, in
    shared memory. `reason` is what `explain` prints. Made by pipeline-loads.
  }];
  let parameters = (ins "int64_t":$stages, "::mlir::StringAttr":$reason);
  let assemblyFormat = "`<` `stages` `=` $stages `,` $reason `>`";
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

def Tile_KernelOp : Tile_Op<"kernel", [Symbol, IsolatedFromAbove,
    SingleBlock, NoTerminator]> {
  let summary = "one kernel of an artifact";
  let description = [{
    The block's arguments are the pattern's: tensors and scalars by name, then
    the outputs. `args` holds one dictionary an argument: `name`, `kind`
    ("input", "output", "scalar"), `dims` (named extents or constants), and
    bounds and presets of scalars.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, ArrayAttr:$args,
                       OptionalAttr<Tile_ScheduleAttr>:$schedule,
                       OptionalAttr<Tile_WarpsAttr>:$warps,
                       OptionalAttr<Tile_PipelineAttr>:$pipeline);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $args (`schedule` $schedule^)? (`warps` $warps^)? (`pipeline` $pipeline^)? attr-dict-with-keyword $body";
}

def Tile_StreamOp : Tile_Op<"stream", [NoTerminator, SingleBlock,
    AttrSizedOperandSegments]> {
  let summary = "walk the key axis once, list membership deciding each segment";
  let description = [{
    The keys of one source in storage order. `lists` (start, count, cols
    triples; shapes in `blocks`: rows, cols each) cut the axis into segments
    with the same membership: bit t of the segment's member set is set where
    list t has the block. The `tile.case` of that member set says which pairs
    of the segment are edges; no case: none. Without lists there is one case,
    of member set 0, over all keys. Segments are disjoint, so a pair counts
    once however many lists and predicates hold it.

    `gather`: the keys of neighbouring segments are collected into whole chunks,
    one collection for every case that needs a mask and one for pairs that need
    none, instead of each segment being folded by itself. Needs a list. Set by
    choose-schedule.

    The region holds the cases and at most one `tile.edge`.
  }];
  let arguments = (ins AnyRankedTensor:$key, AnyRankedTensor:$value,
                       Variadic<AnyRankedTensor>:$starts,
                       Variadic<AnyRankedTensor>:$counts,
                       Variadic<AnyRankedTensor>:$cols,
                       DefaultValuedAttr<DenseI64ArrayAttr, "{}">:$blocks,
                       F64Attr:$scale, UnitAttr:$gather);
  let regions = (region SizedRegion<1>:$body);
  let results = (outs Tile_StreamType:$stream);
  let assemblyFormat = [{
    $key `,` $value (`lists` `(` $starts^ `)` `(` $counts `)` `(` $cols `)` $blocks)?
    (`gather` $gather^)? `scale` $scale attr-dict-with-keyword `:` type($key) `,` type($value)
    (`,` `(` type($starts)^ `)` `,` `(` type($counts) `)` `,` `(` type($cols) `)`)? $body
  }];
  let hasVerifier = 1;
}

def Tile_CaseOp : Tile_Op<"case", [HasParent<"StreamOp">, NoTerminator]> {
  let summary = "the pairs of segments with one member set";
  let description = [{
    With an empty `mask` every pair is an edge. Otherwise `mask` takes
    (b, h, i, j) and yields an i1, and `symbols` takes (b, h) and yields the
    symbol values of `runs`, after Nq and Nk. `refine`: a side of `runs` is not
    exact, so tiles are also classified by interval evaluation as they come.
  }];
  let arguments = (ins I64Attr:$members, OptionalAttr<Tile_RunsAttr>:$runs,
                       UnitAttr:$refine);
  let regions = (region MaxSizedRegion<1>:$symbols, MaxSizedRegion<1>:$mask);
  let assemblyFormat = [{
    $members (`runs` $runs^)? (`refine` $refine^)? attr-dict-with-keyword (`symbols` $symbols^)? (`mask` $mask^)?
  }];
}

def Tile_EdgeOp : Tile_Op<"edge", [HasParent<"StreamOp">, NoTerminator]> {
  let summary = "logit of an edge from its scaled dot product";
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "attr-dict-with-keyword $body";
}

def Tile_YieldOp : Tile_Op<"yield", [Pure, Terminator]> {
  let summary = "values of a body";
  let arguments = (ins Variadic<AnyTypeOf<[I1, I64, F32]>>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def Tile_FoldOp : Tile_Op<"fold", [AttrSizedOperandSegments]> {
  let summary = "fold streams into one softmax per query of an outer tile";
  let description = [{
    For each tile of the query axis: state = (0, 0, -inf); for each tile of
    each stream in turn: scores = scale * q k^T, edge, mask, online softmax,
    o += p v. Operands as in `attn.attend`.
  }];
  let arguments = (ins AnyRankedTensor:$query, Variadic<Tile_StreamType>:$streams,
                       Optional<AnyRankedTensor>:$cuQuery,
                       Optional<AnyRankedTensor>:$cuKey,
                       Optional<AnyRankedTensor>:$pageTable,
                       Optional<AnyRankedTensor>:$lengths,
                       Optional<AnyRankedTensor>:$offsets,
                       OptionalAttr<I64Attr>:$page, BoolAttr:$topLeft);
  let results = (outs Tile_StateType:$state);
  let assemblyFormat = [{
    $query `over` $streams (custom<Packing>($cuQuery, type($cuQuery), $cuKey,
        type($cuKey), $pageTable, type($pageTable), $lengths, type($lengths), $page)^)?
    (`offsets` `(` $offsets^ `:` type($offsets) `)`)? `top_left` `=` $topLeft attr-dict `:` type($query)
  }];
}

def Tile_StoreOp : Tile_Op<"store"> {
  let summary = "finish the softmax and write O and the log-sum-exp";
  let arguments = (ins Tile_StateType:$state, AnyRankedTensor:$output,
                       AnyRankedTensor:$lse, Optional<AnyRankedTensor>:$sink);
  let assemblyFormat = [{
    $state `into` $output `,` $lse (`sink` $sink^)? attr-dict `:` type($output) `,` type($lse) (`,` type($sink)^)?
  }];
}

#endif // FILIGREE_TILE_OPS
