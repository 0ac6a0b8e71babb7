"""U-Net: a model whose layers meet again far apart, so that it is no chain."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import ArrayLike, DataFormat, Float, FloatDType, NDArray
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.blocks import conv_bn
from fastconv.nn.conv import Conv2d
from fastconv.nn.conv_transpose import ConvTranspose2d
from fastconv.nn.init import Initialiser, InitName, Rng, generator
from fastconv.nn.interpolation import Upsample
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.pooling import MaxPool2d
from fastconv.nn.sequential import Sequential


class UNet(Sequential):
    """A segmentation network: down to small images, up again, and each size of the way down seen on the way up.

    Parameters
    ----------
    in_channels, classes : int
        Channels of the images; outputs for each pixel.
    features : int
        Channels at the full size; each level below has twice as many.
    depth : int
        Levels below the full size.
    bilinear : bool
        Whether images are made larger by bilinear interpolation, with half of the channels at the lowest level, and not
        by transposed convolutions.
    data_format, init, rng, dtype
        As of `Conv2d`.

    Notes
    -----
    Source: O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image
    segmentation", 2015; here with batch normalisation, and with padding, so that the output has the size of the image.
    Where that cannot be halved `depth` times, zeros take the place of the missing row or column on the way up.
    """

    def __init__(self, in_channels: int = 3, classes: int = 2, features: int = 64, depth: int = 4,
                 bilinear: bool = False, *, data_format: DataFormat = "NCHW",
                 init: InitName | Initialiser = "he_normal", rng: Rng = None, dtype: FloatDType = "float32") -> None:
        self.in_channels = checks.integer(in_channels, "in_channels", 1)
        self.classes = checks.integer(classes, "classes", 1)
        self.features, self.depth = checks.integer(features, "features", 1), checks.integer(depth, "depth", 1, 16)
        self.bilinear = checks.flag(bilinear, "bilinear")
        if bilinear and features % 2:
            raise ValueError(f"features must be even with bilinear=True, got {features}")
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.dtype = float_dtype(dtype)
        made: dict[str, Any] = dict(data_format=data_format, init=init, rng=generator(rng), dtype=self.dtype)
        widths = [features << level for level in range(depth + 1)]
        half = 2 if bilinear else 1
        layers: dict[str, Module] = {"inc": _double_conv(in_channels, widths[0], widths[0], **made)}
        for level in range(1, depth + 1):
            channels = widths[level] // (half if level == depth else 1)
            layers[f"down{level}"] = Sequential({"maxpool_conv": Sequential(
                MaxPool2d(2, data_format=data_format), _double_conv(widths[level - 1], channels, channels, **made))})
        for level in range(depth, 0, -1):
            above, here = widths[level - 1], widths[level]
            larger: Module = (Upsample(None, 2, "bilinear", True, data_format=data_format) if bilinear
                              else ConvTranspose2d(here, above, 2, 2, **made))
            channels = above // (half if level > 1 else 1)
            layers[f"up{depth - level + 1}"] = Sequential(
                {"up": larger, "conv": _double_conv(here, above, channels, **made)})
        layers["outc"] = Sequential({"conv": Conv2d(features, classes, 1, **made)})
        super().__init__(layers)

    def _up(self, level: int) -> tuple[Module, Module]:
        """What makes images larger, and the convolutions behind it."""
        up = self.layers[f"up{level}"]
        assert isinstance(up, Sequential)
        return up[0], up[1]

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        layers, kept, shapes = self.layers, [], []
        x = layers["inc"](x)
        for level in range(1, self.depth + 1):
            kept.append(x)
            x = layers[f"down{level}"](x)
        for level in range(1, self.depth + 1):
            larger, conv = self._up(level)
            x = larger(x)
            shapes.append((kept[-1].shape, x.shape))
            x = conv(self._joined(kept.pop(), x))
        self.remember(shapes)
        return layers["outc"](x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        layers, shapes, of_kept = self.layers, self.recall(), []
        grad: Any = self._back(layers["outc"], grad_output)
        for level in range(self.depth, 0, -1):
            larger, conv = self._up(level)
            grad = self._back(conv, grad)
            first, second = self._halves(*shapes.pop())
            of_kept.append(grad[first])
            grad = self._back(larger, grad[second])
        for level in range(self.depth, 0, -1):
            grad = F.add(self._back(layers[f"down{level}"], grad), of_kept.pop())
        return self._back(layers["inc"], grad, needs_input_grad)

    def _back(self, layer: Module, grad: Any, needs_input_grad: bool = True) -> Any:
        try:
            return layer.backward(grad, needs_input_grad)
        except NAMED as error:
            name_layer(error, self, layer, "grad_output", grad)
            raise

    def _halves(self, kept: tuple[int, ...], larger: tuple[int, ...]) -> tuple[Any, Any]:
        """Where arrays of these shapes lie in the one that has the channels of both: the second in the middle, where it
        is smaller by a row or a column."""
        channels, *pixels = (-3, -2, -1) if self.data_format == "NCHW" else (-1, -3, -2)
        first, second = [slice(None)] * 3, [slice(None)] * 3
        first[channels], second[channels] = slice(kept[channels]), slice(kept[channels], None)
        for axis in pixels:
            start = (kept[axis] - larger[axis]) // 2
            second[axis] = slice(start, start + larger[axis])
        return (..., *first), (..., *second)

    def _joined(self, kept: NDArray[Any], larger: NDArray[Any]) -> NDArray[Any]:
        """The channels of both, with zeros around the second where it is smaller."""
        axis = -3 if self.data_format == "NCHW" else -1
        shape = list(kept.shape)
        shape[axis] += larger.shape[axis]
        first, second = self._halves(kept.shape, larger.shape)
        joined = np.zeros(shape, kept.dtype)
        joined[first], joined[second] = kept, larger
        return joined

    def _outputs(self, x: ArrayLike, batch_size: int) -> NDArray[Any]:
        """With the classes last: `predict` finds the class of each pixel, (N, H, W),
        `predict_proba` the probabilities of all, (N, H, W, classes)."""
        outputs = super()._outputs(x, batch_size)
        return outputs.transpose(0, 2, 3, 1) if self.data_format == "NCHW" else outputs

    def _image_form(self) -> str | None:
        return ", ".join(self.data_format[1:])

    __repr__ = Module.__repr__


def _double_conv(in_channels: int, inside: int, channels: int, **made: Any) -> Sequential:
    """Two 3 x 3 convolutions, each with batch normalisation and ReLU."""
    first = conv_bn(in_channels, inside, 3, activation="relu", **made).values()
    second = conv_bn(inside, channels, 3, activation="relu", **made).values()
    return Sequential({"double_conv": Sequential(*first, *second)})
