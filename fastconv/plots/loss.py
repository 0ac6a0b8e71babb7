"""A picture of the cross-entropy of one image: the loss on its curve, and the gradient that it sends back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import nn, walk
from fastconv.plots.display import Display, check_walk, number
from fastconv.plots.prediction import class_names

_LEAST = 1e-4  # from where on the curve is drawn: it comes from infinity


class LossDisplay(Display):
    """Minus the logarithm of the true class's probability, on its curve; and p - onehot, the gradient, as bars.

    Parameters
    ----------
    data : walk.BackwardWalk
    classes : sequence of str, optional
        The names of the classes.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import LossDisplay
    >>> digits = data.digits("test")
    >>> display = LossDisplay.from_model(nn.models.lenet5(rng=0), digits.images[0], digits.labels[0])
    >>> print(display.describe().splitlines()[0])
    it is 0, with probability 0.0683: loss -log(0.0683) = 2.68
    """

    def __init__(self, data: walk.BackwardWalk, *, classes: Sequence[str] | None = None) -> None:
        check_walk(data, walk.BackwardWalk)
        self.data = data
        self.classes = class_names(classes, len(data.error))

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, label: int, *,
                   classes: Sequence[str] | None = None) -> LossDisplay:
        """Of one image (C, H, W) and its class on their way through a model and back."""
        return cls(walk.backward(model, x, label), classes=classes)

    def describe(self) -> str:
        data = self.data
        p = number(data.forward.probabilities[data.label])
        error = ", ".join(f"{name}: {number(value)}" for name, value in zip(self.classes, data.error))
        return (f"it is {self.classes[data.label]}, with probability {p}: loss -log({p}) = {number(data.loss)}\n"
                f"the gradient with respect to the logits, p - onehot: {error}\n"
                "they add up to 0: what the true class gains the others lose")

    def plot(self, *, ax: Any = None) -> LossDisplay:
        """Draw the curve, the probabilities and the gradient. Parameters as of `ConvolutionDisplay.plot`."""
        data = self.data
        probabilities, label = data.forward.probabilities, data.label
        self._begin(ax, (11, 3.5))
        curve = self._chart("curve", (0.04, 0.12, 0.3, 0.74), "-log p of the true class")
        points = np.geomspace(_LEAST, 1, 200)
        self.lines_["curve"], = curve.plot(points, -np.log(points), color="tab:gray")
        at = max(float(probabilities[label]), _LEAST), min(float(data.loss), -np.log(_LEAST))
        self.lines_["loss"], = curve.plot(*at, "o", color="tab:orange")
        self.texts_["curve"] = np.array([curve.annotate(
            f"-log({number(probabilities[label])}) = {number(data.loss)}", at, (0.35, 0.7),
            textcoords="axes fraction", fontsize=9, arrowprops={"arrowstyle": "->", "color": "tab:orange"})], object)
        curve.set_xlabel("p", fontsize=8)
        colours = ["tab:orange" if k == label else "tab:blue" for k in range(len(self.classes))]
        self._chart("probability", (0.41, 0.12, 0.25, 0.74), "p   (orange: what it is)")
        self._bars("probability", probabilities, self.classes, colours)
        self._chart("error", (0.73, 0.12, 0.26, 0.74), "gradient of the logits: p - onehot")
        self._bars("error", data.error, self.classes, ["tab:red" if value > 0 else "tab:blue" for value in data.error])
        self.ax_.set_title(self.describe().splitlines()[0], fontsize=9)
        return self
