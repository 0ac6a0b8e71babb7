"""What all displays share: an axes to draw into, panels inside it, planes of pixels with their colours and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_NUMBERS = 81  # cells of a plane that are small enough to be read
SIGNED = "RdBu_r"
GREY = "gray"


class Display:
    """A picture: what it shows is computed when it is made, and drawn by `plot`.

    Attributes
    ----------
    figure_, ax_ : Figure and Axes
        Where it was drawn, after `plot`.
    axes_ : dict of str to Axes
        Its panels.
    images_ : dict of str to AxesImage
    texts_ : dict of str to ndarray of Text
        The numbers that stand in the cells of a panel, in the shape of its plane.
    """

    def describe(self) -> str:
        """The picture in words and numbers; Matplotlib is not needed."""
        raise NotImplementedError

    def _begin(self, ax: Any, size: tuple[float, float]) -> Any:
        """The axes to draw into, emptied: the one that is given, or that of a figure of this size in inches."""
        if ax is None:
            _, ax = _pyplot().subplots(figsize=size, layout="constrained")
        ax.set_axis_off()
        self.figure_, self.ax_ = ax.figure, ax
        self.axes_: dict[str, Any] = {}
        self.images_: dict[str, Any] = {}
        self.texts_: dict[str, Any] = {}
        return ax

    def _panel(self, name: str, bounds: tuple[float, float, float, float], title: str = "") -> Any:
        """A panel at (left, bottom, width, height), in parts of the axes."""
        panel = self.axes_[name] = self.ax_.inset_axes(bounds)
        panel.set_title(title, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
        return panel

    def _plane(self, name: str, plane: NDArray[Any], *, cmap: str | None = None, limit: float | None = None,
               numbers: bool = True) -> Any:
        """Draw a plane of numbers into a panel: signed ones symmetric about 0, with their values where they can be
        read."""
        panel = self.axes_[name]
        if cmap == GREY:
            low, high = float(plane.min()), float(plane.max())
        else:
            high = limit if limit is not None else float(np.abs(plane).max())
            low = -high
        if low == high:
            low, high = low - 1, high + 1
        image = panel.imshow(plane, cmap=cmap or SIGNED, vmin=low, vmax=high, interpolation="nearest")
        self.images_[name] = image
        if numbers and plane.size <= MOST_NUMBERS:
            shades = image.to_rgba(plane)[..., :3] @ (0.299, 0.587, 0.114)
            texts = np.empty(plane.shape, object)
            for (i, j), value in np.ndenumerate(plane):
                texts[i, j] = panel.text(j, i, number(value), ha="center", va="center", fontsize=7,
                                         color="black" if shades[i, j] > 0.5 else "white")
            self.texts_[name] = texts
        return image


def number(value: Any) -> str:
    """A number as it stands in a picture: three digits, and no minus before 0."""
    return f"{float(value) + 0.0:.3g}"


def rectangle(top: float, left: float, height: float, width: float, **style: Any) -> Any:
    """Around cells of a plane of pixels."""
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.5, top - 0.5), width, height, fill=False, **{"linewidth": 1.5, **style})


def hatch(panel: Any, where: NDArray[np.bool_]) -> None:
    """Hatch cells of a plane: rows and columns at the edges, each as one rectangle."""
    height, width = where.shape
    rows, columns = np.flatnonzero(~where.all(axis=1)), np.flatnonzero(~where.all(axis=0))
    if not rows.size or not columns.size:
        return
    top, bottom, left, right = rows[0], height - rows[-1] - 1, columns[0], width - columns[-1] - 1
    inner = height - top - bottom
    for block in ((0, 0, top, width), (height - bottom, 0, bottom, width), (top, 0, inner, left),
                  (top, width - right, inner, right)):
        if block[2] and block[3]:
            panel.add_patch(rectangle(*block, hatch="////", edgecolor="tab:gray", linewidth=0))


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("pictures need Matplotlib: pip install 'fastconv[plot]'") from error
    return pyplot
