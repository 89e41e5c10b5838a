"""torch_cuda.py - kernels of ours on PyTorch's CUDA tensors, PyTorch's own attention, and both timed in turn.

A peer is (name, make): make(q, k, v) gives a call that launches it, or raises what the peer says against it.
"""
import ctypes as c
import functools
import time

import torch

from binding import Arg, CudaOptions, DLTensor, Error

DTYPES = {torch.bfloat16: (4, 16), torch.float16: (2, 16), torch.float32: (2, 32), torch.int32: (0, 32)}
SPIN = 1_000_000  # cycles that the GPU spins while the next launch is queued: the host's time is not measured


def view(tensor):
    code, bits = DTYPES[tensor.dtype]
    ints = c.c_int64 * tensor.dim()
    return DLTensor(tensor.data_ptr(), 2, tensor.device.index or 0, tensor.dim(), code, bits, 1, ints(*tensor.shape),
                    ints(*tensor.stride()), 0)


class CudaRun:
    """One kernel with its arguments; a call launches it on the current stream."""

    def __init__(self, runtime, path, name, variant, jit=False, **values):
        self.runtime, self.lib, self.keep = runtime, runtime.lib, values
        library, self.handle = c.c_void_p(), c.c_void_p()
        runtime.call(self.lib.fil_open, path.encode(), c.byref(library))
        runtime.call(self.lib.fil_find, library, name.encode(), variant.encode(), c.byref(self.handle))
        self.args = (Arg * len(values))()
        for arg, (key, value) in zip(self.args, values.items()):
            arg.name = key.encode()
            if isinstance(value, torch.Tensor):
                arg.kind, arg.tensor = 1, c.pointer(view(value))
            else:
                arg.kind, arg.i = 2, value
        self.count = c.c_uint32(len(values))
        self.options = CudaOptions(c.sizeof(CudaOptions), 0, None, None, 0, 0, None,
                                   torch.cuda.current_stream().cuda_stream, jit, 0)
        size = c.c_size_t()
        runtime.call(self.lib.fil_workspace, self.handle, self.args, self.count, c.byref(self.options), c.byref(size))
        self.workspace_bytes = size.value
        self.memory = torch.empty(size.value + 128, dtype=torch.uint8, device="cuda") if size.value else None
        self.start = c.c_void_p((self.memory.data_ptr() + 127) & ~127) if size.value else None
        self.size, self.error = c.c_size_t(size.value), Error(c.sizeof(Error))

    def __call__(self):
        if self.lib.fil_run(self.handle, self.args, self.count, c.byref(self.options), self.start, self.size,
                            c.byref(self.error)):
            raise RuntimeError(self.error.message.decode())
        return self.keep["o"]


def normal(*shape):
    """bf16; by slices, since the f32 of a long array is twice its size."""
    made = torch.empty(*shape, device="cuda", dtype=torch.bfloat16)
    for part in made.view(-1).split(1 << 28):
        part.copy_(torch.randn(part.numel(), device="cuda"))
    return made


def timed(call, count):
    """Milliseconds of each of `count` launches, one after the other."""
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda._sleep(SPIN)
    begin.record()
    for _ in range(count):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / count


def in_turn(calls, repeat, warm=5, equal_time=False):
    """Milliseconds of `repeat` rounds, in each of which every call is launched once: a list for each call.

    With `equal_time` as often as to take as long as the longest. A chip at its power limit has the clock that the
    last milliseconds left, so of two kernels of unequal length the short one has the clock of the long one."""
    for call in calls:
        for _ in range(warm):
            call()
    counts = [1] * len(calls)
    if equal_time:
        alone = [timed(call, 2) for call in calls]
        counts = [max(1, round(max(alone) / own)) for own in alone]
    times = [[] for _ in calls]
    for _ in range(repeat):
        for kept, call, count in zip(times, calls, counts):
            kept.append(timed(call, count))
    return times


def copy_bandwidth():
    """Bytes read and written a second by PyTorch's copy, in GB/s: the better of a few sizes."""
    best = 0.0
    for size in (1 << 29, 1 << 30, 1 << 31):
        source, target = (torch.zeros(size, dtype=torch.uint8, device="cuda") for _ in range(2))
        times, = in_turn([lambda: target.copy_(source)], 10)
        best = max(best, 2 * size / min(times) / 1e6)
    return best


# -- peers ------------------------------------------------------------------------------------------------------------


def sdpa(backend, causal=False):
    """scaled_dot_product_attention by one of its back ends: cudnn, flash, efficient."""
    def make(q, k, v):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        chosen = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
                  "efficient": SDPBackend.EFFICIENT_ATTENTION}[backend]
        gqa = q.shape[1] != k.shape[1]

        def call():
            with sdpa_kernel(chosen):
                return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=gqa)
        return call
    return backend, make


@functools.cache
def compiled(name):
    """A function of PyTorch's flex_attention module; every mask and shape has a compilation of its own."""
    from torch.nn.attention import flex_attention
    torch._dynamo.config.recompile_limit = 64
    return torch.compile(getattr(flex_attention, name), dynamic=False, fullgraph=name == "flex_attention")


def flex(block_mask, kernel_options=None):
    """Compiled FlexAttention on a block mask."""
    def make(q, k, v):
        def call():
            return compiled("flex_attention")(q, k, v, block_mask=block_mask, enable_gqa=q.shape[1] != k.shape[1],
                                              kernel_options=kernel_options)
        return call
    return "flex", make


def mask_of(mask_mod, n):
    """(block mask of n x n, seconds of its first build, which compiles it, and of the next)."""
    seconds = []
    for _ in range(2):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        made = compiled("create_block_mask")(mask_mod, None, None, n, n, device="cuda")
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return made, seconds


def mask_of_lists(full, partial=None, block=128, mask_mod=None):
    """The block mask of lists: (counts, indices) of blocks that are whole, and of those that mask_mod cuts."""
    from torch.nn.attention.flex_attention import BlockMask
    to = lambda array: torch.from_numpy(array).cuda()  # noqa: E731
    partial = partial or (full[0] * 0, full[1] * 0)
    return BlockMask.from_kv_blocks(to(partial[0]), to(partial[1]), to(full[0]), to(full[1]), BLOCK_SIZE=block,
                                    mask_mod=mask_mod)
