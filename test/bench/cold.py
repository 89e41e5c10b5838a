#!/usr/bin/env python3
"""cold.py - how long a process that has neither context nor runtime waits for its first result.

    cold.py FOLDER        what compile_cuda.sh wrote; prints one JSON, times in milliseconds

The C interface and the driver by ctypes, no PyTorch. Queries and keys are 0 and values 1, so that every result is 1.
"""
import ctypes as c
import json
import os
import sys
import time

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from binding import Arg, CudaOptions, DLTensor, Error  # noqa: E402

HEADS, N, D = 8, 256, 128
ONE = b"\x80\x3f"  # bf16


class Clock:
    def __init__(self):
        self.laps, self.last = {}, time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self.laps[name] = 1e3 * (now - self.last)
        self.last = now


def done(status, what):
    if status:
        raise RuntimeError(f"{what} failed with status {status}")


class Tensors:
    """q, k, v, o and lse on the device, as arguments of a run."""

    def __init__(self, driver):
        self.driver, self.args, self.keep = driver, (Arg * 5)(), []
        for arg, name in zip(self.args, ("q", "k", "v", "o", "lse")):
            shape, bits = ((1, HEADS, N, D), 16) if name != "lse" else ((1, HEADS, N), 32)
            size = HEADS * N * (D * 2 if name != "lse" else 4)
            data = self.memory(size)
            start = (ONE * (size // 2)) if name == "v" else bytes(size)
            done(driver.cuMemcpyHtoD_v2(data, start, c.c_size_t(size)), "cuMemcpyHtoD")
            extents = (c.c_int64 * len(shape))(*shape)
            tensor = DLTensor(data.value, 2, 0, len(shape), 2 if name == "lse" else 4, bits, 1, extents, None, 0)
            self.keep.append((extents, tensor))
            arg.name, arg.kind, arg.tensor = name.encode(), 1, c.pointer(tensor)
        self.output = c.c_uint64(self.args[3].tensor.contents.data)

    def memory(self, size):
        data = c.c_uint64()
        done(self.driver.cuMemAlloc_v2(c.byref(data), c.c_size_t(max(size, 1))), "cuMemAlloc")
        return data

    def result(self):
        size = HEADS * N * D * 2
        host = c.create_string_buffer(size)
        done(self.driver.cuMemcpyDtoH_v2(host, self.output, c.c_size_t(size)), "cuMemcpyDtoH")
        return host.raw


def first_result(lib, driver, tensors, path, kernel_name, clock):
    """From the file to a result: laps open, workspace, prepare, launch, wait."""
    error = Error(c.sizeof(Error))

    def call(function, *args):
        if function(*args, c.byref(error)):
            raise RuntimeError(error.message.decode())
    library, kernel, size, count = c.c_void_p(), c.c_void_p(), c.c_size_t(), c.c_uint32(5)
    options = CudaOptions(c.sizeof(CudaOptions), 0, None, None, 0, 0, None, None, 0, 0)
    call(lib.fil_open, path.encode(), c.byref(library))
    call(lib.fil_find, library, kernel_name.encode(), b"d128_bf16", c.byref(kernel))
    clock.lap("open")
    call(lib.fil_workspace, kernel, tensors.args, count, c.byref(options), c.byref(size))
    workspace = c.c_void_p(tensors.memory(size.value).value)
    clock.lap("workspace")
    call(lib.fil_prepare, kernel, c.byref(options))
    clock.lap("prepare")
    call(lib.fil_run, kernel, tensors.args, count, c.byref(options), workspace, size)
    clock.lap("launch")
    done(driver.cuStreamSynchronize(None), "cuStreamSynchronize")
    clock.lap("wait")
    if tensors.result() != ONE * (HEADS * N * D):
        raise RuntimeError(f"{kernel_name} gives a wrong result")


def main():
    if len(sys.argv) != 2:
        sys.exit("cold.py: expected a folder that compile_cuda.sh wrote")
    folder = sys.argv[1]
    context, device, start = c.c_void_p(), c.c_int(), Clock()
    driver = c.CDLL(os.environ.get("FILIGREE_LIBCUDA", "libcuda.so.1"))
    done(driver.cuInit(0), "cuInit")
    start.lap("cuInit")
    done(driver.cuDeviceGet(c.byref(device), 0), "cuDeviceGet")
    done(driver.cuDevicePrimaryCtxRetain(c.byref(context), device), "cuDevicePrimaryCtxRetain")
    done(driver.cuCtxSetCurrent(context), "cuCtxSetCurrent")
    start.lap("context")
    tensors = Tensors(driver)
    cold = Clock()
    lib = c.CDLL(os.path.join(folder, "libfiligree.so"))
    first_result(lib, driver, tensors, os.path.join(folder, "decode.so"), "dense", cold)
    live = Clock()
    first_result(lib, driver, tensors, os.path.join(folder, "window_4096.so"), "window_sink", live)
    report = {"context_ms": sum(start.laps.values()), "cold_ms": sum(cold.laps.values()),
              "live_ms": sum(live.laps.values())}
    for name, clock in (("context", start), ("cold", cold), ("live", live)):
        report.update({f"{name}_{lap}_ms": value for lap, value in clock.laps.items()})
    print(json.dumps(report))


if __name__ == "__main__":
    main()
