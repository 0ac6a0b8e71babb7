"""The call ``pool``: maps cut into windows, and the winner or the mean of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv import walk
from fastconv.functional import checks
from fastconv.lecture.conv import MOST_TAPS, size_of
from fastconv.lecture.images import Sections
from fastconv.lecture.page import Page

__all__ = ["pool"]


def pool(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pool the section x (C, H, W); the head has the arguments of `walk.pooling`.

    Returns head and sections: output (C, OH, OW), and of maxima winners (C, OH, OW), places in the plane row by row.
    """
    if "x" not in sections:
        raise ValueError("section x must be maps (C, H, W), there is none")
    size = checks.pair(head.get("size", 2), "size")
    if max(size) > MOST_TAPS:
        raise ValueError(f"size must be at most {MOST_TAPS} x {MOST_TAPS}, got {size[0]} x {size[1]}")
    options = {name: head[name] for name in ("stride", "padding", "ceil_mode") if name in head}
    seen = walk.pooling(sections["x"], size, kind=head.get("kind", "max"), **options)
    arrays: dict[str, Any] = {"output": seen.output}
    if seen.indices is not None:
        arrays["winners"] = seen.indices
    return {"kind": seen.kind, "rows": size_of(seen.rows), "columns": size_of(seen.columns)}, arrays
