"""Layers that put a border around images."""

from __future__ import annotations

import numpy as np

from fastconv.functional import checks
from fastconv.functional.typing import DataFormat, Float, NDArray
from fastconv.nn.module import Module


class ZeroPad2d(Module):
    """A border of zeros around each image.

    The layers of convolution and pooling have a `padding` of their own, which costs nothing; this one makes a larger
    copy of the images.

    Parameters
    ----------
    padding : int or (left, right, top, bottom)
        As PyTorch has it: the columns before the rows.
    data_format : {"NCHW", "NHWC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.ZeroPad2d((1, 0, 0, 1))(np.ones((1, 1, 1, 2)))
    array([[[[0., 1., 1.],
             [0., 0., 0.]]]])
    """

    def __init__(self, padding: int | tuple[int, int, int, int], *, data_format: DataFormat = "NCHW") -> None:
        checks.per_axis(padding, "padding", 4, 0)
        self.padding = padding
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        view, _ = checks.images(checks.array(x, "x"), self.data_format)
        left, right, top, bottom = checks.per_axis(self.padding, "padding", 4, 0)
        self.remember(view.shape[2:])
        widths = [(0, 0)] * x.ndim
        first = x.ndim - 2 if self.data_format == "NCHW" else x.ndim - 3  # the axis of rows
        widths[first : first + 2] = [(top, bottom), (left, right)]
        return np.pad(x, widths)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        rows, columns = self.recall()
        left, _, top, _ = checks.per_axis(self.padding, "padding", 4, 0)
        if self.data_format == "NCHW":
            return grad_output[..., top : top + rows, left : left + columns]
        return grad_output[..., top : top + rows, left : left + columns, :]
