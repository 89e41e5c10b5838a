//===- LspServer.h - the language server of .attn -------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Speaks the Language Server Protocol over a pair of streams: diagnostics when
// a file is opened or changed, hover, completion, go to definition.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_FRONTEND_LSP_LSPSERVER_H
#define FILIGREE_FRONTEND_LSP_LSPSERVER_H

#include "llvm/Support/raw_ostream.h"
#include <cstdio>

namespace filigree::frontend {

/// Serves until the client says `exit`; true if it said `shutdown` before.
/// With `isTest`, messages are lines between "// -----" instead of sized ones.
bool runLspServer(std::FILE *in, llvm::raw_ostream &out, bool isTest);

} // namespace filigree::frontend

#endif // FILIGREE_FRONTEND_LSP_LSPSERVER_H
