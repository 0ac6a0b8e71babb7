"""The host's own code exchanged for fastconv's, and put back: what switches an adapter on and off."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from fastconv.adapters.report import Report

__all__ = ["Exchange"]


class Exchange:
    """Names in modules and classes of a host, which are fastconv's while it is enabled.

    Parameters
    ----------
    find : callable
        Called without arguments where the host is first needed; returns a dict of modules and classes to dicts of their
        names and what comes there.

    Examples
    --------
    >>> import types
    >>> from fastconv.adapters.exchange import Exchange
    >>> host = types.ModuleType("host")
    >>> host.name = lambda: "the host's own"
    >>> exchange = Exchange(lambda: {host: {"name": lambda: "fastconv's"}})
    >>> with exchange.enabled():
    ...     host.name()
    "fastconv's"
    >>> host.name()
    "the host's own"
    """

    def __init__(self, find: Callable[[], dict[Any, dict[str, Any]]]) -> None:
        self._find = find
        self._lock = threading.RLock()
        self._own: dict[tuple[Any, str], Any] = {}  # what was exchanged, while it is
        self._report = Report()

    def enable(self) -> None:
        """Put fastconv into the host, if it is not there; the host is imported, or what is missing is said."""
        with self._lock:
            if self._own:
                return
            ours = {(owner, name): new for owner, names in self._find().items() for name, new in names.items()}
            self._own = {(owner, name): vars(owner)[name] for owner, name in ours}
            for (owner, name), new in ours.items():
                setattr(owner, name, new)

    def disable(self) -> None:
        """Put the host's own code back, if it is not there."""
        with self._lock:
            for (owner, name), own in self._own.items():
                setattr(owner, name, own)
            self._own.clear()

    @contextlib.contextmanager
    def enabled(self) -> Iterator[Report]:
        """`enable` for the block of a with statement, after which all is as it was before; yields the `report`."""
        was_on = bool(self._own)
        self.enable()
        try:
            yield self._report
        finally:
            if not was_on:
                self.disable()

    def report(self) -> Report:
        """The calls that fastconv computed, and those that it handed on or refused, and why."""
        return self._report

    def own(self, owner: Any, name: str) -> Any:
        """The host's own code of this name, whether it is exchanged or not."""
        exchanged = self._own.get((owner, name))
        return vars(owner)[name] if exchanged is None else exchanged
