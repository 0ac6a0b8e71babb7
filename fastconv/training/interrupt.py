"""Ctrl-C at the right moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Gate:
    """``with gate:`` Ctrl-C waits until the end of the block: what is inside happens whole. Blocks may be nested."""

    def __init__(self) -> None:
        self._closed = 0
        #: Whether Ctrl-C came while the gate was closed.
        self.waiting = False
        #: Called at once when Ctrl-C comes, however long that has to wait.
        self.told: Callable[[], None] | None = None

    def __enter__(self) -> None:
        self._closed += 1

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._closed -= 1
        if self.waiting and error is None and not self._closed:
            raise KeyboardInterrupt

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Inside, Ctrl-C comes at once, although the block around waits; and first of all one that did wait."""
        closed, self._closed = self._closed, 0
        try:
            if self.waiting:
                raise KeyboardInterrupt
            yield
        finally:
            self._closed = closed

    def handle(self, number: int, frame: FrameType | None) -> None:
        """What the signal calls."""
        if self.told is not None:
            self.told()
        if not self._closed:
            raise KeyboardInterrupt
        self.waiting = True


@contextmanager
def gated() -> Iterator[Gate]:
    """A gate for the steps inside: setting the handler of a signal costs more than many a layer, so it is set once for
    all. Within another one it is that one.

    SIGTERM goes the same way where it raises KeyboardInterrupt too, as the command line has it for ranks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Gate()
        return
    around = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
    if isinstance(around, Gate):
        yield around
        return
    gate = Gate()
    taken = [number for number in (signal.SIGINT, signal.SIGTERM)
             if signal.getsignal(number) is signal.default_int_handler]
    for number in taken:
        signal.signal(number, gate.handle)
    try:
        yield gate
    finally:
        for number in taken:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """The same for a single block."""
    with gated() as gate, gate:
        yield
