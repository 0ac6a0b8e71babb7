"""The calls ``npz`` and ``csv``: the arrays that a view shows, as files."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from fastconv.lecture.images import Sections
from fastconv.lecture.page import Page

__all__ = ["csv", "npz"]


def npz(page: Page, head: Mapping[str, Any], sections: Sections) -> bytes:
    """The sections as `np.load` reads them."""
    for name in ("file", "allow_pickle"):  # which np.savez takes for its own
        if name in sections:
            raise ValueError(f"a section must not be named {name!r}")
    file = io.BytesIO()
    arrays: dict[str, Any] = dict(sections)
    np.savez(file, **arrays)
    return file.getvalue()


def csv(page: Page, head: Mapping[str, Any], sections: Sections) -> bytes:
    """A line a number: the array's name, the index with blanks in between, the value, which reads back as it was."""
    lines = ["array,index,value"]
    lines += [f"{name},{' '.join(map(str, index))},{value!s}"
              for name, array in sections.items() for index, value in np.ndenumerate(array)]
    return "\n".join([*lines, ""]).encode()
