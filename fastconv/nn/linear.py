"""Fully connected layers, and what stands around them."""

from __future__ import annotations

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import DataFormat, Float, FloatDType, NDArray
from fastconv.nn import passes
from fastconv.nn.init import Initialiser, InitName, Rng, generator, initialiser, zeros
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.parameter import Parameter


class Linear(Module):
    """Fully connected layer, ``y = x @ weight.T + bias``; see `fastconv.linear`.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    init : str or callable
        The weight's `fastconv.nn.init` function. The default suits a ReLU behind the layer (He et al., 2015); the bias
        starts at zero.
    rng : numpy.random.Generator or int, optional
        Where the weight is drawn from; by default the generator that `fastconv.nn.init.seed` sets.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (out_features, in_features)
    bias : Parameter (out_features,), or None

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.Linear(400, 120)(np.zeros((64, 400), np.float32)).shape
    (64, 120)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: InitName | Initialiser = "he_uniform",
        rng: Rng = None,
        dtype: FloatDType = "float32",
    ) -> None:
        self.in_features = checks.integer(in_features, "in_features", 1)
        self.out_features = checks.integer(out_features, "out_features", 1)
        self.dtype = float_dtype(dtype)
        shape = (self.out_features, self.in_features)
        draw, rng = initialiser(init), generator(rng)
        self.weight = Parameter(draw(shape, rng=rng, dtype=self.dtype), "weight")
        self.bias = Parameter(zeros(shape[:1], dtype=self.dtype), "bias") if checks.flag(bias, "bias") else None

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.linear(x, self.weight._array, self.bias._array if self.bias else None)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        x = self.recall()
        needs = (needs_input_grad, True, self.bias is not None)
        grad_x, grad_weight, grad_bias = F.linear_backward(grad_output, x, self.weight.data, needs=needs)
        self.weight.add_grad(grad_weight)
        if self.bias:
            self.bias.add_grad(grad_bias)
        return grad_x

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        return self.weight.data.size


class Flatten(Module):
    """Images (N, C, H, W) to rows (N, C * H * W), in the order of memory: between convolution and Linear.

    Parameters
    ----------
    data_format : {"NCHW", "NHWC"}
        With "NHWC" images (N, H, W, C) become the rows that they would be in "NCHW", so that the weights of the Linear
        behind do not depend on the format.
    """

    def __init__(self, *, data_format: DataFormat = "NCHW") -> None:
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if self.data_format == "NHWC":
            x = np.moveaxis(checks.array(x, "x"), -1, 1)
        self.remember(np.shape(x))
        return F.flatten(x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        grad_x = F.flatten_backward(grad_output, self.recall())
        return np.moveaxis(grad_x, 1, -1) if self.data_format == "NHWC" else grad_x

    def _image_form(self) -> str | None:
        return None  # rows of numbers are taken too


class Dropout(Module):
    """In training, sets each value to zero with probability `p` and multiplies the rest by 1 / (1 - p).

    In evaluation mode the input passes unchanged.

    Parameters
    ----------
    p : float
        From 0 up to, not including, 1.
    rng : numpy.random.Generator or int, optional
        What decides; by default a generator seeded from the one that `fastconv.nn.init.seed` sets.

    Notes
    -----
    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> y = nn.Dropout(0.5, rng=0)(np.ones((1, 1000), np.float32))
    >>> sorted({float(value) for value in y[0]})
    [0.0, 2.0]
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        self.p = _probability(p)
        self.generator = _own_generator(rng)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if not self.training or self.p == 0:
            self.remember(None)
            return x
        mask = (self.generator.random(x.shape, np.float32) >= self.p) * x.dtype.type(1 / (1 - self.p))
        self.remember(mask)
        return x * mask

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        mask = self.recall()
        return grad_output if mask is None else grad_output * mask


class Dropout2d(Module):
    """In training, sets whole channels of each image to zero with probability `p`; the rest is times 1 / (1 - p).

    In evaluation mode the input passes unchanged. Neighbouring pixels of a feature map say much the same, so that
    `Dropout`, which takes them one by one, takes little away.

    Parameters
    ----------
    p, rng
        As of `Dropout`.
    data_format : {"NCHW", "NHWC"}

    Notes
    -----
    Source: J. Tompson et al., "Efficient object localization using convolutional networks", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> y = nn.Dropout2d(0.5, rng=0)(np.ones((1, 1000, 2, 2), np.float32))
    >>> sorted({tuple(channel.ravel().tolist()) for channel in y[0]})
    [(0.0, 0.0, 0.0, 0.0), (2.0, 2.0, 2.0, 2.0)]
    """

    def __init__(self, p: float = 0.5, *, data_format: DataFormat = "NCHW", rng: Rng = None) -> None:
        self.p = _probability(p)
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.generator = _own_generator(rng)

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        view, batched = checks.images(checks.array(x, "x"), self.data_format)
        if not self.training or self.p == 0:
            self.remember(None)
            return x
        kept = self.generator.random(view.shape[:2], np.float32) >= self.p
        mask = kept * x.dtype.type(1 / (1 - self.p))
        mask = mask[:, :, None, None] if self.data_format == "NCHW" else mask[:, None, None]
        mask = mask if batched else mask[0]
        self.remember(mask)
        return x * mask

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        mask = self.recall()
        return grad_output if mask is None else grad_output * mask


def _probability(p: float) -> float:
    """That a value is dropped."""
    probability: float = checks.number(p, "p")
    if not 0 <= probability < 1:
        raise ValueError(f"p must be at least 0 and less than 1, got {p}")
    return probability


def _own_generator(rng: Rng) -> np.random.Generator:
    """What decides in one layer."""
    return generator(int(generator().integers(2**63)) if rng is None else rng)


passes.known(passes.as_it_is, Linear, Flatten, Dropout, Dropout2d)
