"""Arguments of normalisation: feature maps of two to five dimensions, and what there is one of for each channel."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from fastconv._core.norm import groups
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.typing import Array

#: The orders of the axes, by their number: with the channels second, and last.
FORMATS: dict[int, tuple[str, ...]] = {2: ("NC",), 3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}

MapsFormat = Literal["NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"]


def maps_view(x: Any, data_format: Any, name: str = "x") -> Array:
    """An array of maps as a view (N, C, ...)."""
    if x.ndim not in FORMATS:
        raise ValueError(f"{name} must have 2 to 5 dimensions, (N, C) to (N, C, D, H, W), got shape {x.shape}")
    if data_format is None:
        return x
    checks.choice(data_format, "data_format", [one for some in FORMATS.values() for one in some])
    if len(data_format) != x.ndim:
        raise ValueError(f"data_format must be {' or '.join(map(repr, FORMATS[x.ndim]))} for {name} of shape {x.shape}, "
                         f"got {data_format!r}")
    return x if data_format[1] == "C" else np.moveaxis(x, -1, 1)


def per_channel(value: Any, name: str, channels: int) -> Any:
    """One number for each channel, contiguous; or None."""
    if value is None:
        return None
    return np.ascontiguousarray(checks.shape(checks.array(value, name), name, (channels,), "(one for each channel of x)"))


def affine_of(x: Array, weight: Any, bias: Any, channels: int, eps: Any, relu: bool = False, **others: Any) -> Any:
    weight, bias = per_channel(weight, "weight", channels), per_channel(bias, "bias", channels)
    checks.same_dtype(x=x, weight=weight, bias=bias, **others)
    return groups.Affine(weight, bias, small(eps, "eps"), relu)


def small(value: Any, name: str) -> float:
    number: float = checks.number(value, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {shown(value)}")
    return number
