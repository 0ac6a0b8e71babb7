"""A module of SciPy's in C, some of whose functions are exchanged."""

from __future__ import annotations

from typing import Any

from fastconv.adapters.report import Report


class Exchanged:
    """Stands for a module; functions that a subclass does not have are the module's own.

    Parameters
    ----------
    host : module
        SciPy's module in C.
    report : Report
        Counts the calls of the subclass's functions.
    """

    def __init__(self, host: Any, report: Report) -> None:
        self._host = host
        self._report = report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)
