"""A call before and after fastconv took part in it: timed in turn, so that what else runs slows both down."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HEADING = f"{'':<62}{'before ms':>11}{'after ms':>11}{'times':>8}"


class Turns(NamedTuple):
    """A comparison, and the shortest times of both sides in seconds."""

    name: str
    before: float
    after: float

    @property
    def row(self) -> str:
        """A line of a table: milliseconds of both, and their ratio."""
        return f"{self.name:<62}{self.before * 1e3:11.2f}{self.after * 1e3:11.2f}{self.before / self.after:8.2f}"


class Comparisons:
    """What a benchmark compares, with the options of its command line; each is printed when it is known.

    Parameters
    ----------
    description : str, optional
        Of the benchmark, for ``--help``.
    seconds : float
        For each comparison, both sides together, where the command line says nothing else.
    """

    def __init__(self, description: str | None, seconds: float = 3.0) -> None:
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--seconds", type=float, default=seconds, help="for each comparison (default: %(default)s)")
        parser.add_argument("--only", default="", help="names that begin with this")
        parser.add_argument("--json", type=Path, help="a file for the results")
        self._options = parser.parse_args()
        self._found: list[Turns] = []
        print(HEADING)

    def add(self, name: str, before: Callable[[], Any], after: Callable[[], Any]) -> None:
        """Time both by turns, until the seconds are over and at least three times, after one turn that warms up."""
        if not name.startswith(self._options.only):
            return
        found = in_turn(name, before, after, self._options.seconds)
        print(found.row, flush=True)
        self._found.append(found)
        if self._options.json:
            self._options.json.write_text(json.dumps([each._asdict() for each in self._found]))


def in_turn(name: str, before: Callable[[], Any], after: Callable[[], Any], seconds: float, least: int = 3) -> Turns:
    """The shortest times of both."""
    before()
    after()
    times: tuple[list[float], list[float]] = ([], [])
    start = time.perf_counter()
    while len(times[0]) < least or time.perf_counter() - start < seconds:
        for call, taken in zip((before, after), times):
            began = time.perf_counter()
            call()
            taken.append(time.perf_counter() - began)
    return Turns(name, min(times[0]), min(times[1]))
