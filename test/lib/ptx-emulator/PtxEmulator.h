//===- PtxEmulator.h - runs emitted PTX without a GPU ---------------------===//
//
// Part of Filigree, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The only header that users of the emulator include. A module is PTX text for
// sm_80 or sm_90a; a launch computes what the kernel would leave in the host's
// buffers, and reports what the kernel did that the machine does not promise:
// races, missing fences and waits, registers and buffers in flight, accesses
// out of bounds, dead ends. A kernel is right if the answer is right and no
// finding is left, under every schedule that the options can ask for.
//
// Addresses of global memory are host addresses: a kernel gets the pointer that
// the host has, and may touch what addBuffer announced, nothing else.
//
//===----------------------------------------------------------------------===//
#ifndef FILIGREE_TEST_LIB_PTX_EMULATOR_PTXEMULATOR_H
#define FILIGREE_TEST_LIB_PTX_EMULATOR_PTXEMULATOR_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace filigree::ptx {

struct Dim3 {
  uint32_t x = 1, y = 1, z = 1;
};

/// In which order warps run.
enum class Policy {
  RoundRobin, ///< 0, 1, 2, ..., a hundred instructions each
  Random,     ///< any warp, for a random number of instructions
  LastFirst   ///< the highest warp, until it blocks
};

/// When bulk copies, cp.async and wgmma take effect.
enum class Timing {
  Late,  ///< when somebody waits for them and nothing else can run
  Eager, ///< at once
  Random ///< at any moment between, in any order that is allowed
};

/// Who must execute fence.proxy.async between a generic write and a read or
/// write by the asynchronous proxy.
enum class ProxyRule {
  Writer, ///< the thread that wrote, before it signals
  Path    ///< any thread on the chain of synchronisation
};

struct Options {
  uint64_t seed = 0;
  Policy policy = Policy::RoundRobin;
  Timing timing = Timing::Late;
  ProxyRule proxyRule = ProxyRule::Writer;
  /// Warp instructions of one CTA after which it counts as hanging.
  uint64_t maxSteps = 200'000'000;
  /// So many CTAs run at a time, in turns.
  unsigned residentCtas = 1;
  /// The launch before it may not have ended: no thread may use global memory
  /// until its griddepcontrol.wait.
  bool follows = false;
  /// A launch stops at this many findings.
  unsigned maxFindings = 16;
  /// On: a lane's arrival at an mbarrier, and any other release, also covers
  /// what the lanes beside it did before, as a warp in step does on the
  /// machines there are. The memory model asks for a bar.warp.sync between.
  bool lanesReleaseTogether = false;
  /// Off: threads may load shared bytes that nobody wrote, as a compiler does
  /// that fills a value it does not need. What wgmma, matrix loads and bulk
  /// copies read must be written in any case.
  bool reportUnwrittenLoads = true;
  /// Off: no check of races, proxies and uninitialised bytes (about 1.3x
  /// faster).
  bool checkMemory = true;
};

enum class Kind {
  Race,             ///< two accesses without an order between them
  ProxyFence,       ///< generic write reaches the async proxy without its fence
  Uninitialised,    ///< read of bytes that nobody wrote
  OutOfBounds,      ///< global, shared, param or local
  Misaligned,       ///< address not a multiple of what the access needs
  RegisterInFlight, ///< register of a wgmma that is not waited for
  WgmmaFence,       ///< register touched since the last wgmma.fence
  Mbarrier,         ///< init, arrival, phase or byte count misused
  Barrier,          ///< named barrier misused
  Divergence,       ///< .aligned or .sync instruction without all its threads
  Descriptor,       ///< wgmma matrix descriptor
  TensorMap,        ///< tensor map or its coordinates and boxes
  Leak,             ///< asynchronous work not waited for at the end
  Deadlock,         ///< every thread blocked
  Hang,             ///< more than Options::maxSteps
  Trap,             ///< the kernel executed trap, or divided by zero
};
const char *nameOf(Kind kind);

struct Finding {
  Kind kind;
  int line;         ///< of the PTX text, from 1
  Dim3 cta;         ///< blockIdx
  int thread;       ///< linear index in the CTA; -1: none in particular
  uint64_t address; ///< 0: none
  unsigned count;   ///< how often this kind was found at this line
  std::string text; ///< one sentence, with instruction, thread and address
};

struct Counters {
  uint64_t warpInstructions = 0, threadInstructions = 0;
  uint64_t globalBytesRead = 0, globalBytesWritten = 0;
  uint64_t sharedBytesRead = 0, sharedBytesWritten = 0;
  uint64_t bulkLoads = 0, bulkStores = 0, bulkBytes = 0;
  uint64_t asyncCopies = 0; ///< cp.async, one a thread
  uint64_t wgmmas = 0, mmas = 0;
  uint64_t barrierWaits = 0, mbarrierWaits = 0; ///< one a warp
  uint64_t ctas = 0;
};

struct LaunchResult {
  std::string error; ///< the launch could not run at all; empty otherwise
  std::vector<Finding> findings;
  Counters counters;
  bool ok() const { return error.empty() && findings.empty(); }
  bool has(Kind kind) const;
  /// Error and findings, one a line; empty if ok.
  std::string describe() const;
};

/// What a kernel may do with a buffer.
enum class Access { Read, ReadWrite };

class Emulator {
public:
  Emulator();
  ~Emulator();
  Emulator(Emulator &&) noexcept;
  Emulator &operator=(Emulator &&) noexcept;

  /// Parses and decodes a module, replacing the one before. False: *error says
  /// what is wrong, with the line. An instruction that the emulator does not
  /// know is such an error, never skipped.
  bool load(std::string_view ptx, std::string *error);

  /// Of the module: "sm_90a".
  std::string target() const;
  /// Names of the kernels of the module, in textual order.
  std::vector<std::string> kernels() const;
  /// Size of every parameter of a kernel; empty for an unknown name.
  std::vector<uint32_t> parameterSizes(const std::string &kernel) const;

  /// Announces host memory [base, base + bytes) as global memory. `initialised`
  /// false: reading a byte before it is written is a finding. Announcing an
  /// address again replaces the buffer.
  void addBuffer(void *base, size_t bytes, std::string name,
                 Access access = Access::ReadWrite, bool initialised = true);
  void clearBuffers();

  /// Runs a kernel to its end, CTA by CTA or some in turns. `arguments` holds
  /// one pointer a parameter to the bytes of its value, as cuLaunchKernelEx has
  /// it; the three maxima of grid and block are the hardware's.
  LaunchResult launch(const std::string &kernel, Dim3 grid, Dim3 block,
                      uint32_t dynamicSharedBytes, const void *const *arguments,
                      const Options &options = {});
  /// The same with all parameters in one block, laid out with the alignments
  /// of the declaration.
  LaunchResult launch(const std::string &kernel, Dim3 grid, Dim3 block,
                      uint32_t dynamicSharedBytes, std::string_view parameters,
                      const Options &options = {});

private:
  struct State;
  std::unique_ptr<State> state;
};

/// Takes the arguments of cuTensorMapEncodeTiled, with the numbers of cuda.h
/// for the enumerations, and fills 128 bytes that this emulator (not a GPU)
/// understands as a tensor map. Returns 0, or 1 (the driver's invalid value)
/// with a reason in *error if that is not null. Refuses what the driver
/// refuses; interleaved layouts and im2col are not known here.
int encodeTiled(void *tensorMap, unsigned dataType, uint32_t rank, void *base,
                const uint64_t *dimensions, const uint64_t *strides,
                const uint32_t *box, const uint32_t *elementStrides,
                unsigned interleave, unsigned swizzle, unsigned l2Promotion,
                unsigned outOfBoundsFill, std::string *error = nullptr);

} // namespace filigree::ptx

#endif // FILIGREE_TEST_LIB_PTX_EMULATOR_PTXEMULATOR_H
