"""Operations over windows, piece by piece: what a piece of the result needs of an image that is not there as a whole.

Along an axis the outputs `first` to `last - 1` see a range of positions, which may begin before the image and end
behind it. With zeros as padding, and in pooling, the operation itself adds what lies outside: a piece is computed with
the part of the padding that it touches (`Axis.span`). All other modes repeat pixels, which may lie far away: they are
put beside those of the piece (`pixels`), and the operation gets no padding along that axis. `along` says what is to be
read for all this, and `arranged` makes of it what the operation gets.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastconv._core.problem.band import pixel_of
from fastconv._core.problem.geometry import PADDING_MODES
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.conv import IMAGES, conv2d
from fastconv.functional.foreign import shown
from fastconv.functional.lp_pooling import lp_pool1d, lp_pool2d, lp_pool3d
from fastconv.functional.pooling import avg_pool2d, max_pool2d
from fastconv.functional.pooling1d import avg_pool1d, max_pool1d
from fastconv.functional.pooling3d import avg_pool3d, max_pool3d
from fastconv.functional.pooling_calls import check_norm, sliding, sliding_options
from fastconv.functional.signals import SIGNALS, conv1d
from fastconv.functional.typing import Array
from fastconv.functional.volumes import VOLUMES, conv3d

_CONVOLUTIONS: dict[Callable[..., Any], Any] = {conv1d: SIGNALS, conv2d: IMAGES, conv3d: VOLUMES}
_POOLINGS: dict[Callable[..., Any], int] = {
    max_pool1d: 1, avg_pool1d: 1, lp_pool1d: 1, max_pool2d: 2, avg_pool2d: 2, lp_pool2d: 2,
    max_pool3d: 3, avg_pool3d: 3, lp_pool3d: 3}
RANKS = {**{function: kind.axes for function, kind in _CONVOLUTIONS.items()}, **_POOLINGS}    # all that is served
_TILE = 4    # rows of outputs of a tile of Winograd's algorithm


class Span(NamedTuple):
    """Pixels from start to stop - 1, and the padding before and after them that is left to the operation."""

    start: int
    stop: int
    before: int
    after: int


class Axis(NamedTuple):
    """How windows lie along one axis."""

    size: int
    outputs: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int

    def positions(self, first: int, last: int) -> range:
        """What the outputs `first` to `last - 1` see, counted from the first pixel."""
        start = first * self.stride - self.before
        return range(start, start + (last - first - 1) * self.stride + self.dilation * (self.taps - 1) + 1)

    def span(self, first: int, last: int) -> Span:
        """The pixels among them, and the padding. The last window of ceil_mode may reach beyond that."""
        seen = self.positions(first, last)
        start, stop = (min(max(end, 0), self.size) for end in (seen.start, seen.stop))
        if start == stop:    # nothing but padding is seen
            return Span(0, 0, len(seen), 0)
        return Span(start, stop, max(0, -seen.start), min(self.after, max(0, seen.stop - self.size)))

    def output_after(self, position: int) -> int:
        """The first output whose window begins at this pixel or behind it."""
        return min(self.outputs, max(0, -(-(position + self.before) // self.stride)))


def pixels(positions: range, size: int, mode: str) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The pixel that each of these positions repeats; -1 where the mode is "constant" and it lies outside."""
    index = np.arange(positions.start, positions.stop)
    outside = np.flatnonzero((index < 0) | (index >= size))
    if mode == "constant":
        index[outside] = -1
    else:
        kind = PADDING_MODES.index(mode)
        index[outside] = [pixel_of(int(position), size, kind) for position in index[outside]]
    return index


class Along(NamedTuple):
    """What some outputs need along one axis.

    runs: of pixels that are read, and follow each other then; order: in which pixels of theirs are repeated, None where
    they stay as they are; filled: how many numbers are put before and after them; pads: the padding that is left to
    the operation.
    """

    runs: Sequence[tuple[int, int]]
    order: np.ndarray[Any, np.dtype[np.intp]] | None = None
    filled: tuple[int, int] = (0, 0)
    pads: tuple[int, int] = (0, 0)


def along(axis: Axis, first: int, last: int, mode: str, pads_itself: bool) -> Along:
    """What the outputs `first` to `last - 1` need, where this stands outside the image; pads_itself: whether the
    operation adds it."""
    if last - first == axis.outputs:    # all of it: the call is that of the whole
        return Along([(0, axis.size)], pads=(axis.before, axis.after))
    seen, span = axis.positions(first, last), axis.span(first, last)
    inside = (span.start, span.stop)
    if pads_itself and span.start < span.stop:
        return Along([inside], pads=(span.before, span.after))
    if mode == "constant":    # no operation takes an image that has no pixels
        before = span.start - seen.start if span.start < span.stop else len(seen)
        return Along([inside], filled=(before, len(seen) - before - (span.stop - span.start)))
    index = pixels(seen, axis.size, mode)
    read, order = np.unique(index, return_inverse=True)
    runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(read, np.flatnonzero(np.diff(read) > 1) + 1)]
    as_they_are = len(index) == len(read) and bool((np.diff(index) == 1).all())
    return Along(runs, None if as_they_are else order)


def arranged(pixels: Array, places: Sequence[int], needs: Sequence[Along], fill: float) -> Array:
    """What an operation gets, of the pixels that were read: some repeated, and between numbers that stand for
    padding."""
    for place, need in zip(places, needs):
        if need.order is not None:
            shape = [*pixels.shape[:place], len(need.order), *pixels.shape[place + 1 :]]
            # NumPy's own memory would be new, page by page, for each piece; with "raise" it would be used besides.
            pixels = pixels.take(need.order, place, memory.empty(tuple(shape), pixels.dtype), mode="clip")
    if not any(any(need.filled) for need in needs):
        return pixels
    shape, inside = list(pixels.shape), [slice(None)] * pixels.ndim
    for place, need in zip(places, needs):
        inside[place] = slice(need.filled[0], need.filled[0] + shape[place])
        shape[place] += sum(need.filled)
    block = np.full(shape, fill, pixels.dtype)
    block[tuple(inside)] = pixels
    return block


class Windowed(NamedTuple):
    """A function over windows with its options, checked for a whole image.

    axes, places: how windows lie, and along which axes of x and of the result; shape: of the result; dtype: of both;
    channel: the axis that is put into a plain image, (H, W), before all this; None where there is none; mode, fill:
    what stands outside the image; aligned: pieces that begin at multiples of so many outputs have the bits of the
    whole, if they are computed in the same way.
    """

    function: Callable[..., Any]
    options: Mapping[str, Any]
    axes: tuple[Axis, ...]
    places: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    channel: int | None
    mode: str
    fill: float
    aligned: tuple[int, ...]

    @property
    def pads_itself(self) -> bool:
        """Whether the function adds the padding of a piece; else what stands there must be put around it.

        What taps add that meet nothing but padding other than 0 is summed apart, which in a piece may be other taps.
        """
        return self.mode == "constant" and self.fill == 0

    def compute(self, piece: Array, pads: Sequence[tuple[int, int]]) -> Array:
        """The result of a piece with its channels, with the padding that is left to the function."""
        padding = {"padding": tuple(pads)} if "padding" in self.options else {}
        result: Array = self.function(piece, **{**self.options, **padding})
        return result


def windowed(function: Any, shape: Sequence[int], dtype: np.dtype[Any], arguments: Sequence[Any],
             options: Mapping[str, Any], name: str = "x.shape") -> Windowed:
    """A call of a function over windows on an image of this shape, which is read as of this dtype: checked as the call
    itself would be. The image may also be a plain one. name: what errors call its shape."""
    if not any(function is known for known in RANKS):
        raise TypeError(f"fn must be one of {', '.join(known.__name__ for known in RANKS)}, got {shown(function)}: "
                        "another function needs window=fastconv.Window(...), what one of its outputs sees")
    named = _named(function, arguments, options)
    rank = RANKS[function]
    data_format = checks.choice(named["data_format"], "data_format", checks.FORMATS[rank])
    last, shape = data_format.endswith("C"), checks.integers(shape, name)
    channel = None
    if len(shape) == rank:
        channel = rank if last else 0
        shape = (*shape[:channel], 1, *shape[channel:])
    sizes, batched = checks.image_shape(shape, data_format, name, rank)
    known = (_of_convolution if function in _CONVOLUTIONS else _of_pooling)(function, named, sizes, batched, dtype)
    first = batched + (not last)
    return known._replace(places=tuple(range(first, first + rank)), channel=channel)


def weight_dtype(function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> np.dtype[Any] | None:
    """The dtype of the weights of a call, where it has any."""
    if not any(function is known for known in _CONVOLUTIONS):
        return None
    return checks.array(_named(function, arguments, options)["weight"], "weight").dtype


def _named(function: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a call by name, those of a whole image's result left out."""
    try:
        bound = inspect.signature(function).bind(None, *arguments, **options)
    except TypeError as error:
        raise TypeError(f"{function.__name__}: {error}") from None
    bound.apply_defaults()
    named = dict(bound.arguments)
    del named["x"]
    if named.pop("out") is not None:
        raise TypeError("out must be given once, as the place of the whole result")
    if named.get("return_indices"):
        raise ValueError("return_indices must be False: there is one result, got True")
    return named


def _of_convolution(function: Callable[..., Any], options: dict[str, Any], sizes: tuple[int, ...], batched: bool,
                    dtype: np.dtype[Any]) -> Windowed:
    for name in ("weight", "bias"):    # copies: whoever computes pieces later must find what was given
        if name == "weight" or options[name] is not None:
            options[name] = checks.array(options[name], name).copy()
    weight, bias = options["weight"], options["bias"]
    checks.same_dtype(x=np.empty(0, dtype), weight=weight, bias=bias)
    call = _CONVOLUTIONS[function].checked_call(sizes, batched, dtype, *options.values())
    stride, pads, dilation, _, outputs = checks.convolution_window(
        sizes, weight.shape, options["stride"], options["padding"], options["dilation"], options["groups"])
    axes = _axes(sizes[2:], outputs, weight.shape[2:], stride, dilation, pads)
    aligned = tuple(_TILE * axis.dilation if call.plan.algorithm == "winograd" else 1 for axis in axes)
    return Windowed(function, options, axes, (), call.shape, dtype, None, options["padding_mode"],
                    float(options["padding_value"]), aligned)


def _of_pooling(function: Callable[..., Any], options: dict[str, Any], sizes: tuple[int, ...], batched: bool,
                dtype: np.dtype[Any]) -> Windowed:
    if "norm_type" in options:
        check_norm(options["norm_type"])
    window = (options["kernel_size"], options["stride"], options.get("padding", 0), options.get("dilation", 1),
              options["ceil_mode"], options.get("wide_padding", False))
    sliding(sizes[2:], *window, options.get("count_include_pad", True), options.get("divisor_override"))
    taps, stride, pads, dilation, outputs = sliding_options(sizes[2:], *window)
    axes = _axes(sizes[2:], outputs, taps, stride, dilation, pads)
    shape = checks.result_shape((*sizes[:2], *outputs), options["data_format"], batched)
    return Windowed(function, options, axes, (), shape, dtype, None, "constant", 0.0, (1,) * len(axes))


def _axes(size: Any, outputs: Any, taps: Any, stride: Any, dilation: Any, pads: Any) -> tuple[Axis, ...]:
    return tuple(Axis(*each, *sides) for *each, sides in zip(size, outputs, taps, stride, dilation, pads))
