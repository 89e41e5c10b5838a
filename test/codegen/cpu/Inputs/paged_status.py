"""Runs keys in pages on good and bad tables and lengths: what is said of each, and whether the answer is the oracle's.

    paged_status.py KERNEL.so ORACLE.so [--device cuda] [--decode] [--planted]

With --decode a sequence has at most one row, and the table room for keys that are worth a split. With --planted the
oracle is given other pages than the kernel, which must be seen. On cuda the environment names the
fake driver (test/lib/fake-cuda), whose memory is that of the host.
"""
import ctypes as c
import os
import sys

import numpy as np

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "..")
sys.path.insert(0, os.path.join(ROOT, "examples", "15-python-ctypes"))
sys.dont_write_bytecode = True
import filigree  # noqa: E402

filigree.CODES["float64"] = (2, 64)
CUDA = "cuda" in sys.argv
PAGES, SLOTS, HEADS, KV_HEADS, DIM = 40, 16, 4, 2, 32
DECODE = "--decode" in sys.argv
ROWS, LENGTHS = np.int32([1, 1, 0, 1, 1] if DECODE else [1, 30, 0, 1, 9]), np.int32([200, 77, 5, 0, 9])
rng = np.random.default_rng(1)
CU = np.cumsum([0, *ROWS]).astype(np.int32)
TABLE = rng.permutation(PAGES)[:5 * 8].reshape(5, 8).astype(np.int32)
TABLE = np.concatenate([TABLE, TABLE[::-1, :6], *[TABLE] * (4 * DECODE)], axis=1)  # pages may be shared


def changed(array, place, value):
    array = array.copy()
    array[place] = value
    return array


CASES = {
    "good": {},
    "beyond the length": {"table": changed(TABLE, (1, 5), 999)},
    "the first page": {"table": changed(TABLE, (1, 0), PAGES)},
    "inside": {"table": changed(TABLE, (0, 6), -1)},
    "the last page": {"table": changed(TABLE, (0, 12), 2**31 - 1)},
    "every other page": {"table": changed(TABLE, (slice(None), slice(0, None, 2)), PAGES)},
    "all pages": {"table": np.full_like(TABLE, -2**31)},
    "a length below 0": {"lengths": changed(LENGTHS, 3, -7)},
    "a length beyond the table": {"lengths": changed(LENGTHS, 0, TABLE.shape[1] * SLOTS + 1)},
    "the largest length": {"lengths": changed(LENGTHS, 0, 2**31 - 1)},
    "bounds beyond the rows": {"cu_q": changed(CU, 5, 45)},
    "other tables": {"lengths": LENGTHS[:4]},
}
PLANTED = {  # places of the table, or lengths, that the kernel sees otherwise
    "two pages change places": {"table": changed(TABLE, (1, [2, 3]), TABLE[1, [3, 2]])},
    "one page is another": {"table": changed(TABLE, (1, 1), TABLE[1, 7])},
    "one key less": {"lengths": changed(LENGTHS, 1, LENGTHS[1] - 1)},
}


class Options(c.Structure):
    _fields_ = [("size", c.c_uint32), ("worker_limit", c.c_uint32), ("parallel_for", c.c_void_p),
                ("parallel_for_ctx", c.c_void_p), ("isa", c.c_uint32), ("checked", c.c_uint32), ("status", c.c_void_p),
                ("stream", c.c_void_p), ("allow_jit", c.c_uint32), ("reserved", c.c_uint32)]


class Driver:
    """Arrays in memory of the device."""

    def __init__(self):
        self.cuda = c.CDLL(os.environ["FILIGREE_LIBCUDA"])
        context = c.c_void_p()
        assert not (self.cuda.cuInit(0) or self.cuda.cuDevicePrimaryCtxRetain(c.byref(context), 0)
                    or self.cuda.cuCtxSetCurrent(context))

    def empty(self, shape, dtype):
        address, count = c.c_uint64(), int(np.prod(shape)) * np.dtype(dtype).itemsize
        assert not self.cuda.cuMemAlloc_v2(c.byref(address), c.c_size_t(max(count, 1)))
        return np.frombuffer((c.c_char * count).from_address(address.value), dtype).reshape(shape)

    def copy(self, array):
        base = self.empty(array.shape, array.dtype)
        base[...] = array
        return base


class Host:
    empty = staticmethod(np.empty)
    copy = staticmethod(np.copy)


def run(kernel, memory, arrays):
    """Runs unchecked; gives what the status word says."""
    status = memory.empty(8, np.int32)
    status[...] = 0
    given = (filigree.Arg * len(arrays))()
    for arg, (name, array) in zip(given, arrays.items()):
        tensor = filigree.view(array)
        tensor.device_type = 2 if isinstance(memory, Driver) else 1
        arg.name, arg.kind, arg.tensor = name.encode(), 1, c.pointer(tensor)
    options = Options(c.sizeof(Options), status=status.ctypes.data)
    size, count = c.c_size_t(), c.c_uint32(len(arrays))
    kernel.call("fil_workspace", kernel.kernel, given, count, c.byref(options), c.byref(size))
    work = memory.empty(size.value + 128, np.uint8)
    start = c.c_void_p((work.ctypes.data + 127) & ~127)
    kernel.call("fil_run", kernel.kernel, given, count, c.byref(options), start, size)
    text = c.create_string_buffer(300)
    kernel.lib.fil_status_text(c.c_void_p(status.ctypes.data), text, c.c_size_t(300))
    return text.value.decode()


def main():
    normal = lambda *shape: rng.standard_normal(shape)  # noqa: E731
    dtype, memory = (np.float16, Driver()) if CUDA else (np.float32, Host())
    # Laid out as engines do, with other data between: [pages, slots, heads, head size].
    caches = {name: memory.copy(normal(PAGES, SLOTS, KV_HEADS, 2 * DIM).astype(dtype))[..., :DIM].transpose(0, 2, 1, 3)
              for name in "kv"}
    good = {"q": memory.copy(normal(1, HEADS, CU[-1], DIM).astype(dtype)), **caches, "cu_q": CU, "table": TABLE,
            "lengths": LENGTHS}
    runtime = os.path.join(ROOT, "build", "lib", "libfiligree.so")
    kernel, oracle = (filigree.Kernel(runtime, artifact, "paged") for artifact in sys.argv[1:3])

    def outputs(memory, dtype):
        made = {"o": memory.empty((1, HEADS, CU[-1], DIM), dtype),
                "lse": memory.empty((1, HEADS, CU[-1]), np.float64 if dtype == np.float64 else np.float32)}
        for array in made.values():
            array[...] = 7
        return made

    def judge(case, planted):
        got, want = outputs(memory, dtype), outputs(Host, np.float64)
        tables = {name: memory.copy({**good, **case}[name]) for name in ("cu_q", "table", "lengths")}
        said = run(kernel, memory, {**good, **tables, **got})
        run(oracle, Host, {**good, **case, **planted, "rows": np.arange(CU[-1], dtype=np.int32), **want})
        near = 3e-3 if CUDA else 1e-5
        same = all(np.allclose(got[name], want[name], rtol=near, atol=near) for name in want)
        return f"{'right' if same else 'WRONG'}; {said}"

    if "--planted" in sys.argv:
        for name, planted in PLANTED.items():
            print(f"{name}: {judge({}, planted)}")
        return
    for name, case in CASES.items():
        try:
            said = judge(case, {})
        except RuntimeError as error:
            said = str(error)
        # What a run with bad bounds computes is not said.
        print(f"{name}: {said.replace('right; ', '').replace('WRONG; ', '') if 'bounds' in name else said}")


main()
