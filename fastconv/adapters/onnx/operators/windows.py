"""The attributes of operators with windows: sizes, strides, dilations and padding, one of each for every axis."""

from __future__ import annotations

from collections.abc import Sequence

from fastconv.adapters.onnx.graph import Node

__all__ = ["per_axis", "pads_of"]

Pads = tuple[tuple[int, int], ...]


def per_axis(node: Node, name: str, axes: int, default: int = 1) -> tuple[int, ...]:
    values = tuple(node.attributes.get(name) or (default,) * axes)
    if len(values) != axes:
        raise ValueError(f"{name} must have {axes} numbers, one for each axis, got {list(values)}")
    return values


def pads_of(node: Node, size: Sequence[int], kernel: Sequence[int], stride: Sequence[int],
            dilation: Sequence[int]) -> Pads:
    """The padding before and after, as `pads` or `auto_pad` say."""
    auto, axes = node.attributes.get("auto_pad", "NOTSET"), len(size)
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        same = []
        for length, taps, step, distance in zip(size, kernel, stride, dilation):
            total = max((-(-length // step) - 1) * step + distance * (taps - 1) + 1 - length, 0)
            fewer, more = total // 2, total - total // 2
            same.append((fewer, more) if auto == "SAME_UPPER" else (more, fewer))
        return tuple(same)
    if auto not in ("NOTSET", "VALID", ""):
        raise ValueError(f"auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, got {auto!r}")
    pads = tuple(node.attributes.get("pads") or (0,) * (2 * axes))
    if auto == "VALID":
        pads = (0,) * (2 * axes)
    if len(pads) != 2 * axes:
        raise ValueError(f"pads must have {2 * axes} numbers, before and after for each axis, got {list(pads)}")
    return tuple(zip(pads[:axes], pads[axes:]))
