"""Activation layers: one function, value by value; Softmax and LogSoftmax along an axis."""

from __future__ import annotations

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import Approximation, DataFormat, Float, FloatDType, NDArray
from fastconv.nn import passes
from fastconv.nn.module import Module, float_dtype
from fastconv.nn.parameter import Parameter


class ReLU(Module):
    """``max(x, 0)``; its slope at 0 is taken as 0."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.relu(x)
        self.remember(y)  # y > 0 where x > 0: keeping y lets the memory of x go
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.relu_backward(grad_output, self.recall())


class ReLU6(Module):
    """``min(max(x, 0), 6)``; its slope at 0 and at 6 is taken as 0. The activation of MobileNets."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.relu6(x)
        self.remember(y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.relu6_backward(grad_output, self.recall())


class LeakyReLU(Module):
    """``x`` where positive, else ``negative_slope * x``.

    Source: A. Maas, A. Hannun and A. Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = checks.number(negative_slope, "negative_slope")

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.leaky_relu(x, self.negative_slope)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.leaky_relu_backward(grad_output, self.recall(), self.negative_slope)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.sigmoid(x)
        self.remember(y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.sigmoid_backward(grad_output, self.recall())


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.tanh(x)
        self.remember(y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.tanh_backward(grad_output, self.recall())


class ELU(Module):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``; see `fastconv.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = checks.number(alpha, "alpha")

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.elu(x, self.alpha)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.elu_backward(grad_output, self.recall(), self.alpha)


class GELU(Module):
    """``x`` times the probability that a standard normal number is below it, or its approximation by "tanh"; see
    `fastconv.gelu`."""

    def __init__(self, approximate: Approximation = "none") -> None:
        self.approximate: Approximation = checks.choice(approximate, "approximate", ("none", "tanh"))

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.gelu(x, approximate=self.approximate)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.gelu_backward(grad_output, self.recall(), approximate=self.approximate)


class SiLU(Module):
    """``x * sigmoid(x)``, also called swish; see `fastconv.silu`."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.silu(x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.silu_backward(grad_output, self.recall())


class Hardswish(Module):
    """``x * (x + 3) / 6`` between -3 and 3, 0 below and x above; see `fastconv.hardswish`."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.hardswish(x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.hardswish_backward(grad_output, self.recall())


class Hardsigmoid(Module):
    """``(x + 3) / 6`` between -3 and 3, 0 below and 1 above; see `fastconv.hardsigmoid`."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.hardsigmoid(x)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.hardsigmoid_backward(grad_output, self.recall())


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``, or x itself where ``beta * x`` is above the threshold; see
    `fastconv.softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta, self.threshold = checks.number(beta, "beta"), checks.number(threshold, "threshold")
        F.softplus(np.empty(0), self.beta, self.threshold)  # whether they may be that

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.softplus(x, self.beta, self.threshold)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.softplus_backward(grad_output, self.recall(), self.beta, self.threshold)


class PReLU(Module):
    """``x`` where positive, else times a slope that is learnt; see `fastconv.prelu`.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels: one slope for all, or one for each.
    init : float
        What the slopes begin with.
    data_format : {"NCHW", "NHWC"}
        Whether the channels are axis 1 or the last one.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    weight : Parameter (num_parameters,)

    Notes
    -----
    Source: K. He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet classification",
    2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> nn.PReLU(2)(np.full((1, 2), -4, np.float32))
    array([[-1., -1.]], dtype=float32)
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, data_format: DataFormat = "NCHW",
                 dtype: FloatDType = "float32") -> None:
        self.num_parameters = checks.integer(num_parameters, "num_parameters", 1)
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        self.dtype = float_dtype(dtype)
        slopes = np.full(self.num_parameters, checks.number(init, "init"), self.dtype)
        self.weight = Parameter(slopes, "weight")

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(x)
        return F.prelu(x, self.weight.data, data_format=self.data_format)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        grad_x, grad_weight = F.prelu_backward(grad_output, self.recall(), self.weight.data,
                                               data_format=self.data_format)
        self.weight.add_grad(grad_weight)
        return grad_x if needs_input_grad else None

    def _image_form(self) -> str | None:
        return None  # rows of numbers are taken too


class Identity(Module):
    """The input unchanged: a place in a model that is left empty."""

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        self.remember(None)
        return x

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        self.recall()
        return grad_output


class Softmax(Module):
    """``exp(x) / sum(exp(x))`` along an axis: probabilities.

    To train a classifier, end it with `LogSoftmax` (and NLLLoss), or with neither (and CrossEntropyLoss): the logarithm
    of small probabilities loses digits.
    """

    returns = "probabilities"

    def __init__(self, axis: int = -1) -> None:
        self.axis = checks.integer(axis, "axis")

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.softmax(x, axis=self.axis)
        self.remember(y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.softmax_backward(grad_output, self.recall(), axis=self.axis)


class LogSoftmax(Module):
    """``x - log(sum(exp(x)))`` along an axis: the logarithms of probabilities, for `NLLLoss`."""

    returns = "log-probabilities"

    def __init__(self, axis: int = -1) -> None:
        self.axis = checks.integer(axis, "axis")

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        y = F.log_softmax(x, axis=self.axis)
        self.remember(y)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float]:
        return F.log_softmax_backward(grad_output, self.recall(), axis=self.axis)


passes.known(passes.turned, ReLU, ReLU6, LeakyReLU, Sigmoid, Tanh, ELU, GELU, SiLU, Hardswish, Hardsigmoid, Softplus)
passes.known(passes.as_it_is, Identity, Softmax, LogSoftmax)
