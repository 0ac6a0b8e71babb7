"""Maps at another size: Resize and Upsample.

Each output of an axis sees some pixels with some weights, which follow from the options alone: they are worked out
beforehand, axis by axis. What fastconv's `interpolate` computes too, the nearest pixels and bilinear maps, goes there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._core.interpolation import forward
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS
from fastconv.adapters.onnx.operators.shapes import Identity
from fastconv.adapters.onnx.program import Builder, Value

MODES = ("nearest", "linear", "cubic")


class Axis:
    """How one axis changes: pixels before and after, the scale, and where the outputs look."""

    def __init__(self, node: Node, size: int, outputs: int, scale: float, roi: tuple[float, float] | None) -> None:
        self.size, self.outputs, self.scale = size, outputs, scale
        rule = node.attributes.get("coordinate_transformation_mode",
                                   "half_pixel" if node.version > 10 else "asymmetric")
        self.rule, output, length = rule, np.arange(outputs, dtype=np.float64), scale * size
        self.outside: np.ndarray | None = None
        if rule == "align_corners":
            self.at = output * (size - 1) / (length - 1) if length != 1 else np.zeros(outputs)
        elif rule == "asymmetric":
            self.at = output / scale
        elif rule == "tf_crop_and_resize":
            if roi is None:
                raise ValueError("roi must be given with coordinate_transformation_mode tf_crop_and_resize")
            begin, end = roi
            step = (end - begin) * (size - 1)
            self.at = begin * (size - 1) + (output * step / (length - 1) if length != 1 else step / 2 + 0 * output)
            self.outside = (self.at < 0) | (self.at > size - 1)
        elif rule in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric"):
            self.at = (output + 0.5) / scale - 0.5
            if rule == "pytorch_half_pixel" and length == 1:
                self.at = np.full(outputs, -0.5)
            if rule == "half_pixel_symmetric":
                self.at += size / 2 * (1 - outputs / length)
        else:
            raise ValueError(f"coordinate_transformation_mode {rule!r} is unknown")

    @property
    def changes(self) -> bool:
        return self.outputs != self.size or self.scale != 1 or self.outside is not None

    def nearest(self, rounding: str) -> np.ndarray:
        """The pixel that each output shows."""
        functions: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "round_prefer_floor": lambda at: np.ceil(at - 0.5), "round_prefer_ceil": lambda at: np.floor(at + 0.5),
            "floor": np.floor, "ceil": np.ceil}
        if rounding not in functions:
            raise ValueError(f"nearest_mode must be one of {', '.join(functions)}, got {rounding!r}")
        return np.clip(functions[rounding](self.at), 0, self.size - 1).astype(np.intp)

    def weighted(self, kernel: Callable[[np.ndarray], np.ndarray], reach: int, antialias: bool,
                 exclude_outside: bool) -> tuple[np.ndarray, np.ndarray]:
        """The pixels (outputs, taps) that each output sees, and their weights. Beyond the edge its pixel goes on."""
        squeeze = min(self.scale, 1.0) if antialias else 1.0
        far = int(np.ceil(reach / squeeze))
        whole = np.floor(self.at)
        pixels = whole[:, None] + np.arange(1 - far, far + 1)
        weights = kernel((pixels - self.at[:, None]) * squeeze)
        if antialias:
            weights /= weights.sum(1, keepdims=True)
        if exclude_outside:
            weights = np.where((pixels < 0) | (pixels >= self.size), 0, weights)
            total = weights.sum(1, keepdims=True)
            weights /= np.where(total == 0, 1, total)
        return np.clip(pixels, 0, self.size - 1).astype(np.intp), weights


def _linear(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(a: float) -> Callable[[np.ndarray], np.ndarray]:
    """Keys' kernel."""
    def kernel(distance: np.ndarray) -> np.ndarray:
        d = np.abs(distance)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((d - 5) * d + 8) * d * a - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return kernel


def Resize(builder: Builder, node: Node, x: Value, *given: Value | None) -> Value:
    if node.version < 11:
        given = (None, given[0], None)
    roi, scales, sizes = [*given, None, None][:3]
    some = [axis % x.ndim for axis in node.attributes.get("axes") or range(x.ndim)]
    regions: list[tuple[float, float] | None] = [None] * len(some)
    if roi is not None and roi.size:
        corners = builder.known(roi).reshape(2, -1)
        regions = [(float(begin), float(end)) for begin, end in zip(corners[0], corners[1])]
    counts, factors = _sizes(builder, node, x, some, scales, sizes)
    return _resized(builder, node, x, {axis: Axis(node, x.shape[axis], count, factor, region) for
                                       axis, count, factor, region in zip(some, counts, factors, regions)})


def _sizes(builder: Builder, node: Node, x: Value, axes: Sequence[int], scales: Value | None,
           sizes: Value | None) -> tuple[list[int], list[float]]:
    """The pixels of the result along these axes, and their scales."""
    if scales is not None and scales.size:
        factors = builder.known(scales).reshape(-1).astype(np.float64).tolist()
        _one_for_each(factors, axes, "scales")
        return [int(np.floor(x.shape[axis] * factor)) for axis, factor in zip(axes, factors)], factors
    if sizes is None or not sizes.size:
        raise ValueError("scales or sizes must be given")
    counts = builder.known(sizes).reshape(-1).tolist()
    _one_for_each(counts, axes, "sizes")
    factors = [count / x.shape[axis] for axis, count in zip(axes, counts)]
    policy = node.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return counts, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(factor * x.shape[axis] + 0.5) for axis in axes], [factor] * len(axes)


def _one_for_each(numbers: Sequence[Any], axes: Sequence[int], name: str) -> None:
    if len(numbers) != len(axes):
        raise ValueError(f"{name} must have {len(axes)} numbers, one for each axis, got {list(numbers)}")


def Upsample(builder: Builder, node: Node, x: Value, scales: Value | None = None) -> Value:
    """Of opset 9 and before: the pixel at or before each output, or bilinear maps."""
    factors = node.attributes["scales"] if scales is None else builder.known(scales).reshape(-1).tolist()
    like = node.like("Upsample", node.inputs, node.outputs, mode=node.attributes.get("mode", "nearest"),
                     coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    _one_for_each(factors, range(x.ndim), "scales")
    return _resized(builder, like, x, {axis: Axis(like, n, int(np.floor(n * factor)), factor, None) for
                                       axis, (n, factor) in enumerate(zip(x.shape, factors))})


def _resized(builder: Builder, node: Node, x: Value, axes: dict[int, Axis]) -> Value:
    changing = {axis: how for axis, how in axes.items() if how.changes}
    if not changing:
        return Identity(builder, node, x)
    mode = node.attributes.get("mode", "nearest")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    shape = [axes[a].outputs if a in axes else n for a, n in enumerate(x.shape)]
    rounding = node.attributes.get("nearest_mode", "round_prefer_floor" if node.version > 10 else "floor")
    if x.ndim == 4 and set(changing) <= {2, 3} and x.dtype in FLOATS and x.size and 0 not in shape:
        rule = _rule(node, mode, rounding, changing)
        if rule is not None:
            x = builder.as_maps(x)
            out = builder.maps(shape, x.dtype)
            apart = [_apart(rule, changing[a]) if a in changing else 1.0 for a in (2, 3)]
            builder.emit(lambda x, y: functools.partial(forward.resize, x, y, rule, *apart), [x], [out],
                         "interpolated")
            return out
    out = builder.new(shape, x.dtype, x.order)
    passes = _nearest_passes(changing, rounding) if mode == "nearest" else _weighted_passes(node, mode, changing)
    outside = {axis: how.outside for axis, how in changing.items() if how.outside is not None and how.outside.any()}
    fill = node.attributes.get("extrapolation_value", 0.0)

    def run(x: np.ndarray, y: np.ndarray) -> None:
        maps = x
        for one in passes:
            maps = one(maps)
        for axis, places in outside.items():
            maps = np.array(maps)
            np.moveaxis(maps, axis, 0)[places] = fill
        np.copyto(y, maps, casting="unsafe")

    builder.emit(lambda x, y: functools.partial(run, x, y), [x], [out], "NumPy")
    return out


def _rule(node: Node, mode: str, rounding: str, axes: dict[int, Axis]) -> int | None:
    """The rule by which `interpolate` does the same, or None."""
    hows = list(axes.values())
    if any(how.outside is not None for how in hows):
        return None
    if mode == "nearest":
        same = all(np.array_equal(how.nearest(rounding), np.arange(how.outputs) * how.size // how.outputs)
                   for how in hows)
        return forward.NEAREST if same else None
    if mode != "linear" or node.attributes.get("antialias", 0) or node.attributes.get("exclude_outside", 0):
        return None
    if hows[0].rule in ("half_pixel", "pytorch_half_pixel") and all(how.outputs > 1 for how in hows):
        return forward.HALF_PIXELS
    if hows[0].rule == "align_corners" and all(how.scale * how.size == how.outputs for how in hows):
        return forward.CORNERS
    return None


def _apart(rule: int, how: Axis) -> float:
    """The pixels from one output to the next."""
    if rule == forward.NEAREST:
        return how.size / how.outputs
    if rule == forward.HALF_PIXELS:
        return 1 / how.scale
    return (how.size - 1) / (how.outputs - 1) if how.outputs > 1 else 0.0


def _nearest_passes(axes: dict[int, Axis], rounding: str) -> list[Callable[[np.ndarray], np.ndarray]]:
    return [functools.partial(_taken, pixels=how.nearest(rounding), axis=axis) for axis, how in axes.items()]


def _taken(x: np.ndarray, pixels: np.ndarray, axis: int) -> np.ndarray:
    return np.take(x, pixels, axis)


def _weighted_passes(node: Node, mode: str, axes: dict[int, Axis]) -> list[Callable[[np.ndarray], np.ndarray]]:
    kernel = _linear if mode == "linear" else _cubic(node.attributes.get("cubic_coeff_a", -0.75))
    reach = 1 if mode == "linear" else 2
    antialias, exclude = bool(node.attributes.get("antialias", 0)), bool(node.attributes.get("exclude_outside", 0))
    return [functools.partial(_mixed, axis=axis, seen=how.weighted(kernel, reach, antialias, exclude))
            for axis, how in axes.items()]


def _mixed(x: np.ndarray, axis: int, seen: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The sum of what the outputs see, tap by tap, in double precision."""
    pixels, weights = seen
    form = [-1 if a == axis else 1 for a in range(x.ndim)]
    total = np.zeros([len(pixels) if a == axis else n for a, n in enumerate(x.shape)])
    for tap in range(pixels.shape[1]):
        # No infinity or NaN comes from where the weight is 0.
        part = np.take(x, pixels[:, tap], axis) * weights[:, tap].reshape(form)
        total += np.where(weights[:, tap].reshape(form) == 0, 0, part)
    return total


OPERATORS = {"Resize": Resize, "Upsample": Upsample}
