//===- OracleHarness.h - oracle libraries and made-up inputs --------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a pattern as an oracle, opens it as any program would, and makes up
// inputs of any shape from what the kernel says of its arguments. The same
// bytes go to the interpreter.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_ORACLE_ORACLEHARNESS_H
#define FILIGREE_TEST_UNIT_ORACLE_ORACLEHARNESS_H

#include "codegen/reference/EmitOracle.h"
#include "codegen/reference/Interpreter.h"
#include "frontend/driver/Array.h"
#include "runtime/filigree.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "gtest/gtest.h"
#include <cmath>
#include <functional>
#include <map>
#include <random>

namespace filigree {

/// A file in the folder for temporary files, gone at the end.
struct TemporaryFile {
  llvm::SmallString<128> path;
  explicit TemporaryFile(llvm::ArrayRef<char> bytes) {
    int descriptor;
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("filigree-oracle", "so",
                                                    descriptor, path));
    llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
    file.write(bytes.data(), bytes.size());
  }
  ~TemporaryFile() { llvm::sys::fs::remove(path); }
};

/// Extents of a run.
struct Shape {
  int64_t batch, heads, kvHeads, queries, keys;
};

inline int64_t keysOf(llvm::StringRef symbol, const Shape &shape) {
  return symbol == "Nk" ? shape.keys : shape.keys / 4 + 1;
}

/// An opened oracle.
class Oracle {
public:
  /// Fails the test where the pattern does not compile.
  explicit Oracle(mlir::ModuleOp module) {
    auto compiled = compileOracle(module);
    if (mlir::failed(compiled)) {
      ADD_FAILURE() << "does not compile";
      return;
    }
    interface = compiled->kernel.interface;
    auto objects = std::move(compiled->objects);
    objects.push_back(emitTable({compiled->kernel}, FIL_ABI_SYMBOL));
    auto bytes = linkArtifact(objects);
    if (!bytes) {
      ADD_FAILURE() << llvm::toString(bytes.takeError());
      return;
    }
    file = std::make_unique<TemporaryFile>(*bytes);
    fil_error error = FIL_ERROR_INIT;
    EXPECT_EQ(fil_open(file->path.c_str(), &library, &error), FIL_OK)
        << error.message;
    kernel = fil_kernel_at(library, 0);
    for (uint32_t k = 0; k < fil_kernel_arg_count(kernel); ++k) {
      fil_arg_info info = FIL_ARG_INFO_INIT;
      EXPECT_EQ(fil_kernel_arg(kernel, k, &info, &error), FIL_OK);
      infos.push_back(info);
    }
  }
  ~Oracle() { fil_close(library); }

  fil_library *library = nullptr;
  const fil_kernel *kernel = nullptr;
  std::vector<fil_arg_info> infos;
  KernelInterface interface;

private:
  std::unique_ptr<TemporaryFile> file;
};

/// Inputs and outputs of one run, by name.
class OracleRun {
public:
  OracleRun(const Oracle &oracle, const Shape &shape, unsigned seed)
      : oracle(oracle), shape(shape), random(seed) {
    for (const fil_arg_info &info : oracle.infos)
      if (info.kind == FIL_INPUT)
        fill(info);
    rows.resize(shape.queries);
    for (int64_t r = 0; r < shape.queries; ++r)
      rows[r] = int32_t(r);
  }

  std::map<std::string, Array> arrays; ///< inputs but rows
  std::map<std::string, double> scalars;
  std::vector<int32_t> rows;
  std::map<std::string, std::vector<double>> outputs;
  std::map<std::string, std::vector<int64_t>> shapes; ///< of outputs
  fil_status_word word = {0, 0, 0, 0, 0};
  /// Outputs left out.
  std::function<bool(llvm::StringRef)> leaveOut = [](llvm::StringRef) {
    return false;
  };

  int32_t *integers(const std::string &name) {
    return reinterpret_cast<int32_t *>(arrays.at(name).bytes.data());
  }
  float *floats(const std::string &name) {
    return reinterpret_cast<float *>(arrays.at(name).bytes.data());
  }

  void go(uint32_t threads = 1) {
    std::vector<fil_arg> args;
    std::vector<DLTensor> tensors(oracle.infos.size());
    std::vector<llvm::SmallVector<int64_t, 4>> extents(oracle.infos.size());
    fil_error error = FIL_ERROR_INIT;
    for (auto [k, info] : llvm::enumerate(oracle.infos)) {
      DLTensor &tensor = tensors[k];
      tensor.device = {kDLCPU, 0};
      if (info.kind == FIL_SCALAR) {
        auto given = scalars.find(info.name);
        if (given != scalars.end())
          args.push_back(info.dtype == FIL_F32
                             ? fil_float_arg(info.name, given->second)
                             : fil_int_arg(info.name, int64_t(given->second)));
        continue;
      }
      if (info.kind == FIL_INPUT && info.name == std::string("rows")) {
        extents[k] = {int64_t(rows.size())};
        tensor.data = rows.data();
        tensor.dtype = {kDLInt, 32, 1};
      } else if (info.kind == FIL_INPUT) {
        Array &array = arrays.at(info.name);
        extents[k] = array.shape;
        tensor.data = array.bytes.data();
        tensor.dtype = {uint8_t(array.dtype == DType::I32    ? kDLInt
                                : array.dtype == DType::BF16 ? kDLBfloat
                                                             : kDLFloat),
                        uint8_t(8 * reference::byteWidth(array.dtype)), 1};
      } else {
        if (leaveOut(info.name))
          continue;
        int64_t inferred[4];
        uint32_t rank = 0;
        ASSERT_EQ(fil_infer_shape(oracle.kernel, args.data(), args.size(),
                                  info.name, inferred, &rank, &error),
                  FIL_OK)
            << error.message;
        extents[k].assign(inferred, inferred + rank);
        int64_t count = 1;
        for (int64_t extent : extents[k])
          count *= extent;
        // What nobody writes cannot pass for an answer.
        outputs[info.name].assign(size_t(count), 12345.0);
        shapes[info.name].assign(extents[k].begin(), extents[k].end());
        tensor.data = outputs[info.name].data();
        tensor.dtype = {kDLFloat, 64, 1};
      }
      tensor.ndim = int32_t(extents[k].size());
      tensor.shape = extents[k].data();
      args.push_back(fil_tensor_arg(info.name, &tensor));
    }
    fil_options options = FIL_OPTIONS_INIT;
    options.worker_limit = threads;
    options.status = &word;
    size_t bytes = 0;
    ASSERT_EQ(fil_workspace(oracle.kernel, args.data(), args.size(), &options,
                            &bytes, &error),
              FIL_OK)
        << error.message;
    AlignedBytes workspace(bytes);
    std::fill_n(workspace.data(), bytes, char(0xff));
    ASSERT_EQ(fil_run(oracle.kernel, args.data(), args.size(), &options,
                      workspace.data(), bytes, &error),
              FIL_OK)
        << error.message;
  }

  reference::Inputs inputs() const {
    reference::Inputs values;
    for (const auto &[name, array] : arrays)
      values.tensors[name] = array.tensor();
    for (const fil_arg_info &info : oracle.infos)
      if (auto given = scalars.find(info.name); given != scalars.end())
        values.scalars[info.name] =
            info.dtype == FIL_F32
                ? reference::Scalar::ofFloat(given->second)
                : reference::Scalar::ofInt(int64_t(given->second));
    return values;
  }

private:
  int64_t extentOf(const char *symbol, int64_t fixed) {
    if (!symbol)
      return fixed;
    llvm::StringRef name = symbol;
    int64_t divisor;
    if (name.consume_front("ceil(Nq/") &&
        !name.drop_back().getAsInteger(10, divisor))
      return (shape.queries + divisor - 1) / divisor;
    if (name.starts_with("Nk"))
      return keysOf(name, shape);
    if (name == "docs+1")
      return 5;
    if (name == "docs")
      return 4;
    if (name == "doc_pages")
      return 5;
    if (name.starts_with("pages"))
      return 13;
    if (name.starts_with("Bg"))
      return random() % 2 ? shape.batch : 1;
    if (name.starts_with("Hg"))
      return random() % 2 ? shape.kvHeads : shape.heads;
    return name == "B"     ? shape.batch
           : name == "Hq"  ? shape.heads
           : name == "Hkv" ? shape.kvHeads
           : name == "Nq"  ? shape.queries
                           : 1;
  }

  void fill(const fil_arg_info &info) {
    std::string name = info.name;
    if (name == "rows" || arrays.count(name))
      return;
    llvm::SmallVector<int64_t, 4> extents;
    for (uint32_t axis = 0; axis < info.rank; ++axis)
      extents.push_back(extentOf(info.symbol[axis], info.extent[axis]));
    if (llvm::StringRef(name).ends_with(".start"))
      return fillLists(name.substr(0, name.size() - 6), extents);
    if (info.dtype == FIL_I32)
      return fillTable(name, extents, info.symbol[0] == std::string("docs+1"));
    std::normal_distribution<float> normal;
    Array wide = llvm::cantFail(Array::allocate(DType::F32, extents));
    auto *values = reinterpret_cast<float *>(wide.bytes.data());
    for (size_t k = 0; k < wide.bytes.size() / 4; ++k)
      values[k] = normal(random);
    arrays[name] =
        llvm::cantFail(convert(wide, info.dtype == FIL_F32    ? DType::F32
                                     : info.dtype == FIL_BF16 ? DType::BF16
                                                              : DType::F16));
  }

  void set(const std::string &name, llvm::ArrayRef<int64_t> extents,
           llvm::ArrayRef<int32_t> values) {
    arrays[name] = llvm::cantFail(
        Array::copy(DType::I32, extents,
                    {reinterpret_cast<const char *>(values.data()),
                     values.size() * sizeof(int32_t)}));
  }

  /// Bounds of documents, one of them empty; any numbers elsewhere.
  void fillTable(const std::string &name, llvm::ArrayRef<int64_t> extents,
                 bool isBounds) {
    int64_t count = 1;
    for (int64_t extent : extents)
      count *= extent;
    std::vector<int32_t> values;
    for (int64_t k = 0; k < count; ++k)
      values.push_back(int32_t(random() % uint64_t(shape.keys + 5)) - 2);
    if (isBounds) {
      int64_t total = std::min(shape.queries, shape.keys);
      int32_t cut = int32_t(random() % uint64_t(total + 1));
      values = {0, cut / 2, cut, cut, int32_t(total)};
    }
    set(name, extents, values);
  }

  /// Lists of a third of the blocks, as the widest of them can be.
  void fillLists(const std::string &name, llvm::ArrayRef<int64_t> extents) {
    int64_t blocks = (shape.keys + blockCols - 1) / blockCols, count = 1;
    for (int64_t extent : extents)
      count *= extent;
    std::vector<int32_t> start, length, cols;
    for (int64_t k = 0; k < count; ++k) {
      start.push_back(int32_t(cols.size()));
      for (int64_t column = 0; column < blocks; ++column)
        if (random() % 3 == 0)
          cols.push_back(int32_t(column));
      length.push_back(int32_t(cols.size()) - start.back());
    }
    cols.push_back(0);
    set(name + ".start", extents, start);
    set(name + ".count", extents, length);
    set(name + ".cols", {int64_t(cols.size())}, cols);
  }

  const Oracle &oracle;
  Shape shape;
  std::mt19937_64 random;

public:
  /// Of lists that are made up: columns beyond it do not exist in wider blocks,
  /// and are dropped by everybody.
  static constexpr int64_t blockCols = 16;
};

} // namespace filigree

#endif // FILIGREE_TEST_UNIT_ORACLE_ORACLEHARNESS_H
