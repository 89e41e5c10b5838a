//===- BenchTorch.cpp - filigree bench --against torch --------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "frontend/driver/BenchTorch.h"
#include "frontend/driver/Sentence.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace filigree;
using llvm::StringRef;

/// Python program and script of --against torch; error if torch is missing.
static llvm::Expected<std::pair<std::string, std::string>>
findTorch(StringRef device) {
  const char *chosen = std::getenv("PYTHON");
  auto python = llvm::sys::findProgramByName(chosen ? chosen : "python3");
  if (!python)
    return sentence("expected python3, or PYTHON to name a program, for "
                    "--against torch");
  std::optional<StringRef> quiet[] = {std::nullopt, StringRef(""),
                                      StringRef("")};
  if (llvm::sys::ExecuteAndWait(*python, {*python, "-c", "import torch"},
                                std::nullopt, quiet))
    return sentence("expected PyTorch for --against torch, but `{0}` cannot "
                    "import torch",
                    *python);
  if (device == "cuda" &&
      llvm::sys::ExecuteAndWait(
          *python,
          {*python, "-c",
           "import torch; raise SystemExit(not torch.cuda.is_available())"},
          std::nullopt, quiet))
    return sentence("expected PyTorch with a CUDA device for --against torch, "
                    "but the torch of `{0}` finds none",
                    *python);
  const char *script = std::getenv("FILIGREE_TORCH_PEER");
  std::string path =
      script ? script : FILIGREE_SOURCE_DIR "/test/bench/torch_peer.py";
  if (!llvm::sys::fs::exists(path))
    return sentence("expected the script '{0}', or FILIGREE_TORCH_PEER to name "
                    "it",
                    path);
  return std::pair<std::string, std::string>{*python, path};
}

llvm::Error filigree::requireTorch(StringRef device) {
  auto found = findTorch(device);
  return found ? llvm::Error::success() : found.takeError();
}

llvm::Error filigree::runTorchPeer(const TorchRequest &request) {
  auto found = findTorch(request.device);
  if (!found)
    return found.takeError();
  static int anchor;
  llvm::SmallString<128> folder(
      llvm::sys::fs::getMainExecutable("filigree", &anchor));
  llvm::sys::path::remove_filename(folder);
  llvm::sys::path::append(folder, "..", "lib");
  const RunShape &shape = request.shape;
  std::vector<std::string> words = {found->first, found->second,
                                    request.artifact};
  auto add = [&](const char *option, const std::string &value) {
    words.push_back(option);
    words.push_back(value);
  };
  add("--from", folder.str().str());
  add("--device", request.device);
  add("--kernel", request.kernel);
  add("--variant", request.variant);
  add("--mask", request.mask);
  add("--n", std::to_string(shape.keys));
  add("--nq", std::to_string(shape.queries));
  add("--heads", std::to_string(shape.heads));
  add("--kv-heads", std::to_string(shape.kvHeads));
  add("--batch", std::to_string(shape.batch));
  add("--head-dim", std::to_string(request.headDim));
  add("--dtype", StringRef(request.variant).rsplit('_').second.str());
  add("--threads", std::to_string(request.threads));
  add("--repeat", std::to_string(request.repeat));
  add("--json", request.json.empty() ? "/dev/null" : request.json);
  for (const Setting &setting : request.settings)
    add("--set", setting.first + "=" + setting.second);
  std::vector<StringRef> views(words.begin(), words.end());
  if (int status = llvm::sys::ExecuteAndWait(found->first, views))
    return sentence("the comparison with PyTorch ended with status {0}",
                    status);
  return llvm::Error::success();
}
