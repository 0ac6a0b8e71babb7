"""What a session says of its steps."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Explanation", "Line"]


class Line(NamedTuple):
    """One step: its node, the shape of its result, how it is computed, and the seconds that it took."""

    node: str
    shape: tuple[int, ...]
    about: str
    seconds: float


class Explanation:
    """The steps of a program, a line each. Prints as a table.

    Attributes
    ----------
    lines : list of Line
    nbytes, unshared : int
        Bytes of the memory of all arrays, and what they would take without sharing it.
    """

    def __init__(self, lines: list[Line], nbytes: int, unshared: int) -> None:
        self.lines, self.nbytes, self.unshared = lines, nbytes, unshared

    @property
    def seconds(self) -> float:
        return sum(line.seconds for line in self.lines)

    def to_dict(self) -> dict[str, Any]:
        return {"steps": [{**line._asdict(), "shape": list(line.shape)} for line in self.lines],
                "seconds": self.seconds, "nbytes": self.nbytes, "unshared_nbytes": self.unshared}

    def __str__(self) -> str:
        total = self.seconds or 1.0
        names = [line.node if len(line.node) <= 44 else line.node[:41] + "..." for line in self.lines]
        shapes = [" x ".join(map(str, line.shape)) or "()" for line in self.lines]
        widths = [max((len(text) for text in texts), default=0) for texts in (names, shapes)]
        rows = [f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {line.seconds * 1e6:9.1f} us {line.seconds / total:6.1%}"
                f"  {line.about}".rstrip() for name, shape, line in zip(names, shapes, self.lines)]
        rows.append(f"{len(self.lines)} steps, {self.seconds * 1e3:.3f} ms; arrays take {self.nbytes / 1e6:.2f} MB of "
                    f"memory, {self.unshared / 1e6:.2f} MB if none were shared")
        return "\n".join(rows)

    __repr__ = __str__
