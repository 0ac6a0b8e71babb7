"""Activation layers: one function, value by value; Softmax and LogSoftmax along an axis."""

from __future__ import annotations

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import Float, NDArray
from fastconv.nn.module import Module


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
