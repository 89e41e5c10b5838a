"""binding.py - the C interface of the runtime, by ctypes: pools, options, prepared runs.

A Run is prepared once (arguments, workspace) and then called; what is timed is fil_run alone.
"""
import ctypes as c
import functools
import os
import time

import numpy as np

CODES = {"float64": (2, 64), "float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16), "int32": (0, 32),
         "int64": (0, 64)}
ISAS = {1: "baseline", 2: "avx2", 3: "avx512"}


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
                ("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16), ("shape", c.POINTER(c.c_int64)),
                ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Arg(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_uint32), ("reserved", c.c_uint32), ("tensor", c.POINTER(DLTensor)),
                ("i", c.c_int64), ("f", c.c_double)]


class Error(c.Structure):
    _fields_ = [("size", c.c_uint32), ("code", c.c_int32), ("message", c.c_char * 512)]


class PoolOptions(c.Structure):
    _fields_ = [("size", c.c_uint32), ("threads", c.c_uint32), ("pin", c.c_uint32), ("cpu_count", c.c_uint32),
                ("cpus", c.POINTER(c.c_int32)), ("spin_us", c.c_uint32), ("reserved", c.c_uint32)]


class Options(c.Structure):
    _fields_ = [("size", c.c_uint32), ("worker_limit", c.c_uint32), ("parallel_for", c.c_void_p),
                ("context", c.c_void_p), ("isa", c.c_uint32), ("checked", c.c_uint32), ("status", c.c_void_p)]


class CudaOptions(c.Structure):
    _fields_ = Options._fields_ + [("stream", c.c_void_p), ("allow_jit", c.c_uint32), ("reserved", c.c_uint32)]


class Spy(c.Structure):
    _fields_ = [("inner", c.c_void_p), ("context", c.c_void_p), ("skip", c.c_void_p), ("last", c.c_void_p),
                ("seconds", c.c_double), ("calls", c.c_int64)]


class Bf16:
    """bfloat16 as NumPy has none: the upper halves of floats."""

    def __init__(self, bits):
        self.bits, self.shape, self.dtype, self.nbytes = bits, bits.shape, "bfloat16", bits.nbytes

    @staticmethod
    def of(array):
        words = np.ascontiguousarray(array, np.float32).view(np.uint32)
        return Bf16(((words + 0x7FFF + ((words >> 16) & 1)) >> 16).astype(np.uint16))

    def __getitem__(self, index):
        return Bf16(self.bits[index])

    def floats(self):
        return (self.bits.astype(np.uint32) << 16).view(np.float32)


def floats(array):
    return array.floats() if isinstance(array, Bf16) else array


def view(array):
    """A DLTensor over the memory of a NumPy array, a Bf16 or a PyTorch CPU tensor."""
    code, bits = CODES[str(array.dtype).split(".")[-1]]
    shape = array.shape
    if hasattr(array, "data_ptr"):
        data, strides = array.data_ptr(), None if array.is_contiguous() else array.stride()
    else:
        memory = array.bits if isinstance(array, Bf16) else array
        compact = memory.flags.c_contiguous
        data, strides = memory.ctypes.data, None if compact else [s // memory.itemsize for s in memory.strides]
    ints = c.c_int64 * len(shape)
    return DLTensor(data, 1, 0, len(shape), code, bits, 1, ints(*shape), strides and ints(*strides), 0)


@functools.cache
def cpu_order():
    """Cpus that were usable at the first call, one of every core before the second ones. Asked again, a thread that
    a pool has bound since would name its own cpu alone, and the next pool's threads would share that."""
    def rank(cpu):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
                siblings = file.read().strip().replace("-", ",").split(",")
            return int(siblings[0]) != cpu, cpu
        except (OSError, ValueError):
            return False, cpu
    return sorted(os.sched_getaffinity(0), key=rank)


class Runtime:
    def __init__(self, folder):
        self.folder = folder
        self.lib = c.CDLL(os.path.join(folder, "libfiligree.so"))
        helper = os.path.join(folder, "libbench.so")
        self.bench = c.CDLL(helper) if os.path.exists(helper) else None  # runs can do without
        if self.bench:
            self.bench.bench_fma_peak.restype = c.c_double
            self.bench.bench_sum.restype = c.c_uint64
        self.isa = self.lib.fil_machine_isa()
        self.cpus = cpu_order()
        self.pools = {}

    def call(self, function, *args):
        error = Error(c.sizeof(Error))
        if function(*args, c.byref(error)):
            raise RuntimeError(error.message.decode())

    def address(self, library, name):
        return c.cast(getattr(library, name), c.c_void_p)

    def pool(self, threads):
        """A pool pinned to the first `threads` cpus; the calling thread goes to the first of them."""
        if threads not in self.pools:
            cpus = (c.c_int32 * len(self.cpus))(*self.cpus)
            options = PoolOptions(c.sizeof(PoolOptions), threads, 1, len(cpus), cpus, 0, 0)
            pool = c.c_void_p()
            self.call(self.lib.fil_pool_create, c.byref(options), c.byref(pool))
            self.pools[threads] = pool
        os.sched_setaffinity(0, {self.cpus[0]})
        return self.pools[threads]

    def fma_peak(self, threads, seconds=0.2, isa=0):
        rate = self.bench.bench_fma_peak(c.c_uint32(isa or self.isa), c.c_int64(threads),
                                         self.address(self.lib, "fil_pool_parallel_for"), self.pool(threads),
                                         c.c_double(seconds))
        if rate <= 0:
            raise RuntimeError("the peak loop computed a wrong value")
        return rate / 1e9

    def read(self, a, b, threads):
        """(seconds, sum of all 64-bit words) of reading two arrays of one size once."""
        seconds = c.c_double()
        size = a.nbytes // 256 * 256
        memory = [x.bits if isinstance(x, Bf16) else x for x in (a, b)]
        total = self.bench.bench_sum(memory[0].ctypes.data_as(c.c_void_p), memory[1].ctypes.data_as(c.c_void_p),
                                     c.c_int64(size), c.c_int64(8 * threads if threads > 1 else 1),
                                     self.address(self.lib, "fil_pool_parallel_for"), self.pool(threads),
                                     c.byref(seconds))
        return seconds.value, total

    def kernel(self, artifact, name, variant=None):
        return Kernel(self, os.path.join(self.folder, artifact + ".so"), name, variant)


class Kernel:
    def __init__(self, runtime, path, name, variant=None):
        self.runtime, self.library, self.handle = runtime, c.c_void_p(), c.c_void_p()
        runtime.call(runtime.lib.fil_open, path.encode(), c.byref(self.library))
        runtime.call(runtime.lib.fil_find, self.library, name.encode(), variant and variant.encode(),
                     c.byref(self.handle))

    def prepare(self, threads, hook=None, isa=0, **values):
        return Run(self, threads, hook, isa, values)


class Run:
    def __init__(self, kernel, threads, hook, isa, values):
        runtime = kernel.runtime
        self.kernel, self.runtime, self.lib = kernel, runtime, runtime.lib
        self.keep = values
        self.args = (Arg * len(values))()
        for arg, (name, value) in zip(self.args, values.items()):
            arg.name = name.encode()
            if hasattr(value, "shape"):
                arg.kind, arg.tensor = 1, c.pointer(view(value))
            else:
                arg.kind, arg.i, arg.f = (2, value, 0) if isinstance(value, int) else (3, 0, value)
        self.count = c.c_uint32(len(values))
        # A hook given keeps the pool that it wraps.
        parallel_for, context = hook or (runtime.address(runtime.lib, "fil_pool_parallel_for"), runtime.pool(threads))
        self.options = Options(c.sizeof(Options), threads, parallel_for, context, isa, 0, None)
        size = c.c_size_t()
        runtime.call(self.lib.fil_workspace, kernel.handle, self.args, self.count, c.byref(self.options), c.byref(size))
        self.workspace_bytes = size.value
        self.memory = np.empty(size.value + 64, np.uint8)
        self.start = c.c_void_p((self.memory.ctypes.data + 63) & ~63)
        self.size = size
        self.error = Error(c.sizeof(Error))

    def workspace_seconds(self, repeat):
        size = c.c_size_t()
        begin = time.perf_counter()
        for _ in range(repeat):
            self.lib.fil_workspace(self.kernel.handle, self.args, self.count, c.byref(self.options), c.byref(size), None)
        return (time.perf_counter() - begin) / repeat

    def runs(self, repeat):
        """Seconds of `repeat` runs back to back, timed in C."""
        seconds = (c.c_double * repeat)()
        if self.runtime.bench.bench_runs(self.runtime.address(self.lib, "fil_run"), self.kernel.handle, self.args,
                                         self.count, c.byref(self.options), self.start, self.size, c.c_int64(repeat),
                                         seconds, c.byref(self.error)):
            raise RuntimeError(self.error.message.decode())
        return list(seconds)

    def __call__(self):
        if self.runtime.bench:
            return self.runs(1)[0]
        begin = time.perf_counter()
        if self.lib.fil_run(self.kernel.handle, self.args, self.count, c.byref(self.options), self.start, self.size,
                            c.byref(self.error)):
            raise RuntimeError(self.error.message.decode())
        return time.perf_counter() - begin
