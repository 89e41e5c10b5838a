//===- Show.cpp - filigree show: the block graph as a picture -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Queries, keys and values have shapes but no data here; lists, tables and
// document bounds come from files.
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Show.h"
#include "dialect/Attn/Attn.h"
#include "frontend/driver/Driver.h"
#include "frontend/driver/InputFiles.h"
#include "frontend/driver/OutputFile.h"
#include "frontend/driver/Picture.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace filigree;
using reference::Tensor;

/// A tensor without data: `shape` where the type leaves an extent open.
static Tensor shapeOnly(mlir::RankedTensorType type,
                        llvm::ArrayRef<int64_t> shape) {
  mlir::Type element = type.getElementType();
  DType dtype = element.isF32()    ? DType::F32
                : element.isBF16() ? DType::BF16
                : element.isF16()  ? DType::F16
                                   : DType::I32;
  llvm::SmallVector<int64_t, 4> extents;
  for (auto [axis, extent] : llvm::enumerate(type.getShape()))
    extents.push_back(mlir::ShapedType::isDynamic(extent) ? shape[axis]
                                                          : extent);
  return Tensor::compact(dtype, extents, nullptr);
}

/// Extents of batch and heads that the tables given imply: the most any of them
/// has on an axis indexed by b or h, at least what was asked for.
static void inferExtents(mlir::func::FuncOp function,
                         const reference::Inputs &inputs, int64_t &batches,
                         int64_t &heads) {
  auto extentOf = [&](mlir::Value value, unsigned axis) -> int64_t {
    auto argument = mlir::dyn_cast<mlir::BlockArgument>(value);
    if (!argument)
      return 1;
    auto found = inputs.tensors.find(
        reference::argumentName(function, argument.getArgNumber()));
    return found == inputs.tensors.end() || found->second.rank() <= axis
               ? 1
               : found->second.shape[axis];
  };
  function.walk([&](attn::LookupOp lookup) {
    mlir::Block *body = lookup->getBlock();
    unsigned first = body->getNumArguments() - 4;
    for (auto [axis, index] : llvm::enumerate(lookup.getIndices())) {
      unsigned which =
          mlir::cast<mlir::BlockArgument>(index).getArgNumber() - first;
      if (which == 0)
        batches = std::max(batches, extentOf(lookup.getTable(), axis));
      if (which == 1)
        heads = std::max(heads, extentOf(lookup.getTable(), axis));
    }
  });
  function.walk([&](attn::BlocksOp blocks) {
    batches = std::max(batches, extentOf(blocks.getStart(), 0));
    heads = std::max(heads, extentOf(blocks.getStart(), 1));
  });
  function.walk([&](attn::AttendOp attend) {
    if (attend.getCuQuery())
      batches = 1;
    else if (attend.getOffsets())
      batches = std::max(batches, extentOf(attend.getOffsets(), 0));
  });
}

/// Pages that an attend's table names: one more than its greatest entry.
static int64_t pagesOf(attn::AttendOp attend, mlir::func::FuncOp function,
                       const reference::Inputs &inputs) {
  auto table = mlir::cast<mlir::BlockArgument>(attend.getPageTable());
  auto found = inputs.tensors.find(
      reference::argumentName(function, table.getArgNumber()));
  int64_t pages = 1;
  if (found != inputs.tensors.end())
    for (int64_t k = 0; k < found->second.numElements(); ++k)
      pages = std::max(pages, found->second.integer(k) + 1);
  return pages;
}

/// Shapes for everything that was not given, but for lists and tables.
static llvm::Error addShapes(mlir::func::FuncOp function,
                             const ShowRequest &request,
                             reference::Inputs &inputs) {
  int64_t batches = request.batch + 1, heads = request.head + 1;
  inferExtents(function, inputs, batches, heads);
  int64_t queries = request.queries < 0 ? request.keys : request.queries;
  llvm::DenseSet<mlir::Value> isQuery;
  attn::AttendOp paged;
  function.walk([&](attn::AttendOp attend) {
    isQuery.insert(attend.getQuery());
    if (attend.getPageTable())
      paged = attend;
  });
  for (auto [number, argument] : llvm::enumerate(function.getArguments())) {
    std::string name = reference::argumentName(function, number);
    auto type = mlir::dyn_cast<mlir::RankedTensorType>(argument.getType());
    if (!type || argument.use_empty() || inputs.tensors.contains(name))
      continue;
    if (type.getElementType().isInteger(32))
      return llvm::createStringError("expected the list or table '" + name +
                                     "': --in gives it");
    llvm::SmallVector<int64_t, 4> extents(type.getRank(), 1);
    if (type.getRank() == 4) {
      bool ofQueries = isQuery.contains(argument);
      extents = {batches, heads, ofQueries ? queries : request.keys, 1};
      if (paged && !ofQueries) {
        extents[0] = pagesOf(paged, function, inputs);
        extents[2] = int64_t(*paged.getPage());
      }
    }
    inputs.tensors[name] = shapeOnly(type, extents);
  }
  return llvm::Error::success();
}

llvm::Error filigree::showPattern(const ShowRequest &request,
                                  llvm::raw_ostream &os) {
  llvm::StringRef path = request.output;
  bool isSvg = path.ends_with(".svg"), isHtml = path.ends_with(".html"),
       isPng = path.ends_with(".png");
  if (!path.empty() && !isSvg && !isHtml && !isPng)
    return llvm::createStringError("expected an output named .svg, .html or "
                                   ".png, but got '" +
                                   path + "'");
  mlir::MLIRContext context;
  auto loaded = loadPattern(request.pattern, context);
  if (!loaded)
    return loaded.takeError();
  mlir::func::FuncOp function = loaded->function;

  reference::Inputs inputs;
  inputs.scalars = std::move(loaded->scalars);
  std::vector<std::string> wanted;
  for (unsigned k = 0; k < function.getNumArguments(); ++k)
    wanted.push_back(reference::argumentName(function, k));
  auto arrays = readInputs(request.inputs, wanted);
  if (!arrays)
    return arrays.takeError();
  for (auto &array : *arrays) {
    if (array.second.dtype == DType::I64) {
      auto converted = convert(array.second, DType::I32);
      if (!converted)
        return converted.takeError();
      array.second = std::move(*converted);
    }
    inputs.tensors[array.first()] = array.second.tensor();
  }
  if (llvm::Error error = addShapes(function, request, inputs))
    return error;

  auto shapes = reference::graphShapes(function, inputs);
  if (!shapes)
    return shapes.takeError();
  if (shapes->empty())
    return llvm::createStringError("expected a pattern with a source");
  int64_t longest =
      std::max<int64_t>({shapes->front().queries, shapes->front().keys, 1});
  int64_t tile = request.tile;
  if (tile == 0)
    tile =
        llvm::PowerOf2Ceil(llvm::divideCeil(longest, path.empty() ? 32 : 128));
  if (longest / tile > 4096)
    return llvm::createStringError(
        llvm::formatv("expected a tile of at least {0}, but got {1}: the "
                      "picture would be too large",
                      llvm::divideCeil(longest, 4096), tile)
            .str());
  auto raster = rasterize(function, inputs, request.batch, request.head, tile);
  if (!raster)
    return raster.takeError();

  std::string title = function.getName().str();
  for (const Setting &setting : request.pattern.settings)
    title += " " + setting.first + "=" + setting.second;
  if (path.empty()) {
    os << title << "\n";
    drawText(os, *raster);
    return llvm::Error::success();
  }
  llvm::Error error =
      writeOutputFile(path, [&](llvm::raw_ostream &file) -> llvm::Error {
        if (isPng)
          return drawPng(file, *raster);
        isSvg ? drawSvg(file, *raster, title) : drawHtml(file, *raster, title);
        return llvm::Error::success();
      });
  if (error)
    return error;
  os << title << ": " << raster->caption() << "\nwrote " << path << "\n";
  return llvm::Error::success();
}

//===----------------------------------------------------------------------===//
// Command line
//===----------------------------------------------------------------------===//

namespace {
namespace cl = llvm::cl;
struct ShowOptions {
  cl::SubCommand command{"show", "draw the block graph of a pattern"};
  cl::opt<std::string> path{cl::Positional, cl::desc("F.attn"), cl::Required,
                            cl::sub(command)};
  cl::opt<std::string> pattern{"pattern", cl::desc("pattern of the file"),
                               cl::sub(command)};
  cl::list<std::string> settings{"set", cl::desc("parameter"),
                                 cl::value_desc("name=value"),
                                 cl::sub(command)};
  cl::opt<int64_t> keys{"n", cl::desc("keys, and queries without --nq"),
                        cl::Required, cl::sub(command)};
  cl::opt<int64_t> queries{"nq", cl::desc("queries"), cl::init(-1),
                           cl::sub(command)};
  cl::opt<int64_t> batch{"batch", cl::desc("batch entry to draw"), cl::init(0),
                         cl::sub(command)};
  cl::opt<int64_t> head{"head", cl::desc("query head to draw"), cl::init(0),
                        cl::sub(command)};
  cl::opt<int64_t> tile{"tile", cl::desc("tokens a tile spans"), cl::init(0),
                        cl::sub(command)};
  cl::list<std::string> inputs{"in", cl::desc("files of lists and tables"),
                               cl::value_desc("files"), cl::CommaSeparated,
                               cl::sub(command)};
  cl::opt<std::string> output{"o", cl::desc("mask.svg, .html or .png"),
                              cl::value_desc("file"), cl::sub(command)};
};
} // namespace

static ShowOptions &showOptions() {
  static ShowOptions options;
  return options;
}

cl::SubCommand &filigree::declareShow() { return showOptions().command; }

int filigree::showMain() {
  ShowOptions &options = showOptions();
  ShowRequest request;
  request.pattern.path = options.path;
  request.pattern.pattern = options.pattern;
  std::vector<std::string> texts(options.settings.begin(),
                                 options.settings.end());
  auto settings = parseSettings(texts);
  if (!settings)
    return report(settings.takeError());
  request.pattern.settings = std::move(*settings);
  request.keys = options.keys;
  request.queries = options.queries;
  request.batch = options.batch;
  request.head = options.head;
  request.tile = options.tile;
  request.inputs.assign(options.inputs.begin(), options.inputs.end());
  request.output = options.output;
  // A picture looks at whole rows of keys.
  constexpr int64_t longest = int64_t(1) << 24;
  if (llvm::Error error = checkOption("n", request.keys, 0, longest))
    return report(std::move(error));
  if (options.queries.getNumOccurrences())
    if (llvm::Error error = checkOption("nq", request.queries, 0, longest))
      return report(std::move(error));
  if (llvm::Error error = checkOption("tile", request.tile, 0))
    return report(std::move(error));
  if (llvm::Error error = checkOption("batch", request.batch, 0, kLongest - 1))
    return report(std::move(error));
  if (llvm::Error error = checkOption("head", request.head, 0, kLongest - 1))
    return report(std::move(error));
  return report(showPattern(request, llvm::outs()));
}
