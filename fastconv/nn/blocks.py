"""The blocks that `fastconv.nn.models` are made of. Their parameters have the names that torchvision gives them."""

from __future__ import annotations

from typing import Any

from fastconv.functional import checks
from fastconv.functional.typing import Activation, DataFormat, Float, FloatDType, NDArray
from fastconv.nn import passes
from fastconv.nn.activation import ReLU, ReLU6
from fastconv.nn.conv import Conv2d
from fastconv.nn.init import Initialiser, InitName, Rng, generator
from fastconv.nn.joining import Residual
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.norm import BatchNorm2d
from fastconv.nn.sequential import Sequential


def conv_bn(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, groups: int = 1, *,
            activation: Activation | None = None, **made: Any) -> dict[str, Module]:
    """A convolution without a bias, batch normalisation, and an activation: the layers "0", "1" and "2".

    `made` is data_format, init, rng and dtype as of `Conv2d`. The padding keeps the size of the image.
    """
    layers: list[Module] = [
        Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, 1, groups, False, **made),
        BatchNorm2d(out_channels, data_format=made["data_format"], dtype=made["dtype"])]
    if activation is not None:
        layers.append({"relu": ReLU, "relu6": ReLU6}[activation]())
    return {str(index): layer for index, layer in enumerate(layers)}


class BasicBlock(Residual):
    """Two 3 x 3 convolutions with batch normalisation, and a shortcut around them: what ResNet-18 and 34 are made of.

    Parameters
    ----------
    in_channels, channels : int
        Of the input, and of all that is inside.
    stride : int
        Of the first convolution; where it is not 1, or the channels differ, the shortcut is a 1 x 1 convolution with
        this stride and batch normalisation.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2015, figure 2 and, for
    the shortcut, option B.

    Examples
    --------
    >>> from fastconv import nn
    >>> block = nn.BasicBlock(64, 128, stride=2)
    >>> [name for name, _ in block.named_parameters() if name.startswith("downsample")]
    ['downsample.0.weight', 'downsample.1.weight', 'downsample.1.bias']
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1, *, data_format: DataFormat = "NCHW",
                 init: InitName | Initialiser = "he_normal", rng: Rng = None, dtype: FloatDType = "float32") -> None:
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.channels = checks.integer(channels, "channels", 1)
        self.stride = checks.integer(stride, "stride", 1)
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.dtype = float_dtype(dtype)
        made: dict[str, Any] = dict(data_format=data_format, init=init, rng=generator(rng), dtype=self.dtype)
        first = conv_bn(in_channels, channels, 3, stride, **made)
        second = conv_bn(channels, channels, 3, **made)
        shortcut = None
        if stride != 1 or in_channels != channels:
            shortcut = Sequential(conv_bn(in_channels, channels, 1, stride, **made))
        self._join({"conv1": first["0"], "bn1": first["1"], "relu": ReLU(), "conv2": second["0"], "bn2": second["1"]},
                   "downsample", shortcut, "relu")

    __repr__ = Module.__repr__


class InvertedResidual(Residual):
    """A 1 x 1 convolution to more channels, a depthwise 3 x 3, and a 1 x 1 to few: what MobileNetV2 is made of.

    The first two have batch normalisation and ReLU6 behind them, the last batch normalisation alone. Where the output
    has the shape of the input, the input is added to it.

    Parameters
    ----------
    in_channels, channels : int
        Of the input and of the output.
    stride : int
        Of the depthwise convolution.
    expand_ratio : int
        By how much there are more channels inside; with 1 the first convolution is left out.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Notes
    -----
    Source: M. Sandler, A. Howard, M. Zhu, A. Zhmoginov and L.-C. Chen, "MobileNetV2: inverted residuals and linear
    bottlenecks", 2018.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1, expand_ratio: int = 6, *,
                 data_format: DataFormat = "NCHW", init: InitName | Initialiser = "he_normal", rng: Rng = None,
                 dtype: FloatDType = "float32") -> None:
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.channels = checks.integer(channels, "channels", 1)
        self.stride = checks.integer(stride, "stride", 1)
        self.expand_ratio = checks.integer(expand_ratio, "expand_ratio", 1)
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.dtype = float_dtype(dtype)
        made: dict[str, Any] = dict(data_format=data_format, init=init, rng=generator(rng), dtype=self.dtype)
        inside = in_channels * expand_ratio
        layers: list[Module] = []
        if expand_ratio != 1:
            layers.append(Sequential(conv_bn(in_channels, inside, 1, activation="relu6", **made)))
        layers.append(Sequential(conv_bn(inside, inside, 3, stride, inside, activation="relu6", **made)))
        layers += conv_bn(inside, channels, 1, **made).values()
        self._join({"conv": Sequential(*layers)}, "shortcut", None, None)
        self.adds = stride == 1 and in_channels == channels

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        return super().forward(x) if self.adds else Sequential.forward(self, x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        if self.adds:
            return super().backward(grad_output, needs_input_grad)
        return Sequential.backward(self, grad_output, needs_input_grad)

    __repr__ = Module.__repr__


passes.known(passes.as_it_is, BasicBlock, InvertedResidual, in_steps=False)
