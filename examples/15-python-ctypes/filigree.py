"""Runs an artifact from Python: ctypes, NumPy or PyTorch arrays, no package."""
import ctypes as c

CODES = {"float32": (2, 32), "float16": (2, 16), "bfloat16": (4, 16), "int32": (0, 32)}


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
                ("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16), ("shape", c.POINTER(c.c_int64)),
                ("strides", c.POINTER(c.c_int64)), ("byte_offset", c.c_uint64)]


class Arg(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_uint32), ("reserved", c.c_uint32), ("tensor", c.POINTER(DLTensor)),
                ("i", c.c_int64), ("f", c.c_double)]


class Error(c.Structure):
    _fields_ = [("size", c.c_uint32), ("code", c.c_int32), ("message", c.c_char * 512)]


def view(array):
    """A DLTensor over the memory of a NumPy array or a PyTorch CPU tensor."""
    code, bits = CODES[str(array.dtype).split(".")[-1]]
    torch = hasattr(array, "data_ptr")
    strides = array.stride() if torch else [s // array.itemsize for s in array.strides]
    ints = c.c_int64 * array.ndim
    return DLTensor(array.data_ptr() if torch else array.ctypes.data, 1, 0, array.ndim, code, bits, 1,
                    ints(*array.shape), ints(*strides), 0)


class Kernel:
    def __init__(self, runtime, artifact, name):
        self.lib, self.library, self.kernel = c.CDLL(runtime), c.c_void_p(), c.c_void_p()
        self.call("fil_open", artifact.encode(), c.byref(self.library))
        self.call("fil_find", self.library, name.encode(), None, c.byref(self.kernel))

    def call(self, function, *args):
        error = Error(c.sizeof(Error))
        if getattr(self.lib, function)(*args, c.byref(error)):
            raise RuntimeError(f"{function}: {error.message.decode()}")

    def __call__(self, **values):
        """Tensors (outputs too) and numbers by name; outputs are written in place."""
        args = (Arg * len(values))()
        for arg, (name, value) in zip(args, values.items()):
            arg.name = name.encode()
            if hasattr(value, "shape"):
                arg.kind, arg.tensor = 1, c.pointer(view(value))
            else:
                arg.kind, arg.i, arg.f = (2, value, 0) if isinstance(value, int) else (3, 0, value)
        size, count = c.c_size_t(), c.c_uint32(len(values))
        self.call("fil_workspace", self.kernel, args, count, None, c.byref(size))
        memory = c.create_string_buffer(size.value + 64)
        start = c.c_void_p((c.addressof(memory) + 63) & ~63)
        self.call("fil_run", self.kernel, args, count, None, start, size)
