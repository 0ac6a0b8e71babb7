"""Convolution with weights that stay: what drivers make of them is made once, for a plan,
or for as long as they are the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic

import numpy as np

from fastconv._core.runtime import arrays
from fastconv.functional import checks, expressions
from fastconv.functional.conv import IMAGES
from fastconv.functional.convolution import ConvCall, Convolutions
from fastconv.functional.fixed import FixedWeights
from fastconv.functional.rooms import Rooms
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat,
    Float,
    NDArray,
    Padding,
    PaddingMode,
    Pair,
)


def plan_conv2d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1,
                padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                padding_value: float = 0.0, data_format: DataFormat = "NCHW", activation: Activation | None = None,
                algorithm: Algorithm = "auto") -> Conv2dPlan[Any]:
    """A convolution with fixed weights, for images of one shape: the weights are packed or transformed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, H, W) or (C, H, W); with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C).
    weight : array (K, C/groups, R, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, dilation, groups, padding_mode, padding_value, data_format, activation, algorithm
        As `conv2d`.

    Returns
    -------
    Conv2dPlan
        Called with x, or with x and ``out=``, it returns what `conv2d` would with that copy, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> weight = np.ones((64, 32, 3, 3), np.float32)
    >>> plan = fc.plan_conv2d((1, 32, 32, 32), weight, padding=1)
    >>> plan
    <Conv2dPlan (1, 32, 32, 32) -> (1, 64, 32, 32), float32, winograd>
    >>> plan(np.ones((1, 32, 32, 32), np.float32))[0, 0, 0, :3].round(3)
    array([128., 192., 192.], dtype=float32)
    """
    return planned_weights(Conv2dPlan, IMAGES, x_shape, weight, bias, dict(
        stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=padding_mode,
        padding_value=padding_value, data_format=data_format, activation=activation, algorithm=algorithm))


def planned_weights(kind: Callable[..., Any], convolutions: Convolutions, x_shape: Any, weight: Any, bias: Any,
                    options: Mapping[str, Any]) -> Any:
    """A plan of this kind, from the arguments of its function; the options in the order of the forward function."""
    weight = checks.array(weight, "weight").copy()
    bias = None if bias is None else checks.array(bias, "bias").copy()
    dtype = checks.same_dtype(weight=weight, bias=bias)
    data_format = options["data_format"]
    sizes, batched = checks.image_shape(x_shape, data_format, "x_shape", convolutions.axes, weight.shape)
    checks.fits_memory(sizes, dtype, "x")
    call = convolutions.checked_call(sizes, batched, dtype, weight, bias, *options.values())
    return kind(call, checks.result_shape(sizes, data_format, batched), weight, bias, options)


class ConvolutionPlan(Generic[Float]):
    """A convolution with fixed weights. Attributes: x_shape, output_shape, dtype, algorithm, reason."""

    made_by: ClassVar[Callable[..., Any]]    # the function that returns it

    def __init__(self, call: ConvCall, x_shape: tuple[int, ...], weight: NDArray[Float], bias: NDArray[Float] | None,
                 options: Mapping[str, Any]) -> None:
        self.algorithm: str = call.plan.algorithm
        self.reason: str = call.plan.reason
        self.dtype: np.dtype[Float] = call.dtype
        self.x_shape: tuple[int, ...] = x_shape
        self.output_shape: tuple[int, ...] = call.shape
        self._call = call
        self._weight: NDArray[Float] = weight
        self._bias: NDArray[Float] | None = bias
        self._options = options
        self._prepared = call.prepare(weight)

    def __call__(self, x: ArrayLike, out: NDArray[Float] | None = None) -> NDArray[Float]:
        if not arrays.is_like(x, self.x_shape, self.dtype):
            x = checks.array(x, "x")
            if x.dtype != self.dtype:
                raise TypeError(f"x must be {self.dtype}, as the weights of this plan, got {x.dtype}")
            checks.shape(x, "x", self.x_shape, "(that of this plan)", expressions.lacking(x.shape, self.x_shape))
        return self._call.run(x, self._weight, self._bias, out, *self._prepared)

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(type(self).made_by, **self._options), (self.x_shape, self._weight, self._bias)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.x_shape} -> {self.output_shape}, {self.dtype}, {self.algorithm}>"


class Conv2dPlan(ConvolutionPlan[Float]):
    """What `plan_conv2d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv2d)


class KeptWeights:
    """A convolution for a layer that runs again and again: keeps what the driver made of its weights where that saves
    time.

    Nobody says when an array is changed in place, so each call compares the weights with a copy, byte by byte,
    and starts anew where they differ. Only who has a seal, which breaks before the array can change, is spared that.
    Results have the bits of the forward function, but in a pass with channels last: there they have those of what was
    kept, also where nothing is. A copy or a pickle of it is empty.

    Parameters
    ----------
    convolutions
        Of signals, images or volumes.
    options
        Those of the forward function, in their order: stride, padding, ...
    """

    def __init__(self, convolutions: Convolutions, *options: Any) -> None:
        self._convolutions, self._options = convolutions, options
        # A copy of the weights with what was made of it, and the seal that they were compared under, or None; replaced
        # as one, for other threads. And the last seal that there was.
        self._kept: tuple[FixedWeights, object | None] | None = None
        self._seen: object | None = None

    def convolve(self, x: ArrayLike, weight: Array, bias: Array | None, activation: Activation | None = None, *,
                 seal: object | None = None, rooms: Rooms | None = None) -> Array:
        """The convolution of these arrays. seal: an object that is this one only as long as the weights stay; rooms:
        where the result may lie."""
        kept = self._kept
        if kept is None or seal is None or kept[1] is not seal or not _are_plain(x, bias):
            call, x, weight, bias = self._convolutions.find_call(x, weight, bias, *(*self._options, activation))
            if not (call.keeps_weights or (seal is not None and seal is self._seen)):
                self._seen = seal
                if rooms is None:
                    return call.run(x, weight, bias, None)
                once: Any = FixedWeights(self._convolutions, self._options, weight, False).once
                return once(x, bias, activation, rooms)
            if kept is None or not arrays.is_copy(weight, kept[0].weight):
                if not weight.flags.c_contiguous:  # such a copy would never be found again
                    return call.run(x, weight, bias, None)
                kept = FixedWeights(self._convolutions, self._options, weight.copy(), False), seal
            self._kept = kept = kept[0], seal
        return kept[0].convolve(x, bias, activation, rooms)

    def forget(self) -> None:
        """Frees the memory."""
        self._kept = self._seen = None

    def __reduce__(self):
        return KeptWeights, (self._convolutions, *self._options)


def _are_plain(x: Any, bias: Any) -> bool:
    """Whether the driver takes both as they are, if the bias is an array."""
    return arrays.is_plain(x) and (bias is None or (arrays.is_plain(bias) and bias.flags.c_contiguous))
