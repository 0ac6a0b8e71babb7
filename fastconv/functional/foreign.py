"""Arrays from what a user has: tensors, images, lists, tables. And where none can be made, what to write instead.

Nothing here decides what the operations take, which is `checks`' business:
an argument is read as an array of whatever dtype it has, and `advice` says how to get from there to numbers.
"""

from __future__ import annotations

import numbers
import os
import sys
from typing import Any

import numpy as np

# DLPack's numbers of devices: those whose memory the CPU reads (its own, and what CUDA and ROCm share with it), and the
# names of others.
HOST_DEVICES = (1, 3, 11, 13)
DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 9: "VPI", 10: "ROCm", 14: "oneAPI", 15: "WebGPU"}


def shown(value: Any, longest: int = 60) -> str:
    """A short form of a value for an error message: never a page of numbers, and never an error of its own."""
    if isinstance(value, np.ndarray) and value.size > 4:
        return f"an array of shape {value.shape}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # what a foreign __repr__ raises, or Python about an int of too many digits
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def read(value: Any, name: str) -> np.ndarray[Any, Any]:
    """Something that is no plain ndarray as one, of any dtype: a view where possible."""
    if value is None or isinstance(value, (str, bytes, os.PathLike, type)):
        is_file = isinstance(value, (str, os.PathLike)) and os.path.splitext(value)[1][1:].isalnum()
        raise TypeError(f"{name} must be an array, got {shown(value)}"
                        f"{f': for the image in a file pass fc.data.load_image({name})' if is_file else ''}")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array, whose mask would be lost: fill it, for example {name}.filled(0)")
    if isinstance(value, (np.ndarray, np.generic)):
        return np.asarray(value)
    refusal = ""
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except MemoryError:
            raise
        except Exception as error:
            # Whatever a foreign __dlpack__ raises: on another device, of a dtype that NumPy has not.
            refusal = _line(error) + _elsewhere(value, name)
            if steps := _steps(value):
                raise TypeError(f"{name} must be readable by NumPy, got a {_described(value)}: "
                                f"pass {name}{steps}") from error
    elif not hasattr(value, "__array__") and isinstance(getattr(value, "data", None), np.ndarray):  # a Parameter
        raise TypeError(f"{name} must be an array, got {shown(value)}: pass {name}.data")
    try:
        array = np.asarray(value)
    except MemoryError:
        raise
    except Exception as error:  # ragged lists; whatever a foreign __array__ raises
        raise _unreadable(value, name, refusal or _line(error), error) from error
    if array.dtype == object and (array.ndim == 0 or refusal):
        because = f": {refusal}" if refusal else ""
        raise TypeError(f"{name} must be an array, got {shown(value)} ({type(value).__name__}){because}")
    return array


def advice(array: np.ndarray[Any, Any], value: Any, name: str) -> str:
    """What to write for `name`, which was given as `value` and read as `array`, to have it as floats."""
    dtype = array.dtype
    if steps := _steps(value):
        return f"pass {name}{steps}"
    if dtype.itemsize == 1 and dtype.kind in "iub" and isinstance(value, np.ndarray):    # a photo, a mask
        return f"pass {name}.astype(np.float32)"
    if dtype.kind in "iub" or dtype == np.float16:
        return f"convert it with np.asarray({name}, dtype=np.float32)"
    if dtype.kind == "f":
        return f"convert it with np.asarray({name}, dtype=np.float64)"
    if dtype.kind == "c":
        return f"the operations are real: pass {name}.real and {name}.imag one after the other"
    if dtype.kind in "SU":
        return f"where the text is numbers, convert it with np.asarray({name}).astype(np.float32)"
    if dtype.kind == "M":
        return f'count from a date on, for example ({name} - {name}.min()) / np.timedelta64(1, "s")'
    if dtype.kind == "m":
        return f'count in a unit, for example {name} / np.timedelta64(1, "s")'
    if dtype.names:
        return f"pass one of its fields, for example {name}[{dtype.names[0]!r}]"
    if dtype.type is np.void:
        return f"where the bytes are numbers, see them as such with {name}.view(np.float32)"
    if dtype.kind != "O":  # bfloat16 and others that packages add to NumPy
        return f"convert it with np.asarray({name}).astype(np.float32)"
    for item in array.flat:
        if isinstance(item, np.ndarray):
            return f"it holds arrays: where these are of one shape, pass np.stack(list({name}))"
        if isinstance(item, bool) or not _is_number(item):
            return f"it holds {shown(item)}, which is no number"
        if isinstance(item, int) and abs(item) > sys.float_info.max:
            return f"it holds {shown(item)}, which is beyond float64"
    return f"convert it with np.asarray({name}, dtype=np.float64)"


def _steps(value: Any) -> str:
    """What to append to a tensor, as PyTorch has them, for NumPy to read it as floats; "" for anything else."""
    asked = "requires_grad", "detach", "device", "layout", "is_quantized", "is_nested", "is_complex"
    if not all(hasattr(value, name) for name in asked):
        return ""
    if value.device.type == "meta":  # no numbers to be had
        return ""
    steps = ".detach()" if value.requires_grad else ""
    if value.is_quantized:
        steps += ".dequantize()"
    elif value.is_nested:
        steps += ".to_padded_tensor(0.0)"
    elif not str(value.layout).endswith("strided"):
        steps += ".to_dense()"
    if value.device.type != "cpu":
        steps += ".cpu()"
    if value.is_complex():
        steps += ".real"
    if not value.is_quantized and not str(value.dtype).endswith(("float32", "float64", "complex64", "complex128")):
        steps += ".float()"
    return steps


def _described(value: Any) -> str:
    """A tensor in words: "Tensor of bfloat16 that requires grad"."""
    words = f"{type(value).__name__} of {str(value.dtype).removeprefix('torch.')}"
    if not str(value.layout).endswith("strided"):
        words += f" with layout {value.layout}"
    if value.device.type != "cpu":
        words += f" on {value.device}"
    return words + (" that requires grad" if value.requires_grad else "")


def _elsewhere(value: Any, name: str) -> str:
    """Where an array of DLPack lies, and what to do about it; "" where the CPU reaches it."""
    try:
        kind, number = map(int, value.__dlpack_device__())
    except Exception:  # whatever a foreign method raises
        return ""
    if kind in HOST_DEVICES:
        return ""
    device = DEVICES.get(kind, f"DLPack's type {kind}")
    return (f"; it lies on device {number} of {device}, and fastconv computes on CPUs: copy {name} to the host first, "
            "with cupy.asnumpy, jax.device_get or what its library has for that")


def _unreadable(value: Any, name: str, reason: str, error: Exception) -> Exception:
    """The error for what np.asarray does not read."""
    if not isinstance(value, (list, tuple)):
        return TypeError(f"{name} must be an array, got {shown(value)} ({type(value).__name__}), "
                         f"which cannot be read as one: {reason}")
    for item in value:
        if steps := _steps(item):
            return TypeError(f"{name} must be an array, got a {type(value).__name__} that holds a {_described(item)}: "
                             f"pass np.stack([item{steps} for item in {name}])")
    try:
        shapes = list(dict.fromkeys(np.shape(item) for item in value))
    except Exception:
        shapes = []
    if len(shapes) > 1:
        return ValueError(f"{name} must be an array, got a {type(value).__name__} of entries that differ in "
                          f"shape, {shapes[0]} and {shapes[1]}: bring them to one shape, or call once for each, "
                          f"for example with np.asarray({name}[0])")
    kind = ValueError if isinstance(error, ValueError) else TypeError
    return kind(f"{name} must be an array, got {shown(value)} ({type(value).__name__}), "
                f"which cannot be read as one: {reason}")


def _line(error: Exception) -> str:
    """The first line of an error's message, or its type where it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_number(value):
    """Decimals register as no real numbers; there are none where nobody has imported their module."""
    decimal = sys.modules.get("decimal")
    return isinstance(value, numbers.Real) or (decimal is not None and isinstance(value, decimal.Decimal))
