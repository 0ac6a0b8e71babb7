"""Batch normalisation of a part of a batch by the statistics of the whole, where a batch is computed in several parts.

The parts meet in each layer, once on the way forward and once on the way back: each leaves a row of numbers, and gets
what the rows of all of them make together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from fastconv import functional as F
from fastconv.functional.typing import NDArray

#: ``meet(row, combine)``: leave a row, and get that of all parts; ``combine(row, row)`` is that of two.
Meet = Callable[[NDArray[np.float64], Callable[[Any, Any], Any]], NDArray[np.float64]]

_meet: ContextVar[Meet | None] = ContextVar("meet", default=None)


@contextmanager
def synchronised(meet: Meet) -> Iterator[None]:
    """Inside, batch normalisation in training mode takes the statistics of all parts that meet."""
    before = _meet.set(meet)
    try:
        yield
    finally:
        _meet.reset(before)


class Whole(NamedTuple):
    """The statistics of all parts of a batch: mean and biased variance of each channel, and of how many values."""

    mean: NDArray[np.float64]
    var: NDArray[np.float64]
    values: float
    meet: Meet


def whole_batch(x: NDArray[Any], data_format: Any) -> Whole | None:
    """The statistics of all parts, of which x is one; None where x is a batch by itself."""
    meet = _meet.get()
    if meet is None:
        return None
    _, (mean, var) = F.batch_norm(x, None, None, training=True, return_statistics=True, data_format=data_format)
    count = x.size / len(mean)
    row = meet(np.concatenate([[count], mean, var * count]), _merged)
    mean, squares = np.split(row[1:], 2)
    return Whole(mean, squares / row[0], float(row[0]), meet)


def move(running_mean: NDArray[Any], running_var: NDArray[Any], whole: Whole, share: float) -> None:
    """Let running statistics follow those of the whole batch, as `fastconv.batch_norm` does of its own."""
    for running, new in ((running_mean, whole.mean), (running_var, whole.var * (whole.values / (whole.values - 1)))):
        running[...] = (1 - share) * running.astype(np.float64) + share * new


def gradients(grad_output: NDArray[Any], x: NDArray[Any], whole: Whole, affine: tuple[Any, Any], needs_input_grad: bool,
              options: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Those of a part: of x, and what it adds to those of weight and bias.

    With the values normalised, z, and sums over all n values of a channel in all parts,
    ``weight / std * (g - sum(g) / n - z * sum(g * z) / n)`` is the gradient of x. What does not depend on g is
    another batch normalisation of x.
    """
    weight, bias = affine
    grad_x, grad_weight, grad_bias = F.batch_norm_backward(
        grad_output, x, whole.mean, whole.var, weight, bias, needs=(needs_input_grad, True, True), **options)
    if not needs_input_grad:
        return None, grad_weight, grad_bias
    of_weight, of_bias = np.split(whole.meet(np.concatenate([grad_weight, grad_bias]).astype(np.float64), np.add), 2)
    slope = -(1.0 if weight is None else weight) / np.sqrt(whole.var + options["eps"]) / whole.values
    slopes, offsets = (slope * of_weight).astype(x.dtype), (slope * of_bias).astype(x.dtype)
    rest = F.batch_norm(x, whole.mean, whole.var, slopes, offsets, **{**options, "activation": None})
    return F.add(grad_x, rest, out=grad_x), grad_weight, grad_bias


def _merged(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count, means, and sums of squares about them, of two parts together (T. Chan, G. Golub and R. LeVeque,
    "Algorithms for computing the sample variance", 1983)."""
    count = one[0] + other[0]
    (mean, squares), (other_mean, other_squares) = np.split(one[1:], 2), np.split(other[1:], 2)
    away = other_mean - mean
    return np.concatenate([[count], mean + away * (other[0] / count),
                           squares + other_squares + away**2 * (one[0] * other[0] / count)])
