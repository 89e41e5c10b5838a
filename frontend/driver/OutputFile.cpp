//===- OutputFile.cpp - a file that appears whole or not at all -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/OutputFile.h"
#include "llvm/Support/FileSystem.h"

using namespace filigree;

static llvm::Error cannot(llvm::StringRef path, llvm::StringRef why) {
  return llvm::createStringError("cannot write '" + path + "': " + why.lower());
}

/// The error of the stream, if any; the stream forgets it.
static std::error_code takeError(llvm::raw_fd_ostream &os) {
  os.flush();
  std::error_code code = os.error();
  os.clear_error();
  return code;
}

llvm::Error filigree::writeOutputFile(
    llvm::StringRef path,
    llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write, unsigned mode) {
  llvm::sys::fs::file_status status;
  if (!llvm::sys::fs::status(path, status) &&
      !llvm::sys::fs::is_regular_file(status)) {
    if (llvm::sys::fs::is_directory(status))
      return cannot(path, "is a directory");
    std::error_code code;
    llvm::raw_fd_ostream os(path, code);
    if (code)
      return cannot(path, code.message());
    llvm::Error error = write(os);
    code = takeError(os);
    if (error)
      return error;
    return code ? cannot(path, code.message()) : llvm::Error::success();
  }

  // The temporary name is readable by others only as far as `mode` says.
  auto file = llvm::sys::fs::TempFile::create(path + ".tmp-%%%%%%%%", mode);
  if (!file)
    return cannot(path, llvm::toString(file.takeError()));
  llvm::Error error = llvm::Error::success();
  {
    llvm::raw_fd_ostream os(file->FD, /*shouldClose=*/false);
    llvm::Error failure = write(os);
    if (std::error_code code = takeError(os)) {
      llvm::consumeError(std::move(failure));
      failure = cannot(path, code.message());
    }
    error = std::move(failure);
  }
  if (error) {
    llvm::consumeError(file->discard());
    return error;
  }
  if (llvm::Error failure = file->keep(path))
    return cannot(path, llvm::toString(std::move(failure)));
  return llvm::Error::success();
}
