"""Max unpooling layers: numbers go back to where the maxima were that a pooling layer found."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.pooling_calls import FORMATS
from fastconv.functional.typing import DataFormat, DataFormat1d, DataFormat3d, Float, NDArray, Pair, Single, Triple
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.module import Module
from fastconv.nn.pooling import MaxPool2d
from fastconv.nn.pooling1d import MaxPool1d
from fastconv.nn.pooling3d import MaxPool3d


class MaxUnpooling(Module):
    """What the layers of signals, images and volumes have in common. They are called with two arrays, which a
    `Sequential` cannot do."""

    _axes: ClassVar[int]

    def _keep(self, kernel_size: Any, stride: Any, padding: Any, data_format: str) -> None:
        checks.per_axis(kernel_size, "kernel_size", self._axes)
        if stride is not None:
            checks.per_axis(stride, "stride", self._axes)
        checks.per_axis(padding, "padding", self._axes, 0)
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.data_format = checks.choice(data_format, "data_format", FORMATS[self._axes])

    def __call__(self, x: NDArray[Float], indices: Any = None, output_size: Any = None) -> NDArray[Float]:
        try:
            if indices is None:
                raise TypeError(f"indices must be those of a MaxPool{self._axes}d(..., return_indices=True): write "
                                "unpool(x, indices), or in a Sequential nn.PoolUnpool(pool, body)")
            return self.forward(x, indices, output_size)
        except NAMED as error:
            name_layer(error, self, self, "x", x)
            raise

    def forward(self, x: NDArray[Float], indices: Any = None, output_size: Any = None) -> NDArray[Float]:
        """The numbers of x where the maxima were; see `fastconv.max_unpool2d`."""
        y: NDArray[Float] = getattr(F, f"max_unpool{self._axes}d")(
            x, indices, self.kernel_size, stride=self.stride, padding=self.padding, output_size=output_size,
            data_format=self.data_format)
        self.remember(indices)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        """The gradient of x: of the indices there is none."""
        grad_x: NDArray[Float] = getattr(F, f"max_unpool{self._axes}d_backward")(grad_output, self.recall(),
                                                                                 data_format=self.data_format)
        return grad_x


class MaxUnpool1d(MaxUnpooling):
    """Numbers where the maxima of a `MaxPool1d` were, and zeros elsewhere; see `MaxUnpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int,)
        Those of the pooling layer.
    data_format : {"NCL", "NLC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> y, indices = nn.MaxPool1d(2, return_indices=True)(np.array([[[1.0, 4.0, 3.0, 2.0]]]))
    >>> nn.MaxUnpool1d(2)(y, indices)
    array([[[0., 4., 3., 0.]]])
    """

    _axes = 1

    def __init__(self, kernel_size: Single, stride: Single | None = None, padding: Single = 0, *,
                 data_format: DataFormat1d = "NCL") -> None:
        self._keep(kernel_size, stride, padding, data_format)


class MaxUnpool2d(MaxUnpooling):
    """Numbers where the maxima of a `MaxPool2d` were, and zeros elsewhere; see `fastconv.max_unpool2d`.

    It is called as ``unpool(x, indices)``, or ``unpool(x, indices, output_size)`` where the pooled images were not of
    the size that the windows cover. Its `backward` takes the gradient of the output and returns that of x. Layers of a
    `Sequential` have one input: there a `PoolUnpool` holds both the pooling and what lies between.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int)
        Those of the pooling layer, and as there the stride is by default the kernel size.
    data_format : {"NCHW", "NHWC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> pool, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    >>> y, indices = pool(np.arange(16.0).reshape(1, 1, 4, 4))
    >>> unpool(y, indices)
    array([[[[ 0.,  0.,  0.,  0.],
             [ 0.,  5.,  0.,  7.],
             [ 0.,  0.,  0.,  0.],
             [ 0., 13.,  0., 15.]]]])
    """

    _axes = 2

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0, *,
                 data_format: DataFormat = "NCHW") -> None:
        self._keep(kernel_size, stride, padding, data_format)


class MaxUnpool3d(MaxUnpooling):
    """Numbers where the maxima of a `MaxPool3d` were, and zeros elsewhere; see `MaxUnpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding : int or (int, int, int)
        Those of the pooling layer.
    data_format : {"NCDHW", "NDHWC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> y, indices = nn.MaxPool3d(2, return_indices=True)(np.ones((1, 1, 2, 2, 4)))
    >>> nn.MaxUnpool3d(2)(y, indices)[0, 0, 0]
    array([[1., 0., 1., 0.],
           [0., 0., 0., 0.]])
    """

    _axes = 3

    def __init__(self, kernel_size: Triple, stride: Triple | None = None, padding: Triple = 0, *,
                 data_format: DataFormat3d = "NCDHW") -> None:
        self._keep(kernel_size, stride, padding, data_format)


class PoolUnpool(Module):
    """Down and up again, ``y = unpool(body(pool(x)))``: the body's numbers go back to where the maxima were.

    It has one input, so it may stand in a `Sequential`, and in the body of another one, as SegNet has them.

    Parameters
    ----------
    pool : MaxPool1d, MaxPool2d or MaxPool3d
        Without dilation, and with as much padding before as behind. y has the size of x, whatever is left over at its
        end.
    body : Module
        Several layers are a `Sequential`. Its output has as many pixels and channels as its input.

    Notes
    -----
    Source: V. Badrinarayanan, A. Kendall and R. Cipolla, "SegNet: a deep convolutional encoder-decoder architecture for
    image segmentation", 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> inner = nn.PoolUnpool(nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1))
    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.PoolUnpool(nn.MaxPool2d(2), inner),
    ...                       nn.Conv2d(8, 2, 1))
    >>> model(np.ones((1, 3, 10, 12), np.float32)).shape
    (1, 2, 10, 12)
    """

    def __init__(self, pool: MaxPool1d | MaxPool2d | MaxPool3d, body: Module) -> None:
        self._check(pool, body)
        self.pool: Any = pool
        self.body = body

    def _check(self, pool: Any, body: Any) -> None:
        if not isinstance(pool, MaxPool1d | MaxPool2d | MaxPool3d):
            raise TypeError(f"pool must be a MaxPool1d, MaxPool2d or MaxPool3d, got {shown(pool)}")
        if not isinstance(body, Module):
            raise TypeError(f"body must be a fastconv.nn module, got {shown(body)}")
        window: Any = pool
        if any(each != 1 for each in checks.per_axis(window.dilation, "dilation", window._axes)):
            raise ValueError(f"pool must have no dilation, got {pool!r}")
        try:
            checks.per_axis(window.padding, "padding", window._axes, 0)
        except (TypeError, ValueError):
            raise ValueError(f"pool must have as much padding before as behind, in numbers, got {pool!r}") from None

    @property
    def _axes(self) -> int:
        axes: int = self.pool._axes
        return axes

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        pool = self.pool
        y, indices = getattr(F, pool._operation)(x, **pool._options, return_indices=True)
        inside = self.body(y)
        if np.shape(inside) != y.shape:
            raise ValueError(f"body must give the shape that it is given, {y.shape}, got {np.shape(inside)}")
        pixels = np.shape(x)[-self._axes:] if pool.data_format[1] == "C" else np.shape(x)[-self._axes - 1:-1]
        self.remember(indices, np.shape(x))
        result: NDArray[Float] = getattr(F, f"max_unpool{self._axes}d")(
            inside, indices, pool.kernel_size, stride=pool.stride, padding=pool.padding, output_size=pixels,
            data_format=pool.data_format)
        return result

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        pool, (indices, input_shape) = self.pool, self.recall()
        grad: Any = getattr(F, f"max_unpool{self._axes}d_backward")(grad_output, indices, data_format=pool.data_format)
        try:
            grad = self.body.backward(grad, needs_input_grad)
        except NAMED as error:
            name_layer(error, self, self.body, "grad_output", grad)
            raise
        if not needs_input_grad:
            return None
        grad_x: NDArray[Float] = getattr(F, f"{pool._operation}_backward")(grad, indices, input_shape, **pool._options)
        return grad_x

    def _image_form(self) -> str | None:
        return self.pool._image_form()

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self.named_children()]
        return "PoolUnpool(\n  " + "\n  ".join(lines) + "\n)"
