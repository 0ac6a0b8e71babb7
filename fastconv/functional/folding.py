"""Batch normalisation behind a convolution, in evaluation mode, made part of the convolution's weights.

``scale * (weight * x + bias - mean) + shift`` is a convolution too, with the filters ``scale * weight`` and the bias
``scale * (bias - mean) + shift``, where ``scale = norm_weight / sqrt(var + eps)`` (B. Jacob et al., "Quantization and
training of neural networks for efficient integer-arithmetic-only inference", 2018, section 3.2).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.norm import groups
from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import arrays
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import ACTIVATIONS, NEGATIVE_SLOPE
from fastconv.functional.maps import affine_of, maps_view
from fastconv.functional.prepared import KeptWeights
from fastconv.functional.typing import Activation, Array, ArrayLike


class Normalisation(NamedTuple):
    """What a batch normalisation does in evaluation mode."""

    weight: Array | None
    bias: Array | None
    mean: Array
    var: Array
    eps: float


def folded(weight: Array, bias: Array | None, norm: Normalisation) -> tuple[Array, Array]:
    """Weights (K, ...) and bias of what does both."""
    with np.errstate(all="ignore"):
        scale = 1 / np.sqrt(norm.var.astype(np.float64) + norm.eps)
        if norm.weight is not None:
            scale = scale * norm.weight
        shift = ((0 if bias is None else bias) - norm.mean.astype(np.float64)) * scale
        if norm.bias is not None:
            shift = shift + norm.bias
        return ((weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(weight.dtype),
                shift.astype(weight.dtype))


class FoldedWeights:
    """`conv2d` and `batch_norm` in evaluation for layers that run again and again: keeps what became of their weights.

    Of arrays and statistics that `batch_norm` takes for the result.

    As `KeptWeights` it compares everything with a copy, at each call. Where that would take longer than a pass over the
    result, or where folded weights would not be finite, the result is normalised where it lies. A copy or a pickle of
    it is empty.

    Parameters
    ----------
    options
        Those of `conv2d`, in their order: stride, padding, ...
    """

    def __init__(self, *options: Any) -> None:
        self._options = options
        self._convolution = KeptWeights(IMAGES, *options)
        # Copies of what was folded, and the weights and the bias that came of it (None: not finite); replaced as one.
        self._kept: tuple[tuple[Any, ...], tuple[Array, Array] | None] | None = None

    def conv2d(self, x: ArrayLike, weight: Array, bias: Array | None, norm: Normalisation,
               activation: Activation | None = None) -> Array:
        """`conv2d` of these arrays, normalised, through an activation if asked for."""
        call, *given = IMAGES.find_call(x, weight, bias, *self._options)
        if weight.flags.c_contiguous and (call.keeps_weights or weight.size <= math.prod(call.shape)):
            both = self._folded(weight, bias, norm)
            if both is not None:
                return self._convolution.convolve(x, *both, activation, own=True)
        y = call.run(*given, None)
        if y.size:
            view = maps_view(y, self._options[6])
            affine = affine_of(y, norm.weight, norm.bias, view.shape[1], norm.eps, activation == "relu")
            mean, var = (np.ascontiguousarray(value, np.float64)[None] for value in (norm.mean, norm.var))
            groups.forward(view, view, (mean, var), False, affine)
            if activation not in (None, "relu"):
                elementwise.activate_in_place(y, ACTIVATIONS.index(activation), NEGATIVE_SLOPE)
        return y

    def _folded(self, weight: Array, bias: Array | None, norm: Normalisation) -> tuple[Array, Array] | None:
        sources = (weight, bias, *norm)
        kept = self._kept
        if kept is None or not all(map(_same, sources, kept[0])):
            both = folded(weight, bias, norm)
            finite = all(np.isfinite(array).all() for array in both)
            copies = tuple(value.copy() if isinstance(value, np.ndarray) else value for value in sources)
            self._kept = kept = copies, both if finite else None
        return kept[1]

    def forget(self) -> None:
        """Frees the memory."""
        self._kept = None
        self._convolution.forget()

    def __reduce__(self) -> tuple[Any, ...]:
        return FoldedWeights, self._options


def _same(value: Any, copy: Any) -> bool:
    if isinstance(copy, np.ndarray):
        return arrays.is_copy(value, copy)
    return bool(value == copy) if isinstance(value, float) else value is copy
