"""A picture of flattening: maps laid one behind the other into one row of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F, nn, walk
from fastconv.functional import checks
from fastconv.plots.display import Display, number, rectangle
from fastconv.walk.layers import channels_first, layer_of

_COLOURS = "tab20"


class FlattenDisplay(Display):
    """The maps, each in a colour of its own, and the row that they become, with the index where each map begins.

    Parameters
    ----------
    maps : ndarray (C, H, W)
    most : int
        Maps that are drawn above the row, from the first; the row is drawn whole.
    channels_last : bool
        Whether the row has pixel by pixel the numbers of all maps: that of ``nn.Flatten()`` in a model of NHWC, to
        which its data_format was not said.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import FlattenDisplay
    >>> print(FlattenDisplay.from_arrays(np.arange(12.0).reshape(3, 2, 2)).describe())
    3 maps of 2 x 2 become one row of 12 numbers
    row i, column j of map c is number c*4 + i*2 + j
    row 1, column 1 of map 2 is number 2*4 + 1*2 + 1 = 11: 11
    """

    def __init__(self, maps: NDArray[Any], *, most: int = 16, channels_last: bool = False) -> None:
        self.maps = checks.array(maps, "maps")
        if self.maps.ndim != 3 or not self.maps.size:
            raise ValueError(f"maps must be (C, H, W), with at least one number, got shape {self.maps.shape}")
        self.most = min(checks.integer(most, "most", 1), len(self.maps))
        self.channels_last = checks.flag(channels_last, "channels_last")
        self.row = F.flatten((np.moveaxis(self.maps, 0, -1) if self.channels_last else self.maps)[None])[0]

    @classmethod
    def from_arrays(cls, maps: ArrayLike, *, most: int = 16, channels_last: bool = False) -> FlattenDisplay:
        """Of maps (C, H, W)."""
        return cls(checks.array(maps, "maps"), most=most, channels_last=channels_last)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, most: int = 16) -> FlattenDisplay:
        """Of what comes to a model's `Flatten` for an image."""
        layers = walk.forward(model, x).layers
        seen = layer_of(layers, 0, (nn.Flatten,), "a Flatten")
        maps = channels_first(layers, seen.input)
        layer: Any = seen.layer
        return cls(maps, most=most, channels_last=maps is not seen.input and layer.data_format == "NCHW")

    def describe(self) -> str:
        count, rows, columns = self.maps.shape
        last = self.row[-1]
        rule, at = "c*{} + i*{} + j", f"{count - 1}*{rows * columns} + {rows - 1}*{columns} + {columns - 1}"
        steps = (rows * columns, columns)
        if self.channels_last:
            rule, at = "i*{} + j*{} + c", f"{rows - 1}*{columns * count} + {columns - 1}*{count} + {count - 1}"
            steps = (columns * count, count)
        return (f"{count} map{'s' * (count > 1)} of {rows} x {columns} become one row of {self.row.size} numbers\n"
                f"row i, column j of map c is number {rule.format(*steps)}\n"
                f"row {rows - 1}, column {columns - 1} of map {count - 1} is number {at} = {self.row.size - 1}: "
                f"{number(last)}")

    def plot(self, *, ax: Any = None) -> FlattenDisplay:
        """Draw maps and row with one scale. Parameters as of `ConvolutionDisplay.plot`."""
        count, rows, columns = self.maps.shape
        height = max(0.75, min(2.0, 11 / self.most))  # in inches, of a map
        self._begin(ax, (12, height + 1.9))
        part = height / (height + 1.9)
        limit = float(np.abs(self.maps).max())
        width = 1 / self.most
        colours = _colours(count)
        for channel in range(self.most):
            panel = self._panel(f"map {channel}", (channel * width + 0.06 * width, 0.92 - part, 0.88 * width, part),
                                f"map {channel}")
            self._plane(f"map {channel}", self.maps[channel], limit=limit, numbers=self.most <= 4)
            for side in panel.spines.values():
                side.set_color(colours[channel])
                side.set_linewidth(3)
        strip = self._panel("row", (0.0, 0.16, 1.0, 0.4 * (0.92 - part)))
        self._plane("row", self.row[None], limit=limit, numbers=self.row.size <= 32)
        strip.set_aspect("auto")
        if self.channels_last:
            starts = np.arange(rows * columns) * count
            strip.imshow(np.array([colours * (rows * columns)]), extent=(-0.5, self.row.size - 0.5, 1.1, 0.5),
                         aspect="auto", interpolation="nearest")
        else:
            starts = np.arange(count) * rows * columns
            for channel, start in enumerate(starts):
                strip.add_patch(rectangle(1, start, 0.6, rows * columns, facecolor=colours[channel], fill=True,
                                          edgecolor="white", linewidth=0.5))
        strip.set_xlim(-0.5, self.row.size - 0.5)
        strip.set_ylim(1.1, -0.5)
        marked = starts[::-(-len(starts) // 16)]
        strip.set_xticks([*marked, self.row.size - 1], [*map(str, marked), str(self.row.size - 1)], fontsize=8)
        strip.set_xlabel("number in the row; the colours are those of the maps", fontsize=8)
        self.ax_.set_title("      ".join(self.describe().splitlines()[:2]), fontsize=9)
        return self


def _colours(count: int) -> list[Any]:
    """One for each map, again from the first where there are more."""
    from matplotlib import colormaps

    return [colormaps[_COLOURS](channel % 20) for channel in range(count)]
