"""Convolution layers."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from fastconv import functional as F
from fastconv._core.runtime import arrays
from fastconv.functional import checks
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import Convolutions
from fastconv.functional.folding import FoldedWeights, Normalisation
from fastconv.functional.prepared import KeptWeights
from fastconv.functional.signals import SIGNALS
from fastconv.functional.typing import (
    Activation,
    DataFormat,
    DataFormat1d,
    DataFormat3d,
    Float,
    FloatDType,
    NDArray,
    Padding,
    Padding1d,
    Padding3d,
    PaddingMode,
    Pair,
    Single,
    Triple,
)
from fastconv.functional.volumes import VOLUMES
from fastconv.nn import passes
from fastconv.nn.init import Initialiser, InitName, Rng, generator, initialiser, zeros
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.parameter import Parameter
from fastconv.nn.state import Options


class Convolution(Module):
    """What the layers of signals, images and volumes have in common."""

    _of: ClassVar[Convolutions]

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
                 groups: int, bias: bool, *, padding_mode: PaddingMode, padding_value: float, data_format: str,
                 init: InitName | Initialiser, rng: Rng, dtype: FloatDType) -> None:
        axes = self._of.axes
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.out_channels = checks.integer(out_channels, "out_channels", 1)
        self.groups = checks.integer(groups, "groups", 1)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"groups must divide in_channels and out_channels, got {groups} for {in_channels} and "
                             f"{out_channels}")
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        window, step, distance = (checks.per_axis(value, name, axes) for value, name in (
            (kernel_size, "kernel_size"), (stride, "stride"), (dilation, "dilation")))
        checks.padding(padding, (1,) * axes, window, step, distance)
        self.padding_mode = checks.choice(padding_mode, "padding_mode", checks.PADDING_MODES)
        self.padding_value = checks.number(padding_value, "padding_value")
        self.data_format = checks.choice(data_format, "data_format", checks.FORMATS[axes])
        self.dtype = float_dtype(dtype)
        shape = (self.out_channels, self.in_channels // self.groups, *window)
        draw, rng = initialiser(init), generator(rng)
        self.weight = Parameter(draw(shape, rng=rng, dtype=self.dtype), "weight")
        self.bias = Parameter(zeros(shape[:1], dtype=self.dtype), "bias") if checks.flag(bias, "bias") else None
        self._options = Options(stride=step, padding=padding, dilation=distance, groups=self.groups,
                                padding_mode=padding_mode, padding_value=padding_value, data_format=data_format)
        self._kept = KeptWeights(self._of, *self._options.values())  # they are in the functions' order

    def forward(self, x: NDArray[Float], activation: Activation | None = None) -> NDArray[Float]:
        """The output for the input `x`, through an activation if one is given:
        `backward` takes the gradient before that."""
        seal = None if self.training else self.weight.seal()  # before anybody here holds the array
        bias = self.bias._array if self.bias else None
        if self.training:
            self.remember(x)
            convolve = getattr(F, f"conv{self._of.axes}d")
            return convolve(x, self.weight._array, bias, **self._options, activation=activation)
        return self._kept.convolve(x, self.weight._array, bias, activation, seal=seal, rooms=passes.rooms())

    def release(self) -> None:
        self._kept.forget()

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        x = self.recall()
        needs = (needs_input_grad, True, self.bias is not None)
        gradients = getattr(F, f"conv{self._of.axes}d_backward")
        grad_x, grad_weight, grad_bias = gradients(grad_output, x, self.weight._array, needs=needs, **self._options)
        self.weight.add_grad(grad_weight)
        if self.bias:
            self.bias.add_grad(grad_bias)
        return grad_x

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        channels_last = self.data_format == checks.FORMATS[self._of.axes][1]
        return math.prod(output_shape[:-1] if channels_last else output_shape[1:]) * self.weight._array.size


class Conv1d(Convolution):
    """Convolution (cross-correlation, as in every CNN) of signals with learnt filters; see `fastconv.conv1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int,)
        Taps of a filter.
    stride, dilation : int or (int,)
    padding : int, (int,), (left, right), ((left, right),), "same" or "valid"
    groups : int
        Must divide both channel counts; ``groups=in_channels`` is a depthwise convolution.
    bias : bool
        Whether a number is added to each output channel.
    padding_mode : {"constant", "reflect", "replicate", "circular"}
    padding_value : float
        What "constant" pads with.
    data_format : {"NCL", "NLC"}
    init : str or callable
        The weight's `fastconv.nn.init` function. The default suits a ReLU behind the layer (He et al., 2015); the bias
        starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, taps)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, L) and output (N, K, OL), or with NLC (N, L, C) and (N, OL, K); without padding
    OL = floor((L - taps) / stride) + 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv1d(2, 16, 5, stride=2, padding=2)
    >>> layer(np.zeros((8, 2, 100), np.float32)).shape
    (8, 16, 50)
    """

    _of = SIGNALS

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Single,
        stride: Single = 1,
        padding: Padding1d = 0,
        dilation: Single = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        padding_mode: PaddingMode = "constant",
        padding_value: float = 0.0,
        data_format: DataFormat1d = "NCL",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                         padding_mode=padding_mode, padding_value=padding_value, data_format=data_format, init=init,
                         rng=rng, dtype=dtype)


class Conv2d(Convolution):
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
    padding_mode : {"constant", "reflect", "symmetric", "replicate", "circular"}
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

    In evaluation mode, until training mode, the layer keeps a copy of its weights and what the algorithm makes of them:
    with Winograd's for 3 x 3 filters five times their memory, else twice, for at most 16 MB of weights. They may change
    in any way in between: they are compared with the copy before each use, unless nobody was given the array
    ``weight.data`` since, nor holds it still. (A bare address is not seen: who writes through one holds the array too.)

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv2d(3, 16, 3, stride=2, padding=1)
    >>> layer(np.zeros((8, 3, 32, 32), np.float32)).shape
    (8, 16, 16, 16)
    """

    _of = IMAGES

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
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                         padding_mode=padding_mode, padding_value=padding_value, data_format=data_format, init=init,
                         rng=rng, dtype=dtype)
        self._folded = FoldedWeights(*self._options.values())

    def normalised(self, x: NDArray[Float], norm: Normalisation,
                   activation: Activation | None = None) -> NDArray[Float]:
        """In evaluation mode: the output, normalised as a layer behind this one would, and through an activation if
        asked for."""
        seal = self.weight.seal()
        return self._folded.conv2d(x, self.weight._array, self.bias._array if self.bias else None, norm, activation,
                                   seal=seal, rooms=passes.rooms())

    def normalised_again(self, x: Any, norm: Any, activation: Activation | None) -> NDArray[Float] | None:
        """The same with the layer `norm`, where nothing has changed since, and the weight has the same seal; or None:
        what stands here is asked in each layer of each pass."""
        seal = self.weight.seal()
        if seal is None or not norm.track_running_stats or not arrays.is_plain(x) or x.ndim != 4:
            return None
        sources = (self.bias._array if self.bias else None, *norm._arrays(), norm.running_mean, norm.running_var,
                   norm.eps)
        return self._folded.again(x, seal, sources, activation, passes.rooms())

    def release(self) -> None:
        super().release()
        self._folded.forget()


class Conv3d(Convolution):
    """Convolution (cross-correlation, as in every CNN) of volumes with learnt filters; see `fastconv.conv3d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int, int)
        Planes, rows and columns of a filter.
    stride, dilation : int or (int, int, int)
    padding : int, (int, int, int), ((front, back), (top, bottom), (left, right)), "same" or "valid"
    groups : int
        Must divide both channel counts; ``groups=in_channels`` is a depthwise convolution.
    bias : bool
        Whether a number is added to each output channel.
    padding_mode : {"constant", "reflect", "replicate", "circular"}
    padding_value : float
        What "constant" pads with.
    data_format : {"NCDHW", "NDHWC"}
    init : str or callable
        The weight's `fastconv.nn.init` function. The default suits a ReLU behind the layer (He et al., 2015); the bias
        starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (out_channels, in_channels / groups, planes, rows, columns)
    bias : Parameter (out_channels,), or None

    Notes
    -----
    Input (N, C, D, H, W) and output (N, K, OD, OH, OW), or with NDHWC (N, D, H, W, C) and (N, OD, OH, OW, K); without
    padding OD = floor((D - planes) / stride) + 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Conv3d(1, 16, 3, stride=(1, 2, 2), padding=1)
    >>> layer(np.zeros((2, 1, 8, 32, 32), np.float32)).shape
    (2, 16, 8, 16, 16)
    """

    _of = VOLUMES

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Triple,
        stride: Triple = 1,
        padding: Padding3d = 0,
        dilation: Triple = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        padding_mode: PaddingMode = "constant",
        padding_value: float = 0.0,
        data_format: DataFormat3d = "NCDHW",
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
                         padding_mode=padding_mode, padding_value=padding_value, data_format=data_format, init=init,
                         rng=rng, dtype=dtype)


passes.known(passes.as_it_is, Conv2d, in_steps=None)
