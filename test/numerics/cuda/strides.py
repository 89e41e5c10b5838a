"""Runs a kernel with a bias on arrays laid out in many ways: the same bits as of compact ones, or an error.

    strides.py KERNEL.so

The pattern has the inputs q, k, v and bias[h, i, j], all of type f16. The environment names the fake driver
(test/lib/fake-cuda), whose memory is that of the host, and the emulator.
"""
import ctypes as c
import os
import sys

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "examples", "15-python-ctypes"))
sys.dont_write_bytecode = True
import filigree  # noqa: E402

HEADS, KEYS, DIM = 2, 40, 24


class Driver:
    def __init__(self):
        self.cuda = c.CDLL(os.environ["FILIGREE_LIBCUDA"])
        context = c.c_void_p()
        assert not (self.cuda.cuInit(0) or self.cuda.cuDevicePrimaryCtxRetain(c.byref(context), 0)
                    or self.cuda.cuCtxSetCurrent(context))

    def bytes(self, count):
        address = c.c_uint64()
        assert not self.cuda.cuMemAlloc_v2(c.byref(address), c.c_size_t(count))
        return np.frombuffer((c.c_char * count).from_address(address.value), np.uint8)

    def laid(self, array, order, pads, first=0):
        """A copy with the axes in this order in memory, outermost first, and strides longer by `pads` elements;
        `first` elements are before it. What lies between is not touched: it may be much."""
        strides, step = [0] * array.ndim, 1
        for axis in reversed(order):
            strides[axis] = step + pads.get(axis, 0)
            step = strides[axis] * array.shape[axis]
        last = sum((extent - 1) * stride for extent, stride in zip(array.shape, strides))
        memory = self.bytes((first + last + 1) * array.itemsize).view(array.dtype)[first:]
        there = np.lib.stride_tricks.as_strided(memory, array.shape, [s * array.itemsize for s in strides])
        there[...] = array
        return there


def run(driver, kernel, arrays):
    args = (filigree.Arg * len(arrays))()
    for arg, (name, array) in zip(args, arrays.items()):
        tensor = filigree.view(array)
        tensor.device_type = 2
        arg.name, arg.kind, arg.tensor = name.encode(), 1, c.pointer(tensor)
    size, count = c.c_size_t(), c.c_uint32(len(arrays))
    kernel.call("fil_workspace", kernel.kernel, args, count, None, c.byref(size))
    start = c.c_void_p((driver.bytes(size.value + 128).ctypes.data + 127) & ~127)
    kernel.call("fil_run", kernel.kernel, args, count, None, start, size)


TENSOR, BIAS = (0, 1, 2, 3), (0, 1, 2)
LAYOUTS = {  # of an argument: order of axes, padding, first element
    "compact": {},
    "heads inside tokens": {name: ((0, 2, 1, 3), {}) for name in "qkvo"},
    "rows of more columns": {**{name: (TENSOR, {2: 8}) for name in "qkvo"}, "bias": (BIAS, {1: 3}), "lse": (BIAS, {1: 5})},
    "keys outside queries": {"bias": ((2, 0, 1), {})},
    "keys far apart": {"bias": ((2, 0, 1), {2: 1 << 22})},
    "keys too far apart": {"bias": ((2, 0, 1), {2: 1 << 23})},
    "rows of 25 columns": {"o": (TENSOR, {2: 1})},
    "keys of 28 columns": {"k": (TENSOR, {2: 4})},
    "output from its second column": {"o": (TENSOR, {2: 8}, 1)},
}


def main():
    driver = Driver()
    kernel = filigree.Kernel(os.path.join(ROOT, "build", "lib", "libfiligree.so"), sys.argv[1], "strides")
    for queries in (2, 70):
        rng = np.random.default_rng(queries)
        normal = lambda *shape: rng.standard_normal(shape).astype(np.float16)  # noqa: E731
        values = {"q": normal(1, HEADS, queries, DIM), "k": normal(1, 1, KEYS, DIM), "v": normal(1, 1, KEYS, DIM),
                  "bias": normal(HEADS, queries, KEYS)}
        outputs = {"o": np.full((1, HEADS, queries, DIM), np.nan, np.float16),
                   "lse": np.full((1, HEADS, queries), np.nan, np.float32)}
        want = None
        for name, layout in LAYOUTS.items():
            arrays = {key: driver.laid(array, *layout.get(key, (range(array.ndim), {})))
                      for key, array in {**values, **outputs}.items()}
            try:
                run(driver, kernel, arrays)
                got = [arrays[key].tobytes() for key in outputs]
                want = want or got
                said = "the same" if got == want and np.isfinite(arrays["o"]).all() else "DIFFERENT"
            except RuntimeError as error:
                said = str(error)
            print(f"{queries} queries, {name}: {said}")


main()
