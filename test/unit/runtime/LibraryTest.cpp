//===- LibraryTest.cpp - open, find, describe, close ----------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "runtime/Trailer.h"

#include "TestSupport.h"

#include <unistd.h>

using namespace filigree::runtime;
using namespace filigree::runtime::test;

namespace {

std::string temporary(const char *name) {
  return testing::TempDir() + "filigree-" + std::to_string(getpid()) + "-" +
         name;
}

/// Appends a good trailer to a shared object and opens it.
fil_status openSealed(const char *object, fil_library *&library,
                      std::string &path, fil_error *err) {
  Bytes bytes = readFile(object);
  fil_abi_trailer trailer = makeTrailer(bytes.data(), bytes.size());
  const char *raw = reinterpret_cast<const char *>(&trailer);
  bytes.insert(bytes.end(), raw, raw + sizeof(trailer));
  path = temporary("sealed.so");
  writeFile(path, bytes);
  fil_status status = fil_open(path.c_str(), &library, err);
  unlink(path.c_str());
  return status;
}

TEST(Library, opensAFile) {
  fil_library *library = nullptr;
  EXPECT_OK(fil_open(FAKE_ARTIFACT, &library, &err));
  ASSERT_NE(library, nullptr);
  EXPECT_STREQ(fil_producer(library), "hand-written");
  EXPECT_EQ(fil_kernel_count(library), 6u);
  EXPECT_STREQ(fil_kernel_name(fil_kernel_at(library, 0)), "attend");
  EXPECT_STREQ(fil_kernel_variant(fil_kernel_at(library, 0)), "d8_f32");
  EXPECT_EQ(fil_kernel_at(library, 6), nullptr);

  Tensor<float> x({4}), y({4});
  for (int i = 0; i < 4; ++i)
    x.data()[i] = static_cast<float>(i);
  const fil_kernel *kernel = nullptr;
  EXPECT_OK(fil_find(library, "barrier", nullptr, &kernel, &err));
  EXPECT_OK(run(kernel,
                {fil_tensor_arg("x", &x.dl), fil_tensor_arg("y", &y.dl)},
                nullptr, &err));
  EXPECT_EQ(y.data()[0], 6.0f);
  fil_close(library);
}

TEST(Library, opensTwice) {
  fil_library *first = nullptr, *second = nullptr;
  EXPECT_OK(fil_open(FAKE_ARTIFACT, &first, &err));
  EXPECT_OK(fil_open(FAKE_ARTIFACT, &second, &err));
  fil_close(first);
  EXPECT_STREQ(fil_producer(second), "hand-written");
  fil_close(second);
}

TEST(Library, opensANameWithoutSlash) {
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  std::string path = temporary("here.so");
  writeFile(path, readFile(FAKE_ARTIFACT));
  ASSERT_EQ(chdir(testing::TempDir().c_str()), 0);
  fil_library *library = nullptr;
  EXPECT_OK(
      fil_open(path.substr(testing::TempDir().size()).c_str(), &library, &err));
  fil_close(library);
  ASSERT_EQ(chdir(before), 0);
  unlink(path.c_str());
}

TEST(Library, filesThatCannotBeRead) {
  auto *library = reinterpret_cast<fil_library *>(1);
  EXPECT_FAILS(fil_open("/nonexistent/a.so", &library, &err), FIL_BAD_FILE,
               "expected to open `/nonexistent/a.so`, but: No such file or "
               "directory");
  EXPECT_EQ(library, nullptr);
  EXPECT_FAILS(fil_open("/", &library, &err), FIL_BAD_FILE,
               "expected `/` to be a regular file, but it is not");
  std::string path = temporary("empty.so");
  writeFile(path, {});
  EXPECT_FAILS(fil_open(path.c_str(), &library, &err), FIL_BAD_ARTIFACT,
               "expected an artifact of at least 96 bytes, but found 0 (in `" +
                   path + "`)");
  unlink(path.c_str());
  EXPECT_FAILS(fil_open(nullptr, &library, &err), FIL_BAD_CALL,
               "expected a path, but got null");
}

TEST(Library, loadedButNoArtifact) {
  fil_library *library = nullptr;
  std::string path;
  fil_error err = FIL_ERROR_INIT;
  EXPECT_EQ(openSealed(NAMELESS_OBJECT, library, path, &err), FIL_BAD_ARTIFACT);
  EXPECT_EQ(std::string(err.message),
            "expected symbol `filigree_artifact`, but found none (in `" + path +
                "`)");
  EXPECT_EQ(openSealed(MAGICLESS_OBJECT, library, path, &err),
            FIL_BAD_ARTIFACT);
  EXPECT_EQ(std::string(err.message),
            "expected table magic 454552474c494631, but found "
            "0000000000000bad (in `" +
                path + "`)");
  EXPECT_EQ(openSealed(IMPORTING_OBJECT, library, path, &err), FIL_SYSTEM);
  EXPECT_EQ(std::string(err.message), "expected to load `" + path +
                                          "`, but: " + path +
                                          ": undefined symbol: fake_import");
  EXPECT_EQ(library, nullptr);
}

TEST(Library, findsKernels) {
  StaticLibrary fake;
  const fil_kernel *kernel = nullptr;
  EXPECT_OK(fil_find(fake.library, "attend", nullptr, &kernel, &err));
  EXPECT_STREQ(fil_kernel_name(kernel), "attend");
  EXPECT_OK(fil_find(fake.library, "which", "high", &kernel, &err));
  EXPECT_STREQ(fil_kernel_variant(kernel), "high");
  EXPECT_FAILS(fil_find(fake.library, "attent", nullptr, &kernel, &err),
               FIL_NOT_FOUND,
               "expected one of kernels `attend`, `order`, `barrier`, `which`, "
               "`report`, but got `attent`");
  EXPECT_EQ(kernel, nullptr);
  EXPECT_FAILS(fil_find(fake.library, "which", "d64", &kernel, &err),
               FIL_NOT_FOUND,
               "expected one of variants `all`, `high` of kernel `which`, but "
               "got `d64`");
  EXPECT_FAILS(fil_find(fake.library, "which", nullptr, &kernel, &err),
               FIL_NOT_FOUND,
               "expected a choice among variants `all`, `high` of kernel "
               "`which`, but got none");
}

TEST(Library, carriesTheIr) {
  StaticLibrary fake;
  size_t bytes = 1;
  EXPECT_STREQ(fil_kernel_ir(fake.find("attend"), &bytes),
               "attn.pattern @attend");
  EXPECT_EQ(bytes, 20u);
  EXPECT_EQ(fil_kernel_ir(fake.find("order"), &bytes), nullptr);
  EXPECT_EQ(bytes, 0u);
  EXPECT_EQ(fil_kernel_ir(nullptr, nullptr), nullptr);
}

TEST(Library, describesArguments) {
  StaticLibrary fake;
  const fil_kernel *kernel = fake.find("attend");
  ASSERT_EQ(fil_kernel_arg_count(kernel), 11u);
  fil_arg_info info = FIL_ARG_INFO_INIT;
  EXPECT_OK(fil_kernel_arg(kernel, 0, &info, &err));
  EXPECT_STREQ(info.name, "q");
  EXPECT_EQ(info.kind, uint32_t(FIL_INPUT));
  EXPECT_EQ(info.dtype, uint32_t(FIL_F32));
  EXPECT_EQ(info.rank, 4u);
  EXPECT_EQ(info.leading_optional, 1u);
  EXPECT_STREQ(info.symbol[2], "Nq");
  EXPECT_EQ(info.extent[2], -1);
  EXPECT_EQ(info.symbol[3], nullptr);
  EXPECT_EQ(info.extent[3], 8);
  EXPECT_OK(fil_kernel_arg(kernel, 6, &info, &err));
  EXPECT_STREQ(info.name, "window");
  EXPECT_EQ(info.kind, uint32_t(FIL_SCALAR));
  EXPECT_EQ(info.min, 1);
  EXPECT_EQ(info.preset, 3);
  EXPECT_EQ(info.has_preset, 1u);
  EXPECT_OK(fil_kernel_arg(kernel, 7, &info, &err));
  EXPECT_EQ(info.preset_float, 0.5);
  EXPECT_OK(fil_kernel_arg(kernel, 10, &info, &err));
  EXPECT_EQ(info.kind, uint32_t(FIL_OUTPUT));
  EXPECT_EQ(info.optional, 1u);
  EXPECT_FAILS(fil_kernel_arg(kernel, 11, &info, &err), FIL_BAD_CALL,
               "expected an argument index below 11, but got 11");
  info.size = 8;
  EXPECT_FAILS(fil_kernel_arg(kernel, 0, &info, &err), FIL_BAD_CALL,
               "expected fil_arg_info of size " + std::to_string(sizeof(info)) +
                   ", but got 8");
}

} // namespace
