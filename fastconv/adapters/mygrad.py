"""mygrad's `conv_nd` and `max_pool` with their gradients, computed by fastconv.

::

    import fastconv.adapters.mygrad
    fastconv.adapters.mygrad.enable()

All of mygrad's tensors, graphs and rules stay as they are: only what these two operations compute, forward and
backward, is exchanged. More than three convolved or pooled axes, numbers other than float32 and float64, and arrays
without elements are left to mygrad's own code, and so are windows that do not fit, which mygrad refuses: `report`
counts. A graph goes back through the code that is there by then. Needs mygrad 2: ``pip install fastconv[mygrad]``.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastconv import functional as F
from fastconv.adapters.exchange import Exchange

try:
    from mygrad.nnet.layers.conv import ConvND  # type: ignore[import-untyped, import-not-found]
    from mygrad.nnet.layers.pooling import MaxPoolND  # type: ignore[import-untyped, import-not-found]
except ImportError as error:
    raise ImportError("fastconv.adapters.mygrad needs mygrad 2: pip install fastconv[mygrad]",
                      name=error.name) from error

__all__ = ["disable", "enable", "enabled", "report"]

_exchange = Exchange(lambda: {ConvND: {"__call__": _convolve, "backward_var": _convolve_backward},
                              MaxPoolND: {"__call__": _max_pool, "backward_var": _max_pool_backward}})
enable, disable, enabled, report = _exchange.enable, _exchange.disable, _exchange.enabled, _exchange.report

_CONVOLUTIONS: dict[int, Any] = {1: (F.conv1d, F.conv1d_backward), 2: (F.conv2d, F.conv2d_backward),
                                 3: (F.conv3d, F.conv3d_backward)}
_MAXIMA: dict[int, Any] = {1: (F.max_pool1d, F.max_pool1d_backward), 2: (F.max_pool2d, F.max_pool2d_backward),
                           3: (F.max_pool3d, F.max_pool3d_backward)}
#: The reason where mygrad's own code raises its error, or takes what is no integer for one.
_UNFIT = "windows that do not fit, or options that are not integers"


# ---------------------------------------------------------------------------------------------------------------------
# The methods of mygrad's operations, which keep on `self` what mygrad's own keep there


def _convolve(self: Any, x: Any, w: Any, *, stride: Any, padding: Any = 0, dilation: Any = 1) -> Any:
    axes = x.data.ndim - 2
    options = [_each(value, axes) for value in (stride, padding, dilation)]
    reason = _refusal(x.data, w.data) or _misfit(x.data.shape[2:], w.data.shape[2:], *options)
    if reason:
        report().hand_on("conv_nd", reason)
        return _exchange.own(ConvND, "__call__")(self, x, w, stride=stride, padding=padding, dilation=dilation)
    report().serve("conv_nd")
    self.variables = x, w
    self.stride, self.padding, self.dilation = map(np.array, options)
    dtype = np.result_type(x.data, w.data)
    return _CONVOLUTIONS[axes][0](x.data.astype(dtype, copy=False), w.data.astype(dtype, copy=False),
                                  **_options(self))


def _convolve_backward(self: Any, grad: Any, index: int, **kwargs: Any) -> Any:
    x, w = (variable.data for variable in self.variables)
    reason = _refusal(x, w)
    if reason:
        report().hand_on("conv_nd, gradient", reason)
        return _exchange.own(ConvND, "backward_var")(self, grad, index, **kwargs)
    report().serve("conv_nd, gradient")
    dtype = np.result_type(x, w)
    gradients = _CONVOLUTIONS[x.ndim - 2][1](
        *(array.astype(dtype, copy=False) for array in (grad, x, w)), needs=(index == 0, index == 1, False),
        **_options(self))
    return gradients[index]


def _max_pool(self: Any, x: Any, pool: Any, stride: Any) -> Any:
    windows = _Windows.of(x.data, pool, stride)
    if isinstance(windows, str):
        report().hand_on("max_pool", windows)
        return _exchange.own(MaxPoolND, "__call__")(self, x, pool, stride)
    report().serve("max_pool")
    self.variables = (x,)
    self.pool, self.stride = np.array(windows.size), np.array(windows.stride)
    y = _MAXIMA[len(windows.size)][0](windows.planes(x.data), windows.size, stride=windows.stride)
    return y.reshape(*x.data.shape[:x.data.ndim - len(windows.size)], *y.shape[1:])


def _max_pool_backward(self: Any, grad: Any, index: int, **kwargs: Any) -> Any:
    x = self.variables[index].data
    windows = _Windows.of(x, tuple(map(int, self.pool)), tuple(map(int, self.stride)))
    if isinstance(windows, str):
        report().hand_on("max_pool, gradient", windows)
        return _exchange.own(MaxPoolND, "backward_var")(self, grad, index, **kwargs)
    report().serve("max_pool, gradient")
    forward, backward = _MAXIMA[len(windows.size)]
    planes = windows.planes(x)
    _, indices = forward(planes, windows.size, stride=windows.stride, return_indices=True)
    dx = backward(grad.astype(x.dtype, copy=False).reshape(indices.shape), indices, planes.shape, windows.size,
                  stride=windows.stride)
    return dx.reshape(x.shape)


# ---------------------------------------------------------------------------------------------------------------------
# What is served


class _Windows(NamedTuple):
    """The windows of a pooling, and what they are on: planes of the last axes."""

    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def of(cls, x: Any, pool: Any, stride: Any) -> _Windows | str:
        """From the arguments, or why mygrad must answer."""
        axes = len(pool) if isinstance(pool, (tuple, list, np.ndarray)) else 0
        size, steps = _each(pool, axes), _each(stride, axes)
        if axes > x.ndim:
            return _UNFIT
        sizes = x.shape[x.ndim - axes:]
        reason = (_numbers_refused(x) or _axes_refused(axes)
                  or _misfit(sizes, size, steps, (0,) * axes, (1,) * axes))
        return reason or cls(size or (), steps or ())

    def planes(self, x: Any) -> Any:
        axes = len(self.size)
        return x.reshape(math.prod(x.shape[:x.ndim - axes]), *x.shape[x.ndim - axes:])


def _options(operation: Any) -> dict[str, tuple[int, ...]]:
    return {name: tuple(map(int, getattr(operation, name))) for name in ("stride", "padding", "dilation")}


def _each(value: Any, axes: int) -> tuple[int, ...] | None:
    """An integer for each axis, or None where there is none."""
    values = (value,) * axes if np.ndim(value) == 0 else tuple(value)
    fits = len(values) == axes and all(isinstance(each, (int, np.integer)) and not isinstance(each, bool)
                                       for each in values)
    return tuple(map(int, values)) if fits else None


def _refusal(x: Any, w: Any) -> str:
    """Why mygrad must convolve these, whatever the options; nothing where fastconv does."""
    if x.ndim != w.ndim or x.shape[1:2] != w.shape[1:2]:
        return _UNFIT
    return _axes_refused(x.ndim - 2) or _numbers_refused(x) or _numbers_refused(w)


def _axes_refused(axes: int) -> str:
    return "" if axes in _CONVOLUTIONS else f"{axes} axes"


def _numbers_refused(array: Any) -> str:
    if array.dtype not in (np.float32, np.float64):
        return f"numbers of type {array.dtype}"
    return "no elements" if array.size == 0 else ""


def _misfit(sizes: tuple[int, ...], taps: Any, stride: Any, padding: Any, dilation: Any) -> str:
    """Why mygrad answers for these windows: it wants the last one to end where the padded array does."""
    if None in (taps, stride, padding, dilation) or min(*taps, *stride, *dilation) < 1 or min(padding) < 0:
        return _UNFIT
    left = [size + 2 * pad - (far - 1) * distance - 1
            for size, far, pad, distance in zip(sizes, taps, padding, dilation)]
    return "" if all(rest >= 0 and rest % step == 0 for rest, step in zip(left, stride)) else _UNFIT
