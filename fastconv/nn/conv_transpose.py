"""Transposed convolution layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.transposed import output_paddings
from fastconv.functional.typing import (
    DataFormat,
    DataFormat1d,
    DataFormat3d,
    Float,
    FloatDType,
    NDArray,
    Padding,
    Padding1d,
    Padding3d,
    Pair,
    Single,
    Triple,
)
from fastconv.nn.init import Initialiser, InitName, Rng, generator, initialiser, zeros
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.parameter import Parameter
from fastconv.nn.state import Options


class ConvTranspose(Module):
    """What the transposed convolutions have in common: the layer of one of them says over how many axes it goes."""

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        groups: int,
        bias: bool,
        dilation: Any,
        data_format: str,
        init: InitName | Initialiser,
        rng: Rng,
        dtype: FloatDType,
    ) -> None:
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.out_channels = checks.integer(out_channels, "out_channels", 1)
        self.groups = checks.integer(groups, "groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"groups must divide in_channels and out_channels, got {groups} for {in_channels} and "
                             f"{out_channels}")
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        self.output_padding = output_padding
        window, step, distance = (checks.per_axis(value, name, self.axes) for value, name in (
            (kernel_size, "kernel_size"), (stride, "stride"), (dilation, "dilation")))
        checks.padding(padding, (1,) * self.axes, window, step, distance)
        more = output_paddings(output_padding, step, distance)
        self.data_format = checks.choice(data_format, "data_format", checks.FORMATS[self.axes])
        self.dtype = float_dtype(dtype)
        shape = (self.in_channels, self.out_channels // self.groups, *window)
        draw, rng = initialiser(init), generator(rng)
        self.weight = Parameter(draw(shape, rng=rng, dtype=self.dtype), "weight")
        self.bias = (Parameter(zeros((self.out_channels,), dtype=self.dtype), "bias")
                     if checks.flag(bias, "bias") else None)
        self._options = Options(stride=step, padding=padding, output_padding=more, dilation=distance,
                                groups=self.groups, data_format=data_format)

    def _operation(self, suffix: str = "") -> Callable[..., Any]:
        operation: Callable[..., Any] = getattr(F, f"conv_transpose{self.axes}d{suffix}")
        return operation

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if self.training:
            self.remember(x)
        y: NDArray[Float] = self._operation()(x, self.weight.data, self.bias.data if self.bias else None,
                                              **self._options)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        x = self.recall()
        needs = (needs_input_grad, True, self.bias is not None)
        grad_x, grad_weight, grad_bias = self._operation("_backward")(grad_output, x, self.weight.data, needs=needs,
                                                                      **self._options)
        self.weight.add_grad(grad_weight)
        if self.bias:
            self.bias.add_grad(grad_bias)
        result: NDArray[Float] | None = grad_x
        return result

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Those of all pixels of the input, those too whose products are cut off."""
        size = output_shape[1:] if self.data_format[1] == "C" else output_shape[:-1]
        window, step, distance, more = self.weight.data.shape[2:], *(
            self._options[name] for name in ("stride", "dilation", "output_padding"))
        pads = checks.padding(self.padding, step, window, step, distance)
        pixels = checks.window_output([length - each for length, each in zip(size, more)], window, step, pads, distance)
        return math.prod(pixels) * self.weight.data.size


class ConvTranspose1d(ConvTranspose):
    """Transposed convolution of signals with learnt filters, which makes them longer; see `fastconv.conv_transpose1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int,)
        Taps of a filter.
    stride : int or (int,)
        Samples of the output from one of the input to the next.
    padding : int, (int,), ((left, right),), "same" or "valid"
        Samples that are cut off the output; with "same" it has stride times those of the input.
    output_padding : int or (int,)
        Samples that come to the output at its end; smaller than stride or dilation.
    groups : int
        Must divide both channel counts.
    bias : bool
        Whether a number is added to each output channel.
    dilation : int or (int,)
    data_format : {"NCL", "NLC"}
    init : str or callable
        The weight's `fastconv.nn.init` function, called with the shape of the weight: as in PyTorch its fans are those
        of a convolution the other way. The bias starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels / groups, taps)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, L) and output (N, K, OL), or with NLC (N, L, C) and (N, OL, K), with
    OL = (L - 1) stride - left - right + dilation (taps - 1) + output_padding + 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.ConvTranspose1d(16, 8, 4, stride=2, padding=1)
    >>> layer(np.zeros((1, 16, 32), np.float32)).shape
    (1, 8, 64)
    """

    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Padding1d = 0,
        output_padding: Single = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Single = 1,
        *,
        data_format: DataFormat1d = "NCL",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias,
                         dilation, data_format, init, rng, dtype)


class ConvTranspose2d(ConvTranspose):
    """Transposed convolution of images with learnt filters, which makes them larger; see `fastconv.conv_transpose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        Rows and columns of a filter.
    stride : int or (int, int)
        Rows and columns of the output from one pixel of the input to the next.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns that are cut off the output; with "same" it has stride times those of the input.
    output_padding : int or (int, int)
        Rows and columns that come to the output at the bottom and on the right; smaller than stride or dilation.
    groups : int
        Must divide both channel counts.
    bias : bool
        Whether a number is added to each output channel.
    dilation : int or (int, int)
    data_format : {"NCHW", "NHWC"}
    init : str or callable
        The weight's `fastconv.nn.init` function, called with the shape of the weight: as in PyTorch its fans are those
        of a convolution the other way. The bias starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels / groups, rows, columns)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, H, W) and output (N, K, OH, OW), or with NHWC (N, H, W, C) and (N, OH, OW, K), with
    OH = (H - 1) stride - top - bottom + dilation (rows - 1) + output_padding + 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)
    >>> layer(np.zeros((1, 16, 32, 32), np.float32)).shape
    (1, 8, 64, 64)
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        output_padding: Pair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Pair = 1,
        *,
        data_format: DataFormat = "NCHW",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias,
                         dilation, data_format, init, rng, dtype)


class ConvTranspose3d(ConvTranspose):
    """Transposed convolution of volumes with learnt filters, which makes them larger; see `fastconv.conv_transpose3d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int, int)
        Planes, rows and columns of a filter.
    stride : int or (int, int, int)
        Planes, rows and columns of the output from one pixel of the input to the next.
    padding : int, (int, int, int), ((front, back), (top, bottom), (left, right)), "same" or "valid"
        Planes, rows and columns that are cut off the output; with "same" it has stride times those of the input.
    output_padding : int or (int, int, int)
        Planes, rows and columns that come to the output at its end; smaller than stride or dilation.
    groups : int
        Must divide both channel counts.
    bias : bool
        Whether a number is added to each output channel.
    dilation : int or (int, int, int)
    data_format : {"NCDHW", "NDHWC"}
    init : str or callable
        The weight's `fastconv.nn.init` function, called with the shape of the weight: as in PyTorch its fans are those
        of a convolution the other way. The bias starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (in_channels, out_channels / groups, planes, rows, columns)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, D, H, W) and output (N, K, OD, OH, OW), or with NDHWC (N, D, H, W, C) and (N, OD, OH, OW, K), with
    OD = (D - 1) stride - front - back + dilation (planes - 1) + output_padding + 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.ConvTranspose3d(16, 8, 4, stride=2, padding=1)
    >>> layer(np.zeros((1, 16, 4, 8, 8), np.float32)).shape
    (1, 8, 8, 16, 16)
    """

    axes = 3

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        stride: Triple = 1,
        padding: Padding3d = 0,
        output_padding: Triple = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Triple = 1,
        *,
        data_format: DataFormat3d = "NCDHW",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias,
                         dilation, data_format, init, rng, dtype)
