"""An activation as a curve with its slope, and what it makes of maps."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn
from fastconv.functional import checks

__all__ = ["ACTIVATIONS", "ActivationWalk", "activation"]

#: The layers that are one function, value by value.
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish,
               nn.Hardsigmoid, nn.Softplus)


@dataclass(frozen=True, eq=False)
class ActivationWalk:
    """What there is to see of one activation.

    Attributes
    ----------
    name : str
        Of the layer's class, such as "ReLU".
    grid, values, slopes : ndarray
        Points from -4 to 4, and the function and its derivative there.
    x, y : ndarray
        What comes to the layer, and what it makes of it.
    passing : ndarray of float
        The derivative at each number of `x`: what a gradient is multiplied by on the way back.
    """

    name: str
    grid: NDArray[Any]
    values: NDArray[Any]
    slopes: NDArray[Any]
    x: NDArray[Any]
    y: NDArray[Any]
    passing: NDArray[Any]


def activation(x: ArrayLike, layer: nn.Module | None = None) -> ActivationWalk:
    """Walk through an activation.

    Parameters
    ----------
    x : array
        What comes to it, of any shape, such as maps (C, H, W).
    layer : Module, optional
        One of the activations of `fastconv.nn`, by default ``nn.ReLU()``. It is not changed.

    Returns
    -------
    ActivationWalk

    Raises
    ------
    TypeError
        If the layer is none of them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, walk
    >>> one = walk.activation(np.array([-2.0, 0.5, 3.0]), nn.LeakyReLU(0.1))
    >>> one.y, one.passing
    (array([-0.2,  0.5,  3. ]), array([0.1, 1. , 1. ]))
    """
    layer = nn.ReLU() if layer is None else layer
    if not isinstance(layer, ACTIVATIONS):
        names = ", ".join(kind.__name__ for kind in ACTIVATIONS)
        raise TypeError(f"layer must be an activation of fastconv.nn ({names}), got {type(layer).__name__}")
    numbers = checks.array(x, "x")
    double = copy.deepcopy(layer).train()
    grid = np.linspace(-4, 4, 161, dtype=numbers.dtype)

    def walked(points: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        return double(points), double.backward(np.ones_like(points))

    return ActivationWalk(type(layer).__name__, grid, *walked(grid), numbers, *walked(numbers))
