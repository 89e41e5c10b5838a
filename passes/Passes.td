//===- Passes.td - every pass, its options and what it leaves undone ===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_PASSES
#define FILIGREE_PASSES

include "mlir/Pass/PassBase.td"

def LowerToTile : Pass<"lower-to-tile", "::mlir::ModuleOp"> {
  let summary = "turn each pattern function into a tile.kernel";
  let description = [{
    Before: functions of attn operations, merges of folds over the same queries
    already joined (canonicalize). After: one `tile.kernel` a function: each
    source is a `tile.stream` whose cases hold the residual predicate of one
    member set; cases that no pair can satisfy are gone. No schedule yet, no
    runs yet.
  }];
  let dependentDialects = ["::filigree::tile::TileDialect"];
}

def ChooseSchedule : Pass<"choose-schedule", "::filigree::tile::KernelOp"> {
  let summary = "choose rows, chunk and proof granule of each kernel, and "
                "which streams gather";
  let description = [{
    A tile lies in one row of every block list, so its rows divide those of the
    lists' blocks; otherwise tall tiles re-read keys least often, and for few
    queries low ones leave room for keys. Streams whose
    narrowest list has blocks of less than a few chunks gather. The decision and
    its reason stand in the attribute.
  }];
  let options = [Option<"target", "target", "std::string", "\"cpu\"",
                        "cpu, or a CUDA target: cuda:sm_90a">,
                 Option<"mostChunk", "most-chunk", "int64_t", "0",
                        "on cuda, most keys of a chunk; 0: any">,
                 Option<"few", "few", "bool", "false",
                        "on cuda, for the launch for few queries">];
}

def SpecializeWarps : Pass<"specialize-warps", "::filigree::tile::KernelOp"> {
  let summary = "choose the warps that load and those that compute";
  let description = [{
    Needs a schedule for a CUDA target. As many groups of warps compute as the
    rows of a tile need; where the target can move registers between warps, those
    that load give theirs away. For few queries a CTA has the multiprocessor to
    itself.
  }];
  let options = [Option<"target", "target", "std::string", "\"\"",
                        "a CUDA target: cuda:sm_90a">,
                 Option<"few", "few", "bool", "false",
                        "on cuda, for the launch for few queries">];
}

def PipelineLoads : Pass<"pipeline-loads", "::filigree::tile::KernelOp"> {
  let summary = "choose the stages of the rings of keys and values";
  let description = [{
    Needs warps and classified cases. The most stages, up to the target's, that
    fit its shared memory beside a tile of queries and the words of the walk; one
    if none does, which the code generator refuses. For few queries as many as
    fit.
  }];
  let options = [Option<"target", "target", "std::string", "\"\"",
                        "a CUDA target: cuda:sm_90a">,
                 Option<"few", "few", "bool", "false",
                        "on cuda, for the launch for few queries">];
}

def ClassifyBlocks : Pass<"classify-blocks", "::filigree::tile::KernelOp"> {
  let summary = "prove which tiles of each case are empty, full or partial";
  let description = [{
    Needs a schedule. Attaches `runs` (closed forms over Nq, Nk and the values
    of the `symbols` region) to each masked case, and `refine` where a side is
    not exact. Sound always: what is not proved runs as partial.
  }];
}

#endif // FILIGREE_PASSES
