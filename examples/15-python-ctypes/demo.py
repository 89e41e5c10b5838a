"""demo.py libfiligree.so window_sink.so qkv.npz: NumPy, and PyTorch where present."""
import sys

import numpy as np
from filigree import Kernel

runtime, artifact, data = sys.argv[1:]
q, k, v = (np.load(data)[name].astype(np.float32) for name in "qkv")
attend = Kernel(runtime, artifact, "window_sink")

o, lse = np.empty_like(q), np.empty(q.shape[:2], np.float32)
attend(q=q, k=k, v=v, o=o, lse=lse)

# The definition, in float64.
i, j = np.indices((q.shape[1], k.shape[1]))
mask = (j <= i) & ((i - j < 128) | (j < 4))
group = q.shape[0] // k.shape[0]
s = q.astype(float) @ np.repeat(k, group, 0).astype(float).transpose(0, 2, 1) / np.sqrt(q.shape[2])
p = np.where(mask, np.exp(s), 0)
want = p @ np.repeat(v, group, 0).astype(float) / p.sum(2, keepdims=True)
print(f"numpy: max error {np.abs(o - want).max():.1e}, lse {np.abs(lse - np.log(p.sum(2))).max():.1e}")
assert np.abs(o - want).max() < 3e-5  # naive f32 code: 1.2e-5

try:
    import torch
except ImportError:
    print("torch: not installed")
else:
    tq, tk, tv = map(torch.from_numpy, (q, k, v))
    to, tlse = torch.empty_like(tq), torch.empty(tq.shape[:2])
    attend(q=tq, k=tk, v=tv, o=to, lse=tlse)
    assert np.array_equal(to.numpy(), o)
    print("torch: the same bits")
