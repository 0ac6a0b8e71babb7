"""Ctrl-C at the right moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Gate:
    """``with gate:`` Ctrl-C waits until the end of the block: what is inside happens whole."""

    def __init__(self) -> None:
        self._closed = False
        #: Whether Ctrl-C came while the gate was closed.
        self.waiting = False

    def __enter__(self) -> None:
        self._closed = True

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._closed = False
        if self.waiting and error is None:
            raise KeyboardInterrupt

    def handle(self, number: int, frame: FrameType | None) -> None:
        """What the signal calls."""
        if not self._closed:
            raise KeyboardInterrupt
        self.waiting = True


@contextmanager
def gated() -> Iterator[Gate]:
    """A gate for the steps inside: setting the handler of a signal costs more than many a layer,
    so it is set once for all."""
    gate = Gate()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield gate
        return
    signal.signal(signal.SIGINT, gate.handle)
    try:
        yield gate
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """The same for a single block."""
    with gated() as gate, gate:
        yield
