"""A picture of a training: loss, accuracy and learning rate against the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastconv.functional.foreign import shown
from fastconv.plots.display import Display, number

_PANELS = {"loss": ("train_loss", "validation_loss"), "accuracy": ("train_accuracy", "validation_accuracy"),
           "learning rate": ("lr",)}

#: What a curve is called in its panel.
LEGEND = {"train_loss": "training", "train_accuracy": "training", "validation_loss": "validation",
          "validation_accuracy": "validation", "lr": ""}


class HistoryDisplay(Display):
    """The curves of a training.

    Parameters
    ----------
    history : mapping of str to list
        As `fastconv.History.to_dict` gives it: "epoch", "train_loss", "validation_loss", ...

    Attributes
    ----------
    panels : dict of str to dict
        By title ("loss", "accuracy", "learning rate") the curves by their names in the history: lists of (epoch,
        value). Only what there is.
    lines_ : dict of str to Line2D
        After `plot`, by the names of the history.

    Examples
    --------
    >>> from fastconv.plots import HistoryDisplay
    >>> print(HistoryDisplay.from_history({"epoch": [1, 2], "train_loss": [0.9, 0.4], "lr": [0.05, 0.05]}).describe())
    2 epochs
    train_loss: 0.9 at first, 0.4 at last
    lr: 0.05 at first, 0.05 at last
    """

    def __init__(self, history: Mapping[str, Any]) -> None:
        if not isinstance(history, Mapping):
            raise TypeError(f"history must be a mapping as that of a History's to_dict(), got {shown(history)}")
        for name, values in history.items():
            if not hasattr(values, "__len__"):
                raise TypeError(f"history must have a list in {name}, got {shown(values)}")
        if "epoch" not in history or not len(history["epoch"]):
            raise ValueError("history must have at least one epoch: {'epoch': [1, ...], 'train_loss': [...], ...}")
        for name, values in history.items():
            if len(values) not in (0, len(history["epoch"])):
                raise ValueError(f"history must have an entry for each of its {len(history['epoch'])} epochs in "
                                 f"{name}, got {len(values)}")
        self.history = {name: list(values) for name, values in history.items()}
        curves = {title: {name: self._points(name) for name in names} for title, names in _PANELS.items()}
        self.panels = {title: {name: points for name, points in some.items() if points}
                       for title, some in curves.items() if any(some.values())}
        if not self.panels:
            names = ", ".join(name for some in _PANELS.values() for name in some)
            raise ValueError(f"history must have a value of {names}, it has none")

    @classmethod
    def from_history(cls, history: Any) -> HistoryDisplay:
        """Of what `Trainer.fit` returned, or a mapping such as its `to_dict`."""
        if not isinstance(history, Mapping) and not hasattr(history, "to_dict"):
            raise TypeError(f"history must be a fastconv.History, or a mapping as its to_dict() is, got "
                            f"{shown(history)}")
        return cls(history if isinstance(history, Mapping) else history.to_dict())

    def describe(self) -> str:
        count = len(self.history["epoch"])
        lines = [f"{count} epoch{'s' * (count > 1)}"]
        lines += [f"{name}: {number(points[0][1])} at first, {number(points[-1][1])} at last"
                  for some in self.panels.values() for name, points in some.items()]
        return "\n".join(lines)

    def plot(self, *, ax: Any = None) -> HistoryDisplay:
        """Draw the panels. Parameters as of `ConvolutionDisplay.plot`."""
        self._begin(ax, (3.6 * len(self.panels), 3))
        width = 1 / len(self.panels)
        for place, (title, some) in enumerate(self.panels.items()):
            panel = self._chart(title, (place * width + 0.05, 0.14, width - 0.08, 0.76), title)
            for name, points in some.items():
                style = "--" if name.startswith("validation") else "-"
                self.lines_[name], = panel.plot(*zip(*points), style, marker="o", markersize=3, label=LEGEND[name])
            panel.set_xlabel("epoch", fontsize=8)
            panel.xaxis.get_major_locator().set_params(integer=True)
            if any(LEGEND[name] for name in some):
                panel.legend(fontsize=8)
        return self

    def _points(self, name: str) -> list[tuple[int, float]]:
        """Epoch and value, where there is one."""
        return [(epoch, value) for epoch, value in zip(self.history["epoch"], self.history.get(name, []))
                if value is not None]
