//===- ArtifactBytes.h - validates an artifact before it is loaded --------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Takes the whole file as bytes and decides whether the dynamic loader may see
// it: an ELF shared object for this architecture, an intact trailer of a known
// ABI version, and program headers that stay inside the file. Reads only
// [bytes, bytes + size), whatever they hold; loads and runs nothing.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_RUNTIME_ARTIFACTBYTES_H
#define FILIGREE_RUNTIME_ARTIFACTBYTES_H

#include "runtime/filigree.h"

namespace filigree::runtime {

fil_status validateArtifactBytes(const void *bytes, size_t size,
                                 fil_error *err);

} // namespace filigree::runtime

#endif // FILIGREE_RUNTIME_ARTIFACTBYTES_H
