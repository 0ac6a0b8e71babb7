"""Convolution and pooling for Keras 3 on its NumPy backend, which otherwise needs JAX for them.

::

    import os
    os.environ["KERAS_BACKEND"] = "numpy"
    import fastconv.adapters.keras
    fastconv.adapters.keras.enable()     # imports Keras, without JAX where there is none
    import keras

Models are built, loaded and used for prediction as ever; training is not what Keras's NumPy backend does. Served are
`conv`, `depthwise_conv`, `separable_conv`, `conv_transpose`, `max_pool` and `average_pool` of one to three dimensions.
float64 stays float64 (JAX makes it float32); float16 and bfloat16 are computed in float32 and rounded once. What else
is asked for goes to Keras's own code where JAX is installed, and is refused where it is not: `report` counts.

Needs Keras 3.15, whose module of the NumPy backend is put other functions into: ``pip install fastconv[keras]``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.adapters.exchange import Exchange

__all__ = ["disable", "enable", "enabled", "report"]

_HOME = "keras.src.backend.numpy.nn"
_exchange = Exchange(lambda: {_backend(): _OURS})
enable, disable, enabled, report = _exchange.enable, _exchange.disable, _exchange.enabled, _exchange.report

_CONVOLUTIONS: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSED: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAXIMA: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVERAGES: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
_FORMATS = {"channels_first": {1: "NCL", 2: "NCHW", 3: "NCDHW"}, "channels_last": {1: "NLC", 2: "NHWC", 3: "NDHWC"}}

#: Sums of so few terms are formed as such, but for those of volumes: Keras's own tests hold them to 1e-6, closer than
#: transforms come.
_SHORT_SUM = 64

# ---------------------------------------------------------------------------------------------------------------------
# Keras, with or without JAX


def _backend() -> ModuleType:
    """The module of Keras that the functions go into."""
    if "keras" not in sys.modules and os.environ.get("KERAS_BACKEND") != "numpy":
        raise RuntimeError("Keras must use its NumPy backend: write os.environ['KERAS_BACKEND'] = 'numpy' before "
                           "enable()")
    if importlib.util.find_spec("keras") is None:
        raise ImportError("fastconv.adapters.keras needs Keras 3.15: pip install fastconv[keras]", name="keras")
    keras = importlib.import_module("keras") if _has_jax() or "keras" in sys.modules else _import_without_jax()
    if keras.config.backend() != "numpy":
        raise RuntimeError(f"Keras must use its NumPy backend, it uses {keras.config.backend()}: write "
                           "os.environ['KERAS_BACKEND'] = 'numpy' before Keras is imported")
    try:
        nn = importlib.import_module(_HOME)
    except ImportError as error:
        raise ImportError(f"fastconv.adapters.keras needs Keras 3.15, Keras {keras.__version__} has no {_HOME}: "
                          "pip install fastconv[keras]", name=_HOME) from error
    missing = [name for name in _OURS if not hasattr(nn, name)]
    if missing:
        raise ImportError(f"fastconv.adapters.keras needs Keras 3.15, {_HOME} of Keras {keras.__version__} has no "
                          f"{', '.join(missing)}: pip install fastconv[keras]", name=_HOME)
    return nn


def _has_jax() -> bool:
    return importlib.util.find_spec("jax") is not None


class _NoJax(ModuleType):
    """What Keras imports in place of JAX: any use of it says what is missing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(f"this function of Keras's NumPy backend needs {self.__name__}.{name}: pip install jax",
                          name="jax")


def _import_without_jax() -> ModuleType:
    """Keras, which finds something by the name of JAX while it is imported, and only then."""
    jax, lax = _NoJax("jax"), _NoJax("jax.lax")
    monitoring = ModuleType("jax.monitoring")
    monitoring.record_scalar = lambda *args, **kwargs: None  # type: ignore[attr-defined]  # looked for by a callback
    jax.lax, jax.monitoring = lax, monitoring  # type: ignore[attr-defined]
    package, math = ModuleType("keras.src.backend.jax"), ModuleType("keras.src.backend.jax.math")
    package.__path__ = []
    math.fft, math.fft2 = _fft(np.fft.fft), _fft(np.fft.fft2)  # type: ignore[attr-defined]
    package.math = math  # type: ignore[attr-defined]
    stand_ins = {module.__name__: module for module in (jax, lax, monitoring, package, math)}
    sys.modules.update(stand_ins)
    try:
        return importlib.import_module("keras")
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _fft(transform: Callable[..., Any]) -> Callable[..., Any]:
    """The transform of a pair (real, imaginary), which the NumPy backend takes from JAX's."""

    def fft(x: Any) -> tuple[Any, Any]:
        complex_input = sys.modules["keras.src.backend.numpy.math"]._get_complex_tensor_from_tuple(x)
        result = transform(complex_input).astype(complex_input.dtype)
        return result.real, result.imag

    return fft


# ---------------------------------------------------------------------------------------------------------------------
# The functions, with the signatures of Keras's own


def _served(compute: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Keras's, of the name of `compute` behind its `_`, which gets arrays and the data format that is
    meant. What fastconv does not serve goes to Keras's own."""
    theirs, signature = compute.__name__[1:], inspect.signature(compute)

    @functools.wraps(compute)
    def function(*arguments: Any, **named: Any) -> Any:
        call = signature.bind(*arguments, **named)
        call.apply_defaults()
        tensors: dict[str, Any] = {name: _array(value) for name, value in call.arguments.items()
                                   if name in ("inputs", "kernel")}
        data_format = _host().backend.standardize_data_format(call.arguments["data_format"])
        call.arguments.update(tensors, data_format=data_format)
        reason = _reason(*tensors.values())
        if reason:
            report().hand_on(theirs, reason)
            if not _has_jax():
                raise TypeError(f"{theirs} is not served for {reason}, and Keras's own code needs JAX: convert the "
                                "inputs to float32, or pip install jax")
            return _exchange.own(_host(), theirs)(*call.args)
        result = compute(*call.args)
        report().serve(theirs)
        return result

    return function


@_served
def _conv(inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None,
          dilation_rate: Any = 1) -> Any:
    channels = _channels(inputs, data_format)
    if channels % kernel.shape[-2]:
        raise ValueError("The number of input channels must be evenly divisible by kernel's in_channels. Received "
                         f"input channels {channels} and kernel in_channels {kernel.shape[-2]}. ")
    y = _convolved(inputs, kernel, (strides, padding, data_format, dilation_rate), channels // kernel.shape[-2])
    if y.size == 0 and inputs.size != 0:
        raise ValueError("The convolution operation resulted in an empty output. This can happen if the input is too "
                         "small for the given kernel size, strides, dilation rate, and padding mode. Please check the "
                         "input shape and convolution parameters.")
    return y


@_served
def _depthwise_conv(inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", data_format: Any = None,
                    dilation_rate: Any = 1) -> Any:
    _host().check_conv_input_channels(inputs, kernel, data_format)
    channels = _channels(inputs, data_format)
    kernel = kernel.reshape(*kernel.shape[:-2], 1, channels * kernel.shape[-1])
    return _convolved(inputs, kernel, (strides, padding, data_format, dilation_rate), channels)


def _separable_conv(inputs: Any, depthwise_kernel: Any, pointwise_kernel: Any, strides: Any = 1, padding: str = "valid",
                    data_format: Any = None, dilation_rate: Any = 1) -> Any:
    maps = _depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return _conv(maps, pointwise_kernel, 1, "valid", data_format, dilation_rate)


@_served
def _conv_transpose(inputs: Any, kernel: Any, strides: Any = 1, padding: str = "valid", output_padding: Any = None,
                    data_format: Any = None, dilation_rate: Any = 1) -> Any:
    _host().check_conv_transpose_input_channels(inputs, kernel, data_format)
    around = _host().compute_conv_transpose_padding_args_for_jax(inputs.shape, kernel.shape, strides, padding,
                                                                 output_padding, dilation_rate)
    axes = inputs.ndim - 2
    steps, distances = _per_axis(strides, axes), _per_axis(dilation_rate, axes)
    reach = [distance * (taps - 1) for distance, taps in zip(distances, kernel.shape)]
    cut, added, beyond = [], [], []
    for (before, after), far, step, distance in zip(around, reach, steps, distances):
        # JAX pads the pixels that the stride has drawn apart; a transposed convolution has padded them all around.
        more = max(0, after - far)
        fitting = min(more, max(step, distance) - 1)
        cut.append((far - before, max(0, far - after)))
        added.append(fitting)
        beyond.append((0, more - fitting))
    result_dtype, dtype = _dtypes(inputs, kernel)
    weight = np.moveaxis(kernel.astype(dtype, copy=False), (-1, -2), (0, 1))
    y = _TRANSPOSED[axes](inputs.astype(dtype, copy=False), weight, stride=steps, padding=tuple(cut),
                          output_padding=tuple(added), dilation=distances, data_format=_FORMATS[data_format][axes],
                          algorithm=_algorithm(weight[:, 0], steps))
    if any(after for _, after in beyond):  # no pixel reaches so far
        last = data_format == "channels_last"
        y = np.pad(y, [(0, 0), *beyond, (0, 0)] if last else [(0, 0), (0, 0), *beyond])
    return y.astype(result_dtype, copy=False)


@_served
def _max_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: Any = None) -> Any:
    return _pooled(_MAXIMA, {}, inputs, (pool_size, strides, padding, data_format))


@_served
def _average_pool(inputs: Any, pool_size: Any, strides: Any = None, padding: str = "valid",
                  data_format: Any = None) -> Any:
    return _pooled(_AVERAGES, {"count_include_pad": False}, inputs, (pool_size, strides, padding, data_format))


_OURS: dict[str, Callable[..., Any]] = {
    "conv": _conv, "depthwise_conv": _depthwise_conv, "separable_conv": _separable_conv,
    "conv_transpose": _conv_transpose, "max_pool": _max_pool, "average_pool": _average_pool}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------
# What they compute with


def _convolved(inputs: Any, kernel: Any, how: tuple[Any, ...], groups: int) -> Any:
    strides, padding, data_format, dilation_rate = how
    axes = inputs.ndim - 2
    steps, distances = _per_axis(strides, axes), _per_axis(dilation_rate, axes)
    reach = [distance * (taps - 1) + 1 for distance, taps in zip(distances, kernel.shape)]
    result_dtype, dtype = _dtypes(inputs, kernel)
    empty = _without_windows(inputs, kernel.shape[-1], reach, steps, padding, data_format)
    if empty is not None:
        return np.empty(empty, result_dtype)
    weight = np.moveaxis(kernel.astype(dtype, copy=False), (-1, -2), (0, 1))
    y = _CONVOLUTIONS[axes](inputs.astype(dtype, copy=False), weight, stride=steps, padding=padding.lower(),
                            dilation=distances, groups=groups, data_format=_FORMATS[data_format][axes],
                            algorithm=_algorithm(weight[0], steps))
    return y.astype(result_dtype, copy=False)


def _algorithm(terms: Any, steps: tuple[int, ...]) -> str:
    """The algorithm for sums with these weights: where transforms might be chosen, short sums are formed directly."""
    may_be_transformed = set(steps) == {1} and max(terms.shape[1:]) > 1
    return "direct" if len(steps) < 3 and may_be_transformed and terms.size <= _SHORT_SUM else "auto"


def _without_windows(inputs: Any, channels: int, reach: Any, steps: tuple[int, ...], padding: str,
                     data_format: str) -> tuple[int, ...] | None:
    """The shape of a result without a pixel, which Keras returns where a window does not fit into the image."""
    last = data_format == "channels_last"
    sizes = inputs.shape[1:-1] if last else inputs.shape[2:]
    if padding.lower() != "valid" or all(size >= far for size, far in zip(sizes, reach)):
        return None
    outputs = [max(0, (size - far) // step + 1) for size, far, step in zip(sizes, reach, steps)]
    return (len(inputs), *outputs, channels) if last else (len(inputs), channels, *outputs)


def _pooled(functions: dict[int, Callable[..., Any]], options: dict[str, Any], inputs: Any,
            how: tuple[Any, ...]) -> Any:
    pool_size, strides, padding, data_format = how
    if padding not in ("same", "valid"):
        raise ValueError(f"Invalid padding '{padding}', must be 'same' or 'valid'.")
    axes = inputs.ndim - 2
    window = _per_axis(pool_size, axes)
    steps = window if strides is None else _per_axis(strides, axes)
    result_dtype, dtype = _dtypes(inputs)
    empty = _without_windows(inputs, _channels(inputs, data_format), window, steps, padding, data_format)
    if empty is not None:
        return np.empty(empty, result_dtype)
    y = functions[axes](inputs.astype(dtype, copy=False), window, stride=steps, padding=padding,
                        data_format=_FORMATS[data_format][axes], **options)
    return y.astype(result_dtype, copy=False)


def _host() -> Any:
    return sys.modules[_HOME]


def _array(tensor: Any) -> Any:
    """A tensor or variable as an array. Arrays stay as they are: Keras would copy them, and make float32 of float64."""
    return tensor if isinstance(tensor, np.ndarray) else _host().convert_to_tensor(tensor)


def _channels(inputs: Any, data_format: str) -> int:
    return inputs.shape[-1] if data_format == "channels_last" else inputs.shape[1]


def _reason(*tensors: Any) -> str:
    """Why Keras's own code must answer; nothing where fastconv does."""
    axes = tensors[0].ndim - 2
    if axes not in _CONVOLUTIONS:
        return f"{axes} spatial dimensions"
    for tensor in tensors:
        if tensor.dtype.name not in ("float16", "bfloat16", "float32", "float64"):
            return f"numbers of type {tensor.dtype}"
        if 0 in tensor.shape[1:]:
            return "no pixels or no channels"
    return ""


def _dtypes(*tensors: Any) -> tuple[Any, Any]:
    """The dtype of the result, and that of the computation."""
    result = np.result_type(*tensors)
    return result, result if result.name in ("float32", "float64") else np.dtype(np.float32)


def _per_axis(value: Any, axes: int) -> tuple[int, ...]:
    return (int(value),) * axes if isinstance(value, (int, np.integer)) else tuple(map(int, value))
