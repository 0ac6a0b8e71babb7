"""fastconv as the layers of the book "Deep Learning from Scratch" (K. Saitoh, O'Reilly Japan).

With the book's folder on `sys.path`, as its own programs have it, one line does it, before or after the networks are
imported::

    import fastconv.adapters.dlfs
    fastconv.adapters.dlfs.enable()      # until disable(); or with fastconv.adapters.dlfs.enabled(): ...

or ``from fastconv.adapters.dlfs import *`` at the end of ``common/layers.py``. Networks that are made from then on have
these layers, and trainers this Adam; what takes little time in the book's (Affine, SoftmaxWithLoss) stays as it is.
After `disable` that is so again for all but what was imported by name in the meantime.

The classes have the book's arguments, methods and attributes, and return what the book's return, to rounding; the
matrices ``.col`` and the positions ``.arg_max`` are made when they are asked for. A convolution computes in the dtype
of its ``W`` (the book's networks have float64), the others in that of their ``x``; integers become float64. Of equal
maxima in a window the first, row by row, gets the gradient, as in the book.
"""

from __future__ import annotations

import math
import sys
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import functional as F, optim
from fastconv.adapters.columns import add_patches, as_shape, output_size, patches
from fastconv.adapters.exchange import Exchange
from fastconv.functional import checks

__all__ = ["Adam", "Convolution", "Pooling", "Relu", "col2im", "im2col"]  # by the book's names

Array = NDArray[Any]

_exchange = Exchange(lambda: _names_of_the_book())
enable, disable, enabled = _exchange.enable, _exchange.disable, _exchange.enabled


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


class Relu:
    """The maximum of each number and 0.

    Attributes
    ----------
    mask : array of bool
        Where the last x was 0 or less: made when it is asked for, each time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import Relu
    >>> layer = Relu()
    >>> layer.forward(np.array([[1.0, -2.0], [0.0, 3.0]]))
    array([[1., 0.],
           [0., 3.]])
    >>> layer.backward(np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self) -> None:
        self._y: Array | None = None

    def forward(self, x: Array) -> Array:
        """max(x, 0), in an array of its own."""
        self._y = F.relu(_floats(np.asarray(x), "x"))
        return self._y

    def backward(self, dout: Array) -> Array:
        """The gradient with respect to x, in an array of its own: the book's is dout itself, changed."""
        if self._y is None:
            raise RuntimeError("Relu.backward needs a call before it: y = layer.forward(x)")
        return F.relu_backward(np.asarray(dout).astype(self._y.dtype, copy=False), self._y)

    @property
    def mask(self) -> Array | None:
        return None if self._y is None else self._y <= 0


class Adam:
    """The book's optimiser of this name, which takes one pass over the parameters.

    Parameters
    ----------
    lr, beta1, beta2 : float

    Attributes
    ----------
    iter : int
        How many updates there have been.
    m, v : dict of str to array
        The running means of the gradients and of their squares; None before the first update.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.adapters.dlfs import Adam
    >>> params = {"W1": np.array([1.0, 2.0])}
    >>> Adam(lr=0.1).update(params, {"W1": np.array([3.0, -0.5])})
    >>> params["W1"].round(4)
    array([0.9, 2.1])
    """

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        self.lr = lr
        self.beta1 = beta1
        self.beta2 = beta2
        self.iter = 0
        self._parameters: dict[str, Any] = {}
        self._adam: optim.Adam | None = None

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """A step of each of the params, in place."""
        if self._adam is None:
            self._parameters = {key: SimpleNamespace(name=key) for key in params}
        for key, parameter in self._parameters.items():
            parameter.data, parameter.grad = params[key], grads[key]
        if self._adam is None:
            self._adam = optim.Adam(self._parameters.values())
        self._adam.lr, self._adam.betas = self.lr, (self.beta1, self.beta2)
        # The book adds its number to sqrt(v) before it is divided by the share of the steps that have been.
        self._adam.eps = 1e-7 / math.sqrt(1 - self.beta2 ** (self.iter + 1))
        self._adam.step()
        self.iter += 1

    @property
    def m(self) -> dict[str, Array] | None:
        return self._means("m")

    @property
    def v(self) -> dict[str, Array] | None:
        return self._means("v")

    def _means(self, name: str) -> dict[str, Array] | None:
        if self._adam is None:
            return None
        return {key: state[name] for key, state in zip(self._parameters, self._adam.state)}


def _names_of_the_book() -> dict[Any, dict[str, Any]]:
    """Where the names of the book's classes stand, in its modules and wherever they have been imported to, and what
    comes there."""
    ours: dict[Any, Any] = {}
    for module, classes in (("common.layers", (Convolution, Pooling, Relu)), ("common.optimizer", (Adam,))):
        try:
            book = import_module(module)
        except ImportError as error:
            raise ImportError("fastconv.adapters.dlfs.enable() needs the book's folder, which common/layers.py and "
                              "common/optimizer.py lie in, on sys.path: sys.path.append(the folder)",
                              name=error.name) from error
        missing = [each.__name__ for each in classes if not hasattr(book, each.__name__)]
        if missing:
            raise ImportError(f"{book.__file__} has no {', '.join(missing)}: it is not of \"Deep Learning from "
                              "Scratch\", the first book of its series", name=module)
        ours |= {getattr(book, each.__name__): each for each in classes}
    loaded = [module for module in list(sys.modules.values()) if isinstance(module, ModuleType)]
    found = {module: {name: ours[value] for name, value in vars(module).items()
                      if isinstance(value, type) and value in ours} for module in loaded}
    return {module: names for module, names in found.items() if names}


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
