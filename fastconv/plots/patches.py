"""A picture of what filters look for: the patches of many images that each answers to most strongly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import GREY, Display, check_walk, number, tiled


class TopPatchesDisplay(Display):
    """A line for each filter: its slices' mean, and the patches of images that give its largest outputs.

    Parameters
    ----------
    data : walk.PatchesWalk
    most : int
        Filters that are drawn, from the first.

    Examples
    --------
    >>> from fastconv import data, nn
    >>> from fastconv.plots import TopPatchesDisplay
    >>> display = TopPatchesDisplay.from_model(nn.models.lenet5(rng=0), data.digits("test").images[:50])
    >>> display.describe().splitlines()[0]
    '0: Conv2d: 6 filters, which see 5 x 5 pixels of the image'
    """

    def __init__(self, data: walk.PatchesWalk, *, most: int = 8) -> None:
        check_walk(data, walk.PatchesWalk)
        self.data = data
        self.most = min(checks.integer(most, "most", 1), len(data.weight))

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, layer: int = 0, most: int = 8,
                   patches: int = 8) -> TopPatchesDisplay:
        """Of a model's convolution, the one with this number among its layers `Conv2d`, and images (N, C, H, W):
        `most` filters, for each so many patches."""
        return cls(walk.top_patches(model, x, layer=layer, most=patches), most=most)

    def describe(self) -> str:
        data = self.data
        rows, columns = data.extent
        lines = [f"{data.name}: {len(data.weight)} filters, which see {rows} x {columns} pixels of the image"]
        for k in range(self.most):
            row, column = (int(corner) for corner in data.corners[k, 0])
            lines.append(f"filter {k} answers most, with {number(data.values[k, 0])}, to image {data.images[k, 0]} at "
                         f"row {row}, column {column}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> TopPatchesDisplay:
        """Draw the lines. Parameters as of `ConvolutionDisplay.plot`."""
        data, count = self.data, self.data.values.shape[1]
        self._begin(ax, (1.05 * (count + 1) + 0.6, 0.5 + 1.25 * self.most))
        height, width = data.extent
        gap = 1 + round(0.22 * height)  # above each patch, for its number
        filters = self._panel("filters", (0.07, 0.0, 0.93 / (1.2 + count), 0.97))
        taps = data.weight.shape[2]
        above = 1 + round(0.22 * taps)
        means = data.weight[:self.most].mean(axis=1)
        self._plane("filters", tiled(_lowered(means, above), 1), limit=float(np.abs(means).max()), numbers=False)
        filters.set_yticks([k * (taps + above + 1) + above + taps / 2 for k in range(self.most)],
                           [f"filter {k}" for k in range(self.most)], fontsize=8)
        panel = self._panel("patches", (1 - 0.93 * count / (1.2 + count), 0.0, 0.93 * count / (1.2 + count), 0.97))
        rows = data.patches[:self.most].reshape(-1, *data.patches.shape[2:])
        sheets = np.stack([tiled(_lowered(rows[:, channel], gap), count) for channel in range(rows.shape[1])])
        self._picture("patches", sheets, cmap)
        self.texts_["values"] = np.empty((self.most, count), object)
        for k, place in np.ndindex(self.most, count):
            self.texts_["values"][k, place] = panel.text(
                place * (width + 1) + width / 2, k * (height + gap + 1) + 0.7 * gap, number(data.values[k, place]),
                ha="center", va="bottom", fontsize=7)
        filters.set_frame_on(False)
        panel.set_facecolor("aliceblue")  # white pixels at a patch's edge are to be seen
        self.ax_.set_title(self.describe().splitlines()[0], fontsize=9)
        return self


def _lowered(planes: NDArray[Any], above: int) -> NDArray[Any]:
    """Planes (N, H, W) with so many empty rows above each."""
    return np.pad(planes, ((0, 0), (above, 0), (0, 0)), constant_values=math.nan)
