//===- OutputFile.h - a file that appears whole or not at all -------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Written under another name in the same folder and renamed at the end; removed
// on any failure, also when a signal ends the program. What is not a regular
// file (/dev/stdout) is written in place. Of several files, none is renamed
// before all are written.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_DRIVER_OUTPUTFILE_H
#define FILIGREE_FRONTEND_DRIVER_OUTPUTFILE_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace filigree {

/// Calls `write` and keeps the file if all bytes went out. `mode` as in chmod.
llvm::Error
writeOutputFile(llvm::StringRef path,
                llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write,
                unsigned mode = 0644);

struct OutputText {
  std::string path;
  llvm::StringRef text;
  unsigned mode = 0644;
};

/// Files that belong together.
llvm::Error writeOutputFiles(llvm::ArrayRef<OutputText> files);

} // namespace filigree

#endif // FILIGREE_FRONTEND_DRIVER_OUTPUTFILE_H
