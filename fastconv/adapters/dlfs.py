"""fastconv as the layers of the book "Deep Learning from Scratch" (K. Saitoh, O'Reilly Japan).

Before the networks are imported::

    import common.layers, fastconv.adapters.dlfs as fast
    common.layers.Convolution, common.layers.Pooling = fast.Convolution, fast.Pooling

or ``from fastconv.adapters.dlfs import *`` at the end of ``common/layers.py``. The classes have the book's arguments,
methods and attributes, and return what the book's return, to rounding; the matrices ``.col`` and the positions
``.arg_max`` are made when they are asked for. A convolution computes in the dtype of its ``W`` (the book's networks
have float64), pooling in that of its ``x``; integers become float64. Of equal maxima in a window the first, row by
row, gets the gradient, as in the book.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import functional as F
from fastconv.adapters.columns import add_patches, as_shape, output_size, patches
from fastconv.functional import checks

__all__ = ["Convolution", "Pooling", "col2im", "im2col"]

Array = NDArray[Any]


def im2col(input_data: Array, filter_h: int, filter_w: int, stride: int = 1, pad: int = 0) -> Array:
    """The windows of images as the rows of a matrix.

    Parameters
    ----------
    input_data : array (N, C, H, W)
    filter_h, filter_w, stride, pad : int

    Returns
    -------
    array (N * OH * OW, C * filter_h * filter_w), float64
        As in the book, whatever the dtype of input_data.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import im2col
    >>> im2col(np.arange(6).reshape(1, 1, 2, 3), 2, 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    input_data = _images(input_data, "input_data")
    windows = patches(input_data, (filter_h, filter_w), stride, pad)
    n, c, oh, ow, r, s = windows.shape
    columns = np.empty((n, oh, ow, c, r, s))
    columns[...] = windows.transpose(0, 2, 3, 1, 4, 5)
    return columns.reshape(n * oh * ow, c * r * s)


def col2im(col: Array, input_shape: tuple[int, int, int, int], filter_h: int, filter_w: int, stride: int = 1,
           pad: int = 0) -> Array:
    """The sum of rows as `im2col` makes them, each where its window was.

    Parameters
    ----------
    col : array (N * OH * OW, C * filter_h * filter_w)
    input_shape : (int, int, int, int)
        The shape (N, C, H, W) of the images.
    filter_h, filter_w, stride, pad : int

    Returns
    -------
    array (N, C, H, W), float64

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import col2im
    >>> col2im(np.ones((2, 4)), (1, 1, 2, 3), 2, 2)
    array([[[[1., 2., 1.],
             [1., 2., 1.]]]])
    """
    n, c, h, w = input_shape
    oh, ow = output_size((h, w), (filter_h, filter_w), stride, pad)
    col = as_shape(col, "col", (n * oh * ow, c * filter_h * filter_w))
    windows = col.reshape(n, oh, ow, c, filter_h, filter_w).transpose(0, 3, 1, 2, 4, 5)
    return add_patches(windows.astype(np.float64, copy=False), (h, w), stride, pad)


class Convolution:
    """A convolution.

    Parameters
    ----------
    W : array (FN, C, FH, FW)
    b : array (FN,)
    stride, pad : int

    Attributes
    ----------
    x : array
        What the last `forward` was given.
    dW, db : array
        The gradients, after `backward`.
    col, col_W : array
        The matrices of the book, of the last x and of W: made when they are asked for, each time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import Convolution
    >>> layer = Convolution(np.ones((4, 3, 3, 3)), np.zeros(4), pad=1)
    >>> y = layer.forward(np.ones((2, 3, 5, 5)))
    >>> y[0, 0, 0]
    array([12., 18., 18., 18., 12.])
    >>> layer.backward(y).shape, layer.dW.shape, layer.db.shape
    ((2, 3, 5, 5), (4, 3, 3, 3), (4,))
    """

    def __init__(self, W: Array, b: Array, stride: int = 1, pad: int = 0) -> None:
        self.W = W
        self.b = b
        self.stride = checks.integer(stride, "stride", 1)
        self.pad = checks.integer(pad, "pad", 0)
        self.x: Array | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: Array) -> Array:
        """The maps (N, FN, OH, OW) of images (N, C, H, W)."""
        images, weight = self._arrays(x)
        self.x = x
        bias = np.asarray(self.b).astype(weight.dtype, copy=False)
        return F.conv2d(images, weight, bias, stride=self.stride, padding=self.pad)

    def backward(self, dout: Array) -> Array:
        """The gradient with respect to x, from that with respect to the maps; those of W and b go to dW and db."""
        if self.x is None:
            raise RuntimeError("Convolution.backward needs a call before it: y = layer.forward(x)")
        images, weight = self._arrays(self.x)
        dout = np.asarray(dout).astype(weight.dtype, copy=False)
        dx, self.dW, self.db = F.conv2d_backward(dout, images, weight, stride=self.stride, padding=self.pad)
        return dx

    @property
    def col(self) -> Array | None:
        if self.x is None:
            return None
        _, _, height, width = self.W.shape
        return im2col(self.x, height, width, self.stride, self.pad)

    @property
    def col_W(self) -> Array | None:
        return None if self.x is None else self.W.reshape(len(self.W), -1).T

    def _arrays(self, x: Array) -> tuple[Array, Array]:
        """x and W, in the dtype of W."""
        weight = _floats(np.asarray(self.W), "W")
        return _images(x, "x").astype(weight.dtype, copy=False), weight


class Pooling:
    """The maximum of each window.

    Parameters
    ----------
    pool_h, pool_w, stride : int
    pad : int
        0: the book's layer leaves the padding out of the size of its output, and fails for any other.

    Attributes
    ----------
    x : array
        What the last `forward` was given.
    arg_max : array (N * OH * OW * C,)
        Where in its window each maximum was found, in the order of the book: made when it is asked for, each time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import Pooling
    >>> layer = Pooling(2, 2, stride=2)
    >>> layer.forward(np.array([[[[1.0, 3.0, 0.0, 0.0], [3.0, 2.0, 0.0, 0.0]]]]))
    array([[[[3., 0.]]]])
    >>> layer.arg_max
    array([1, 0])
    """

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.pool_h = checks.integer(pool_h, "pool_h", 1)
        self.pool_w = checks.integer(pool_w, "pool_w", 1)
        self.stride = checks.integer(stride, "stride", 1)
        self.pad = checks.integer(pad, "pad", 0)
        if self.pad:
            raise ValueError(f"pad must be 0, got {self.pad}: the book's Pooling leaves it out of the size of its "
                             "output; pad before, with numpy.pad(x, ..., constant_values=-numpy.inf)")
        self.x: Array | None = None
        self._indices: Array | None = None

    def forward(self, x: Array) -> Array:
        """The maxima (N, C, OH, OW) of images (N, C, H, W)."""
        images = _floats(_images(x, "x"), "x")
        y, indices = F.max_pool2d(images, (self.pool_h, self.pool_w), stride=self.stride, return_indices=True)
        self.x, self._indices = x, indices
        return y

    def backward(self, dout: Array) -> Array:
        """The gradient with respect to x: each number of dout at the first of the window's maxima."""
        if self.x is None or self._indices is None:
            raise RuntimeError("Pooling.backward needs a call before it: y = layer.forward(x)")
        dout = _floats(np.asarray(dout), "dout")
        return F.max_pool2d_backward(dout, self._indices, np.shape(self.x), (self.pool_h, self.pool_w),
                                     stride=self.stride)

    @property
    def arg_max(self) -> NDArray[np.int64] | None:
        if self.x is None or self._indices is None:
            return None
        rows, columns = np.divmod(self._indices, np.shape(self.x)[3])
        oh, ow = self._indices.shape[2:]
        rows -= self.stride * np.arange(oh)[:, None]
        columns -= self.stride * np.arange(ow)
        positions = rows * self.pool_w + columns
        return positions.transpose(0, 2, 3, 1).reshape(-1)


def _images(x: Array, name: str) -> Array:
    x = np.asarray(x)
    if x.ndim != 4:
        raise ValueError(f"{name} must have shape (N, C, H, W), got {x.shape}")
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got {x.dtype}")
    return x


def _floats(x: Array, name: str) -> Array:
    """Integers as float64, as NumPy's products have them."""
    return checks.array(x.astype(np.float64) if x.dtype.kind in "iu" else x, name)
