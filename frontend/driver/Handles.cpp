//===- Handles.cpp - objects of filigree.h, owned, and its errors ---------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/Handles.h"
#include "frontend/driver/Sentence.h"
#include "runtime/Library.h"
#include "llvm/ADT/StringSwitch.h"

using namespace filigree;
using llvm::StringRef;

llvm::Expected<uint32_t> filigree::parseIsa(StringRef word) {
  auto isa = llvm::StringSwitch<int>(word)
                 .Case("auto", FIL_ISA_AUTO)
                 .Case("baseline", FIL_ISA_BASELINE)
                 .Case("avx2", FIL_ISA_AVX2)
                 .Case("avx512", FIL_ISA_AVX512)
                 .Default(-1);
  if (isa < 0)
    return sentence("expected --isa baseline, avx2, avx512 or auto, but got "
                    "'{0}'",
                    word);
  if (isa > int(fil_machine_isa()))
    return sentence("expected an instruction set of this machine, but it has "
                    "no {0}",
                    word);
  return uint32_t(isa);
}

llvm::Error filigree::checkDevice(const fil_kernel *kernel, StringRef device) {
  if (device != "cpu" && device != "cuda")
    return sentence("expected --device cpu or cuda, but got '{0}'", device);
  // That cuda code is missing, the runtime says.
  if (device == "cpu" && kernel->abi->cpu_count == 0)
    return sentence("expected cpu code in kernel `{0}` variant `{1}`, but "
                    "found cuda code alone: --device cuda runs it",
                    fil_kernel_name(kernel), fil_kernel_variant(kernel));
  return llvm::Error::success();
}
