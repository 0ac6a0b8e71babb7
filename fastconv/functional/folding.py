"""Batch normalisation behind a convolution, in evaluation mode, made part of the convolution's weights.

``scale * (weight * x + bias - mean) + shift`` is a convolution too, with the filters ``scale * weight`` and the bias
``scale * (bias - mean) + shift``, where ``scale = norm_weight / sqrt(var + eps)`` (B. Jacob et al., "Quantization and
training of neural networks for efficient integer-arithmetic-only inference", 2018, section 3.2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastconv._core.norm import groups
from fastconv._core.pointwise import elementwise
from fastconv._core.runtime import arrays
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import ACTIVATIONS, NEGATIVE_SLOPE, ConvCall
from fastconv.functional.fixed import FixedCall, FixedWeights
from fastconv.functional.maps import affine_of, maps_view
from fastconv.functional.rooms import Rooms
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

    As `KeptWeights` it compares everything with a copy, at each call, but for a weight with a seal. Where folded
    weights would not be finite, the result is normalised where it lies. A copy or a pickle of it is empty.

    Parameters
    ----------
    options
        Those of `conv2d`, in their order: stride, padding, ...
    """

    def __init__(self, *options: Any) -> None:
        self._options = options
        self._kept: _Folded | None = None    # replaced as one, for other threads
        #: What its owner remembers with the weights.
        self.note: Any = None

    def conv2d(self, x: ArrayLike, weight: Array, bias: Array | None, norm: Normalisation,
               activation: Activation | None = None, *, seal: object | None = None,
               rooms: Rooms | None = None) -> Array:
        """`conv2d` of these arrays, normalised, through an activation if asked for; seal and rooms as of
        `KeptWeights.convolve`."""
        kept = self._kept
        if kept is None or not kept.serves(weight, seal, (bias, *norm)) or not arrays.is_plain(x):
            call, *given = IMAGES.find_call(x, weight, bias, *self._options)
            if not weight.flags.c_contiguous:  # such a copy would never be found again
                return self._normalised(call.run(*given, None), norm, activation)
            x = given[0]
            if kept is None or not kept.serves(weight, seal, (bias, *norm)):
                self._kept = kept = _Folded(self._options, weight, seal, (bias, *norm))
        if kept.fixed is not None:
            kept.seal = seal
            return kept.fixed.convolve(x, kept.bias, activation, rooms)
        call, *given = IMAGES.find_call(x, weight, bias, *self._options)
        return self._normalised(call.run(*given, None), norm, activation)

    def again(self, x: Array, seal: object, sources: tuple[Any, ...], activation: Activation | None,
              rooms: Rooms | None) -> Array | None:
        """The same, with what was kept under this seal, of the same bias and normalisation, the `sources`; or None."""
        kept = self._kept
        if kept is None or kept.fixed is None or kept.seal is not seal or not arrays.are_same(sources, kept.sources):
            return None
        return kept.fixed.convolve(x, kept.bias, activation, rooms)

    def found(self, x: Array, activation: Activation | None,
              rooms: Rooms) -> tuple[FixedCall | ConvCall, Array, tuple[Any, ...]] | None:
        """The call that `again` makes, its bias, and the copies of the sources that it was made of; None where another
        thread has given them back since."""
        kept = self._kept
        if kept is None or kept.fixed is None:
            return None
        return kept.fixed.found(x, kept.bias, activation, rooms), kept.bias, kept.sources

    def _normalised(self, y: Array, norm: Normalisation, activation: Activation | None) -> Array:
        """A result normalised in place, and through the activation."""
        if y.size:
            view = maps_view(y, self._options[6])
            affine = affine_of(y, norm.weight, norm.bias, view.shape[1], norm.eps, activation == "relu")
            mean, var = (np.ascontiguousarray(value, np.float64)[None] for value in (norm.mean, norm.var))
            groups.forward(view, view, (mean, var), False, affine)
            if activation not in (None, "relu"):
                elementwise.activate_in_place(y, ACTIVATIONS.index(activation), NEGATIVE_SLOPE)
        return y

    def forget(self) -> None:
        """Frees the memory."""
        self._kept = self.note = None

    def __reduce__(self) -> tuple[Any, ...]:
        return FoldedWeights, self._options


class _Folded:
    """Copies of a weight and of what else was folded into it, and what came of it, or None where that is not finite."""

    def __init__(self, options: tuple[Any, ...], weight: Array, seal: object | None, sources: tuple[Any, ...]) -> None:
        self.seal: object | None = seal
        self.weight = weight.copy()
        self.sources: tuple[Any, ...] = tuple(
            value.copy() if isinstance(value, np.ndarray) else value for value in sources)
        both = folded(self.weight, self.sources[0], Normalisation(*self.sources[1:]))
        self.bias: Array = both[1]
        self.fixed: FixedWeights | None = None
        if all(np.isfinite(array).all() for array in both):
            self.fixed = FixedWeights(IMAGES, options, both[0], True)

    def serves(self, weight: Array, seal: object | None, sources: tuple[Any, ...]) -> bool:
        """Whether it was made of the same."""
        return (arrays.are_same(sources, self.sources)
                and ((seal is not None and self.seal is seal) or arrays.is_copy(weight, self.weight)))
