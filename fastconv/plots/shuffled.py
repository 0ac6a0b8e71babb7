"""A picture of the experiment with shuffled pixels: an image both ways, and four accuracies."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import walk
from fastconv.plots.display import GREY, Display, check_walk


class ShuffledPixelsDisplay(Display):
    """An image as it is and with its pixels shuffled, and how well a LeNet-5 and two fully connected layers learn both.

    Parameters
    ----------
    data : walk.ShuffledWalk

    Examples
    --------
    >>> from fastconv import data
    >>> from fastconv.plots import ShuffledPixelsDisplay
    >>> train, test = data.digits("train"), data.digits("test")
    >>> display = ShuffledPixelsDisplay.from_arrays(train.images, train.labels, test.images, test.labels, epochs=1)
    >>> display.describe().splitlines()[0].split(":")[0]
    'LeNet-5'
    """

    def __init__(self, data: walk.ShuffledWalk) -> None:
        check_walk(data, walk.ShuffledWalk)
        self.data = data

    @classmethod
    def from_arrays(cls, x: ArrayLike, labels: ArrayLike, test_x: ArrayLike, test_labels: ArrayLike,
                    **options: Any) -> ShuffledPixelsDisplay:
        """Of images (N, C, H, H) to train with and to measure on; options as `fastconv.walk.shuffled_pixels` takes
        them."""
        return cls(walk.shuffled_pixels(x, labels, test_x, test_labels, **options))

    def describe(self) -> str:
        return "\n".join(f"{name}: accuracy {_percent(plain)} on images as they are, {_percent(shuffled)} shuffled"
                         for name, (plain, shuffled) in self.data.accuracies.items())

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> ShuffledPixelsDisplay:
        """Draw image and bars. Parameters as of `ConvolutionDisplay.plot`."""
        self._begin(ax, (10, 3.2))
        for name, title, left, image in (("image", "as it is", 0.0, self.data.image),
                                         ("shuffled", "shuffled", 0.24, self.data.shuffled)):
            self._panel(name, (left, 0.08, 0.22, 0.76), title)
            self._picture(name, image, cmap)
        panel = self._chart("accuracy", (0.55, 0.12, 0.44, 0.72), "accuracy on test images")
        for place, (colour, label) in enumerate((("tab:blue", "as they are"), ("tab:orange", "shuffled"))):
            values = [both[place] for both in self.data.accuracies.values()]
            bars = panel.bar(np.arange(len(values)) + 0.4 * place, values, 0.38, color=colour, label=label)
            self.texts_[label] = np.array([
                panel.text(bar.get_x() + bar.get_width() / 2, value, _percent(value), ha="center", va="bottom",
                           fontsize=8) for bar, value in zip(bars, values)], object)
        panel.set_xticks(np.arange(len(self.data.accuracies)) + 0.2, list(self.data.accuracies), fontsize=8)
        panel.set_ylim(0, 1.35)
        panel.set_yticks([0, 0.5, 1])
        panel.legend(fontsize=8, ncols=2, loc="upper center")
        self.ax_.set_title("the same images, and the same with their pixels shuffled by one permutation", fontsize=9)
        return self


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
