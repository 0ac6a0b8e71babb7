"""Gradients held within bounds before a step: by their norm, or one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.optim.optimizer import Parameter
from fastconv.optim.ranges import at_least_zero

_PIECE = 8192  # numbers whose squares are added up in their own precision
_FAR_FROM_ZERO = 1e-20  # above this, a sum of squares has not lost what counts because a square was too small


def clip_grad_norm_(parameters: Parameter | Iterable[Parameter], max_norm: float, norm_type: float = 2.0,
                    error_if_nonfinite: bool = False) -> float:
    """Scale all gradients, in place, so that their norm, as of one long vector, is at most a bound.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
        Those without a gradient are passed over.
    max_norm : float
        The bound. Gradients of a larger norm are multiplied by ``max_norm / (norm + 1e-6)``.
    norm_type : float
        p of the p-norm, above 0; infinity for the largest absolute value.
    error_if_nonfinite : bool
        Whether a norm that is infinite or NaN is an error. Otherwise such gradients are multiplied all the same, by 0
        or NaN.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    FloatingPointError
        If the norm is not finite and that is to be an error.
    TypeError, ValueError
        If an argument is not of its kind, or a gradient cannot be changed in place. No gradient has changed then.

    Notes
    -----
    Source: R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks", 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.zeros(2))
    >>> p.add_grad(np.array([3.0, 4.0]))
    >>> optim.clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad.round(4)
    array([0.6, 0.8])
    """
    max_norm = at_least_zero(max_norm, "max_norm")
    order = checks.number(norm_type, "norm_type")
    if not order > 0:
        raise ValueError(f"norm_type must be above 0, or infinity, got {norm_type!r}")
    checks.flag(error_if_nonfinite, "error_if_nonfinite")
    grads = _gradients(parameters)
    with np.errstate(all="ignore"):
        total = _norm(grads, order)
        if error_if_nonfinite and not math.isfinite(total):
            raise FloatingPointError(f"the norm of the gradients is {total}, so they cannot be clipped: "
                                     "look for the step that made them so, or give error_if_nonfinite=False")
        scale = max_norm / (total + 1e-6)
        if not scale >= 1:  # or NaN
            for grad in grads:
                grad *= grad.dtype.type(scale)
    return total


def clip_grad_value_(parameters: Parameter | Iterable[Parameter], clip_value: float) -> None:
    """Bring each number of all gradients, in place, between ``-clip_value`` and ``clip_value``; NaN stays.

    Parameters
    ----------
    parameters : Parameter or iterable of Parameter
        Those without a gradient are passed over.
    clip_value : float
        At least 0.

    Raises
    ------
    TypeError, ValueError
        As of `clip_grad_norm_`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, optim
    >>> p = nn.Parameter(np.zeros(3))
    >>> p.add_grad(np.array([-3.0, 0.5, 4.0]))
    >>> optim.clip_grad_value_([p], 1.0)
    >>> p.grad
    array([-1. ,  0.5,  1. ])
    """
    bound = at_least_zero(clip_value, "clip_value")
    for grad in _gradients(parameters):
        np.clip(grad, grad.dtype.type(-bound), grad.dtype.type(bound), out=grad)


def _gradients(parameters: Any) -> list[NDArray[Any]]:
    """The gradients, each array once, after a look at whether all can be changed."""
    if hasattr(parameters, "data") and hasattr(parameters, "grad"):
        parameters = [parameters]
    if not isinstance(parameters, Iterable):
        raise TypeError("parameters must be a list of parameters, as model.parameters() gives, "
                        f"got {type(parameters).__name__}")
    found: dict[int, NDArray[Any]] = {}
    for index, parameter in enumerate(parameters):
        if not (hasattr(parameter, "data") and hasattr(parameter, "grad")):
            raise TypeError("parameters must be parameters, as model.parameters() gives them, got "
                            f"{type(parameter).__name__}")
        grad, name = parameter.grad, getattr(parameter, "name", "") or index
        if grad is None:
            continue
        if not isinstance(grad, np.ndarray) or grad.dtype.kind != "f":
            kind = grad.dtype if isinstance(grad, np.ndarray) else type(grad).__name__
            raise TypeError(f"the gradient of parameter {name} must be an array of float32 or float64, got {kind}")
        if not grad.flags.writeable:
            raise ValueError(f"the gradient of parameter {name} must be writable to be clipped in place")
        found[id(grad)] = grad
    return list(found.values())


def _norm(grads: list[NDArray[Any]], order: float) -> float:
    """The norm of all numbers together, in which nothing overflows or vanishes on the way."""
    pieces = [piece for grad in grads for piece in _pieces(grad)]
    if order == 2:
        total = math.fsum(float(np.dot(piece, piece)) for piece in pieces)
        if _FAR_FROM_ZERO < total < math.inf:
            return math.sqrt(total)
    largest = float(np.max([np.abs(piece).max() for piece in pieces], initial=0.0))
    if math.isinf(order) or not 0 < largest < math.inf:
        return largest
    total = math.fsum(float(((np.abs(piece) / np.float64(largest)) ** order).sum()) for piece in pieces)
    return largest * float(total ** (1 / order))


def _pieces(grad: NDArray[Any]) -> Iterable[NDArray[Any]]:
    flat = grad.reshape(-1)
    return (flat[first : first + _PIECE] for first in range(0, flat.size, _PIECE))
