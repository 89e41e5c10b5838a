//===- ArtifactTableTest.cpp - tables that are refused --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A small good table, of which each test spoils one member.
//
//===----------------------------------------------------------------------===//
#include "runtime/ArtifactTable.h"

#include "TestSupport.h"

using namespace filigree::runtime;

namespace {

int64_t count(const int64_t *) { return 1; }
void work(const int64_t *, int64_t, void *, void *) {}

/// fil_abi_cpu and its neighbours, wired together.
struct Table {
  const char *dims[2] = {"N", "T"};
  fil_abi_arg args[3] = {{sizeof(fil_abi_arg),
                          FIL_ABI_INPUT,
                          "x",
                          FIL_ABI_F32,
                          0,
                          2,
                          3,
                          {{0, 0}, {-1, 8}, {}, {}},
                          0,
                          0,
                          0,
                          0,
                          16},
                         {sizeof(fil_abi_arg),
                          FIL_ABI_SCALAR,
                          "w",
                          FIL_ABI_I64,
                          0,
                          0,
                          12,
                          {},
                          0,
                          9,
                          0,
                          0,
                          0},
                         {sizeof(fil_abi_arg),
                          FIL_ABI_OUTPUT,
                          "o",
                          FIL_ABI_F32,
                          0,
                          1,
                          13,
                          {{0, 0}, {}, {}, {}},
                          0,
                          0,
                          0,
                          0,
                          0}};
  fil_abi_relation relations[2] = {
      {sizeof(fil_abi_relation), FIL_ABI_CEIL_DIV, 1, 0, 4, 0},
      {sizeof(fil_abi_relation), FIL_ABI_ONE_OF, 1, 0, -1, 0}};
  fil_abi_phase phases[2] = {{sizeof(fil_abi_phase), 0, count, nullptr, work},
                             {sizeof(fil_abi_phase), 0, count, nullptr, work}};
  fil_abi_cpu cpus[2] = {
      {sizeof(fil_abi_cpu), FIL_ABI_CPU_BASELINE, count, count, 2, 0, phases},
      {sizeof(fil_abi_cpu), FIL_ABI_CPU_AVX2, count, count, 2, 0, phases}};
  fil_abi_kernel kernels[2] = {{sizeof(fil_abi_kernel), 22, "a", "f32", 2, 3,
                                dims, args, 2, 2, relations, cpus, nullptr, 0},
                               {sizeof(fil_abi_kernel), 22, "a", "f16", 2, 3,
                                dims, args, 2, 2, relations, cpus, nullptr, 0}};
  fil_abi_table table = {FIL_ABI_MAGIC,
                         sizeof(fil_abi_table),
                         FIL_ABI_MAJOR,
                         FIL_ABI_MINOR,
                         2,
                         "test",
                         kernels};
};

#define EXPECT_REFUSED(change, text)                                           \
  do {                                                                         \
    Table t;                                                                   \
    change;                                                                    \
    EXPECT_FAILS(validateTable(&t.table, &err), FIL_BAD_ARTIFACT, text);       \
  } while (false)

TEST(ArtifactTable, goodIsAccepted) {
  Table t;
  fil_error err = FIL_ERROR_INIT;
  EXPECT_EQ(validateTable(&t.table, &err), FIL_OK) << err.message;
  EXPECT_EQ(validateTable(&filigree_artifact, &err), FIL_OK) << err.message;
  t.args[2].dtype = FIL_ABI_F64;
  t.args[2].flags = FIL_ABI_ARG_OPTIONAL;
  EXPECT_EQ(validateTable(&t.table, &err), FIL_OK) << err.message;
}

TEST(ArtifactTable, head) {
  EXPECT_FAILS(validateTable(nullptr, &err), FIL_BAD_ARTIFACT,
               "expected an artifact table, but found null");
  EXPECT_REFUSED(t.table.magic = 1, "expected table magic 454552474c494631, "
                                    "but found 0000000000000001");
  EXPECT_REFUSED(t.table.size = 8,
                 "expected the table to have size 40, but found 8");
  EXPECT_REFUSED(t.table.producer = nullptr,
                 "expected the table to name its producer, but found null");
  EXPECT_REFUSED(t.table.kernel_count = 0,
                 "expected 1 to 4096 kernels, but found 0");
  EXPECT_REFUSED(t.table.kernel_count = 5000,
                 "expected 1 to 4096 kernels, but found 5000");
  EXPECT_REFUSED(t.table.kernels = nullptr,
                 "expected 1 to 4096 kernels, but found 2 at null");
  Table t;
  t.table.abi_major = 2;
  EXPECT_FAILS(validateTable(&t.table, &err), FIL_BAD_VERSION,
               "expected artifact abi 1.5 or lower minor, but found 2.5");
}

TEST(ArtifactTable, sizes) {
  EXPECT_REFUSED(t.kernels[1].size = 8,
                 "expected kernel 1 of the table to have size 88, but found 8");
  EXPECT_REFUSED(t.args[0].size = 8192,
                 "expected arg 0 of kernel `a` variant `f32` to have size 96, "
                 "but found 8192");
  EXPECT_REFUSED(t.args[1].size += 8,
                 "expected arg 1 of kernel `a` variant `f32` to have the first "
                 "one's size 96, but found 104");
  EXPECT_REFUSED(t.phases[1].size = 0,
                 "expected phase 1 of kernel `a` variant `f32` to have size "
                 "32, but found 0");
}

TEST(ArtifactTable, names) {
  EXPECT_REFUSED(t.kernels[0].name = nullptr,
                 "expected kernel 0 to have a name and a variant, but found "
                 "none");
  EXPECT_REFUSED(t.kernels[1].variant = nullptr,
                 "expected kernel 1 to have a name and a variant, but found "
                 "none");
  EXPECT_REFUSED(t.kernels[1].variant = "f32",
                 "expected unique kernels, but found `a` variant `f32` twice");
  EXPECT_REFUSED(t.dims[1] = nullptr,
                 "expected dim 1 of kernel `a` variant `f32` to have a name, "
                 "but found none");
  EXPECT_REFUSED(t.dims[1] = "N",
                 "expected unique dims in kernel `a` variant `f32`, but found "
                 "`N` twice");
  EXPECT_REFUSED(t.args[2].name = "",
                 "expected arg 2 of kernel `a` variant `f32` to have a name, "
                 "but found none");
  EXPECT_REFUSED(t.args[2].name = "x",
                 "expected unique args in kernel `a` variant `f32`, but found "
                 "`x` twice");
}

TEST(ArtifactTable, counts) {
  EXPECT_REFUSED(t.kernels[0].arg_count = 65,
                 "expected at most 64 args in kernel `a` variant `f32`, but "
                 "found 65");
  EXPECT_REFUSED(t.kernels[0].dims = nullptr,
                 "expected an array of 2 dims in kernel `a` variant `f32`, but "
                 "found null");
  EXPECT_REFUSED(t.kernels[0].relations = nullptr,
                 "expected an array of 2 relations in kernel `a` variant "
                 "`f32`, but found null");
  EXPECT_REFUSED(t.kernels[0].slot_count = 2,
                 "expected 3 to 1024 slots in kernel `a` variant `f32`, but "
                 "found 2");
  EXPECT_REFUSED(t.kernels[0].ir_bytes = 9,
                 "expected 9 bytes of ir in kernel `a` variant `f32`, but "
                 "found null");
  EXPECT_REFUSED(t.cpus[0].phase_count = 0,
                 "expected 1 to 32 phases in kernel `a` variant `f32`, but "
                 "found 0");
  EXPECT_REFUSED(t.cpus[0].phases = nullptr,
                 "expected 1 to 32 phases in kernel `a` variant `f32`, but "
                 "found 2 at null");
}

TEST(ArtifactTable, slots) {
  EXPECT_REFUSED(t.args[2].slot = 14,
                 "expected slots of arg `o` of kernel `a` variant `f32` below "
                 "22, but found 9 from 14");
  EXPECT_REFUSED(t.args[2].slot = UINT32_MAX,
                 "expected slots of arg `o` of kernel `a` variant `f32` below "
                 "22, but found 9 from 4294967295");
  EXPECT_REFUSED(t.args[1].slot = 11,
                 "expected disjoint slots in kernel `a` variant `f32`, but arg "
                 "`w` shares slot 11");
  EXPECT_REFUSED(t.args[0].slot = 2,
                 "expected disjoint slots in kernel `a` variant `f32`, but arg "
                 "`x` shares slot 2");
}

TEST(ArtifactTable, args) {
  EXPECT_REFUSED(t.args[0].kind = 4,
                 "expected arg `x` of kernel `a` variant `f32` to have kind 1 "
                 "to 3, but found 4");
  EXPECT_REFUSED(t.args[0].kind = FIL_ABI_OUTPUT,
                 "expected outputs last in kernel `a` variant `f32`, but found "
                 "`w` after one");
  EXPECT_REFUSED(t.args[0].dtype = 7,
                 "expected arg `x` of kernel `a` variant `f32` to have dtype 1 "
                 "to 6, but found 7");
  EXPECT_REFUSED(t.args[1].dtype = FIL_ABI_F64,
                 "expected scalar `w` of kernel `a` variant `f32` to have "
                 "dtype i64 or f32, but found 6");
  EXPECT_REFUSED(t.args[1].dtype = FIL_ABI_I32,
                 "expected scalar `w` of kernel `a` variant `f32` to have "
                 "dtype i64 or f32, but found 4");
  EXPECT_REFUSED(t.args[1].min = 10,
                 "expected scalar `w` of kernel `a` variant `f32` to have "
                 "ascending bounds, but found 10 > 9");
  EXPECT_REFUSED(t.args[0].rank = 5,
                 "expected arg `x` of kernel `a` variant `f32` to have rank 1 "
                 "to 4, but found 5");
  EXPECT_REFUSED((t.args[2].flags = FIL_ABI_LEADING_OPTIONAL),
                 "expected arg `o` of kernel `a` variant `f32` to have rank 2 "
                 "to 4, but found 1");
  EXPECT_REFUSED(t.args[0].alignment = 24,
                 "expected arg `x` of kernel `a` variant `f32` to have a power "
                 "of two up to 4096 as alignment, but found 24");
  EXPECT_REFUSED(t.args[2].flags = FIL_ABI_MAY_BROADCAST,
                 "expected output `o` of kernel `a` variant `f32` without "
                 "broadcasting, but it may broadcast");
  EXPECT_REFUSED(t.args[0].dim[0].symbol = 2,
                 "expected dimension 0 of arg `x` of kernel `a` variant `f32` "
                 "to have symbol -1 to 1, but found 2");
  EXPECT_REFUSED(t.args[0].dim[1].extent = 0,
                 "expected dimension 1 of arg `x` of kernel `a` variant `f32` "
                 "to have a positive extent, but found 0");
}

TEST(ArtifactTable, relations) {
  EXPECT_REFUSED(t.relations[0].kind = 5,
                 "expected relation 0 of kernel `a` variant `f32` to have kind "
                 "1 to 4, but found 5");
  EXPECT_REFUSED(t.relations[0].b = -1,
                 "expected relation 0 of kernel `a` variant `f32` to name dims "
                 "below 2, but found 1 and -1");
  EXPECT_REFUSED(t.relations[0].c = 0,
                 "expected relation 0 of kernel `a` variant `f32` to have a "
                 "valid third operand, but found 0");
  EXPECT_REFUSED(t.relations[1].c = 2,
                 "expected relation 1 of kernel `a` variant `f32` to have a "
                 "valid third operand, but found 2");
  EXPECT_REFUSED(t.relations[0].kind = FIL_ABI_MULTIPLE,
                 "expected dim `T` of kernel `a` variant `f32` to follow from "
                 "an argument, but none has it");
}

TEST(ArtifactTable, cpuCodes) {
  EXPECT_REFUSED(t.cpus[1].isa = 3,
                 "expected cpu code 1 of kernel `a` variant `f32` to have isa "
                 "0 to 2, but found 3");
  EXPECT_REFUSED(t.cpus[1].isa = 0,
                 "expected cpu codes of kernel `a` variant `f32` with "
                 "ascending isa, but found 0 after 0");
  EXPECT_REFUSED(t.cpus[0].shared_bytes = nullptr,
                 "expected cpu code 0 of kernel `a` variant `f32` to state its "
                 "workspace, but found null");
  EXPECT_REFUSED(t.phases[1].run = nullptr,
                 "expected phase 1 of kernel `a` variant `f32` to have "
                 "functions, but found null");
}

} // namespace
