"""A picture of a prediction: the image, and the probability and log-probability of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.plots.display import GREY, Display, check_walk, number
from fastconv.walk.layers import channels_first


class PredictionDisplay(Display):
    """An image, what a network takes it for, and what it is.

    Parameters
    ----------
    data : walk.ForwardWalk
    label : int, optional
        The class that it is of, which is marked.
    classes : sequence of str, optional
        The names of the classes.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import PredictionDisplay
    >>> image = data.digits("test").images[0]
    >>> display = PredictionDisplay.from_model(nn.models.lenet5(rng=0), image, label=7)
    >>> display.describe().split(",")[0]
    'taken for 1'
    """

    def __init__(self, data: walk.ForwardWalk, *, label: int | None = None,
                 classes: Sequence[str] | None = None) -> None:
        check_walk(data, walk.ForwardWalk)
        count = len(data.probabilities)
        if label is not None and not 0 <= checks.integer(label, "label") < count:
            raise ValueError(f"label must be at least 0 and less than {count}, got {label}")
        self.data, self.label, self.classes = data, label, class_names(classes, count)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, label: int | None = None,
                   classes: Sequence[str] | None = None) -> PredictionDisplay:
        """Of one image (C, H, W) on its way through a model."""
        return cls(walk.forward(model, x), label=label, classes=classes)

    def describe(self) -> str:
        data = self.data
        truth = "" if self.label is None else (f"; it is {self.classes[self.label]}, with probability "
                                               f"{number(data.probabilities[self.label])}")
        lines = [f"taken for {self.classes[data.prediction]}, with probability "
                 f"{number(data.probabilities[data.prediction])}{truth}"]
        lines += [f"{name}: probability {number(p)}, log-probability {number(log)}"
                  for name, p, log in zip(self.classes, data.probabilities, data.log_probabilities)]
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> PredictionDisplay:
        """Draw the image and two rows of bars. Parameters as of `ConvolutionDisplay.plot`."""
        data, count = self.data, len(self.classes)
        self._begin(ax, (10, 3.6))
        self._panel("image", (0.0, 0.05, 0.3, 0.8), "image")
        image = channels_first(data.layers, data.x) if data.x.ndim == 3 else np.atleast_2d(data.x)[None]
        self._picture("image", image, cmap)
        colours = ["tab:orange" if k == self.label else "tab:blue" for k in range(count)]
        for name, values, left in (("probability", data.probabilities, 0.4),
                                   ("log-probability", data.log_probabilities, 0.74)):
            self._chart(name, (left, 0.05, 0.25, 0.8), name)
            self._bars(name, values, self.classes, colours)
        marked = "" if self.label is None else "   (orange: what it is)"
        self.ax_.set_title(self.describe().splitlines()[0] + marked, fontsize=9)
        return self


def class_names(classes: Sequence[str] | None, count: int) -> list[str]:
    """The argument `classes`: as many names as there are classes, by default their numbers."""
    if not (classes is None or hasattr(classes, "__iter__")):
        raise TypeError(f"classes must be a list of names, got {shown(classes)}")
    names = [str(name) for name in (range(count) if classes is None else classes)]
    if len(names) != count:
        raise ValueError(f"classes must have {count} names, got {len(names)}")
    return names
