"""A picture of a network: what each layer makes of an image as a stack of maps, with shape, parameters and formula."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.plots.display import Display, check_walk
from fastconv.walk.layers import channels_first

_ACROSS = 7
_MOST_PLATES = 6
_LONG = 18  # characters of a name that has room in large letters

#: Colours by what a layer does; the first kind that fits.
_COLOURS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((nn.Conv1d, nn.Conv2d, nn.Conv3d), "tab:blue"),
    ((nn.MaxPool2d, nn.AvgPool2d), "tab:orange"),
    (walk.ACTIVATIONS, "tab:green"),
    ((nn.Linear,), "tab:purple"),
    ((nn.Softmax, nn.LogSoftmax), "tab:red"),
)


class ModelDisplay(Display):
    """The layers of a network one after the other: a stack for maps, as high as they are and thick by their number, a
    bar for a row of numbers; under each its shape, its parameters and the formula of its size.

    Parameters
    ----------
    data : walk.ForwardWalk

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> from fastconv.plots import ModelDisplay
    >>> display = ModelDisplay.from_model(nn.models.lenet5(rng=0), np.zeros((1, 28, 28), np.float32))
    >>> print("\\n".join(display.describe().splitlines()[:2]))
    an image of 1 x 28 x 28
    0: Conv2d: 6 x 28 x 28, 156 parameters, (28 + 2*2 - 5)/1 + 1 = 28
    """

    def __init__(self, data: walk.ForwardWalk) -> None:
        check_walk(data, walk.ForwardWalk)
        self.data = data

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike) -> ModelDisplay:
        """Of a model, with one image (C, H, W) on its way through it."""
        return cls(walk.forward(model, x))

    def describe(self) -> str:
        lines = [f"an image of {_shape(self.data.x)}"]
        lines += [f"{one.name}: " + ", ".join(word for word in (_shape(one.output), _parameters(one), *_formulas(one))
                                              if word) for one in self.data.layers]
        return "\n".join([*lines, f"{sum(one.parameters for one in self.data.layers):,} parameters"])

    def plot(self, *, ax: Any = None) -> ModelDisplay:
        """Draw the stacks from left to right, line by line. Parameters as of `ConvolutionDisplay.plot`."""
        count = len(self.data.layers) + 1
        lines = math.ceil(count / _ACROSS)
        self._begin(ax, (12, 2.5 * lines))
        self.ax_.set_title(self.describe().splitlines()[-1], fontsize=9)
        outputs = [channels_first(self.data.layers, values)
                   for values in (self.data.x, *(one.output for one in self.data.layers))]
        self._highest = max((values.shape[1] for values in outputs if values.ndim == 3), default=1)
        self._longest = max((values.size for values in outputs if values.ndim == 1), default=1)
        self.texts_ = {name: np.empty(count, object) for name in ("shape", "parameters", "formula")}
        for place, values in enumerate(outputs):
            line, column = divmod(place, _ACROSS)
            one = self.data.layers[place - 1] if place else None
            name = one.name if one else "image"
            panel = self._panel(name, (column / _ACROSS, 1 - (line + 1) / lines, 1 / _ACROSS, 0.94 / lines))
            panel.set_axis_off()
            panel.set_xlim(0, 1)
            panel.set_ylim(0, 1)
            colour = "tab:gray" if one is None else next(
                (colour for kinds, colour in _COLOURS if isinstance(one.layer, kinds)), "tab:gray")
            self._draw_stack(panel, values, colour)
            panel.text(0.5, 0.38, name, ha="center", va="top", fontsize=9 if len(name) <= _LONG else 7, weight="bold")
            for title, height, size, text in (
                    ("shape", 0.29, 8, _shape(values)), ("parameters", 0.21, 8, _parameters(one) if one else ""),
                    ("formula", 0.12, 7, "\n".join(textwrap.fill(formula, 30) for formula in _formulas(one)))):
                self.texts_[title][place] = panel.text(0.5, height, text, ha="center", va="top", fontsize=size)
            if place < count - 1 and column < _ACROSS - 1:
                panel.annotate("", (1.05, 0.72), (0.95, 0.72), annotation_clip=False,
                               arrowprops={"arrowstyle": "->", "color": "tab:gray"})
        return self

    def _draw_stack(self, panel: Any, values: NDArray[Any], colour: str) -> None:
        """Squares, one behind the other; or a bar. Sides go by the square root, so that small maps can be seen."""
        from matplotlib.patches import Rectangle

        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "linewidth": 0.8}
        if values.ndim != 3:
            height = 0.1 + 0.45 * math.sqrt(values.size / self._longest)
            panel.add_patch(Rectangle((0.46, 0.72 - height / 2), 0.08, height, **style))
            return
        plates = min(len(values), _MOST_PLATES)
        side = 0.08 + 0.33 * math.sqrt(values.shape[1] / self._highest)
        step = 0.03
        left, bottom = 0.5 - (side + step * (plates - 1)) / 2, 0.72 - (side + step * (plates - 1)) / 2
        for plate in reversed(range(plates)):
            panel.add_patch(Rectangle((left + plate * step, bottom + plate * step), side, side, **style))


def _shape(values: NDArray[Any]) -> str:
    return " x ".join(map(str, values.shape))


def _parameters(one: walk.LayerWalk) -> str:
    return f"{one.parameters:,} parameters" if one.parameters else ""


def _formulas(one: walk.LayerWalk | None) -> list[str]:
    """That of rows, and that of columns where it is another."""
    return list(dict.fromkeys(axis.formula for axis in one.formula)) if one else []
