//===- OutputFile.cpp - a file that appears whole or not at all -----------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/OutputFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include <optional>

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

using llvm::sys::fs::TempFile;
using Writer = llvm::function_ref<llvm::Error(llvm::raw_ostream &)>;

/// The written file under its temporary name; none of what is not a regular
/// file, which is then written.
static llvm::Expected<std::optional<TempFile>>
stage(llvm::StringRef path, Writer write, unsigned mode) {
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
      return std::move(error);
    if (code)
      return cannot(path, code.message());
    return std::nullopt;
  }

  // The temporary name is readable by others only as far as `mode` says.
  auto file = TempFile::create(path + ".tmp-%%%%%%%%", mode);
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
    return std::move(error);
  }
  return std::move(*file);
}

static llvm::Error keep(std::optional<TempFile> &file, llvm::StringRef path) {
  if (file)
    if (llvm::Error failure = file->keep(path))
      return cannot(path, llvm::toString(std::move(failure)));
  return llvm::Error::success();
}

llvm::Error filigree::writeOutputFile(llvm::StringRef path, Writer write,
                                      unsigned mode) {
  auto file = stage(path, write, mode);
  if (!file)
    return file.takeError();
  return keep(*file, path);
}

llvm::Error filigree::writeOutputFiles(llvm::ArrayRef<OutputText> files) {
  llvm::SmallVector<std::optional<TempFile>> staged;
  llvm::Error error = llvm::Error::success();
  for (const OutputText &output : files) {
    auto file = stage(
        output.path,
        [&](llvm::raw_ostream &os) {
          os << output.text;
          return llvm::Error::success();
        },
        output.mode);
    if (!file) {
      error = file.takeError();
      break;
    }
    staged.push_back(std::move(*file));
  }
  for (auto [file, output] : llvm::zip(staged, files)) {
    if (!error)
      error = keep(file, output.path);
    else if (file)
      llvm::consumeError(file->discard());
  }
  return error;
}
