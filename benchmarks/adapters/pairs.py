"""A call before and after fastconv took part in it: timed in turn, so that what else runs slows both down."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any


def seconds_option(description: str | None) -> float:
    """What the command line says of the time to spend on each pair."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each comparison (default: %(default)s)")
    return parser.parse_args().seconds


def in_turn(before: Callable[[], Any], after: Callable[[], Any], seconds: float) -> tuple[float, float]:
    """The shortest times of both calls, of as many rounds as fit into the seconds, but at least two."""
    before(), after()  # warm up
    times: list[tuple[float, float]] = []
    start = time.perf_counter()
    while len(times) < 2 or time.perf_counter() - start < seconds:
        times.append((_time_of(before), _time_of(after)))
    return min(one for one, _ in times), min(other for _, other in times)


def _time_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def show(title: str, before: float, after: float) -> None:
    print(f"{title:<62} {before * 1e3:10.2f} ms  fastconv {after * 1e3:9.2f} ms  {before / after:7.1f} times")
