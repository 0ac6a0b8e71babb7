"""Initial values of weights, by name, drawn from one seeded generator.

A layer's weight has the shape (outputs, inputs) or (outputs, inputs / groups, rows, columns). One output sums `fan_in`
products, one input reaches `fan_out` outputs; the initialisers below choose the variance from these two numbers so that
activations, or gradients, neither die out nor explode from layer to layer.

Every initialiser is a function ``(shape, *, rng=None, dtype=np.float32) -> array``; a layer takes its name
(``init="he_normal"``) or any function of that form (``init=functools.partial(nn.init.normal, std=0.01)``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.functional.typing import FloatDType

__all__ = [
    "constant",
    "fans",
    "generator",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "initialiser",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "orthogonal",
    "seed",
    "uniform",
    "zeros",
]


def __dir__() -> list[str]:
    return __all__


Rng = np.random.Generator | int | None
Initialiser = Callable[..., NDArray[Any]]
InitName = Literal["uniform", "normal", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform",
                   "lecun_normal", "orthogonal", "zeros", "constant", "xavier_uniform", "xavier_normal",
                   "kaiming_uniform", "kaiming_normal"]

_shared = np.random.default_rng()


def seed(value: int | None) -> None:
    """Restart the generator that all initialisers (and new Dropout layers) share.

    Parameters
    ----------
    value : int or None
        The same number gives the same weights, for any number of threads; None takes a fresh one from the system.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.init.seed(0)
    >>> first = nn.Linear(3, 2).weight.data
    >>> nn.init.seed(0)
    >>> bool((nn.Linear(3, 2).weight.data == first).all())
    True
    """
    global _shared
    _shared = np.random.default_rng(None if value is None else checks.integer(value, "seed", 0, None))


def generator(rng: Rng = None) -> np.random.Generator:
    """The generator to draw from: `rng` itself, a new one seeded with the integer `rng`, or (None) the shared one."""
    if rng is None:
        return _shared
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(checks.integer(rng, "rng", 0, None))


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight: products summed for one output, outputs that one input reaches.

    Examples
    --------
    >>> from fastconv import nn
    >>> nn.init.fans((16, 6, 5, 5))
    (150, 400)
    """
    sizes = checks.integers(shape, "shape", 1)
    if len(sizes) < 2:
        raise ValueError(f"shape must have at least 2 sizes (outputs, inputs, ...) to have fans, got {sizes}")
    window = math.prod(sizes[2:])
    return sizes[1] * window, sizes[0] * window


def _plan(shape: Sequence[int], dtype: FloatDType) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The sizes and the dtype of what will be drawn, checked before anything is."""
    sizes, kind = checks.integers(shape, "shape", 0), checks.float_dtype(dtype, "dtype")
    checks.fits_memory(sizes, np.dtype(np.float64), "the weight")
    return sizes, kind


def _finite(value: float, name: str) -> float:
    number: float = checks.number(value, name)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def uniform(shape: Sequence[int], *, low: float = -0.05, high: float = 0.05, rng: Rng = None,
            dtype: FloatDType = np.float32) -> NDArray[Any]:
    """Evenly distributed between `low` and `high`."""
    sizes, kind = _plan(shape, dtype)
    low, high = _finite(low, "low"), _finite(high, "high")
    if not 0 <= high - low < math.inf:
        raise ValueError(f"low must be at most high, and their distance finite, got low {low} and high {high}")
    return generator(rng).uniform(low, high, sizes).astype(kind)


def normal(shape: Sequence[int], *, mean: float = 0.0, std: float = 0.05, rng: Rng = None,
           dtype: FloatDType = np.float32) -> NDArray[Any]:
    """Normally distributed around `mean` with the standard deviation `std`."""
    sizes, kind = _plan(shape, dtype)
    mean, std = _finite(mean, "mean"), _finite(std, "std")
    if std < 0:
        raise ValueError(f"std must be at least 0, got {std}")
    return generator(rng).normal(mean, std, sizes).astype(kind)


def glorot_uniform(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """Variance 2 / (fan_in + fan_out), uniform: for layers between tanh or sigmoid ("Xavier").

    Source: X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
    """
    return _uniform_of_variance(shape, 2 / sum(fans(shape)), rng, dtype)


def glorot_normal(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """`glorot_uniform`'s variance, normally distributed (Glorot and Bengio, 2010)."""
    return normal(shape, std=math.sqrt(2 / sum(fans(shape))), rng=rng, dtype=dtype)


def he_uniform(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """Variance 2 / fan_in, uniform: for layers before ReLU, which halves the variance ("Kaiming").

    Source: K. He et al., "Delving deep into rectifiers: surpassing human-level performance on ImageNet
    classification", 2015.
    """
    return _uniform_of_variance(shape, 2 / fans(shape)[0], rng, dtype)


def he_normal(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """`he_uniform`'s variance, normally distributed (He et al., 2015)."""
    return normal(shape, std=math.sqrt(2 / fans(shape)[0]), rng=rng, dtype=dtype)


def lecun_uniform(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """Variance 1 / fan_in, uniform.

    Source: Y. LeCun, L. Bottou, G. Orr and K.-R. Mueller, "Efficient BackProp", 1998.
    """
    return _uniform_of_variance(shape, 1 / fans(shape)[0], rng, dtype)


def lecun_normal(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """`lecun_uniform`'s variance, normally distributed (LeCun et al., 1998)."""
    return normal(shape, std=math.sqrt(1 / fans(shape)[0]), rng=rng, dtype=dtype)


def orthogonal(shape: Sequence[int], *, gain: float = 1.0, rng: Rng = None,
               dtype: FloatDType = np.float32) -> NDArray[Any]:
    """A random matrix (outputs, everything else) with orthonormal rows or columns, whichever are fewer, times `gain`.

    Source: A. Saxe, J. McClelland and S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", 2014.
    """
    fans(shape)
    sizes, kind = _plan(shape, dtype)
    gain = checks.number(gain, "gain")
    rows, columns = sizes[0], math.prod(sizes[1:])
    q, r = np.linalg.qr(generator(rng).standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)  # makes the draw uniform over all orthogonal matrices
    return (gain * (q if rows >= columns else q.T)).reshape(sizes).astype(kind)


def zeros(shape: Sequence[int], *, rng: Rng = None, dtype: FloatDType = np.float32) -> NDArray[Any]:
    """All zeros: for biases. (In a weight it would make all outputs alike, for ever.)"""
    return np.zeros(*_plan(shape, dtype))


def constant(shape: Sequence[int], *, value: float = 1.0, rng: Rng = None,
             dtype: FloatDType = np.float32) -> NDArray[Any]:
    """All equal to `value`."""
    sizes, kind = _plan(shape, dtype)
    return np.full(sizes, checks.number(value, "value"), kind)


_BY_NAME: dict[str, Initialiser] = {
    function.__name__: function
    for function in (uniform, normal, glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal,
                     orthogonal, zeros, constant)
}  # fmt: skip
_BY_NAME |= {
    "xavier_uniform": glorot_uniform,
    "xavier_normal": glorot_normal,
    "kaiming_uniform": he_uniform,
    "kaiming_normal": he_normal,
}


def initialiser(init: InitName | Initialiser) -> Initialiser:
    """The function for a name; a function is returned as it is."""
    if callable(init):
        return init
    return _BY_NAME[checks.choice(init, "init", tuple(_BY_NAME)) or ""]


def _uniform_of_variance(shape: Sequence[int], variance: float, rng: Rng, dtype: FloatDType) -> NDArray[Any]:
    bound = math.sqrt(3 * variance)
    return uniform(shape, low=-bound, high=bound, rng=rng, dtype=dtype)
