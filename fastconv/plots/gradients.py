"""Pictures of the way back: the gradient through every layer, and the step that it makes a filter take."""

from __future__ import annotations

import math
import textwrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import Display, check_walk, number, rectangle, sheet
from fastconv.walk.layers import channels_first, convolution_of

_ACROSS = 5
_POOLINGS = (nn.MaxPool2d,)
_MOST_WINDOWS = 256


class GradientDisplay(Display):
    """The gradient of one image's loss on its way back: for each layer what leaves it, the rule by which it made that
    of what came, and the norms of both. At max pooling one map, with the windows whose winners take all.

    Parameters
    ----------
    data : walk.BackwardWalk

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import GradientDisplay
    >>> digits = data.digits("test")
    >>> display = GradientDisplay.from_model(nn.models.lenet5(rng=0), digits.images[0], digits.labels[0])
    >>> print("\\n".join(display.describe().splitlines()[:2]))
    loss 2.68
    12: LogSoftmax: norm 1 (10 numbers) comes, 1.03 (10 numbers) leaves; g - p * sum(g): behind a negative \
log-likelihood that is p - onehot
    """

    def __init__(self, data: walk.BackwardWalk) -> None:
        check_walk(data, walk.BackwardWalk)
        self.data = data
        self.layers = tuple(reversed(data.layers))

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, label: int) -> GradientDisplay:
        """Of one image (C, H, W) and its class on their way through a model and back."""
        return cls(walk.backward(model, x, label))

    def describe(self) -> str:
        lines = [f"loss {number(self.data.loss)}"]
        for one in self.layers:
            came, left = _arrived(one)
            lines.append(f"{one.name}: norm {_norm(came)} ({_size(came)}) comes, {_norm(left)} ({_size(left)}) leaves; "
                         f"{one.rule}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None) -> GradientDisplay:
        """Draw the layers from the last to the first, from right to left and line by line; each gradient has a scale
        of its own. Parameters as of `ConvolutionDisplay.plot`."""
        count = len(self.layers) + 1
        lines = math.ceil(count / _ACROSS)
        self._begin(ax, (12, 3.1 * lines))
        width, height = 1 / _ACROSS, 1 / lines
        self.texts_["norm"] = np.empty(count, object)
        for place in range(count):
            line, column = divmod(place, _ACROSS)
            left, bottom = 1 - (column + 1) * width, 1 - (line + 1) * height
            bounds = (left + 0.1 * width, bottom + 0.34 * height, 0.72 * width, 0.5 * height)
            if place == 0:
                self._draw_loss(bounds)
            else:
                self._draw_layer(place, bounds)
        self.ax_.set_title(f"loss {number(self.data.loss)}; from the right to the left, line by line: what leaves each "
                           "layer on the way back (red above 0, blue below)", fontsize=9)
        return self

    def _draw_loss(self, bounds: tuple[float, float, float, float]) -> None:
        """The gradient that the loss sends back."""
        gradient = _arrived(self.layers[0])[0]
        panel = self._panel("loss", bounds, "loss")
        self._plane("loss", sheet(gradient), numbers=False)
        self._under(panel, 0, f"|g| {_norm(gradient)}, {_size(gradient)}", "begins here: the derivative of the loss")

    def _draw_layer(self, place: int, bounds: tuple[float, float, float, float]) -> None:
        one = self.layers[place - 1]
        came, gradient = _arrived(one)
        maps = channels_first(self.layers, gradient)
        title = one.name
        panel = self._panel(one.name, bounds)
        if isinstance(one.layer, _POOLINGS):
            channel = int(np.abs(maps).sum(axis=(1, 2)).argmax())
            title = f"{one.name}, map {channel}"
            self._plane(one.name, maps[channel], numbers=False)
            self._windows(panel, one)
        else:
            self._plane(one.name, sheet(maps), numbers=False)
        panel.set_title(title, fontsize=9)
        panel.annotate("", (-0.02, -0.12), (1.02, -0.12), xycoords="axes fraction",
                       arrowprops={"arrowstyle": "->", "color": "tab:gray"})
        self._under(panel, place, f"|g| {_norm(came)} -> {_norm(gradient)}, {_size(gradient)}", one.rule)

    def _under(self, panel: Any, place: int, norm: str, rule: str) -> None:
        wrapped = "\n".join(textwrap.wrap(rule, 38))
        self.texts_["norm"][place] = panel.text(0.5, -0.17, norm, transform=panel.transAxes, ha="center", va="top",
                                                fontsize=8)
        panel.text(0.5, -0.3, wrapped, transform=panel.transAxes, ha="center", va="top", fontsize=7, color="dimgray")

    def _windows(self, panel: Any, one: walk.LayerWalk) -> None:
        """The windows of a pooling, where they can be told from each other."""
        rows, columns = one.formula
        if rows.outputs * columns.outputs > _MOST_WINDOWS:
            return
        from matplotlib.collections import PatchCollection

        windows = [rectangle(top, left, rows.extent, columns.extent) for top in rows.starts - rows.before
                   for left in columns.starts - columns.before]
        panel.add_collection(PatchCollection(windows, facecolor="none", edgecolor="tab:gray", linewidth=0.5))


class UpdateDisplay(Display):
    """One step of gradient descent in a slice of a filter: the weights, the step, the weights after it.

    Parameters
    ----------
    data : walk.UpdateWalk
    name : str
        Of the parameter (K, C, R, S), such as "0.weight".
    k, channel : int
        The filter, and which of its slices.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import UpdateDisplay
    >>> digits = data.digits("train")
    >>> display = UpdateDisplay.from_model(nn.models.lenet5(rng=0), digits.images[:32], digits.labels[:32], lr=0.05)
    >>> print(display.describe())
    filter 0, slice 0 of 0.weight, learning rate 0.05
    weight 0.134 - 0.05 * gradient 0.104 = 0.129
    loss of the same images: 3.3 before, 2.22 after
    """

    def __init__(self, data: walk.UpdateWalk, name: str, *, k: int = 0, channel: int = 0) -> None:
        check_walk(data, walk.UpdateWalk)
        filters = [one for one, values in data.gradients.items() if values.ndim == 4]
        checks.choice(name, "name", tuple(filters))
        for index, title, most in ((k, "k", data.before[name].shape[0]),
                                   (channel, "channel", data.before[name].shape[1])):
            if not 0 <= checks.integer(index, title) < most:
                raise ValueError(f"{title} must be at least 0 and less than {most}, got {index}")
        self.data, self.name, self.k, self.channel = data, name, k, channel
        self.before, self.gradient, self.after = (
            values[name][k, channel] for values in (data.before, data.gradients, data.after))
        self.step = np.asarray(data.lr, self.gradient.dtype) * self.gradient

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, labels: ArrayLike, *, lr: float = 0.01, layer: int = 0,
                   k: int = 0, channel: int = 0) -> UpdateDisplay:
        """Of a model's convolution, the one with this number among its layers `Conv2d`, in a step on images
        (N, C, H, W). The model is not changed."""
        path, _ = convolution_of(model, layer)
        return cls(walk.update(model, x, labels, lr), f"{path}.weight" if path else "weight", k=k, channel=channel)

    def describe(self) -> str:
        data, first = self.data, (0, 0)
        return (f"filter {self.k}, slice {self.channel} of {self.name}, learning rate {number(data.lr)}\n"
                f"weight {number(self.before[first])} - {number(data.lr)} * gradient {number(self.gradient[first])} = "
                f"{number(self.after[first])}\n"
                f"loss of the same images: {number(data.loss_before)} before, {number(data.loss_after)} after")

    def plot(self, *, ax: Any = None) -> UpdateDisplay:
        """Draw weights before and after with one scale, and the step with its own. Parameters as of
        `ConvolutionDisplay.plot`."""
        self._begin(ax, (11, 3.9))
        limit = float(max(np.abs(self.before).max(), np.abs(self.after).max()))
        for left, name, title, plane, scale in (
                (0.0, "before", "w", self.before, limit),
                (0.35, "step", f"lr * gradient, lr = {number(self.data.lr)}", self.step, None),
                (0.7, "after", "w - lr * gradient", self.after, limit)):
            self._panel(name, (left, 0.0, 0.29, 0.86), title)
            self._plane(name, plane, limit=scale)
        for place, sign in ((0.32, "-"), (0.67, "=")):
            self.ax_.text(place, 0.43, sign, transform=self.ax_.transAxes, ha="center", va="center", fontsize=20)
        self.ax_.set_title("     ".join(self.describe().splitlines()[::2]), fontsize=9)
        return self


def _arrived(one: walk.LayerWalk) -> tuple[NDArray[Any], NDArray[Any]]:
    """The gradient that comes to a layer, and the one that leaves it."""
    assert one.grad_output is not None and one.grad_input is not None, "a layer of a walk back has both"
    return one.grad_output, one.grad_input


def _norm(gradient: NDArray[Any]) -> str:
    return number(np.linalg.norm(gradient))


def _size(gradient: NDArray[Any]) -> str:
    return f"{gradient.size} numbers" if gradient.ndim == 1 else " x ".join(map(str, gradient.shape))
