"""Convolution layers."""

from __future__ import annotations

from typing import Literal

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.folding import FoldedWeights, Normalisation
from fastconv.functional.prepared import KeptWeights
from fastconv.functional.typing import Activation, DataFormat, Float, FloatDType, NDArray, Padding, PaddingMode, Pair
from fastconv.nn.init import Initialiser, InitName, Rng, generator, initialiser, zeros
from fastconv.nn.module import Module, Parameter, float_dtype
from fastconv.nn.state import Options


class Conv2d(Module):
    """Convolution (cross-correlation, as in every CNN) of images with learnt filters; see `fastconv.conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        Rows and columns of a filter.
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
    groups : int
        Must divide both channel counts; ``groups=in_channels`` is a depthwise convolution.
    bias : bool
        Whether a number is added to each output channel.
    padding_mode : {"constant", "reflect", "replicate", "circular"}
    padding_value : float
        What "constant" pads with.
    data_format : {"NCHW", "NHWC"}
    init : str or callable
        The weight's `fastconv.nn.init` function. The default suits a ReLU behind the layer (He et al., 2015); the bias
        starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, rows, columns)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, H, W) and output (N, K, OH, OW), or with NHWC (N, H, W, C) and (N, OH, OW, K); without padding
    OH = floor((H - rows) / stride) + 1.

    In evaluation mode, until training mode, the layer keeps a copy of its weights and what Winograd's algorithm
    makes of them, where that saves time: for 3 x 3 filters five times their memory, for at most 4 MB of weights.
    It compares the weights with the copy before each use, so they may change in any way in between.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv2d(3, 16, 3, stride=2, padding=1)
    >>> layer(np.zeros((8, 3, 32, 32), np.float32)).shape
    (8, 16, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        padding_mode: PaddingMode = "constant",
        padding_value: float = 0.0,
        data_format: DataFormat = "NCHW",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.out_channels = checks.integer(out_channels, "out_channels", 1)
        self.groups = checks.integer(groups, "groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"groups must divide in_channels and out_channels, got {groups} for {in_channels} and "
                             f"{out_channels}")
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        window, step = checks.pair(kernel_size, "kernel_size"), checks.pair(stride, "stride")
        distance = checks.pair(dilation, "dilation")
        checks.padding(padding, (1, 1), window, step, distance)
        self.padding_mode = checks.choice(padding_mode, "padding_mode", checks.PADDING_MODES)
        self.padding_value = checks.number(padding_value, "padding_value")
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.dtype = float_dtype(dtype)
        shape = (self.out_channels, self.in_channels // self.groups, *window)
        draw, rng = initialiser(init), generator(rng)
        self.weight = Parameter(draw(shape, rng=rng, dtype=self.dtype), "weight")
        self.bias = Parameter(zeros(shape[:1], dtype=self.dtype), "bias") if checks.flag(bias, "bias") else None
        self._options = Options(stride=step, padding=padding, dilation=distance, groups=self.groups,
                                padding_mode=padding_mode, padding_value=padding_value, data_format=data_format)
        self._kept = KeptWeights(*self._options.values())  # they are in conv2d's order
        self._folded = FoldedWeights(*self._options.values())

    def forward(self, x: NDArray[Float], activation: Activation | None = None) -> NDArray[Float]:
        """The output for the input `x`, through an activation if one is given:
        `backward` takes the gradient before that."""
        bias = self.bias.data if self.bias else None
        if self.training:
            self.remember(x)
            return F.conv2d(x, self.weight.data, bias, **self._options, activation=activation)
        return self._kept.conv2d(x, self.weight.data, bias, activation)

    def normalised(self, x: NDArray[Float], norm: Normalisation,
                   activation: Literal["relu"] | None = None) -> NDArray[Float]:
        """In evaluation mode: the output, normalised as a layer behind this one would, and through a ReLU if asked for.
        """
        return self._folded.conv2d(x, self.weight.data, self.bias.data if self.bias else None, norm, activation)

    def release(self) -> None:
        self._kept.forget()
        self._folded.forget()

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        x = self.recall()
        needs = (needs_input_grad, True, self.bias is not None)
        grad_x, grad_weight, grad_bias = F.conv2d_backward(
            grad_output, x, self.weight.data, needs=needs, **self._options
        )
        self.weight.add_grad(grad_weight)
        if self.bias:
            self.bias.add_grad(grad_bias)
        return grad_x

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        rows, columns = output_shape[1:] if self.data_format == "NCHW" else output_shape[:2]
        return rows * columns * self.weight.data.size
