"""Convolution and pooling that autograd differentiates, as often as one likes.

New functions, for signals, images and volumes: `conv1d`, `conv2d`, `conv3d`, `max_pool1d`, ..., `avg_pool3d`, with the
arguments of fastconv's. And autograd's own `autograd.scipy.signal.convolve`, faster::

    import fastconv.adapters.autograd as fast
    fast.enable()      # in place of autograd.scipy.signal.convolve; or with fast.enabled(): ...

or ``from fastconv.adapters.autograd import convolve``. More than three convolved axes, numbers that are not real,
and arrays without elements are left to autograd's own code, which `report` counts.

Needs autograd: ``pip install fastconv[autograd]``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv import functional as F
from fastconv.adapters.exchange import Exchange

try:
    import autograd.numpy as anp  # type: ignore[import-untyped, import-not-found]
    import autograd.scipy.signal as host  # type: ignore[import-untyped, import-not-found]
    from autograd.extend import defvjp, primitive  # type: ignore[import-untyped, import-not-found]
    from autograd.tracer import getval  # type: ignore[import-untyped, import-not-found]
except ImportError as error:
    raise ImportError("fastconv.adapters.autograd needs autograd and SciPy: pip install fastconv[autograd]",
                      name=error.name) from error

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "conv1d", "conv2d", "conv3d", "convolve", "disable", "enable",
           "enabled", "max_pool1d", "max_pool2d", "max_pool3d", "report"]

_Pair = tuple[Any, Any]  # a function and its gradient
_CONVOLUTIONS: dict[int, _Pair] = {1: (F.conv1d, F.conv1d_backward), 2: (F.conv2d, F.conv2d_backward),
                                   3: (F.conv3d, F.conv3d_backward)}
_MAXIMA: dict[int, _Pair] = {1: (F.max_pool1d, F.max_pool1d_backward), 2: (F.max_pool2d, F.max_pool2d_backward),
                             3: (F.max_pool3d, F.max_pool3d_backward)}
_AVERAGES: dict[int, _Pair] = {1: (F.avg_pool1d, F.avg_pool1d_backward), 2: (F.avg_pool2d, F.avg_pool2d_backward),
                               3: (F.avg_pool3d, F.avg_pool3d_backward)}


class _How(NamedTuple):
    """A geometry: the number of axes, and the options by name."""

    axes: int
    options: dict[str, Any]


# ---------------------------------------------------------------------------------------------------------------------
# Convolution: its two gradients are bilinear as it is itself, and each is the derivative of the others.


@primitive
def _conv(x: Any, weight: Any, bias: Any, how: _How) -> Any:
    return _CONVOLUTIONS[how.axes][0](x, weight, bias, **how.options)


@primitive
def _conv_of_x(grad_output: Any, weight: Any, x_shape: tuple[int, ...], how: _How) -> Any:
    """The gradient with respect to x, of which only the shape counts."""
    x = np.broadcast_to(np.zeros((), weight.dtype), x_shape)
    return _CONVOLUTIONS[how.axes][1](grad_output, x, weight, needs=(True, False, False), **how.options)[0]


@primitive
def _conv_of_weight(grad_output: Any, x: Any, weight_shape: tuple[int, ...], how: _How) -> Any:
    """The gradient with respect to weight, of which only the shape counts."""
    weight = np.broadcast_to(np.zeros((), x.dtype), weight_shape)
    return _CONVOLUTIONS[how.axes][1](grad_output, x, weight, needs=(False, True, False), **how.options)[1]


def _sum_of_maps(grad_output: Any, how: _How) -> Any:
    channels = anp.ndim(grad_output) - (1 if how.options["data_format"].endswith("C") else how.axes + 1)
    return anp.sum(grad_output, axis=tuple(axis for axis in range(anp.ndim(grad_output)) if axis != channels))


defvjp(_conv,
       lambda ans, x, weight, bias, how: lambda g: _conv_of_x(g, weight, x.shape, how),
       lambda ans, x, weight, bias, how: lambda g: _conv_of_weight(g, x, weight.shape, how),
       lambda ans, x, weight, bias, how: lambda g: _sum_of_maps(g, how))
defvjp(_conv_of_x,
       lambda ans, grad_output, weight, x_shape, how: lambda g: _conv(g, weight, None, how),
       lambda ans, grad_output, weight, x_shape, how: lambda g: _conv_of_weight(grad_output, g, weight.shape, how))
defvjp(_conv_of_weight,
       lambda ans, grad_output, x, weight_shape, how: lambda g: _conv(x, g, None, how),
       lambda ans, grad_output, x, weight_shape, how: lambda g: _conv_of_x(grad_output, g, x.shape, how))


def conv1d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1, padding_mode: str = "constant", data_format: str = "NCL") -> Any:
    """`fastconv.conv1d`, which autograd differentiates: see `conv2d`."""
    return _conv(x, weight, bias, _How(1, dict(stride=stride, padding=padding, dilation=dilation, groups=groups,
                                               padding_mode=padding_mode, data_format=data_format)))


def conv2d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1, padding_mode: str = "constant", data_format: str = "NCHW") -> Any:
    """`fastconv.conv2d`, which autograd differentiates with respect to x, weight and bias.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups, padding_mode, data_format
        As of `fastconv.conv2d`.

    Returns
    -------
    array
        As of `fastconv.conv2d`.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastconv.adapters.autograd import conv2d
    >>> x, weight = np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3))
    >>> grad(lambda weight: np.sum(conv2d(x, weight) ** 2))(weight)[0, 0, 0]
    array([72., 72., 72.])
    """
    return _conv(x, weight, bias, _How(2, dict(stride=stride, padding=padding, dilation=dilation, groups=groups,
                                               padding_mode=padding_mode, data_format=data_format)))


def conv3d(x: Any, weight: Any, bias: Any = None, *, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
           groups: int = 1, padding_mode: str = "constant", data_format: str = "NCDHW") -> Any:
    """`fastconv.conv3d`, which autograd differentiates: see `conv2d`."""
    return _conv(x, weight, bias, _How(3, dict(stride=stride, padding=padding, dilation=dilation, groups=groups,
                                               padding_mode=padding_mode, data_format=data_format)))


# ---------------------------------------------------------------------------------------------------------------------
# Pooling: maxima are the pixels at some places, so the gradient puts numbers to these places, and its gradient reads
# them there.


@primitive
def _maxima(x: Any, y: Any, indices: Any, how: _How) -> Any:
    """What is known to be the maxima of x, at these places."""
    return y


@primitive
def _put(grad_output: Any, indices: Any, x_shape: tuple[int, ...], how: _How) -> Any:
    return _MAXIMA[how.axes][1](grad_output, indices, x_shape, **how.options)


@primitive
def _read(x: Any, indices: Any, how: _How) -> Any:
    last = how.options["data_format"].endswith("C")
    x, places = (np.moveaxis(array, -1, -1 - how.axes) if last else array for array in (x, indices))
    planes = x.reshape(*x.shape[:x.ndim - how.axes], -1)
    found = np.take_along_axis(planes, places.reshape(*planes.shape[:-1], -1), -1).reshape(places.shape)
    return np.moveaxis(found, -1 - how.axes, -1) if last else found


defvjp(_maxima, lambda ans, x, y, indices, how: lambda g: _put(g, indices, x.shape, how), argnums=(0,))
defvjp(_put, lambda ans, grad_output, indices, x_shape, how: lambda g: _read(g, indices, how), argnums=(0,))
defvjp(_read, lambda ans, x, indices, how: lambda g: _put(g, indices, x.shape, how), argnums=(0,))


def _max_pool(x: Any, axes: int, options: dict[str, Any]) -> Any:
    y, indices = _MAXIMA[axes][0](getval(x), return_indices=True, **options)
    return _maxima(x, y, indices, _How(axes, options))


def max_pool1d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, data_format: str = "NCL") -> Any:
    """`fastconv.max_pool1d`, which autograd differentiates: see `max_pool2d`."""
    return _max_pool(x, 1, dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
                                ceil_mode=ceil_mode, data_format=data_format))


def max_pool2d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, data_format: str = "NCHW") -> Any:
    """`fastconv.max_pool2d`, which autograd differentiates; of equal maxima the first gets the gradient.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, data_format
        As of `fastconv.max_pool2d`.

    Returns
    -------
    array
        As of `fastconv.max_pool2d`.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastconv.adapters.autograd import max_pool2d
    >>> grad(lambda x: np.sum(max_pool2d(x, 2) ** 2))(np.array([[[1.0, 2.0], [4.0, 3.0]]]))
    array([[[0., 0.],
            [8., 0.]]])
    """
    return _max_pool(x, 2, dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
                                ceil_mode=ceil_mode, data_format=data_format))


def max_pool3d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, dilation: Any = 1,
               ceil_mode: bool = False, data_format: str = "NCDHW") -> Any:
    """`fastconv.max_pool3d`, which autograd differentiates: see `max_pool2d`."""
    return _max_pool(x, 3, dict(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
                                ceil_mode=ceil_mode, data_format=data_format))


@primitive
def _average(x: Any, how: _How) -> Any:
    return _AVERAGES[how.axes][0](x, **how.options)


@primitive
def _spread(grad_output: Any, x_shape: tuple[int, ...], how: _How) -> Any:
    return _AVERAGES[how.axes][1](grad_output, x_shape, **how.options)


defvjp(_average, lambda ans, x, how: lambda g: _spread(g, x.shape, how))
defvjp(_spread, lambda ans, grad_output, x_shape, how: lambda g: _average(g, how), argnums=(0,))


def avg_pool1d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, data_format: str = "NCL") -> Any:
    """`fastconv.avg_pool1d`, which autograd differentiates: see `avg_pool2d`."""
    return _average(x, _How(1, dict(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                                    count_include_pad=count_include_pad, data_format=data_format)))


def avg_pool2d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, data_format: str = "NCHW") -> Any:
    """`fastconv.avg_pool2d`, which autograd differentiates.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format
        As of `fastconv.avg_pool2d`.

    Returns
    -------
    array
        As of `fastconv.avg_pool2d`.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastconv.adapters.autograd import avg_pool2d
    >>> grad(lambda x: np.sum(avg_pool2d(x, 2) ** 2))(np.array([[[1.0, 2.0], [4.0, 3.0]]]))
    array([[[1.25, 1.25],
            [1.25, 1.25]]])
    """
    return _average(x, _How(2, dict(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                                    count_include_pad=count_include_pad, data_format=data_format)))


def avg_pool3d(x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, data_format: str = "NCDHW") -> Any:
    """`fastconv.avg_pool3d`, which autograd differentiates: see `avg_pool2d`."""
    return _average(x, _How(3, dict(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                                    count_include_pad=count_include_pad, data_format=data_format)))


# ---------------------------------------------------------------------------------------------------------------------
# autograd.scipy.signal.convolve

_exchange = Exchange(lambda: {host: {"convolve": convolve}})
enable, disable, enabled, report = _exchange.enable, _exchange.disable, _exchange.enabled, _exchange.report


class _Roles(NamedTuple):
    """Which axes of an array are convolved, which are summed over, and which of them stay."""

    conv: tuple[int, ...]
    dot: tuple[int, ...]
    kept: tuple[int, ...]


def _roles(A: Any, B: Any, axes: Any, dot_axes: Any) -> tuple[_Roles, _Roles]:
    if axes is None:
        axes = (range(A.ndim), range(A.ndim))
    found = []
    for array, conv, dot in zip((A, B), axes, dot_axes):
        kept = tuple(axis for axis in range(array.ndim) if axis not in conv and axis not in dot)
        found.append(_Roles(tuple(conv), tuple(dot), kept))
    return found[0], found[1]


@primitive
def convolve(A: Any, B: Any, axes: Any = None, dot_axes: Any = ((), ()), mode: str = "full") -> Any:
    """`autograd.scipy.signal.convolve`: convolution over some axes of two arrays, products summed over others.

    Parameters
    ----------
    A, B : array
    axes : (list of int, list of int), optional
        The axes of A, and those of B, that are convolved, pair by pair; all by default.
    dot_axes : (list of int, list of int)
        Those over which products are summed.
    mode : {"full", "valid", "same"}
        As of `scipy.signal.convolve`.

    Returns
    -------
    array
        Its axes are those of A that are left, those of B that are left, and the convolved ones.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> from fastconv.adapters.autograd import convolve
    >>> convolve(np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0]))
    array([ 1., 12., 23., 30.])
    >>> images, filters = np.ones((4, 3, 8, 8)), np.ones((3, 5, 2, 2))
    >>> convolve(images, filters, axes=([2, 3], [2, 3]), dot_axes=([1], [0]), mode="valid").shape
    (4, 5, 7, 7)
    """
    reason = _reason(A, B, axes, mode)
    if reason:
        report().hand_on("convolve", reason)
        return _exchange.own(host, "convolve")(A, B, axes, dot_axes, mode)
    report().serve("convolve")
    of_a, of_b = _roles(A, B, axes, dot_axes)
    dtype = np.result_type(A, B)
    images, filters = _arranged(A, of_a, dtype), _arranged(B, of_b, dtype)
    a, b = images.shape[2:], filters.shape[2:]
    swapped = mode != "same" and any(have < take for have, take in zip(a, b))
    if swapped:
        images, filters, a, b = filters, images, b, a
    padding = {"valid": [(0, 0)] * len(b), "full": [(taps - 1, taps - 1) for taps in b],
               "same": [(taps // 2, (taps - 1) // 2) for taps in b]}[mode]
    turned = filters[(slice(None), slice(None), *[slice(None, None, -1)] * len(b))]
    y = _CONVOLUTIONS[len(a)][0](images, turned, padding=tuple(padding))
    y = y.swapaxes(0, 1) if swapped else y
    return y.reshape(*(A.shape[axis] for axis in of_a.kept), *(B.shape[axis] for axis in of_b.kept), *y.shape[2:])


def _reason(A: Any, B: Any, axes: Any, mode: str) -> str:
    """Why autograd's own code must answer; nothing where fastconv does."""
    count = A.ndim if axes is None else len(axes[0])
    if mode not in ("full", "valid", "same"):
        return "an unknown mode"
    if not 1 <= count <= 3:
        return f"{count} convolved axes"
    if np.result_type(A, B) not in (np.float32, np.float64):
        return f"numbers of type {np.result_type(A, B)}"
    if A.size == 0 or B.size == 0:
        return "no elements"
    pairs = zip(*axes) if axes is not None else zip(range(A.ndim), range(A.ndim))
    sizes = [(A.shape[i], B.shape[j]) for i, j in pairs]
    if mode == "valid" and any(a < b for a, b in sizes) and any(a > b for a, b in sizes):
        return "neither array is the larger one along all axes"
    return ""


def _arranged(array: Any, roles: _Roles, dtype: Any) -> Any:
    """An array as images or filters: what is kept, what is summed over, and the convolved axes."""
    array = array.transpose(*roles.kept, *roles.dot, *roles.conv).astype(dtype, copy=False)
    kept, dot = (int(np.prod([array.shape[axis] for axis in part], dtype=int))
                 for part in (range(len(roles.kept)), range(len(roles.kept), len(roles.kept) + len(roles.dot))))
    return array.reshape(kept, dot, *array.shape[len(roles.kept) + len(roles.dot):])


def _gradient(which: int, A: Any, B: Any, axes: Any, dot_axes: Any, mode: str) -> Any:
    """With respect to A (0) or B (1): again a convolution, of the gradient of the result with the other array turned
    around, and so differentiable."""
    roles = _roles(A, B, axes, dot_axes)
    mine, other = roles[which], roles[1 - which]
    x, y = (A, B) if which == 0 else (B, A)
    x_sizes, y_sizes = [x.shape[axis] for axis in mine.conv], [y.shape[axis] for axis in other.conv]
    first = len(roles[0].kept) + len(roles[1].kept)
    conv = tuple(range(first, first + len(mine.conv)))
    others = tuple(range(len(roles[0].kept), first) if which == 0 else range(len(roles[0].kept)))
    larger = any(have > take for have, take in zip(x_sizes, y_sizes))
    back = "full" if mode == "valid" and larger else "valid"
    turned = tuple(slice(None, None, -1) if axis in other.conv else slice(None) for axis in range(y.ndim))
    order = np.argsort(mine.kept + mine.dot + mine.conv)

    def vjp(g: Any) -> Any:
        if mode == "same":
            pads = [(0, 0)] * first + [((B.shape[axis] - 1) // 2, B.shape[axis] // 2) for axis in roles[1].conv]
            g = anp.pad(g, pads, mode="constant")
        result = convolve(g, y[turned], axes=(conv, other.conv), dot_axes=(others, other.kept), mode=back)
        return anp.transpose(result, order)

    return vjp


defvjp(convolve,
       lambda ans, A, B, axes=None, dot_axes=((), ()), mode="full": _gradient(0, A, B, axes, dot_axes, mode),
       lambda ans, A, B, axes=None, dot_axes=((), ()), mode="full": _gradient(1, A, B, axes, dot_axes, mode))
