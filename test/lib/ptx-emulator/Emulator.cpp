//===- Emulator.cpp - modules and launches --------------------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
#include "test/lib/ptx-emulator/Decode.h"
#include "test/lib/ptx-emulator/Machine.h"

#include <algorithm>
#include <cstdarg>
#include <cstring>
#include <numeric>

namespace filigree::ptx {

std::string text(const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string result(static_cast<size_t>(length) + 1, '\0');
  vsnprintf(result.data(), result.size(), format, again);
  va_end(again);
  result.pop_back();
  return result;
}

const char *nameOf(Kind kind) {
  switch (kind) {
  case Kind::Race:
    return "race";
  case Kind::ProxyFence:
    return "missing proxy fence";
  case Kind::Uninitialised:
    return "uninitialised read";
  case Kind::OutOfBounds:
    return "out of bounds";
  case Kind::Misaligned:
    return "misaligned";
  case Kind::RegisterInFlight:
    return "register in flight";
  case Kind::WgmmaFence:
    return "missing wgmma fence";
  case Kind::Mbarrier:
    return "mbarrier misuse";
  case Kind::Barrier:
    return "barrier misuse";
  case Kind::Divergence:
    return "divergence";
  case Kind::Descriptor:
    return "matrix descriptor";
  case Kind::TensorMap:
    return "tensor map";
  case Kind::Leak:
    return "leak";
  case Kind::Deadlock:
    return "deadlock";
  case Kind::Hang:
    return "hang";
  case Kind::Trap:
    return "trap";
  }
  return "?";
}

bool LaunchResult::has(Kind kind) const {
  return std::any_of(
      findings.begin(), findings.end(),
      [&](const Finding &finding) { return finding.kind == kind; });
}

std::string LaunchResult::describe() const {
  std::string all = error.empty() ? "" : "error: " + error + "\n";
  for (const Finding &finding : findings) {
    all += std::string(nameOf(finding.kind)) + ": " + finding.text;
    if (finding.count > 1)
      all += text(" (%u times)", finding.count);
    all += "\n";
  }
  return all;
}

//===----------------------------------------------------------------------===//
// A CTA from start to end
//===----------------------------------------------------------------------===//

static uint32_t specialValue(const Cta &cta, const std::string &name,
                             uint32_t warp, uint32_t lane) {
  const Dim3 &block = cta.launch.block, &grid = cta.launch.grid;
  uint32_t thread = warp * 32 + lane;
  Dim3 tid{thread % block.x, thread / block.x % block.y,
           thread / block.x / block.y};
  auto component = [&](const Dim3 &dim) {
    return name.back() == 'x' ? dim.x : name.back() == 'y' ? dim.y : dim.z;
  };
  if (name.rfind("%tid.", 0) == 0)
    return component(tid);
  if (name.rfind("%ntid.", 0) == 0)
    return component(block);
  if (name.rfind("%ctaid.", 0) == 0 || name.rfind("%clusterid.", 0) == 0)
    return component(cta.id);
  if (name.rfind("%nctaid.", 0) == 0 || name.rfind("%nclusterid.", 0) == 0)
    return component(grid);
  if (name.rfind("%cluster_nctaid.", 0) == 0 || name == "%cluster_nctarank")
    return 1;
  if (name == "%laneid")
    return lane;
  if (name == "%warpid")
    return warp;
  if (name == "%nwarpid")
    return static_cast<uint32_t>(cta.warps.size());
  if (name == "%lanemask_eq")
    return 1u << lane;
  if (name == "%lanemask_lt")
    return (1u << lane) - 1;
  if (name == "%lanemask_le")
    return (2u << lane) - 1;
  if (name == "%lanemask_gt")
    return ~((2u << lane) - 1);
  if (name == "%lanemask_ge")
    return ~((1u << lane) - 1);
  if (name == "%nsmid")
    return 132;
  if (name == "%smid")
    return (cta.number - 1) % 132;
  if (name == "%dynamic_smem_size")
    return cta.launch.dynamicShared;
  if (name == "%total_smem_size")
    return static_cast<uint32_t>(cta.shared.size());
  if (name == "WARP_SZ")
    return 32;
  return 0; // ranks and ids within a cluster of one, the grid's id
}

Cta::Cta(Launch &launch, Dim3 id, uint32_t number)
    : launch(launch), program(*launch.program), id(id), number(number) {
  threads = launch.block.x * launch.block.y * launch.block.z;
  uint32_t count = (threads + 31) / 32;
  waited.assign(size_t(count) * 32, !launch.options.follows);
  registers = std::move(launch.registers);
  shared = std::move(launch.shared);
  // Whatever nobody wrote is a NaN to floats and -1 to integers.
  registers.assign(size_t(count) * (program.fileBytes + 256) + 64, 0xff);
  shared.assign(program.dynamicShared + launch.dynamicShared, 0xff);
  local.assign(size_t(count) * 32 * program.localBytes, 0xff);
  random.seed(launch.options.seed * 0x9e3779b97f4a7c15 + number);
  auto nothing = std::make_shared<const Clocks>();
  size_t stride = (program.fileBytes + 63) / 64 * 64;
  auto *file = reinterpret_cast<uint8_t *>(
      (reinterpret_cast<uintptr_t>(registers.data()) + 63) / 64 * 64);
  for (uint32_t w = 0; w < count; ++w) {
    Warp &warp = warps.emplace_back(*this, static_cast<int>(w));
    warp.registers = file + w * stride;
    uint32_t present = std::min(threads - w * 32, 32u);
    warp.initial = warp.live = present == 32 ? ~0u : (1u << present) - 1;
    Split split;
    split.lanes = warp.live;
    warp.splits.push_back(split);
    for (int lane = 0; lane < 32; ++lane)
      warp.clocks[lane] = nothing;
    if (program.usesWgmma) {
      size_t slots = program.fileBytes / 64 + 4;
      warp.touched.assign(slots, 0);
      warp.accumulatorsInFlight.assign(slots, 0);
      warp.operandsInFlight.assign(slots, 0);
      warp.lastShape.assign(slots, 0);
    }
    for (const Program::Constant &constant : program.constants) {
      if (constant.bits == 1)
        warp.pred(constant.slot) = constant.value ? ~0u : 0;
      else
        for (uint32_t lane = 0; lane < 32; ++lane)
          memcpy(warp.registers + constant.slot + lane * constant.bits / 8,
                 &constant.value, constant.bits / 8);
    }
  }
  for (Warp &warp : warps)
    for (const auto &[key, slot] : program.specials) {
      bool wide = key.size() > 3 && key.compare(key.size() - 3, 3, ":64") == 0;
      std::string name = wide ? key.substr(0, key.size() - 3) : key;
      for (uint32_t lane = 0; lane < 32; ++lane) {
        uint32_t value =
            specialValue(*this, name, static_cast<uint32_t>(warp.index), lane);
        if (wide)
          warp.at<uint64_t>(slot)[lane] = value;
        else
          warp.at<uint32_t>(slot)[lane] = value;
      }
    }
  warpgroups.resize(count / 4);
  if (launch.options.checkMemory)
    shadow = std::make_unique<Shadow>(*this, sharedStart,
                                      static_cast<uint32_t>(shared.size()));
}

void Cta::report(Kind kind, int pc, int thread, uint64_t address,
                 const std::string &sentence) {
  const Statement &where = statement(pc);
  for (Finding &old : launch.result.findings)
    if (old.kind == kind && old.line == where.line) {
      if (++old.count == 10'000)
        launch.stop = true; // it will not get better
      return;
    }
  Finding finding{kind, where.line, id, thread, address, 1, ""};
  finding.text = text("line %d `%s`, CTA (%u, %u, %u): ", where.line,
                      where.text.c_str(), id.x, id.y, id.z) +
                 sentence;
  launch.result.findings.push_back(std::move(finding));
  if (launch.result.findings.size() >= launch.options.maxFindings)
    launch.stop = true;
}

//===----------------------------------------------------------------------===//
// The public face
//===----------------------------------------------------------------------===//

struct Emulator::State {
  ParsedModule module;
  std::map<std::string, Program> programs;
  /// .global and .const variables
  std::vector<std::unique_ptr<uint64_t[]>> storage;
  std::vector<Buffer> variables;
  GlobalMemory memory;
};

Emulator::Emulator() : state(std::make_unique<State>()) {}
Emulator::~Emulator() = default;
Emulator::Emulator(Emulator &&) noexcept = default;
Emulator &Emulator::operator=(Emulator &&) noexcept = default;

bool Emulator::load(std::string_view ptx, std::string *error) {
  state = std::make_unique<State>();
  if (!parseModule(ptx, state->module, error))
    return false;
  std::map<std::string, uint64_t> globals;
  auto place = [&](const Variable &variable) {
    if (variable.space != Space::Global && variable.space != Space::Const)
      return;
    size_t words = variable.bytes / 8 + 2 + variable.align / 8;
    state->storage.push_back(std::make_unique<uint64_t[]>(words));
    auto base = reinterpret_cast<uint64_t>(state->storage.back().get());
    uint64_t align = std::max(variable.align, 16u);
    base = (base + align - 1) / align * align;
    if (!variable.initial.empty())
      memcpy(reinterpret_cast<void *>(base), variable.initial.data(),
             variable.initial.size());
    globals[variable.name] = base;
    Buffer buffer;
    buffer.base = base;
    buffer.bytes = variable.bytes;
    buffer.name = variable.name;
    buffer.access =
        variable.space == Space::Const ? Access::Read : Access::ReadWrite;
    state->variables.push_back(buffer);
    state->memory.add(buffer);
  };
  for (const Variable &variable : state->module.variables)
    place(variable);
  for (const Function &kernel : state->module.kernels)
    for (const Variable &variable : kernel.variables)
      place(variable);
  for (const Function &kernel : state->module.kernels) {
    Program &program = state->programs[kernel.name];
    if (!Decoder(state->module, kernel, program, globals, error).run())
      return false;
  }
  return true;
}

std::string Emulator::target() const { return state->module.target; }

std::vector<std::string> Emulator::kernels() const {
  std::vector<std::string> names;
  for (const Function &kernel : state->module.kernels)
    names.push_back(kernel.name);
  return names;
}

std::vector<uint32_t> Emulator::parameterSizes(const std::string &name) const {
  std::vector<uint32_t> sizes;
  auto found = state->programs.find(name);
  if (found != state->programs.end())
    for (const Parameter &parameter : found->second.function->parameters)
      sizes.push_back(parameter.bytes);
  return sizes;
}

void Emulator::addBuffer(void *base, size_t bytes, std::string name,
                         Access access, bool initialised) {
  Buffer buffer;
  buffer.base = reinterpret_cast<uint64_t>(base);
  buffer.bytes = bytes;
  buffer.name = std::move(name);
  buffer.access = access;
  if (!initialised)
    buffer.initialised.assign(bytes, 0);
  state->memory.add(std::move(buffer));
}

void Emulator::clearBuffers() {
  state->memory.clear();
  for (const Buffer &variable : state->variables)
    state->memory.add(variable);
}

LaunchResult Emulator::launch(const std::string &kernel, Dim3 grid, Dim3 block,
                              uint32_t dynamicSharedBytes,
                              const void *const *arguments,
                              const Options &options) {
  auto found = state->programs.find(kernel);
  std::string bytes;
  if (found != state->programs.end()) {
    const Function &function = *found->second.function;
    bytes.resize(function.parameterBytes);
    for (size_t i = 0; i < function.parameters.size(); ++i)
      memcpy(bytes.data() + function.parameters[i].offset, arguments[i],
             function.parameters[i].bytes);
  }
  return launch(kernel, grid, block, dynamicSharedBytes,
                std::string_view(bytes), options);
}

/// Why this launch is impossible, or "".
static std::string refusal(const ParsedModule &module, const Program &program,
                           Dim3 grid, Dim3 block, uint32_t dynamicShared,
                           size_t parameterBytes) {
  const Function &function = *program.function;
  uint64_t threads = uint64_t(block.x) * block.y * block.z;
  if (threads < 1 || threads > 1024)
    return text("expected a block of 1 to 1024 threads, but got %llu",
                (unsigned long long)threads);
  if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535)
    return text("impossible grid (%u, %u, %u)", grid.x, grid.y, grid.z);
  uint64_t cluster = 1;
  for (uint32_t extent : function.clusterShape)
    cluster *= extent;
  if (cluster != 1)
    return text("unsupported: clusters of %llu CTAs",
                (unsigned long long)cluster);
  auto product = [](const std::vector<uint32_t> &shape) {
    return std::accumulate(shape.begin(), shape.end(), uint64_t(1),
                           std::multiplies<uint64_t>());
  };
  if (!function.maxThreads.empty() && threads > product(function.maxThreads))
    return text("expected at most %llu threads, as .maxntid says, but got %llu",
                (unsigned long long)product(function.maxThreads),
                (unsigned long long)threads);
  if (!function.requiredThreads.empty() &&
      threads != product(function.requiredThreads))
    return text("expected %llu threads, as .reqntid says, but got %llu",
                (unsigned long long)product(function.requiredThreads),
                (unsigned long long)threads);
  if (parameterBytes != function.parameterBytes)
    return text("expected %u bytes of parameters, but got %zu",
                function.parameterBytes, parameterBytes);
  uint64_t shared = uint64_t(program.dynamicShared) + dynamicShared;
  uint64_t most = module.target.rfind("sm_9", 0) == 0 ? 227 * 1024 : 163 * 1024;
  if (shared > most)
    return text("%llu bytes of shared memory, of %llu",
                (unsigned long long)shared, (unsigned long long)most);
  return "";
}

LaunchResult Emulator::launch(const std::string &kernel, Dim3 grid, Dim3 block,
                              uint32_t dynamicSharedBytes,
                              std::string_view parameters,
                              const Options &options) {
  Launch launch;
  auto found = state->programs.find(kernel);
  if (found == state->programs.end()) {
    launch.result.error = "no kernel `" + kernel + "` in the module";
    return launch.result;
  }
  launch.result.error = refusal(state->module, found->second, grid, block,
                                dynamicSharedBytes, parameters.size());
  if (!launch.result.error.empty())
    return launch.result;
  std::vector<uint8_t> bytes(parameters.begin(), parameters.end());
  launch.program = &found->second;
  launch.memory = &state->memory;
  launch.parameters = &bytes;
  launch.grid = grid;
  launch.block = block;
  launch.dynamicShared = dynamicSharedBytes;
  launch.options = options;
  state->memory.forgetMarks();
  uint64_t count = uint64_t(grid.x) * grid.y * grid.z;
  std::vector<uint64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  if (options.policy == Policy::LastFirst)
    std::reverse(order.begin(), order.end());
  if (options.policy == Policy::Random)
    std::shuffle(order.begin(), order.end(), std::mt19937_64(options.seed));
  std::list<Cta> resident;
  for (uint64_t n : order) {
    Dim3 id{uint32_t(n % grid.x), uint32_t(n / grid.x % grid.y),
            uint32_t(n / grid.x / grid.y)};
    resident.emplace_back(launch, id, uint32_t(n) + 1);
    ++launch.result.counters.ctas;
    if (resident.size() < options.residentCtas &&
        launch.result.counters.ctas < count)
      continue;
    runCtas(resident);
    launch.registers = std::move(resident.back().registers);
    launch.shared = std::move(resident.back().shared);
    resident.clear();
    if (launch.stop)
      break;
  }
  return launch.result;
}

} // namespace filigree::ptx
