"""What all displays share: an axes to draw into, panels inside it, planes of pixels with their colours and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional.foreign import shown

MOST_NUMBERS = 81  # cells of a plane that are small enough to be read
MOST_BARS = 20
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
    lines_ : dict of str to Line2D
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
        self.lines_: dict[str, Any] = {}
        self.texts_: dict[str, Any] = {}
        return ax

    def _panel(self, name: str, bounds: tuple[float, float, float, float], title: str = "") -> Any:
        """A panel at (left, bottom, width, height), in parts of the axes."""
        panel = self.axes_[name] = self.ax_.inset_axes(bounds)
        panel.set_title(title, fontsize=9)
        panel.set_xticks([])
        panel.set_yticks([])
        return panel

    def _chart(self, name: str, bounds: tuple[float, float, float, float], title: str = "") -> Any:
        """A panel with scales along its sides, for curves and bars."""
        panel = self.axes_[name] = self.ax_.inset_axes(bounds)
        panel.set_title(title, fontsize=9)
        panel.tick_params(labelsize=8)
        return panel

    def _bars(self, name: str, values: NDArray[Any], names: Sequence[str], colours: Sequence[str]) -> None:
        """A bar from 0 for each value, from the top, with its number behind it where they can be read."""
        panel = self.axes_[name]
        panel.barh(np.arange(len(values)), values, color=list(colours))
        panel.set_yticks(range(len(names)), names, fontsize=8)
        panel.invert_yaxis()
        panel.axvline(0, color="black", linewidth=0.6)
        panel.locator_params(axis="x", nbins=5)
        if len(values) <= MOST_BARS:
            self.texts_[name] = np.array([panel.text(max(float(value), 0), k, f" {number(value)} ", va="center",
                                                     fontsize=7) for k, value in enumerate(values)], object)
            panel.margins(x=0.25)
        else:
            panel.set_yticks([])

    def _plane(self, name: str, plane: NDArray[Any], *, cmap: str | None = None, limit: float | None = None,
               numbers: bool = True) -> Any:
        """Draw a plane of numbers into a panel: signed ones symmetric about 0, with their values where they can be
        read."""
        panel = self.axes_[name]
        low, high = _ends(plane)
        if cmap != GREY:
            high = limit if limit is not None and math.isfinite(limit) else max(-low, high)
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


    def _picture(self, name: str, image: NDArray[Any], cmap: str = GREY) -> Any:
        """Draw an image (C, H, W) into a panel: three channels, or the first three of four, as colours, else the first
        in grey."""
        if image.shape[0] not in (3, 4):
            return self._plane(name, image[0], cmap=cmap, numbers=False)
        low, high = _ends(image)
        colours = (image[:3].transpose(1, 2, 0) - low) / ((high - low) or 1)
        colours = np.where(np.isnan(colours), 1, colours)  # between tiles
        self.images_[name] = self.axes_[name].imshow(colours, interpolation="nearest")
        return self.images_[name]


def _ends(values: NDArray[Any]) -> tuple[float, float]:
    """The least and the largest of those that are finite, 0 and 0 where none is: a sheet of tiles has NaN between them.
    """
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def check_walk(data: Any, kind: type[Any]) -> None:
    """Refuse as `data` of a display what `fastconv.walk` did not make."""
    if not isinstance(data, kind):
        raise TypeError(f"data must be a fastconv.walk.{kind.__name__}, got {shown(data)}: "
                        "the display's own from_... makes one, of arrays or of a model")


def number(value: Any) -> str:
    """A number as it stands in a picture: three digits, and no minus before 0."""
    return f"{float(value) + 0.0:.3g}"


def rectangle(top: float, left: float, height: float, width: float, **style: Any) -> Any:
    """Around cells of a plane of pixels."""
    from matplotlib.patches import Rectangle

    return Rectangle((left - 0.5, top - 0.5), width, height, **{"fill": False, "linewidth": 1.5, **style})


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


def tiled(planes: NDArray[Any], across: int, between: float = math.nan) -> NDArray[Any]:
    """Planes (N, H, W) beside each other and below, with a pixel between them."""
    count, height, width = planes.shape
    down = math.ceil(count / across)
    sheet = np.full((down * (height + 1) - 1, across * (width + 1) - 1), between)
    for index, plane in enumerate(planes):
        top, left = index // across * (height + 1), index % across * (width + 1)
        sheet[top:top + height, left:left + width] = plane
    return sheet


def sheet(values: NDArray[Any]) -> NDArray[Any]:
    """Maps (C, H, W) as tiles, or a row of numbers line by line, on a sheet that is about square."""
    across = math.ceil(math.sqrt(len(values)))
    if values.ndim == 3:
        return tiled(values, across)
    lines = np.full((math.ceil(values.size / across), across), math.nan)
    lines.flat[:values.size] = values
    return lines


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("pictures need Matplotlib: pip install 'fastconv[plot]'") from error
    return pyplot
