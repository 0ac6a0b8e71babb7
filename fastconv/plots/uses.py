"""A picture of how often a filter sees each pixel of an image, without padding and with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import walk
from fastconv.functional import checks
from fastconv.functional.typing import Pair
from fastconv.plots.display import MOST_NUMBERS, Display


class PixelUseDisplay(Display):
    """In how many positions of the window each pixel of an image is: without padding the corners are in one alone.

    Parameters
    ----------
    plain, padded : ndarray (H, W) of int
        The counts without padding and with it, both of the pixels of the image.
    padding : (int, int)
        Rows above and below, columns left and right.

    Examples
    --------
    >>> from fastconv.plots import PixelUseDisplay
    >>> print(PixelUseDisplay.from_sizes(6, 3, padding=1).describe())
    without padding: a corner is in 1 window, the middle in 9
    with padding 1: a corner is in 4 windows, the middle in 9
    """

    def __init__(self, plain: NDArray[np.int64], padded: NDArray[np.int64], padding: tuple[int, int]) -> None:
        self.plain, self.padded, self.padding = plain, padded, padding

    @classmethod
    def from_sizes(cls, size: Pair, kernel_size: Pair, *, stride: Pair = 1, padding: Pair = 1,
                   dilation: Pair = 1) -> PixelUseDisplay:
        """Of an image of H x W pixels and a filter; one number stands for both axes."""
        pads = checks.pair(padding, "padding", 0)
        axes = list(zip(checks.pair(size, "size"), checks.pair(kernel_size, "kernel_size"),
                        checks.pair(stride, "stride"), pads, checks.pair(dilation, "dilation")))

        def counts(padded: bool) -> NDArray[np.int64]:
            uses = [walk.output_size(pixels, taps, step, pad if padded else 0, distance).uses
                    for pixels, taps, step, pad, distance in axes]
            inside = [slice(pad, pad + pixels) if padded else slice(None) for pixels, _, _, pad, _ in axes]
            return np.outer(uses[0][inside[0]], uses[1][inside[1]])

        return cls(counts(False), counts(True), (pads[0], pads[1]))

    def describe(self) -> str:
        lines = []
        for title, counts in zip(self._titles(), (self.plain, self.padded)):
            corner, middle = counts[0, 0], counts[counts.shape[0] // 2, counts.shape[1] // 2]
            lines.append(f"{title}: a corner is in {corner} window{'s' * int(corner != 1)}, the middle in {middle}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, cmap: str = "viridis") -> PixelUseDisplay:
        """Draw both with one scale. Parameters as of `ConvolutionDisplay.plot`."""
        self._begin(ax, (8, 4))
        high = int(max(self.plain.max(), self.padded.max()))
        for name, title, left, counts in zip(("plain", "padded"), self._titles(), (0.0, 0.46),
                                             (self.plain, self.padded)):
            panel = self._panel(name, (left, 0.0, 0.42, 0.88), title)
            self.images_[name] = panel.imshow(counts, cmap=cmap, vmin=0, vmax=high, interpolation="nearest")
            if counts.size <= MOST_NUMBERS:
                self.texts_[name] = np.empty(counts.shape, object)
                for (i, j), count in np.ndenumerate(counts):
                    self.texts_[name][i, j] = panel.text(j, i, str(count), ha="center", va="center", fontsize=8,
                                                         color="black" if count > 0.6 * high else "white")
        self.axes_["scale"] = self.ax_.inset_axes((0.92, 0.04, 0.03, 0.8))
        self.figure_.colorbar(self.images_["padded"], cax=self.axes_["scale"])
        self.ax_.set_title("in how many windows each pixel of the image is", fontsize=9)
        return self

    def _titles(self) -> tuple[str, str]:
        rows, columns = self.padding
        return "without padding", f"with padding {rows}" if rows == columns else f"with padding {rows} x {columns}"
