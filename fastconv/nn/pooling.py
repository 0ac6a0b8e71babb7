"""Pooling layers: windows that move, the whole of an item, or a fixed number of outputs; here those for images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.pooling_calls import FORMATS, check_divisor, check_norm, check_window
from fastconv.functional.typing import DataFormat, Float, NDArray, Padding, Pair
from fastconv.nn import passes
from fastconv.nn.module import Module
from fastconv.nn.state import Options

# Nanoseconds of an output of windows that overlap and have a stride: in planes, of whose columns some are skipped, and
# with channels last.
_PLANES, _PIXELS = 2.3, 0.65

# ---------------------------------------------------------------------------------------------------------------------
# What the layers for rows, images and volumes share


class Pooling(Module):
    """A layer of one operation of `fastconv`, whose options it keeps by their names."""

    _operation: ClassVar[str]  # its name
    _axes: ClassVar[int]  # of the items that it pools

    def _keep(self, **options: Any) -> None:
        """Check what is asked of every one of them, and keep it as attributes, and for the calls."""
        checks.choice(options["data_format"], "data_format", FORMATS[self._axes])
        for name, value in options.items():
            setattr(self, name, value)
        self._options = Options(options)

    def _expect(self, outputs: int) -> None:
        """Tell the pass that goes on here, if one does, what so many outputs are expected to take with maps in either
        order: it is about the same, and nothing beside convolutions."""


class WindowPooling(Pooling):
    """One of windows that move."""

    def _expect(self, outputs: int) -> None:
        inside = passes.rooms()
        if inside is None or self._options["data_format"] != "NCHW":
            return
        taps, step = (checks.per_axis(self._options[name] or self._options["kernel_size"], name, self._axes)[-1]
                      for name in ("kernel_size", "stride"))
        if 1 < step < taps:
            inside.expect(_PLANES * outputs, _PIXELS * outputs)

    def _keep(self, **options: Any) -> None:
        without = {"padding": 0, "dilation": 1, "wide_padding": False}  # those that have no such options
        window = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "wide_padding")
        check_window(self._axes, *((without | options)[name] for name in window))
        super()._keep(**options)


class AdaptivePooling(Pooling):
    """One to a given output size."""

    def _keep(self, **options: Any) -> None:
        checks.per_axis(options["output_size"], "output_size", self._axes)
        super()._keep(**options)


class MaxPooling(Pooling):
    """One of maxima: training remembers where they were."""

    return_indices: bool = False

    def forward(self, x: NDArray[Float]) -> Any:
        """The maxima; with `return_indices` also where they were: `backward` takes the gradient of the maxima alone."""
        pool = getattr(F, self._operation)
        if not (self.training or self.return_indices):
            y = pool(x, **self._options)
            self._expect(y.size)
            return y
        y, indices = pool(x, **self._options, return_indices=True)
        self.remember(y, indices, np.shape(x))
        return (y, indices) if self.return_indices else y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True,
                 rectified: bool = False) -> NDArray[Float]:
        """The gradient of the input, or if it is `rectified` the one of what a `ReLU` made the input of.

        A ReLU lets pass what goes to values above 0. All that a window gets goes to its maximum, which is its output:
        so there are fewer numbers to look at here than there, by the size of a window.
        """
        y, indices, input_shape = self.recall()
        if rectified:
            grad_output = F.relu_backward(grad_output, y)
        return getattr(F, f"{self._operation}_backward")(grad_output, indices, input_shape, **self._options)


class AveragePooling(Pooling):
    """One of means."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(np.shape(x))
        y = getattr(F, self._operation)(x, **self._options)
        self._expect(y.size)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return getattr(F, f"{self._operation}_backward")(grad_output, self.recall(), **self._options)


class NormPooling(Pooling):
    """One of power sums."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = getattr(F, self._operation)(x, **self._options)
        self.remember(x, y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return getattr(F, f"{self._operation}_backward")(grad_output, *self.recall(), **self._options)


# ---------------------------------------------------------------------------------------------------------------------
# Images


#: What the layers below, and those of signals and volumes, are made of.
BASES = (Pooling, WindowPooling, AdaptivePooling, MaxPooling, AveragePooling, NormPooling)


class MaxPool2d(MaxPooling, WindowPooling):
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
    wide_padding : bool
        Take more padding than half of the kernel.
    return_indices : bool
        Return (y, indices), as the function does: for `MaxUnpool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> nn.MaxPool2d(2)(x)
    array([[[[ 5.,  7.],
             [13., 15.]]]], dtype=float32)
    """

    _operation, _axes = "max_pool2d", 2

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, *,
                 ceil_mode: bool = False, data_format: DataFormat = "NCHW", wide_padding: bool = False,
                 return_indices: bool = False) -> None:
        self._keep(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode,
                   data_format=data_format, wide_padding=wide_padding)
        self.return_indices = checks.flag(return_indices, "return_indices")


class AvgPool2d(AveragePooling, WindowPooling):
    """The mean of each window; see `fastconv.avg_pool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, dilation, data_format, wide_padding
        As of `MaxPool2d`.
    count_include_pad : bool
        Whether padded zeros count in the mean.
    divisor_override : int, optional
        What sums are divided by, whatever a window holds.
    """

    _operation, _axes = "avg_pool2d", 2

    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Padding = 0, *, ceil_mode: bool = False,
                 count_include_pad: bool = True, divisor_override: int | None = None, dilation: Pair = 1,
                 data_format: DataFormat = "NCHW", wide_padding: bool = False) -> None:
        checks.flag(count_include_pad, "count_include_pad")
        check_divisor(divisor_override)
        self._keep(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                   count_include_pad=count_include_pad, divisor_override=divisor_override, dilation=dilation,
                   data_format=data_format, wide_padding=wide_padding)


class AdaptiveMaxPool2d(MaxPooling, AdaptivePooling):
    """Max pooling to a given output size, from windows that cover the image evenly.

    See `fastconv.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or (int, int)
        Rows and columns of the output, for images of any size.
    data_format : {"NCHW", "NHWC"}
    """

    _operation, _axes = "adaptive_max_pool2d", 2

    def __init__(self, output_size: Pair, *, data_format: DataFormat = "NCHW") -> None:
        self._keep(output_size=output_size, data_format=data_format)


class AdaptiveAvgPool2d(AveragePooling, AdaptivePooling):
    """The same with means; see `AdaptiveMaxPool2d` and `fastconv.adaptive_avg_pool2d`."""

    _operation, _axes = "adaptive_avg_pool2d", 2

    def __init__(self, output_size: Pair, *, data_format: DataFormat = "NCHW") -> None:
        self._keep(output_size=output_size, data_format=data_format)


class GlobalMaxPool2d(MaxPooling):
    """The largest value of each channel of an image, (N, C, 1, 1), or with NHWC (N, 1, 1, C)."""

    _operation, _axes = "global_max_pool2d", 2

    def __init__(self, *, data_format: DataFormat = "NCHW") -> None:
        self._keep(data_format=data_format)


class GlobalAvgPool2d(AveragePooling):
    """The mean of each channel of an image, (N, C, 1, 1), or with NHWC (N, 1, 1, C).

    Source: M. Lin, Q. Chen and S. Yan, "Network in network", 2014.
    """

    _operation, _axes = "global_avg_pool2d", 2

    def __init__(self, *, data_format: DataFormat = "NCHW") -> None:
        self._keep(data_format=data_format)


class LPPool2d(NormPooling, WindowPooling):
    """The p-norm of each window; see `fastconv.lp_pool2d`.

    Parameters
    ----------
    norm_type : float
        The power p, above 0.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        By default the kernel size.
    ceil_mode : bool
        Round the output size up instead of down.
    data_format : {"NCHW", "NHWC"}
    """

    _operation, _axes = "lp_pool2d", 2

    def __init__(self, norm_type: float, kernel_size: Pair, stride: Pair | None = None, *, ceil_mode: bool = False,
                 data_format: DataFormat = "NCHW") -> None:
        check_norm(norm_type)
        self._keep(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode,
                   data_format=data_format)


def _of_pixels(layer: Any, x: Any) -> Any:
    """Call a layer on maps that lie with channels last: what comes out does too."""
    if layer.data_format == "NHWC" or not passes.lies_in_pixels(x):
        return layer(x)
    pool = getattr(F, layer._operation)
    y = pool(passes.as_pixels(x), **{**layer._options, "data_format": "NHWC"})
    layer._expect(y.size)
    return passes.as_planes(y)


passes.known(_of_pixels, MaxPool2d, AvgPool2d, AdaptiveMaxPool2d, AdaptiveAvgPool2d, GlobalMaxPool2d, GlobalAvgPool2d)
