"""Pieces of an array shared out among Python threads, each of which computes with one thread.

To cast the pieces takes about as long as to filter them, and a cast has one thread: so the threads share out pieces,
not the work within one. NumPy and the convolutions release the GIL.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import TypeVar

from fastconv import config

Place = TypeVar("Place")


def share_out(places: Iterable[Place], work: Callable[[Iterator[Place]], None]) -> None:
    """Call work(some of the places) in each thread, so that each place is taken once; errors are raised here."""
    left = deque(places)
    count = min(config.get_num_threads(), len(left) // 2)
    if count < 2:
        work(iter(left))
        return
    errors: list[BaseException] = []

    def taken() -> Iterator[Place]:
        while True:
            try:
                place = left.popleft()
            except IndexError:
                return
            yield place

    def run() -> None:
        try:
            with config.num_threads(1):
                work(taken())
        except BaseException as error:  # also Ctrl-C, which the other threads would not see
            errors.append(error)
            left.clear()

    threads = [Thread(target=run) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    run()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
