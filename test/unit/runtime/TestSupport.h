//===- TestSupport.h - tensors, artifacts and error texts for tests -------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Whole sentences are compared: a test of a failure names its code and its
// text.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_UNIT_RUNTIME_TESTSUPPORT_H
#define FILIGREE_TEST_UNIT_RUNTIME_TESTSUPPORT_H

#include "runtime/ArtifactAbi.h"
#include "runtime/filigree.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <vector>

/// The table of fake_kernels.c, linked in.
extern "C" const fil_abi_table filigree_artifact;

#define EXPECT_OK(call)                                                        \
  do {                                                                         \
    fil_error err = FIL_ERROR_INIT;                                            \
    EXPECT_EQ((call), FIL_OK) << err.message;                                  \
    EXPECT_EQ(err.code, FIL_OK);                                               \
    EXPECT_STREQ(err.message, "");                                             \
  } while (false)

/// `call` uses a local `err`.
#define EXPECT_FAILS(call, expectedCode, text)                                 \
  do {                                                                         \
    fil_error err = FIL_ERROR_INIT;                                            \
    EXPECT_EQ((call), expectedCode);                                           \
    EXPECT_EQ(err.code, expectedCode);                                         \
    EXPECT_EQ(std::string(err.message), std::string(text));                    \
  } while (false)

namespace filigree::runtime::test {

using Bytes = std::vector<char>;

inline Bytes readFile(const std::string &path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void writeFile(const std::string &path, const Bytes &bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

template <typename T> struct DlType;
template <> struct DlType<float> {
  static constexpr DLDataType value = {kDLFloat, 32, 1};
};
template <> struct DlType<int32_t> {
  static constexpr DLDataType value = {kDLInt, 32, 1};
};
template <> struct DlType<int64_t> {
  static constexpr DLDataType value = {kDLInt, 64, 1};
};

/// A tensor that owns its data; the fields of `dl` may be bent by a test.
template <typename T> class Tensor {
public:
  explicit Tensor(std::vector<int64_t> extents) : shape(std::move(extents)) {
    size_t count = 1;
    for (int64_t extent : shape)
      count *= static_cast<size_t>(extent);
    values.resize(count + 16);
    dl.data = values.data();
    while (reinterpret_cast<uintptr_t>(dl.data) % 64 != 0)
      dl.data = static_cast<T *>(dl.data) + 1;
    dl.device = {kDLCPU, 0};
    dl.ndim = static_cast<int32_t>(shape.size());
    dl.dtype = DlType<T>::value;
    dl.shape = shape.data();
    dl.strides = nullptr;
    dl.byte_offset = 0;
  }
  Tensor(const Tensor &) = delete;
  Tensor &operator=(const Tensor &) = delete;

  T *data() { return static_cast<T *>(dl.data); }
  size_t size() const { return values.size() - 16; }
  Tensor &setStrides(std::vector<int64_t> values) {
    strides = std::move(values);
    dl.strides = strides.data();
    return *this;
  }

  std::vector<int64_t> shape, strides;
  DLTensor dl;

private:
  std::vector<T> values;
};

/// 64-byte aligned, filled with a pattern since contents are arbitrary.
class Workspace {
public:
  explicit Workspace(size_t bytes) : bytes(bytes) {
    memory = aligned_alloc(64, (bytes + 127) / 64 * 64);
    for (size_t i = 0; i < bytes; ++i)
      static_cast<char *>(memory)[i] = static_cast<char>(0xa5);
  }
  ~Workspace() { free(memory); }
  Workspace(const Workspace &) = delete;
  Workspace &operator=(const Workspace &) = delete;

  void *memory;
  size_t bytes;
};

/// Opens the linked-in table, finds kernels, runs with a fresh workspace.
class StaticLibrary {
public:
  StaticLibrary() {
    EXPECT_OK(fil_open_static(&filigree_artifact, &library, &err));
  }
  ~StaticLibrary() { fil_close(library); }
  StaticLibrary(const StaticLibrary &) = delete;
  StaticLibrary &operator=(const StaticLibrary &) = delete;

  const fil_kernel *find(const char *name, const char *variant = nullptr) {
    const fil_kernel *kernel = nullptr;
    EXPECT_OK(fil_find(library, name, variant, &kernel, &err));
    return kernel;
  }

  fil_library *library = nullptr;
};

inline fil_status run(const fil_kernel *kernel,
                      const std::vector<fil_arg> &args,
                      const fil_options *options, fil_error *err) {
  size_t bytes = 0;
  auto count = static_cast<uint32_t>(args.size());
  if (fil_status status =
          fil_workspace(kernel, args.data(), count, options, &bytes, err))
    return status;
  Workspace workspace(bytes);
  return fil_run(kernel, args.data(), count, options, workspace.memory, bytes,
                 err);
}

} // namespace filigree::runtime::test

#endif // FILIGREE_TEST_UNIT_RUNTIME_TESTSUPPORT_H
