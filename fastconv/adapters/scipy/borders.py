"""What SciPy's filters see beyond the border of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: The modes of `scipy.ndimage`, by SciPy's numbers for them, as `padding_mode`.
_MODES = {0: "replicate", 1: "circular", 2: "symmetric", 3: "reflect", 4: "constant", 5: "circular", 6: "constant"}


class Border(NamedTuple):
    """How an array goes on beyond its border."""

    mode: str  #: a `padding_mode` of the convolutions
    value: float  #: of the mode "constant"

    @classmethod
    def of_ndimage(cls, code: int, value: float) -> Border:
        """The border of SciPy's number for a mode."""
        return cls(_MODES[code], value if _MODES[code] == "constant" else 0.0)

    def places(self, start: int, stop: int, size: int) -> np.ndarray:
        """Where the entries start to stop - 1 of an axis of `size` entries come from; -1 is the constant."""
        places = np.arange(start, stop)
        if self.mode == "replicate":
            return places.clip(0, size - 1)
        if self.mode == "circular":
            return places % size
        if self.mode == "symmetric":
            places %= 2 * size
            return np.where(places < size, places, 2 * size - 1 - places)
        if self.mode == "reflect":
            period = max(2 * size - 2, 1)
            places %= period
            return np.where(places < size, places, period - places)
        return np.where((places < 0) | (places >= size), -1, places)

    def taken(self, array: np.ndarray, places: Sequence[Any]) -> np.ndarray:
        """The entries of an array at `places` of its first axes, in double; -1 is the constant."""
        places = [_run(place) for place in places]
        taken = array
        for axis, place in enumerate(places):
            taken = taken[(slice(None),) * axis + (place,)]
        taken = taken.astype(np.float64, copy=False)
        for axis, place in enumerate(places):
            if isinstance(place, np.ndarray) and (outside := np.flatnonzero(place < 0)).size:
                taken[(slice(None),) * axis + (outside,)] = self.value  # a copy: no slice has places outside
        return taken


def _run(places: Any) -> Any:
    """Places that follow each other as a slice, which copies nothing."""
    if isinstance(places, np.ndarray) and places[0] >= 0 and (places[1:] - places[:-1] == 1).all():
        return slice(int(places[0]), int(places[-1]) + 1)
    return places
