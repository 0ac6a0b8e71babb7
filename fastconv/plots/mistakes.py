"""Pictures of what a network gets wrong: which classes it confuses, and the images that it is most wrong about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import GREY, Display, check_walk, number
from fastconv.plots.prediction import class_names

_MOST_CLASSES = 20  # whose counts can be read
_WORST = 5


class ConfusionMatrixDisplay(Display):
    """How many images of each class (rows) are taken for each (columns); the colour is the part of the row.

    Parameters
    ----------
    confusion : ndarray (classes, classes) of int
    classes : sequence of str, optional
        The names of the classes.

    Examples
    --------
    >>> from fastconv.plots import ConfusionMatrixDisplay
    >>> display = ConfusionMatrixDisplay.from_predictions([0, 1, 1, 2], [0, 1, 2, 2], classes=["ant", "bee", "fly"])
    >>> print(display.describe())
    3 of 4 images are taken for what they are, accuracy 0.75
    bee taken for fly: 1
    """

    def __init__(self, confusion: NDArray[np.int64], *, classes: Sequence[str] | None = None) -> None:
        self.confusion = np.asarray(confusion)
        if (self.confusion.ndim != 2 or len(set(self.confusion.shape)) != 1 or self.confusion.dtype.kind not in "iu"
                or not self.confusion.size or self.confusion.min() < 0):
            raise ValueError(f"confusion must be counts (classes, classes), got {self.confusion.dtype} of shape "
                             f"{self.confusion.shape}")
        self.classes = class_names(classes, len(self.confusion))

    @classmethod
    def from_predictions(cls, labels: ArrayLike, predictions: ArrayLike, *,
                         classes: Sequence[str] | None = None) -> ConfusionMatrixDisplay:
        """Of the classes of images (N,) and what they are taken for (N,)."""
        given = [numbers for numbers in map(np.asarray, (labels, predictions))
                 if numbers.size and numbers.dtype.kind in "iu"]  # others are refused by their name
        highest = max((int(numbers.max()) for numbers in given), default=0)
        count = max(highest, 0) + 1 if classes is None else len(classes)
        return cls(walk.confusion(labels, predictions, count), classes=classes)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, labels: ArrayLike, *,
                   classes: Sequence[str] | None = None) -> ConfusionMatrixDisplay:
        """Of a model's predictions for images (N, C, H, W)."""
        return cls(walk.predictions(model, x, labels).confusion, classes=classes)

    def describe(self) -> str:
        total, right = int(self.confusion.sum()), int(self.confusion.trace())
        lines = [f"{right} of {total} images are taken for what they are, accuracy {number(right / max(total, 1))}"]
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        for place in np.argsort(-wrong, axis=None, kind="stable")[:_WORST]:
            label, taken = divmod(int(place), len(wrong))
            if wrong[label, taken]:
                lines.append(f"{self.classes[label]} taken for {self.classes[taken]}: {wrong[label, taken]}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, cmap: str = "Blues") -> ConfusionMatrixDisplay:
        """Draw the matrix. Parameters as of `ConvolutionDisplay.plot`."""
        count = len(self.confusion)
        side = min(9.0, 3.0 + 0.34 * count)
        self._begin(ax, (side, side))
        panel = self._panel("confusion", (0.12, 0.1, 0.87, 0.84))
        parts = self.confusion / np.maximum(self.confusion.sum(axis=1, keepdims=True), 1)
        self.images_["confusion"] = panel.imshow(parts, cmap=cmap, vmin=0, vmax=1, interpolation="nearest")
        if count <= _MOST_CLASSES:
            self.texts_["confusion"] = np.empty(parts.shape, object)
            for (i, j), part in np.ndenumerate(parts):
                shown = {"color": "white" if part > 0.5 else "black" if self.confusion[i, j] else "lightgray"}
                self.texts_["confusion"][i, j] = panel.text(j, i, str(self.confusion[i, j]), ha="center", va="center",
                                                            fontsize=8, **shown)
            panel.set_xticks(range(count), self.classes, fontsize=8,
                             rotation=45 if max(map(len, self.classes)) > 3 else 0)
            panel.set_yticks(range(count), self.classes, fontsize=8)
        panel.set_xlabel("taken for", fontsize=9)
        panel.set_ylabel("is", fontsize=9)
        self.ax_.set_title(self.describe().splitlines()[0], fontsize=9)
        return self


class MistakesDisplay(Display):
    """The images that a network is most wrong about, with what they are and what they are taken for.

    Parameters
    ----------
    data : walk.PredictionsWalk
    most : int
        Images that are drawn, the worst first.
    classes : sequence of str, optional
        The names of the classes.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import MistakesDisplay
    >>> digits = data.digits("test")[:10]
    >>> display = MistakesDisplay.from_model(nn.models.lenet5(rng=0), digits.images, digits.labels)
    >>> display.describe().splitlines()[0]
    '10 of 10 images are taken for something else'
    """

    def __init__(self, data: walk.PredictionsWalk, *, most: int = 12, classes: Sequence[str] | None = None) -> None:
        check_walk(data, walk.PredictionsWalk)
        self.data = data
        self.classes = class_names(classes, data.probabilities.shape[1])
        self.worst = data.mistakes[:checks.integer(most, "most", 1)]

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, labels: ArrayLike, *, most: int = 12,
                   classes: Sequence[str] | None = None) -> MistakesDisplay:
        """Of a model's predictions for images (N, C, H, W)."""
        return cls(walk.predictions(model, x, labels), most=most, classes=classes)

    def describe(self) -> str:
        data = self.data
        lines = [f"{len(data.mistakes)} of {len(data.labels)} images are taken for something else"]
        return "\n".join(lines + [f"image {image}: {self._caption(image)}" for image in self.worst])

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> MistakesDisplay:
        """Draw the images in lines of six. Parameters as of `ConvolutionDisplay.plot`."""
        across = 6
        lines = max(1, math.ceil(len(self.worst) / across))
        self._begin(ax, (10, 0.5 + 2.1 * lines))
        self.texts_["mistakes"] = np.empty(len(self.worst), object)
        for place, image in enumerate(self.worst):
            line, column = divmod(place, across)
            name = f"image {image}"
            panel = self._panel(name, ((column + 0.06) / across, 1 - (line + 0.96) / lines, 0.88 / across,
                                       0.68 / lines))
            self._picture(name, self.data.x[image], cmap)
            self.texts_["mistakes"][place] = panel.set_title(self._caption(image).replace(", taken", "\ntaken"),
                                                             fontsize=8)
        self.ax_.set_title(self.describe().splitlines()[0], fontsize=9)
        return self

    def _caption(self, image: Any) -> str:
        data = self.data
        label, taken = data.labels[image], data.predictions[image]
        p, q = (number(data.probabilities[image, k]) for k in (label, taken))
        return f"{self.classes[label]} (p {p}), taken for {self.classes[taken]} (p {q})"
