"""Pictures of a training from within: filters as they are learnt, and the loss by learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import Display, check_walk, number, tiled


class FilterHistoryDisplay(Display):
    """The filters of a layer as they were initialised and on their way: a line for each, the first of its slices from
    left to right; below, the loss of each batch.

    Parameters
    ----------
    data : walk.TrainingWalk
    most : int
        Filters that are drawn, from the first.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import FilterHistoryDisplay
    >>> digits = data.digits("train")[:640]
    >>> display = FilterHistoryDisplay.from_model(nn.models.lenet5(rng=0), digits.images, digits.labels)
    >>> display.describe().splitlines()[0]
    '6 filters of 5 x 5, after 0, 1, 2, 3, 4, 6, 7, 8, 9, 10 steps'
    """

    def __init__(self, data: walk.TrainingWalk, *, most: int = 8) -> None:
        check_walk(data, walk.TrainingWalk)
        self.data = data
        self.most = min(checks.integer(most, "most", 1), data.filters.shape[1])

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, labels: ArrayLike, *, most: int = 8,
                   **options: Any) -> FilterHistoryDisplay:
        """Of a copy of a model that is trained on images (N, C, H, W); options as `fastconv.walk.training` takes
        them."""
        return cls(walk.training(model, x, labels, **options), most=most)

    def describe(self) -> str:
        data = self.data
        _, filters, _, rows, columns = data.filters.shape
        moved = np.abs(data.filters[-1] - data.filters[0]).reshape(filters, -1).max(axis=1)
        k = int(moved.argmax())
        steps = ", ".join(map(str, data.at))
        return (f"{filters} filter{'s' * (filters > 1)} of {rows} x {columns}, after {steps} steps\n"
                f"loss {number(data.losses[0])} of the first batch, {number(data.losses[-1])} of the last\n"
                f"filter {k} changed most: a weight by {number(moved[k])}")

    def plot(self, *, ax: Any = None) -> FilterHistoryDisplay:
        """Draw filters with one scale, and the loss. Parameters as of `ConvolutionDisplay.plot`."""
        data, times = self.data, len(self.data.at)
        self._begin(ax, (0.9 * times + 1, 0.75 * self.most + 2.4))
        part = 0.75 * self.most / (0.75 * self.most + 2.4)
        shown = data.filters[:, :self.most, 0].swapaxes(0, 1)
        height, width = shown.shape[2:]
        panel = self._panel("filters", (0.08, 0.96 - part, 0.9, part))
        self._plane("filters", tiled(shown.reshape(-1, height, width), times),
                    limit=float(np.abs(shown).max()), numbers=False)
        panel.set_frame_on(False)
        panel.set_yticks([k * (height + 1) + height / 2 for k in range(self.most)],
                         [f"filter {k}" for k in range(self.most)], fontsize=8)
        panel.set_xticks([t * (width + 1) + width / 2 for t in range(times)], map(str, data.at), fontsize=8)
        loss = self._chart("loss", (0.08, 0.1, 0.9, 0.8 * (0.96 - part) - 0.1))
        self.lines_["loss"], = loss.plot(np.arange(len(data.losses)), data.losses, linewidth=1)
        for step in data.at:
            loss.axvline(step, color="lightgray", linewidth=0.6, zorder=0)
        loss.set_xlabel("steps", fontsize=8)
        loss.set_ylabel("loss of the batch", fontsize=8)
        self.ax_.set_title(self.describe().splitlines()[1], fontsize=9)
        return self

    def animate(self, *, ax: Any = None, interval: int = 400) -> Any:
        """The filters beside each other, changing from step to step. Parameters and result as of
        `ConvolutionDisplay.animate`."""
        self._begin(ax, (1.1 * self.most + 0.5, 2))
        self._panel("filters", (0, 0, 1, 0.9))
        self._plane("filters", self._at(0), limit=float(np.abs(self.data.filters[:, :self.most, 0]).max()),
                    numbers=False)
        from matplotlib.animation import FuncAnimation

        return FuncAnimation(self.figure_, self._move, range(len(self.data.at)), interval=interval,
                             init_func=lambda: None)

    def _move(self, time: int) -> None:
        self.images_["filters"].set_data(self._at(time))
        self.ax_.set_title(f"after {self.data.at[time]} steps", fontsize=9)

    def _at(self, time: int) -> NDArray[Any]:
        """The filters beside each other."""
        return tiled(self.data.filters[time, :self.most, 0], self.most)


class LearningRateDisplay(Display):
    """The loss of batch after batch while the learning rate grows, and the rate where it falls fastest.

    Parameters
    ----------
    lr, loss : sequence of float
        Of each step.
    smoothed : sequence of float, optional
        The losses as a running mean.
    suggestion : float, optional
        The rate that is marked.

    Examples
    --------
    >>> from fastconv.plots import LearningRateDisplay
    >>> print(LearningRateDisplay.from_arrays([0.01, 0.1, 1.0], [2.3, 1.1, 9.0], suggestion=0.1).describe())
    3 steps with learning rates from 0.01 to 1: loss 2.3 at first, least 1.1 at 0.1, 9 at last
    suggestion: 0.1
    """

    def __init__(self, lr: ArrayLike, loss: ArrayLike, *, smoothed: ArrayLike | None = None,
                 suggestion: float | None = None) -> None:
        self.lr, self.loss = np.asarray(lr, np.float64), np.asarray(loss, np.float64)
        self.smoothed = self.loss if smoothed is None else np.asarray(smoothed, np.float64)
        for name, values in (("loss", self.loss), ("smoothed", self.smoothed)):
            if self.lr.ndim != 1 or not self.lr.size or values.shape != self.lr.shape:
                raise ValueError(f"{name} must have one number for each of at least one learning rate, got shape "
                                 f"{values.shape} for {self.lr.shape}")
        if not (self.lr > 0).all():
            raise ValueError(f"lr must be above 0, got {self.lr.min()}")
        if not np.isfinite(self.smoothed).any():
            raise ValueError("loss must have a finite number, it has none")
        self.suggestion = suggestion

    @classmethod
    def from_arrays(cls, lr: ArrayLike, loss: ArrayLike, *, smoothed: ArrayLike | None = None,
                    suggestion: float | None = None) -> LearningRateDisplay:
        """Of what `Trainer.lr_find` returned, or figures of one's own."""
        return cls(lr, loss, smoothed=smoothed, suggestion=suggestion)

    def describe(self) -> str:
        least = int(np.nanargmin(self.smoothed))
        first = (f"{len(self.lr)} steps with learning rates from {number(self.lr[0])} to {number(self.lr[-1])}: loss "
                 f"{number(self.smoothed[0])} at first, least {number(self.smoothed[least])} at "
                 f"{number(self.lr[least])}, {number(self.smoothed[-1])} at last")
        return first if self.suggestion is None else f"{first}\nsuggestion: {number(self.suggestion)}"

    def plot(self, *, ax: Any = None) -> LearningRateDisplay:
        """Draw the curve. Parameters as of `ConvolutionDisplay.plot`."""
        self._begin(ax, (6, 3.6))
        panel = self._chart("loss", (0.08, 0.12, 0.9, 0.8))
        self.lines_["loss"], = panel.plot(self.lr, self.loss, color="lightgray", linewidth=1, label="of the batch")
        self.lines_["smoothed"], = panel.plot(self.lr, self.smoothed, label="running mean")
        panel.set_xscale("log")
        # A loss that runs away at the end would press all else to the ground.
        finite = self.smoothed[np.isfinite(self.smoothed)]
        least, first = float(finite.min()), float(finite[0])
        panel.set_ylim(least - 0.1 * (first - least) - 0.01, first + 0.6 * (first - least) + 0.01)
        if self.suggestion is not None:
            self.lines_["suggestion"] = panel.axvline(self.suggestion, color="tab:orange", linestyle="--",
                                                      label=f"suggestion {number(self.suggestion)}")
        panel.set_xlabel("learning rate", fontsize=8)
        panel.set_ylabel("loss", fontsize=8)
        panel.legend(fontsize=8)
        return self
