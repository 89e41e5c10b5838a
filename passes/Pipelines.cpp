//===- Pipelines.cpp - dialects, passes and the order they run in ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "passes/Pipelines.h"
#include "codegen/Target.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Transforms/Passes.h"
#include "passes/Passes.h"

using namespace mlir;

void filigree::registerDialects(DialectRegistry &registry) {
  registry.insert<attn::AttnDialect, tile::TileDialect, affine::AffineDialect,
                  arith::ArithDialect, cf::ControlFlowDialect,
                  func::FuncDialect, LLVM::LLVMDialect, math::MathDialect,
                  scf::SCFDialect, vector::VectorDialect>();
}

void filigree::buildTilePipeline(OpPassManager &pm, StringRef target,
                                 int64_t mostChunk, bool few) {
  // Joins folds over the same queries; lower-to-tile expects one.
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createLowerToTile());
  OpPassManager &kernel = pm.nest<tile::KernelOp>();
  // Residual predicates repeat what their graphs share.
  kernel.addPass(createCSEPass());
  kernel.addPass(createChooseSchedule({target.str(), mostChunk, few}));
  // The tile shape must be known before tiles can be classified.
  kernel.addPass(createClassifyBlocks());
  if (!lookupCudaTarget(target))
    return;
  kernel.addPass(createSpecializeWarps({target.str(), few}));
  // Ranges of the proofs take shared memory, too.
  kernel.addPass(createPipelineLoads({target.str(), few}));
}

namespace {
struct TilePipelineOptions : PassPipelineOptions<TilePipelineOptions> {
  Option<std::string> target{*this, "target",
                             llvm::cl::desc("cpu, or cuda:sm_90a"),
                             llvm::cl::init("cpu")};
};
} // namespace

void filigree::registerPasses() {
  registerFiligreePasses();
  mlir::registerCanonicalizerPass();
  mlir::registerCSEPass();
  PassPipelineRegistration<TilePipelineOptions>(
      "filigree-tile", "attn to classified kernels",
      [](OpPassManager &pm, const TilePipelineOptions &options) {
        buildTilePipeline(pm, options.target);
      });
}
