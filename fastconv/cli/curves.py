"""Curves in a terminal, as characters; and as files, which Matplotlib draws."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastconv.training import History

_FORMATS = (".png", ".svg", ".pdf")
_MARKS = "*o"
_COLOURS = ("\x1b[34m", "\x1b[33m")  # blue and yellow, which are told apart by all eyes
_ROWS = 8
_SCALE = 9  # characters of the numbers at the left

Points = Sequence[tuple[int, float]]


def picture_path(text: str) -> Path:
    """A type of option: a file that Matplotlib can draw."""
    path = Path(text)
    if path.suffix not in _FORMATS:
        raise ArgumentTypeError(f"must end in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}, got {text!r}")
    if find_spec("matplotlib") is None:
        raise ArgumentTypeError(f"needs Matplotlib (pip install 'fastconv[plot]') for {text!r}")
    return path


def draw(history: History, path: Path) -> None:
    """Draw the curves of a training into a file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.8, 3), layout="constrained")
    history.plot(ax=figure.subplots())
    figure.savefig(path, dpi=150)


def charts(history: History, columns: int, colour: bool) -> list[str]:
    """The panels of a training below each other, each with a line that says its curves."""
    from fastconv.plots.history import LEGEND, HistoryDisplay

    lines = []
    for title, curves in HistoryDisplay.from_history(history).panels.items():
        said = [" ".join(f"{mark} {LEGEND[name]} {points[0][1]:.4g} -> {points[-1][1]:.4g}".split())
                for mark, (name, points) in zip(_MARKS, curves.items())]
        lines += ["   ".join([title, *said]), *_chart(list(curves.values()), columns, colour), ""]
    return lines[:-1]


def _chart(curves: Sequence[Points], columns: int, colour: bool) -> list[str]:
    """Curves over the epochs: rows of characters, with the scale at the left and the epochs below."""
    wide = max(columns - _SCALE - 2, 2)
    epochs = [epoch for points in curves for epoch, _ in points]
    values = [value for points in curves for _, value in points]
    first, last, low, high = min(epochs), max(epochs), min(values), max(values)
    unit = max(map(abs, values)) or 1  # differences of the largest numbers that there are are none
    cells = np.full((_ROWS, wide), -1)
    for number, points in reversed(list(enumerate(curves))):  # the first lies on top
        at = np.linspace(first, last, wide)
        known, numbers = zip(*points)
        heights = np.interp(at, known, np.divide(numbers, unit))
        rows = np.rint((high / unit - heights) / (high / unit - low / unit or 1) * (_ROWS - 1)).astype(int).tolist()
        inside = np.flatnonzero((at >= known[0]) & (at <= known[-1])).tolist()
        before = rows[inside[0]] if inside else 0
        for column in inside:
            row = rows[column]
            # A steep curve leaves no gap: beside its own row it takes those up to that of the column before.
            start, end = (row, row) if row == before else (before + 1, row) if row > before else (row, before - 1)
            cells[start:end + 1, column] = number
            before = row
    scale = {0: f"{high:.4g}", _ROWS - 1: f"{low:.4g}"} if high > low else {0: f"{high:.4g}"}
    lines = [f"{scale.get(row, ''):>{_SCALE}} |{_row(cells[row], colour)}".rstrip() for row in range(_ROWS)]
    return [*lines, f"{'epoch':>{_SCALE}} {first:<{max(wide - len(str(last)), 0)}} {last}".rstrip()]


def _row(cells: NDArray[np.int64], colour: bool) -> str:
    marks = [" " if number < 0 else _MARKS[number] for number in cells]
    if colour:
        marks = [mark if number < 0 else f"{_COLOURS[number]}{mark}\x1b[0m" for mark, number in zip(marks, cells)]
    return "".join(marks)
