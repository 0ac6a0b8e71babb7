"""What each epoch of a run gave."""

from __future__ import annotations

import csv
import io
import math
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from fastconv.functional.checks import LARGEST_OPTION
from fastconv.functional.foreign import shown
from fastconv.functional.paths import checked_path, refuse_all_but_files
from fastconv.nn.serialization import write_atomically


@dataclass
class History:
    """What each epoch gave: lists of equal length, one entry an epoch.

    Attributes
    ----------
    epoch : list of int
        From 1.
    train_loss, train_accuracy : list of float
        Means over the epoch's images, each as the model was when it saw the image. The accuracy of maps is that of
        their pixels; where the targets are numbers it is None.
    validation_loss, validation_accuracy : list of float or None
        After the epoch; None without validation.
    lr : list of float
        The learning rate that the epoch's last step took.
    seconds : list of float
        Validation included.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float | None] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_accuracy: list[float | None] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epoch)

    def to_dict(self) -> dict[str, list[Any]]:
        """The lists by name, for JSON or a table (``pandas.DataFrame(history.to_dict())``)."""
        return asdict(self)

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the curves, with Matplotlib: see `fastconv.plots.HistoryDisplay`, which is returned.

        Examples
        --------
        >>> from fastconv import History
        >>> display = History(epoch=[1, 2], train_loss=[0.9, 0.4], lr=[0.05, 0.05]).plot()
        >>> display.figure_.savefig("curves.png")  # doctest: +SKIP
        """
        from fastconv.plots import HistoryDisplay

        return HistoryDisplay.from_history(self).plot(ax=ax)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a table: a line for each epoch, a column for each list, empty where there is no value.

        Parameters
        ----------
        path : path
            Must end in ``.csv``.

        Raises
        ------
        ValueError
            If it does not, the lists are not of equal length, or they hold what `load` would refuse.
        """
        target = _csv_path(path)
        for name in _COLUMNS:
            if (count := len(getattr(self, name))) != len(self):
                raise ValueError(f"history must have an entry for each of its {len(self)} epochs in {name}, "
                                 f"got {count}")
        lines = [["" if value is None else str(value) for value in values]
                 for values in zip(*(getattr(self, name) for name in _COLUMNS))]
        _read([(f"entry {index} of the history", line) for index, line in enumerate(lines)])
        rows = io.StringIO()
        csv.writer(rows, lineterminator="\n").writerows([_COLUMNS, *lines])
        write_atomically(target, lambda file: file.write(rows.getvalue().encode()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote: the very numbers.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If it is no such table; the message says the line.
        """
        source = _csv_path(path)
        refuse_all_but_files(source)
        try:
            lines = list(csv.reader(source.read_text(encoding="utf-8").splitlines()))
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{source}: no table of a history: {error}") from error
        if not lines or tuple(lines[0]) != _COLUMNS:
            first = ",".join(lines[0]) if lines else "nothing"
            raise ValueError(f"{source}: line 1 must be {','.join(_COLUMNS)}, got {first}")
        return _read([(f"{source}: line {index}", line) for index, line in enumerate(lines[1:], 2)])

    def append(self, **values: Any) -> None:
        """Add one epoch: a value for each list."""
        for name, value in values.items():
            getattr(self, name).append(value)


_COLUMNS = tuple(entry.name for entry in fields(History))
_MAY_LACK = ("train_accuracy", "validation_loss", "validation_accuracy")


def _read(lines: list[tuple[str, list[str]]]) -> History:
    """The history that lines of values give, each with what it is called in a message."""
    history = History()
    for where, line in lines:
        if len(line) != len(_COLUMNS):
            raise ValueError(f"{where} must have {len(_COLUMNS)} values, got {len(line)}")
        history.append(**{name: _value(name, text, where) for name, text in zip(_COLUMNS, line)})
        before = history.epoch[-2] if len(history) > 1 else 0
        if not before < history.epoch[-1] <= LARGEST_OPTION:
            raise ValueError(f"{where}: epoch must be above {before} and at most {LARGEST_OPTION}, "
                             f"got {shown(history.epoch[-1])}")
    return history


def _csv_path(path: str | os.PathLike[str]) -> Path:
    found = checked_path(path, "path")
    if found.suffix != ".csv":
        raise ValueError(f"path must end in .csv, got {found}")
    return found


def _value(name: str, text: str, where: str) -> int | float | None:
    """A value of a table, of its column's kind."""
    if not text and name in _MAY_LACK:
        return None
    try:
        value: int | float = int(text) if name == "epoch" else float(text)
    except ValueError:
        value = math.nan
    if isinstance(value, float) and not math.isfinite(value):
        kind = "a whole number" if name == "epoch" else "a finite number"
        raise ValueError(f"{where}: {name} must be {kind}, got {shown(text)}")
    return value
