"""The time of a call: the shortest of many, since whatever else runs on the machine can only add to it."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from typing import Any

LEAST = 3  # batches of small calls that are timed, however long they take
BATCH = 1000  # small calls between two looks at the clock, which takes as long as they do


def fastest(call: Callable[[], Any], seconds: float) -> float:
    """The shortest time of a call, of as many as fit into the seconds, but at least one, after one that warms up."""
    call()
    times: list[float] = []
    start = time.perf_counter()
    while not times or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return min(times)


def fastest_small(call: Callable[[], Any], seconds: float) -> float:
    """The same of a call of about a microsecond: the mean of the quickest batch."""
    timer = timeit.Timer(call)
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - start < seconds:
        times.append(timer.timeit(BATCH) / BATCH)
    return min(times)
