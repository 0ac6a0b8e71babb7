"""A picture of an activation: its curve and slope, a map before and after, and how the numbers are spread."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import Display, check_walk, number
from fastconv.walk.layers import channels_first, layer_of

_BINS = 40
_MANY = 1000  # numbers, so that one bin, that of 0, hides all others on a linear scale


class ActivationDisplay(Display):
    """The function and its derivative, one map before and after, and the histogram of both.

    Parameters
    ----------
    data : walk.ActivationWalk
        Of maps (C, H, W).
    channel : int
        Which map is drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import ActivationDisplay
    >>> display = ActivationDisplay.from_arrays(np.array([[[-2.0, 0.5], [3.0, -1.0]]]))
    >>> print(display.describe())
    ReLU: f(-1) = 0, f(0) = 0, f(1) = 1; slopes f'(-1) = 0, f'(1) = 1
    1 map of 2 x 2: from -2 to 3 before, from 0 to 3 after
    the slope is 0 at 2 of 4 numbers, where no gradient comes back
    """

    def __init__(self, data: walk.ActivationWalk, *, channel: int = 0) -> None:
        check_walk(data, walk.ActivationWalk)
        if data.x.ndim != 3 or not data.x.size:
            raise ValueError(f"data must be of maps (C, H, W), with at least one number, got shape {data.x.shape}")
        if not 0 <= checks.integer(channel, "channel") < len(data.x):
            raise ValueError(f"channel must be at least 0 and less than {len(data.x)}, got {channel}")
        self.data, self.channel = data, channel

    @classmethod
    def from_arrays(cls, x: ArrayLike, layer: nn.Module | None = None, *, channel: int = 0) -> ActivationDisplay:
        """Of maps (C, H, W) and an activation of `fastconv.nn`, by default ReLU."""
        return cls(walk.activation(x, layer), channel=channel)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, layer: int = 0, channel: int = 0) -> ActivationDisplay:
        """Of a model's activation behind maps, the one with this number, on its way for an image."""
        layers = walk.forward(model, x).layers
        seen = layer_of([one for one in layers if one.input.ndim == 3], layer, walk.ACTIVATIONS,
                        "an activation of maps")
        return cls(walk.activation(channels_first(layers, seen.input), seen.layer), channel=channel)

    def describe(self) -> str:
        data = self.data
        at = {point: int(np.abs(data.grid - point).argmin()) for point in (-1, 0, 1)}
        count, rows, columns = data.x.shape
        dead = int(np.count_nonzero(data.passing == 0))
        return "\n".join([
            f"{data.name}: {', '.join(f'f({point}) = {number(data.values[i])}' for point, i in at.items())}; slopes "
            f"f'(-1) = {number(data.slopes[at[-1]])}, f'(1) = {number(data.slopes[at[1]])}",
            f"{count} map{'s' * (count > 1)} of {rows} x {columns}: from {number(data.x.min())} to "
            f"{number(data.x.max())} before, from {number(data.y.min())} to {number(data.y.max())} after",
            f"the slope is 0 at {dead} of {data.x.size} numbers, where no gradient comes back" if dead else
            "the slope is 0 nowhere: some gradient comes back everywhere",
        ])

    def plot(self, *, ax: Any = None) -> ActivationDisplay:
        """Draw the four panels; the maps have one scale. Parameters as of `ConvolutionDisplay.plot`."""
        data, before, after = self.data, self.data.x[self.channel], self.data.y[self.channel]
        self._begin(ax, (12, 3.2))
        curve = self._chart("curve", (0.03, 0.1, 0.2, 0.75), data.name)
        for side, value in ((curve.axhline, 0), (curve.axvline, 0)):
            side(value, color="tab:gray", linewidth=0.6)
        self.lines_["function"], = curve.plot(data.grid, data.values, label="f")
        self.lines_["slope"], = curve.plot(data.grid, data.slopes, "--", label="its slope f'")
        curve.legend(fontsize=8)
        limit = float(max(np.abs(before).max(), np.abs(after).max()))
        for name, plane, left in (("before", before, 0.27), ("after", after, 0.5)):
            self._panel(name, (left, 0.02, 0.21, 0.83), f"map {self.channel} {name}")
            self._plane(name, plane, limit=limit)
        histogram = self._chart("histogram", (0.77, 0.1, 0.22, 0.75), f"all {data.x.size} numbers")
        numbers = np.concatenate([data.x.ravel(), data.y.ravel()])
        edges = np.histogram_bin_edges(numbers[np.isfinite(numbers)].astype(np.float64), _BINS)
        self.counts_ = {name: histogram.hist(values.ravel(), edges, histtype=kind, color=colour, label=name)[0]
                        for name, values, kind, colour in (("before", data.x, "stepfilled", "lightgray"),
                                                           ("after", data.y, "step", "tab:blue"))}
        if data.x.size > _MANY:
            histogram.set_yscale("symlog", linthresh=10)
        histogram.legend(fontsize=8)
        self.ax_.set_title(self.describe().splitlines()[2], fontsize=9)
        return self
