"""The options of `interpolate`, checked: the size of the result, and how far apart its pixels lie in the image."""

import math
from typing import Any

from fastconv._core.interpolation.forward import CORNERS, HALF_PIXELS, NEAREST
from fastconv.functional import checks
from fastconv.functional.foreign import shown

MODES = ("nearest", "bilinear")


def checked_options(size: Any, scale_factor: Any, mode: Any, align_corners: Any) -> None:
    """What can be said of the options before there is an image."""
    if (size is None) == (scale_factor is None):
        raise ValueError("size or scale_factor must be given, and not both, "
                         f"got size {shown(size)} and scale_factor {shown(scale_factor)}")
    if size is not None:
        checks.pair(size, "size")
    else:
        _factors(scale_factor)
    checks.choice(mode, "mode", MODES)
    if checks.flag(align_corners, "align_corners") and mode == "nearest":
        raise ValueError("align_corners must be False with mode='nearest', got True: it is for mode='bilinear'")


def places(pixels, size, scale_factor, mode, align_corners):
    """The options, checked, for images of so many rows and columns -> (the rule of coordinates, the size of the result,
    the pixels from one output to the next, for rows and for columns)."""
    checked_options(size, scale_factor, mode, align_corners)
    if size is not None:
        outputs = checks.pair(size, "size")
        scales = [length / count for length, count in zip(pixels, outputs)]
    else:
        factors = _factors(scale_factor)
        outputs = tuple(_scaled(length, factor) for length, factor in zip(pixels, factors))
        scales = [1 / factor for factor in factors]
    if not align_corners:
        # To as many pixels a factor makes what the size would; to twice as many too, of the nearest pixels.
        by_size = (1, 2) if mode == "nearest" else (1,)
        scales = [length / count if count in [times * length for times in by_size] else scale
                  for length, count, scale in zip(pixels, outputs, scales)]
        return NEAREST if mode == "nearest" else HALF_PIXELS, outputs, scales
    return CORNERS, outputs, [(length - 1) / (count - 1) if count > 1 else 0.0
                                      for length, count in zip(pixels, outputs)]


def _factors(scale_factor):
    """One positive number for rows and columns, or one for each -> two."""
    items = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor,) * 2
    if len(items) != 2:
        raise ValueError(f"scale_factor must be one number or 2 of them, got {len(items)}: {shown(scale_factor)}")
    factors = tuple(checks.number(item, "scale_factor") for item in items)
    if not all(0 < factor < math.inf and 1 / factor < math.inf for factor in factors):
        raise ValueError(f"scale_factor must be positive and finite, got {shown(scale_factor)}")
    return factors


def _scaled(length, factor):
    outputs = length * factor
    if not 1 <= outputs <= checks.LARGEST_OPTION:
        raise ValueError(f"scale_factor must leave at least one row and column and at most {checks.LARGEST_OPTION}, "
                         f"got {factor:g} for {length}")
    return math.floor(outputs)
