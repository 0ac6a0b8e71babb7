"""Two ways to do the same, timed in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple


class Turns(NamedTuple):
    """The shortest times of both, in seconds."""

    before: float
    after: float

    def row(self, name: str) -> str:
        """A line of a table: milliseconds of both, and their ratio."""
        return f"{name:<44}{self.before * 1e3:10.2f}{self.after * 1e3:10.2f}{self.before / self.after:8.2f}"


HEADING = f"{'':<44}{'before ms':>10}{'after ms':>10}{'times':>8}"


def in_turn(before: Callable[[], Any], after: Callable[[], Any], seconds: float, least: int = 3) -> Turns:
    """Call both by turns until the seconds are over, and at least so many times, after one turn that warms up."""
    before()
    after()
    times: tuple[list[float], list[float]] = ([], [])
    start = time.perf_counter()
    while len(times[0]) < least or time.perf_counter() - start < seconds:
        for call, taken in zip((before, after), times):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    return Turns(min(times[0]), min(times[1]))
