"""Pooling layers: windows that move, the whole image, or a fixed number of outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import DataFormat, Float, NDArray, Padding, Pair
from fastconv.nn.module import Module
from fastconv.nn.state import Options


class MaxPool2d(Module):
    """The largest value of each window; see `fastconv.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        By default the kernel size.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        At most half of the kernel; padding never wins.
    dilation : int or (int, int)
    ceil_mode : bool
        Round the output size up instead of down.
    data_format : {"NCHW", "NHWC"}

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> nn.MaxPool2d(2)(x)
    array([[[[ 5.,  7.],
             [13., 15.]]]], dtype=float32)
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, *,
                 ceil_mode: bool = False, data_format: DataFormat = "NCHW") -> None:
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.ceil_mode, self.data_format = ceil_mode, data_format
        _check_window(kernel_size, stride, padding, dilation, ceil_mode, data_format)
        self._options = Options(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation,
                                ceil_mode=ceil_mode, data_format=data_format)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if not self.training:
            return F.max_pool2d(x, **self._options)
        y, indices = F.max_pool2d(x, **self._options, return_indices=True)
        self.remember(y, indices, np.shape(x))
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True,
                 rectified: bool = False) -> NDArray[Float]:
        """The gradient of the input, or if it is `rectified` the one of what a `ReLU` made the input of.

        A ReLU lets pass what goes to values above 0. All that a window gets goes to its maximum, which is its output:
        so there are fewer numbers to look at here than there, by the size of a window.
        """
        y, indices, input_shape = self.recall()
        if rectified:
            grad_output = F.relu_backward(grad_output, y)
        return F.max_pool2d_backward(grad_output, indices, input_shape, **self._options)


class AvgPool2d(Module):
    """The mean of each window; see `fastconv.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, data_format
        As of `MaxPool2d`.
    count_include_pad : bool
        Whether padded zeros count in the mean.
    """

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, *, ceil_mode: bool = False,
                 count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> None:
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.ceil_mode, self.data_format = ceil_mode, data_format
        self.count_include_pad = checks.flag(count_include_pad, "count_include_pad")
        _check_window(kernel_size, stride, padding, 1, ceil_mode, data_format)
        self._options = Options(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                                count_include_pad=count_include_pad, data_format=data_format)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(np.shape(x))
        return F.avg_pool2d(x, **self._options)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.avg_pool2d_backward(grad_output, self.recall(), **self._options)


class AdaptiveMaxPool2d(Module):
    """Max pooling to a given output size, from windows that cover the image evenly; see `fastconv.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or (int, int)
        Rows and columns of the output, for images of any size.
    data_format : {"NCHW", "NHWC"}
    """

    def __init__(self, output_size: Pair, *, data_format: DataFormat = "NCHW") -> None:
        checks.pair(output_size, "output_size")
        self.output_size = output_size
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if not self.training:
            return F.adaptive_max_pool2d(x, self.output_size, data_format=self.data_format)
        y, indices = F.adaptive_max_pool2d(x, self.output_size, data_format=self.data_format, return_indices=True)
        self.remember(indices, np.shape(x))
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        indices, input_shape = self.recall()
        return F.adaptive_max_pool2d_backward(
            grad_output, indices, input_shape, self.output_size, data_format=self.data_format
        )


class AdaptiveAvgPool2d(Module):
    """The same with means; see `AdaptiveMaxPool2d` and `fastconv.adaptive_avg_pool2d`."""

    def __init__(self, output_size: Pair, *, data_format: DataFormat = "NCHW") -> None:
        checks.pair(output_size, "output_size")
        self.output_size = output_size
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(np.shape(x))
        return F.adaptive_avg_pool2d(x, self.output_size, data_format=self.data_format)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.adaptive_avg_pool2d_backward(
            grad_output, self.recall(), self.output_size, data_format=self.data_format
        )


class GlobalMaxPool2d(Module):
    """The largest value of each channel of an image, (N, C, 1, 1), or with NHWC (N, 1, 1, C)."""

    def __init__(self, *, data_format: DataFormat = "NCHW") -> None:
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if not self.training:
            return F.global_max_pool2d(x, data_format=self.data_format)
        y, indices = F.global_max_pool2d(x, data_format=self.data_format, return_indices=True)
        self.remember(indices, np.shape(x))
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        indices, input_shape = self.recall()
        return F.global_max_pool2d_backward(grad_output, indices, input_shape, data_format=self.data_format)


class GlobalAvgPool2d(Module):
    """The mean of each channel of an image, (N, C, 1, 1), or with NHWC (N, 1, 1, C).

    Source: M. Lin, Q. Chen and S. Yan, "Network in network", 2014.
    """

    def __init__(self, *, data_format: DataFormat = "NCHW") -> None:
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(np.shape(x))
        return F.global_avg_pool2d(x, data_format=self.data_format)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.global_avg_pool2d_backward(grad_output, self.recall(), data_format=self.data_format)


def _check_window(kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, data_format: Any) -> None:
    taps = checks.pair(kernel_size, "kernel_size")
    step = taps if stride is None else checks.pair(stride, "stride")
    checks.padding(padding, (1, 1), taps, step, checks.pair(dilation, "dilation"))
    checks.flag(ceil_mode, "ceil_mode")
    checks.choice(data_format, "data_format", checks.DATA_FORMATS)
