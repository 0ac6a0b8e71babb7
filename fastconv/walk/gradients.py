"""Is a layer's backward the derivative of its forward? A finite difference beside it, number by number."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn
from fastconv.functional import checks
from fastconv.optim.ranges import at_least_zero
from fastconv.walk.images import check_place
from fastconv.walk.network import a_module, backward

__all__ = ["FiniteDifference", "GradientCheck", "check_gradients", "finite_difference"]

#: Of a central difference in float64: its own error is the square of it, and rounding divided by it.
_STEP = 1e-5


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """What `check_gradients` returns: print it.

    Attributes
    ----------
    errors : dict of str to float
        For the input ("x") and each parameter the largest difference between what `backward` gave and the finite
        difference, beyond rounding, divided by the largest of that array's gradients.
    worst : dict of str to (tuple of int, float, float)
        Where that was: the index, the value of `backward`, the finite difference.
    tolerance : float
    """

    errors: dict[str, float]
    worst: dict[str, tuple[tuple[int, ...], float, float]]
    tolerance: float

    @property
    def passed(self) -> bool:
        return all(error <= self.tolerance for error in self.errors.values())

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        width = max(map(len, self.errors))
        lines = []
        for name, error in self.errors.items():
            index, given, expected = self.worst[name]
            verdict = "right" if error <= self.tolerance else "WRONG"
            lines.append(f"{name:<{width}}  {verdict}  error {error:.1e}; at {list(index)} backward gives {given:.8g}, "
                         f"the finite difference {expected:.8g}")
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class FiniteDifference:
    """One number of a model moved down and up a little, and what the loss makes of it.

    Attributes
    ----------
    name : str
        The parameter.
    index : tuple of int
        Which number of it.
    value, step : float
    loss_below, loss_above : float
        The loss with ``value - step`` and with ``value + step`` in its place.
    difference : float
        How much the loss rises for each unit, ``(loss_above - loss_below) / (2 * step)``.
    gradient : float
        What `backward` says, all of this in float64.
    """

    name: str
    index: tuple[int, ...]
    value: float
    step: float
    loss_below: float
    loss_above: float
    gradient: float

    @property
    def difference(self) -> float:
        return (self.loss_above - self.loss_below) / (2 * self.step)


def finite_difference(model: nn.Module, x: ArrayLike, label: int, name: str, index: tuple[int, ...], *,
                      step: float = _STEP) -> FiniteDifference:
    """Compare one number of the gradient of an image's loss with a finite difference, in float64.

    Parameters
    ----------
    model, x, label
        As for `walk.backward`. The model is not changed.
    name : str
        A parameter, as ``model.named_parameters()`` names it.
    index : tuple of int
        Which number of it.
    step : float
        How far it is moved. Where the loss bends within this, as ReLU and max pooling let it, the two differ.

    Returns
    -------
    FiniteDifference

    Raises
    ------
    TypeError, ValueError
        As `walk.backward`, or if there is no such number.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import data, nn, walk
    >>> one = walk.finite_difference(nn.models.lenet5(rng=0), data.digits().images[0], 7, "0.weight", (2, 0, 1, 3))
    >>> bool(np.isclose(one.difference, one.gradient))
    True
    """
    double = _in_float64(a_module(model))
    parameters = dict(double.named_parameters())
    array = parameters[checks.choice(name, "name", tuple(parameters))].data
    index = tuple(checks.integers(index, "index"))
    if len(index) != array.ndim:
        raise ValueError(f"index must have {array.ndim} numbers, one for each axis of {name}, got {index}")
    check_place(array.shape, **{f"index[{axis}]": place for axis, place in enumerate(index)})
    if not 0 < checks.number(step, "step") < np.inf:
        raise ValueError(f"step must be above 0 and finite, got {step}")
    image = np.asarray(checks.array(x, "x"), np.float64)
    seen = backward(double, image, label)
    gradients = {found: array for layer in seen.layers for found, array in layer.gradients.items()}
    value = float(array[index])
    if value + step == value:
        raise ValueError(f"step must be large enough to move the number {value}, got {step}")

    def loss_with(moved: float) -> float:
        array[index] = moved
        return float(backward(double, image, label).loss)

    return FiniteDifference(name, tuple(index), value, float(step), loss_with(value - step), loss_with(value + step),
                            float(gradients[name][index]))


def check_gradients(layer: nn.Module, x: ArrayLike, *, samples: int = 50, tolerance: float = 1e-5,
                    seed: int = 0) -> GradientCheck:
    """Compare a layer's `backward` with finite differences.

    The loss is the sum of the outputs, each times a random number, so that no two outputs have the same gradient. A
    pixel or parameter is moved up and down a little, and the difference of the two losses is compared with the gradient
    that `backward` says: all in float64, in a copy of the layer, in training mode.

    Parameters
    ----------
    layer : Module
        A layer or a whole model. It is not changed.
    x : array
        An input with its batch. Where the layer has a bend (0 for ReLU) or windows have two equal maxima, there is no
        derivative: random numbers meet none.
    samples : int
        How many numbers of each array are moved, chosen at random; all, if there are no more.
    tolerance : float
        The largest error that passes.
    seed : int
        Of what is random here.

    Returns
    -------
    GradientCheck
        True if all are right; prints as a table.

    Raises
    ------
    ValueError
        If the layer gives another output each time, as dropout does.

    Examples
    --------
    >>> import numpy as np
    >>> import fastconv as fc
    >>> from fastconv import nn
    >>> x = np.random.default_rng(0).standard_normal((2, 3, 8, 8))
    >>> bool(fc.check_gradients(nn.Conv2d(3, 4, 3, padding=1), x))
    True

    A layer whose author forgot the inner derivative:

    >>> class Square(nn.Module):
    ...     def forward(self, x):
    ...         self.remember(x)
    ...         return x * x
    ...     def backward(self, grad_output, needs_input_grad=True):
    ...         return grad_output * self.recall()
    >>> bool(fc.check_gradients(Square(), x))
    False
    """
    samples = checks.integer(samples, "samples", 1)
    tolerance = at_least_zero(tolerance, "tolerance")
    rng = np.random.default_rng(checks.integer(seed, "seed", 0))
    double = _in_float64(a_module(layer, "layer"))
    image = np.array(checks.array(x, "x"), np.float64)
    output = double(image)
    if not np.array_equal(output, _copied(double)(image), equal_nan=True):
        raise ValueError("layer must give the same output for the same input, this one is random: leave Dropout out, "
                         "or give it p=0")
    weights = rng.standard_normal(output.shape)
    double.zero_grad()
    double(image)
    found: dict[str, tuple[NDArray[Any], Any]] = {"x": (image, double.backward(weights))}
    found |= {name: (parameter.data, parameter.grad) for name, parameter in double.named_parameters()}

    # What rounding does to a difference of two sums is none of the layer's.
    rounding = 8 * np.finfo(np.float64).eps * float(abs(output * weights).sum()) / _STEP
    errors, worst = {}, {}
    for name, (array, gradient) in found.items():
        gradient = np.zeros(array.shape) if gradient is None else np.asarray(gradient)
        if gradient.shape != array.shape:
            raise ValueError(f"layer must give a gradient of {name}'s shape {array.shape}, got shape {gradient.shape}")
        places = rng.choice(array.size, min(samples, array.size), replace=False)
        pairs = [(tuple(map(int, np.unravel_index(place, array.shape))), float(gradient.flat[place]),
                  _difference(double, image, array, place, weights)) for place in places]
        scale = max([1e-8, *(abs(expected) for _, _, expected in pairs), *(abs(given) for _, given, _ in pairs)])
        worst[name] = max(pairs, key=lambda pair: _apart(*pair[1:]), default=((), 0.0, 0.0))
        furthest = _apart(*worst[name][1:])
        errors[name] = furthest if math.isinf(furthest) else max(0.0, furthest - rounding) / scale
    return GradientCheck(errors, worst, tolerance)


def _apart(gradient: float, difference: float) -> float:
    """How far two numbers are apart: infinitely, if one is not finite."""
    distance = abs(gradient - difference)
    return distance if math.isfinite(distance) else math.inf


def _difference(layer: nn.Module, x: NDArray[Any], array: NDArray[Any], place: int, weights: NDArray[Any]) -> float:
    """How much the loss changes with one number of an array, which is put back."""
    value = array.flat[place]
    losses = []
    for moved in (value + _STEP, value - _STEP):
        array.flat[place] = moved
        losses.append(float((_copied(layer)(x) * weights).sum()))
    array.flat[place] = value
    return (losses[0] - losses[1]) / (2 * _STEP)


def _copied(layer: nn.Module) -> nn.Module:
    """A copy if a pass in training mode changes the layer, as running statistics are: else the layer itself."""
    return copy.deepcopy(layer) if layer.buffers() else layer


def _in_float64(layer: nn.Module) -> nn.Module:
    """A copy in training mode whose parameters are float64."""
    double = copy.deepcopy(layer).train()
    for parameter in double.parameters():
        parameter.data = parameter.data.astype(np.float64)
    for _, module in double.named_modules():
        for name in module._buffer_names:
            array = getattr(module, name)
            if array.dtype.kind == "f":
                setattr(module, name, array.astype(np.float64))
    return double
