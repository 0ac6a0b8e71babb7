"""How many labels a model's output has right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional.loss import IGNORED


def hits(output: NDArray[Any], labels: NDArray[Any], loss: Any) -> tuple[int, int]:
    """How many labels a model's output has right, and of how many that count; none where the targets are numbers."""
    if labels.dtype.kind == "f":
        return 0, 0
    right = output.argmax(axis=1 if labels.ndim > 1 else -1) == labels
    counting = labels != getattr(loss, "ignore_index", IGNORED)
    return int(np.count_nonzero(right & counting)), int(np.count_nonzero(counting))
