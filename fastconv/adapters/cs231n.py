"""fastconv as the fast layers of Stanford's course CS231n, in place of its Cython file.

Let ``cs231n/fast_layers.py`` hold one line, and there is nothing to compile::

    from fastconv.adapters.cs231n import *

The functions have the course's signatures and return what its solutions return, to rounding, in the dtype of ``x``
(float32 or float64): weights, biases and gradients of another one are converted to it. Two points on which the
course's own versions differ from each other:

- Of equal maxima in a pooling window the first, row by row, gets the gradient, as in the course's im2col version (its
  "reshape" version, which serves square windows that tile the image, splits the gradient between them).
- Where the stride does not divide the image, the pixels that are left over at the end are not looked at, as in the
  strided version (the im2col one refuses).

In `im2col_cython` and `col2im_cython` the columns lie as (OH, OW, N), images next to each other; in `col2im_6d_cython`
as (N, OH, OW).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import functional as F
from fastconv.adapters.columns import add_patches, as_shape, output_size, patches
from fastconv.functional import checks
from fastconv.functional.foreign import shown

__all__ = ["col2im_6d_cython", "col2im_cython", "conv_backward_fast", "conv_forward_fast", "im2col_cython",
           "max_pool_backward_fast", "max_pool_forward_fast"]

Array = NDArray[Any]


def conv_forward_fast(x: Array, w: Array, b: Array, conv_param: dict[str, int]) -> tuple[Array, tuple[Any, ...]]:
    """A convolution of images.

    Parameters
    ----------
    x : array (N, C, H, W), float32 or float64
    w : array (F, C, HH, WW)
    b : array (F,)
    conv_param : dict
        ``{"stride": int, "pad": int}``

    Returns
    -------
    out : array (N, F, OH, OW)
    cache : tuple
        For `conv_backward_fast`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.cs231n import conv_backward_fast, conv_forward_fast
    >>> x, w, b = np.ones((2, 3, 5, 5)), np.ones((4, 3, 3, 3)), np.zeros(4)
    >>> out, cache = conv_forward_fast(x, w, b, {"stride": 1, "pad": 1})
    >>> out[0, 0, 0]
    array([12., 18., 18., 18., 12.])
    >>> dx, dw, db = conv_backward_fast(out, cache)
    >>> dx.shape, dw.shape, db.shape
    ((2, 3, 5, 5), (4, 3, 3, 3), (4,))
    """
    x = _images(x)
    stride, pad = _settings(conv_param, "conv_param", "stride", "pad")
    w, b = _like(x, w, "w"), _like(x, b, "b")
    if w.ndim != 4 or w.shape[1] != x.shape[1]:
        raise ValueError(f"w must have shape (F, C, HH, WW) with the C = {x.shape[1]} of x, got {w.shape}")
    checks.shape(b, "b", (len(w),))
    return F.conv2d(x, w, b, stride=stride, padding=pad), (x, w, b, {"stride": stride, "pad": pad})


def conv_backward_fast(dout: Array, cache: tuple[Any, ...]) -> tuple[Array, Array, Array]:
    """The gradients of `conv_forward_fast`.

    Parameters
    ----------
    dout : array (N, F, OH, OW)
    cache : tuple
        What `conv_forward_fast` returned.

    Returns
    -------
    dx, dw, db : array
        In the shapes of x, w and b.
    """
    x, w, _, conv_param = cache
    return F.conv2d_backward(_like(x, dout, "dout"), x, w, stride=conv_param["stride"], padding=conv_param["pad"])


def max_pool_forward_fast(x: Array, pool_param: dict[str, int]) -> tuple[Array, tuple[Any, ...]]:
    """The maximum of each window.

    Parameters
    ----------
    x : array (N, C, H, W), float32 or float64
    pool_param : dict
        ``{"pool_height": int, "pool_width": int, "stride": int}``

    Returns
    -------
    out : array (N, C, OH, OW)
    cache : tuple
        For `max_pool_backward_fast`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.cs231n import max_pool_backward_fast, max_pool_forward_fast
    >>> x = np.array([[[[1.0, 3.0, 0.0, 0.0], [3.0, 2.0, 0.0, 0.0]]]])
    >>> out, cache = max_pool_forward_fast(x, {"pool_height": 2, "pool_width": 2, "stride": 2})
    >>> out
    array([[[[3., 0.]]]])
    >>> max_pool_backward_fast(np.ones_like(out), cache)
    array([[[[0., 1., 1., 0.],
             [0., 0., 0., 0.]]]])
    """
    x = _images(x)
    height, width, stride = _settings(pool_param, "pool_param", "pool_height", "pool_width", "stride")
    out, indices = F.max_pool2d(x, (height, width), stride=stride, return_indices=True)
    return out, (indices, x.shape, x.dtype, (height, width), stride)


def max_pool_backward_fast(dout: Array, cache: tuple[Any, ...]) -> Array:
    """The gradient of `max_pool_forward_fast`.

    Parameters
    ----------
    dout : array (N, C, OH, OW)
    cache : tuple
        What `max_pool_forward_fast` returned.

    Returns
    -------
    array (N, C, H, W)
        The gradient with respect to x: each number of dout at the first of the window's maxima.
    """
    indices, x_shape, dtype, window, stride = cache
    dout = np.asarray(dout).astype(dtype, copy=False)
    return F.max_pool2d_backward(dout, indices, x_shape, window, stride=stride)


def im2col_cython(x: Array, field_height: int, field_width: int, padding: int, stride: int) -> Array:
    """The windows of images as the columns of a matrix.

    Parameters
    ----------
    x : array (N, C, H, W)
    field_height, field_width, padding, stride : int

    Returns
    -------
    array (C * field_height * field_width, OH * OW * N)
        Of the dtype of x; the images of one place lie next to each other.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.cs231n import im2col_cython
    >>> im2col_cython(np.arange(6.0).reshape(1, 1, 2, 3), 2, 2, 0, 1)
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x = _four_axes(np.asarray(x))
    windows = patches(x, (field_height, field_width), stride, padding)
    n, c, oh, ow, height, width = windows.shape
    columns = np.empty((c, height, width, oh, ow, n), x.dtype)
    columns[...] = windows.transpose(1, 4, 5, 2, 3, 0)
    return columns.reshape(c * height * width, oh * ow * n)


def col2im_cython(cols: Array, N: int, C: int, H: int, W: int, field_height: int, field_width: int, padding: int,
                  stride: int) -> Array:
    """The sum of columns as `im2col_cython` makes them, each where its window was.

    Parameters
    ----------
    cols : array (C * field_height * field_width, OH * OW * N)
    N, C, H, W : int
        The shape of the images.
    field_height, field_width, padding, stride : int

    Returns
    -------
    array (N, C, H, W)
    """
    oh, ow = output_size((H, W), (field_height, field_width), stride, padding)
    cols = as_shape(cols, "cols", (C * field_height * field_width, oh * ow * N))
    windows = cols.reshape(C, field_height, field_width, oh, ow, N).transpose(5, 0, 3, 4, 1, 2)
    return add_patches(windows, (H, W), stride, padding)


def col2im_6d_cython(cols: Array, N: int, C: int, H: int, W: int, HH: int, WW: int, pad: int, stride: int) -> Array:
    """The sum of windows (C, HH, WW, N, OH, OW), each where it was in the images.

    Parameters
    ----------
    cols : array (C, HH, WW, N, OH, OW)
    N, C, H, W : int
        The shape of the images.
    HH, WW, pad, stride : int

    Returns
    -------
    array (N, C, H, W)
    """
    oh, ow = output_size((H, W), (HH, WW), stride, pad)
    cols = as_shape(cols, "cols", (C, HH, WW, N, oh, ow))
    return add_patches(cols.transpose(3, 0, 4, 5, 1, 2), (H, W), stride, pad)


def _images(x: Array) -> Array:
    return _four_axes(checks.array(x, "x"))


def _four_axes(x: Array) -> Array:
    if x.ndim != 4:
        raise ValueError(f"x must have shape (N, C, H, W), got {x.shape}")
    return x


def _like(x: Array, value: Array, name: str) -> Array:
    """Another argument in the dtype of x."""
    value = np.asarray(value)
    if value.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}")
    return value.astype(x.dtype, copy=False)


def _settings(param: Any, name: str, *keys: str) -> list[int]:
    missing = [key for key in keys if key not in param]
    if missing:
        raise ValueError(f"{name} must have the keys {', '.join(map(repr, keys))}, got {shown(param)}")
    return [checks.integer(param[key], f"{name}[{key!r}]", 0 if key == "pad" else 1) for key in keys]
