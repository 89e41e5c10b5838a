//===- ArgumentTest.cpp - what a run accepts and refuses ------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every refusal is provoked through fil_run on the hand-written `attend`, which
// has an argument of each kind; q is [B, Hq, Nq, 8], k and v [B, Hkv, Nk, 8].
//
//===----------------------------------------------------------------------===//
#include "TestSupport.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace filigree::runtime::test;

namespace {

class Argument : public testing::Test {
protected:
  Tensor<float> q{{2, 4, 5, 8}}, k{{2, 2, 6, 8}}, v{{2, 2, 6, 8}};
  Tensor<float> o{{2, 4, 5, 8}}, lse{{2, 4, 5}};
  StaticLibrary fake;
  const fil_kernel *attend = fake.find("attend");
  std::vector<fil_arg> args{fil_tensor_arg("q", &q.dl),
                            fil_tensor_arg("k", &k.dl),
                            fil_tensor_arg("v", &v.dl), fil_int_arg("gain", 0),
                            fil_tensor_arg("o", &o.dl)};

  fil_status go(fil_error *err) { return run(attend, args, nullptr, err); }
  fil_status goWith(fil_arg extra, fil_error *err) {
    std::vector<fil_arg> more = args;
    more.push_back(extra);
    return run(attend, more, nullptr, err);
  }
  /// fil_workspace alone, for metadata that no run reaches.
  fil_status query(fil_error *err) {
    size_t bytes;
    return fil_workspace(attend, args.data(), uint32_t(args.size()), nullptr,
                         &bytes, err);
  }
};

TEST_F(Argument, goodRunComputes) {
  for (size_t i = 0; i < q.size(); ++i)
    q.data()[i] = float(i);
  for (size_t i = 0; i < v.size(); ++i)
    v.data()[i] = 1;
  args.push_back(fil_tensor_arg("lse", &lse.dl));
  EXPECT_OK(go(&err));
  // preset window 3 + gain 0 + 6 keys + 0.5 q
  for (size_t i = 0; i < o.size(); ++i)
    ASSERT_EQ(o.data()[i], 9 + 0.5f * float(i)) << i;
  EXPECT_EQ(lse.data()[39], 9.0f);
  args.push_back(fil_int_arg("window", 10));
  args.push_back(fil_float_arg("scale", 2));
  EXPECT_OK(go(&err));
  EXPECT_EQ(o.data()[100], 216.0f);
}

TEST_F(Argument, orderDoesNotMatter) {
  std::reverse(args.begin(), args.end());
  EXPECT_OK(go(&err));
}

TEST_F(Argument, names) {
  EXPECT_FAILS(goWith(fil_int_arg("windows", 1), &err), FIL_NOT_FOUND,
               "expected arguments of kernel `attend` (`q`, `k`, `v`, `bias`, "
               "`start`, `ptr`, `window`, `scale`, `gain`, `o`, `lse`), but "
               "got `windows`");
  EXPECT_FAILS(goWith(fil_tensor_arg("q", &q.dl), &err), FIL_BAD_ARGUMENT,
               "expected argument `q` once, but got it twice");
  EXPECT_FAILS(goWith(fil_int_arg(nullptr, 1), &err), FIL_BAD_CALL,
               "expected a name for argument 5, but got null");
  args.erase(args.begin() + 1);
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected argument `k` for kernel `attend`, but got none");
  args[2] = fil_tensor_arg("k", &k.dl); // instead of gain
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected argument `gain` for kernel `attend`, but got none");
  EXPECT_FAILS(fil_run(attend, nullptr, 2, nullptr, nullptr, 0, &err),
               FIL_BAD_CALL, "expected 2 arguments, but got null");
}

TEST_F(Argument, kinds) {
  EXPECT_FAILS(goWith(fil_int_arg("scale", 1), &err), FIL_BAD_ARGUMENT,
               "expected a float for `scale`, but got an integer");
  EXPECT_FAILS(goWith(fil_float_arg("window", 1), &err), FIL_BAD_ARGUMENT,
               "expected an integer for `window`, but got a float");
  EXPECT_FAILS(goWith(fil_tensor_arg("window", &q.dl), &err), FIL_BAD_ARGUMENT,
               "expected an integer for `window`, but got a tensor");
  EXPECT_FAILS(goWith(fil_tensor_arg("lse", nullptr), &err), FIL_BAD_ARGUMENT,
               "expected a tensor for `lse`, but got null");
  args[0].kind = 9;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected a tensor for `q`, but got a value of unknown kind");
}

TEST_F(Argument, dtypes) {
  q.dl.dtype = {kDLFloat, 64, 1};
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of dtype f32, but got f64");
  q.dl.dtype = {kDLFloat, 32, 4};
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of dtype f32, but got f32 x 4 lanes");
  q.dl.dtype = {kDLBfloat, 16, 1};
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of dtype f32, but got bf16");
  q.dl.dtype = {kDLUInt, 8, 1};
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of dtype f32, but got u8");
  q.dl.dtype = {17, 8, 1};
  EXPECT_FAILS(
      go(&err), FIL_BAD_ARGUMENT,
      "expected `q` of dtype f32, but got dlpack type code 17 of 8 bits");
}

TEST_F(Argument, devices) {
  k.dl.device = {kDLCUDA, 3};
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `k` in cpu memory like `q`, but it is on cuda:3");
  k.dl.device = {static_cast<DLDeviceType>(8), 0};
  EXPECT_FAILS(go(&err), FIL_UNSUPPORTED,
               "expected `k` in cpu or cuda memory, but it is on dlpack device "
               "type 8");
  k.dl.device = {kDLCUDAHost, 0};
  EXPECT_OK(go(&err));
}

TEST_F(Argument, ranks) {
  q.dl.ndim = 2;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of rank 3 or 4, but got rank 2");
  q.dl.ndim = -1;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `q` of rank 3 or 4, but got rank -1");
  q.dl.ndim = 4;
  q.dl.shape = nullptr;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected a shape for `q`, but it is null");
  Tensor<int32_t> start({1, 1});
  q.dl.shape = q.shape.data();
  EXPECT_FAILS(goWith(fil_tensor_arg("start", &start.dl), &err),
               FIL_BAD_ARGUMENT, "expected `start` of rank 3, but got rank 2");
}

TEST_F(Argument, leadingDimensionMayBeLeftOut) {
  Tensor<float> q3{{4, 5, 8}}, k3{{2, 6, 8}}, o3{{4, 5, 8}};
  args[0].tensor = &q3.dl;
  args[1].tensor = &k3.dl;
  args[2].tensor = &k3.dl;
  args[4].tensor = &o3.dl;
  EXPECT_OK(go(&err));
  args[2].tensor = &v.dl; // B = 2 here
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected extent B = 1 (bound by `q`), but `v` has 2");
}

TEST_F(Argument, extents) {
  v.shape[2] = 5;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected extent Nk = 6 (bound by `k`), but `v` has 5");
  v.shape[2] = 6;
  o.shape[2] = 4;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected extent Nq = 5 (bound by `q`), but `o` has 4");
  o.shape[2] = 5;
  q.shape[3] = 4;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected extent 8 in dimension 3 of `q`, but got 4");
  q.shape[3] = 8;
  q.shape[1] = -4;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected dimension 1 of `q` to be at least 0, but got -4");
}

TEST_F(Argument, relations) {
  q.shape[1] = o.shape[1] = 3;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected extent Hq to be a positive multiple of Hkv = 2 (bound "
               "by `k`), but got Hq = 3 (bound by `q`)");
  q.shape[1] = o.shape[1] = 4;
  Tensor<int32_t> start({3, 4, 1}), ptr({2});
  EXPECT_FAILS(goWith(fil_tensor_arg("start", &start.dl), &err),
               FIL_BAD_ARGUMENT,
               "expected extent Bg to be 1 or B = 2 (bound by `q`), but got Bg "
               "= 3 (bound by `start`)");
  start.shape = {2, 3, 1};
  EXPECT_FAILS(goWith(fil_tensor_arg("start", &start.dl), &err),
               FIL_BAD_ARGUMENT,
               "expected extent Hg to be 1, Hkv = 2 (bound by `k`) or Hq = 4 "
               "(bound by `q`), but got Hg = 3 (bound by `start`)");
  start.shape = {1, 4, 2};
  EXPECT_FAILS(goWith(fil_tensor_arg("start", &start.dl), &err),
               FIL_BAD_ARGUMENT,
               "expected extent Tq to be 1, the blocks of 16 in Nq = 5 (bound "
               "by `q`), but got Tq = 2 (bound by `start`)");
  start.shape = {1, 4, 1};
  EXPECT_OK(goWith(fil_tensor_arg("start", &start.dl), &err));
  EXPECT_OK(goWith(fil_tensor_arg("ptr", &ptr.dl), &err));
  ptr.shape = {1};
  EXPECT_FAILS(
      goWith(fil_tensor_arg("ptr", &ptr.dl), &err), FIL_BAD_ARGUMENT,
      "expected extent Tq1 to be Tq = 1 (bound by `q`) plus 1, but got "
      "Tq1 = 1 (bound by `ptr`)");
}

TEST_F(Argument, broadcast) {
  Tensor<int32_t> bias({1, 1, 5, 6});
  bias.dl.dtype = {kDLBfloat, 16, 1};
  EXPECT_OK(goWith(fil_tensor_arg("bias", &bias.dl), &err));
  bias.shape = {2, 4, 1, 6};
  EXPECT_OK(goWith(fil_tensor_arg("bias", &bias.dl), &err));
  bias.shape = {2, 2, 1, 6};
  EXPECT_FAILS(goWith(fil_tensor_arg("bias", &bias.dl), &err), FIL_BAD_ARGUMENT,
               "expected extent Hq = 4 (bound by `q`), but `bias` has 2");
  bias.shape = {1, 1, 1, 1};
  EXPECT_OK(goWith(fil_tensor_arg("bias", &bias.dl), &err));
  bias.shape = {2, 4, 5, 6}; // by its strides
  bias.setStrides({0, 0, 1, 0});
  EXPECT_OK(goWith(fil_tensor_arg("bias", &bias.dl), &err));
  bias.setStrides({1, 1, 1, 1});
  bias.shape = {1, 1, 1, 2};
  EXPECT_FAILS(goWith(fil_tensor_arg("bias", &bias.dl), &err), FIL_BAD_ARGUMENT,
               "expected extent Nk = 6 (bound by `k`), but `bias` has 2");
}

/// What the proofs assume; memory is no obstacle where strides are 0.
TEST_F(Argument, extentsStayWithinProofs) {
  k.setStrides({0, 0, 0, 1});
  v.setStrides({0, 0, 0, 1});
  k.shape[2] = v.shape[2] = (int64_t(1) << 31) - 1;
  EXPECT_OK(query(&err));
  k.shape[2] = v.shape[2] = int64_t(1) << 31;
  EXPECT_FAILS(query(&err), FIL_BAD_ARGUMENT,
               "expected extent Nk of at most 2147483647, but got Nk = "
               "2147483648 (bound by `k`)");
  k.shape[2] = v.shape[2] = 6;
  q.setStrides({0, 0, 0, 1});
  q.shape[2] = o.shape[2] = int64_t(1) << 33;
  o.setStrides({int64_t(1) << 38, int64_t(1) << 36, 8, 1});
  EXPECT_FAILS(query(&err), FIL_BAD_ARGUMENT,
               "expected extent Nq of at most 2147483647, but got Nq = "
               "8589934592 (bound by `q`)");
}

TEST_F(Argument, strides) {
  q.setStrides({160, 40, 8, 1});
  EXPECT_OK(go(&err));
  q.setStrides({0, 0, 8, 1}); // an input may be broadcast by its strides
  EXPECT_OK(go(&err));
  q.setStrides({160, 40, -8, 1});
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected stride 2 of `q` to be at least 0, but got -8");
  q.setStrides({160, 40, 1, 5});
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected the last dimension of `q` to be contiguous (stride "
               "1), but got stride 5");
}

TEST_F(Argument, stridesOfExtentOneAreIgnored) {
  Tensor<float> q1{{1, 4, 1, 8}}, k1{{1, 2, 6, 8}}, o1{{1, 4, 1, 8}};
  q1.setStrides({-5, 8, INT64_MIN, 1});
  o1.setStrides({0, 8, 0, 1});
  args[0].tensor = &q1.dl;
  args[1].tensor = args[2].tensor = &k1.dl;
  args[4].tensor = &o1.dl;
  EXPECT_OK(go(&err));
}

TEST_F(Argument, outputsMustNotFold) {
  o.setStrides({0, 40, 8, 1});
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected output `o` without broadcasting, but stride 0 is 0");
  o.setStrides({160, 40, 4, 1});
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected output `o` without overlapping elements, but stride 4 "
               "is smaller than what it steps over, 8");
  o.setStrides({160, 8, 32, 1}); // [B, N, H, D] seen as [B, H, N, D]
  EXPECT_OK(go(&err));
}

TEST_F(Argument, pointers) {
  k.dl.data = nullptr;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected data for `k`, but its pointer is null");
  EXPECT_OK(query(&err));
  k.dl.data = static_cast<char *>(v.dl.data) + 2;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `k` aligned to 4 bytes, but its address is 2 bytes "
               "past that");
  k.dl.data = v.dl.data;
  v.dl.byte_offset = 8;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `v` aligned to 16 bytes, but its address is 8 bytes "
               "past that");
  v.dl.byte_offset = UINT64_MAX;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `v` inside the address space, but byte offset "
               "18446744073709551615 leaves it");
}

TEST_F(Argument, byteOffsetCounts) {
  for (size_t i = 0; i < q.size(); ++i)
    q.data()[i] = float(i);
  Tensor<float> one{{1, 4, 5, 8}}, k1{{1, 2, 0, 8}};
  args[0].tensor = &one.dl;
  args[1].tensor = args[2].tensor = &k1.dl;
  one.dl.data = q.dl.data;
  one.dl.byte_offset = 160 * 4; // batch entry 1
  Tensor<float> o1{{1, 4, 5, 8}};
  args[4].tensor = &o1.dl;
  EXPECT_OK(go(&err));
  EXPECT_EQ(o1.data()[0], 3 + 80.0f);
}

TEST_F(Argument, overflow) {
  const char *text = "expected `q` to span fewer than 2^63 bytes, but its "
                     "extents and strides exceed that";
  q.shape[2] = o.shape[2] = INT64_MAX / 4;
  EXPECT_FAILS(query(&err), FIL_BAD_ARGUMENT, text);
  q.shape[2] = o.shape[2] = 5;
  q.setStrides({INT64_MAX / 2, 40, 8, 1});
  EXPECT_FAILS(query(&err), FIL_BAD_ARGUMENT, text);
  q.setStrides({0, 0, 0, 1}); // few bytes, but too many elements
  q.shape[0] = q.shape[1] = int64_t(1) << 32;
  EXPECT_FAILS(query(&err), FIL_BAD_ARGUMENT, text);
}

TEST_F(Argument, scalarBounds) {
  EXPECT_FAILS(goWith(fil_int_arg("window", 0), &err), FIL_BAD_ARGUMENT,
               "expected `window` at least 1, but got 0");
  args[3].i = 3;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected `gain` in [-2, 2], but got 3");
  args[3].i = 2;
  EXPECT_FAILS(goWith(fil_float_arg("scale", 1e300), &err), FIL_BAD_ARGUMENT,
               "expected `scale` within the range of f32, but got 1e+300");
  EXPECT_OK(goWith(fil_float_arg("scale", INFINITY), &err));
  EXPECT_OK(goWith(fil_float_arg("scale", NAN), &err));
}

TEST_F(Argument, outputsHaveMemoryOfTheirOwn) {
  args[4].tensor = &q.dl;
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected output `o` in memory of its own, but it overlaps `q`");
  args[4].tensor = &o.dl;
  lse.dl.data = o.data() + 10;
  EXPECT_FAILS(
      goWith(fil_tensor_arg("lse", &lse.dl), &err), FIL_BAD_ARGUMENT,
      "expected output `lse` in memory of its own, but it overlaps `o`");
}

TEST_F(Argument, interleavedTensorsDoNotOverlap) {
  // One array [B, N, 4 + 2 + 2 + 4, 8] holds q, k, v and o of 6 tokens.
  Tensor<float> fused({2, 6, 12, 8});
  Tensor<float> *parts[] = {&q, &k, &v, &o};
  int64_t head = 0;
  for (Tensor<float> *part : parts) {
    part->shape[2] = 6;
    part->setStrides({6 * 96, 8, 96, 1});
    part->dl.data = fused.data() + head * 8;
    head += part->shape[1];
  }
  EXPECT_OK(go(&err));
  o.dl.data = fused.data() + 7 * 8; // the last head of v
  EXPECT_FAILS(go(&err), FIL_BAD_ARGUMENT,
               "expected output `o` in memory of its own, but it overlaps `v`");
}

TEST_F(Argument, emptyTensors) {
  Tensor<float> q0{{0, 4, 5, 8}}, k0{{0, 2, 6, 8}}, o0{{0, 4, 5, 8}};
  q0.dl.data = k0.dl.data = o0.dl.data = nullptr;
  args[0].tensor = &q0.dl;
  args[1].tensor = args[2].tensor = &k0.dl;
  args[4].tensor = &o0.dl;
  EXPECT_OK(go(&err)); // B = 0
  Tensor<float> kn{{2, 2, 0, 8}};
  args[0].tensor = &q.dl;
  args[1].tensor = args[2].tensor = &kn.dl;
  args[4].tensor = &o.dl;
  EXPECT_OK(go(&err)); // Nk = 0: rows without keys are still written
  EXPECT_EQ(o.data()[0], 3.0f);
}

TEST_F(Argument, workspace) {
  size_t bytes = 0;
  auto count = static_cast<uint32_t>(args.size());
  fil_options options = FIL_OPTIONS_INIT;
  options.worker_limit = 1;
  EXPECT_OK(fil_workspace(attend, args.data(), count, &options, &bytes, &err));
  EXPECT_EQ(bytes, 64u);
  Workspace memory(128);
  EXPECT_FAILS(fil_run(attend, args.data(), count, &options, nullptr, 64, &err),
               FIL_BAD_WORKSPACE,
               "expected a workspace of 64 bytes for kernel `attend`, but got "
               "null");
  EXPECT_FAILS(
      fil_run(attend, args.data(), count, &options, memory.memory, 63, &err),
      FIL_BAD_WORKSPACE,
      "expected a workspace of 64 bytes for kernel `attend`, but got 63");
  EXPECT_FAILS(fil_run(attend, args.data(), count, &options,
                       static_cast<char *>(memory.memory) + 16, 64, &err),
               FIL_BAD_WORKSPACE,
               "expected a workspace aligned to 64 bytes, but its address is "
               "16 bytes past that");
  EXPECT_OK(
      fil_run(attend, args.data(), count, &options, memory.memory, 64, &err));
}

TEST_F(Argument, options) {
  fil_options options = FIL_OPTIONS_INIT;
  options.size = 8;
  EXPECT_FAILS(run(attend, args, &options, &err), FIL_BAD_CALL,
               "expected fil_options of size 40, but got 8");
  options = FIL_OPTIONS_INIT;
  options.isa = 4;
  EXPECT_FAILS(run(attend, args, &options, &err), FIL_BAD_CALL,
               "expected option isa of 0 to 3, but got 4");
  options = FIL_OPTIONS_INIT;
  options.worker_limit = 5000;
  EXPECT_FAILS(run(attend, args, &options, &err), FIL_BAD_CALL,
               "expected option worker_limit of at most 4096, but got 5000");
}

TEST_F(Argument, inferShape) {
  int64_t shape[4];
  uint32_t rank = 0;
  EXPECT_OK(fil_infer_shape(attend, args.data(), 3, "o", shape, &rank, &err));
  EXPECT_EQ(std::vector<int64_t>(shape, shape + rank),
            (std::vector<int64_t>{2, 4, 5, 8}));
  // ptr is [Tq + 1] and no tensor here has Tq.
  EXPECT_OK(fil_infer_shape(attend, args.data(), 3, "ptr", shape, &rank, &err));
  EXPECT_EQ(std::vector<int64_t>(shape, shape + rank),
            (std::vector<int64_t>{2}));
  Tensor<float> q3{{4, 5, 8}};
  args[0].tensor = &q3.dl;
  EXPECT_OK(fil_infer_shape(attend, args.data(), 1, "lse", shape, &rank, &err));
  EXPECT_EQ(std::vector<int64_t>(shape, shape + rank),
            (std::vector<int64_t>{4, 5}));
  EXPECT_FAILS(
      fil_infer_shape(attend, args.data(), 1, "k", shape, &rank, &err),
      FIL_BAD_ARGUMENT,
      "expected arguments that determine extent Hkv of `k`, but none has it");
  EXPECT_FAILS(
      fil_infer_shape(attend, args.data(), 1, "gain", shape, &rank, &err),
      FIL_NOT_FOUND,
      "expected a tensor argument of kernel `attend`, but got `gain`");
}

} // namespace
