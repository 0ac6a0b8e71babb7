"""A picture of pooling: an image cut into windows, and each window's winner or mean, channel by channel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from fastconv import walk
from fastconv.functional import checks
from fastconv.functional.typing import Pair
from fastconv.plots.display import GREY, Display, check_walk, number, rectangle


class PoolingDisplay(Display):
    """The channels of an image with their windows and winners, and under them what comes out.

    Parameters
    ----------
    data : walk.PoolingWalk
    most : int
        Channels that are drawn, from the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import PoolingDisplay
    >>> display = PoolingDisplay.from_arrays(np.arange(16.0).reshape(1, 4, 4), 2)
    >>> print(display.describe())
    OH: (4 + 2*0 - 2)/2 + 1 = 2
    OW: (4 + 2*0 - 2)/2 + 1 = 2
    max of 2 x 2 in channel 0: the window at row 0, column 0 holds 0, 1, 4, 5 and gives 5
    """

    def __init__(self, data: walk.PoolingWalk, *, most: int = 4) -> None:
        check_walk(data, walk.PoolingWalk)
        self.data, self.most = data, min(checks.integer(most, "most", 1), len(data.x))

    @classmethod
    def from_arrays(cls, x: ArrayLike, kernel_size: Pair, *, most: int = 4, kind: Literal["max", "average"] = "max",
                    **options: Any) -> PoolingDisplay:
        """Of one image (C, H, W); options as `fastconv.walk.pooling` takes them."""
        return cls(walk.pooling(x, kernel_size, kind=kind, **options), most=most)

    def describe(self) -> str:
        data, window = self.data, self.data.window(0, 0, 0)
        held = ", ".join(number(value) for value in window.pixels.flat)
        return (f"OH: {data.rows.formula}\nOW: {data.columns.formula}\n{data.kind} of {data.rows.taps} x "
                f"{data.columns.taps} in channel 0: the window at row 0, column 0 holds {held} and gives "
                f"{number(window.value)}")

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> PoolingDisplay:
        """Draw a column for each channel. Parameters as of `ConvolutionDisplay.plot`."""
        data = self.data
        self._begin(ax, (3.2 * self.most, 5.5))
        width = 1 / self.most
        for channel in range(self.most):
            left = channel * width
            panel = self._panel(f"input {channel}", (left, 0.45, 0.9 * width, 0.47), f"channel {channel}")
            self._plane(f"input {channel}", data.x[channel], cmap=cmap)
            self._panel(f"output {channel}", (left + 0.2 * width, 0.0, 0.5 * width, 0.36),
                        f"{data.kind} of {data.rows.taps} x {data.columns.taps}")
            self._plane(f"output {channel}", data.output[channel], cmap=cmap)
            if data.output[channel].size <= 256:
                for i, j in np.ndindex(*data.output.shape[1:]):
                    window = data.window(channel, i, j)
                    (top, bottom), (first, last) = window.rows, window.columns
                    panel.add_patch(rectangle(top, first, bottom - top, last - first, edgecolor="tab:orange",
                                              linewidth=1))
                    if window.winner is not None:
                        panel.plot(window.winner[1], window.winner[0], "o", markersize=9, markerfacecolor="none",
                                   markeredgecolor="tab:red")
        self.ax_.set_title("     ".join(self.describe().splitlines()[:2]), fontsize=9)
        return self
