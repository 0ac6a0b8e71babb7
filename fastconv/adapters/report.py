"""How many calls of its host an adapter has served, and which it has handed on, and why."""

from __future__ import annotations

import threading
from collections import Counter

__all__ = ["Report"]


class Report:
    """Counts of calls by the host's names for its operations.

    Attributes
    ----------
    served : dict of str to int
        Calls that fastconv computed, by operation.
    handed_on : dict of (str, str) to int
        Calls that the host computed itself, by operation and reason.

    Examples
    --------
    >>> from fastconv.adapters.report import Report
    >>> report = Report()
    >>> report.serve("correlate")
    >>> report.serve("correlate")
    >>> report.hand_on("correlate", "complex numbers")
    >>> print(report)
    correlate: 2 served; 1 handed on: complex numbers
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._served: Counter[str] = Counter()
        self._handed_on: Counter[tuple[str, str]] = Counter()

    @property
    def served(self) -> dict[str, int]:
        with self._lock:
            return dict(self._served)

    @property
    def handed_on(self) -> dict[tuple[str, str], int]:
        with self._lock:
            return dict(self._handed_on)

    def serve(self, operation: str) -> None:
        """Count a call that fastconv computes."""
        with self._lock:
            self._served[operation] += 1

    def hand_on(self, operation: str, reason: str) -> None:
        """Count a call that the host computes itself, and say why."""
        with self._lock:
            self._handed_on[operation, reason] += 1

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._served.clear()
            self._handed_on.clear()

    def __str__(self) -> str:
        served, handed_on = self.served, self.handed_on
        lines = []
        for operation in sorted({*served, *(name for name, _ in handed_on)}):
            parts = [f"{served.get(operation, 0)} served"]
            parts += [f"{count} handed on: {reason}" for (name, reason), count in sorted(handed_on.items())
                      if name == operation]
            lines.append(f"{operation}: {'; '.join(parts)}")
        return "\n".join(lines) or "no calls yet"

    __repr__ = __str__
