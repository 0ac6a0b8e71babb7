"""Pictures of one convolution: a position of the window, the sum over channels, the positions along a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import GREY, Display, check_walk, hatch, number, rectangle
from fastconv.walk.layers import channels_first, layer_of

#: Of a ruler on which each pixel has a number.
_MOST_PIXELS = 256


class ConvolutionDisplay(Display):
    """One position of the window: the patch, the filter's slice, their products, and the cell that they add up to.

    Parameters
    ----------
    data : walk.ConvolutionWalk
    k, channel : int
        The filter, and which of its slices is shown.
    at : (int, int)
        Row and column of the output.

    Attributes
    ----------
    figure_, ax_, axes_, images_, texts_
        After `plot`: see `fastconv.plots.display.Display`. The panels are "input", "slice", "products" and "output".

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import ConvolutionDisplay
    >>> image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> display = ConvolutionDisplay.from_arrays(image, np.ones((1, 1, 3, 3), np.float32), padding=1, at=(0, 0))
    >>> print(display.describe())
    OH: (4 + 2*1 - 3)/1 + 1 = 4
    OW: (4 + 2*1 - 3)/1 + 1 = 4
    channel 0 of filter 0 at row 0, column 0: products 0 + 0 + 0 + 0 + 0 + 1 + 0 + 4 + 5 = 10
    with bias 0: output[0, 0, 0] = 10
    """

    def __init__(self, data: walk.ConvolutionWalk, *, k: int = 0, channel: int = 0,
                 at: tuple[int, int] = (0, 0)) -> None:
        check_walk(data, walk.ConvolutionWalk)
        place = checks.integers(at, "at")
        if len(place) != 2:
            raise ValueError(f"at must be (row, column), got {at}")
        self.data, self.k, self.channel, self.at = data, k, channel, (place[0], place[1])
        self.cell = data.cell(k, *self.at)
        if not 0 <= checks.integer(channel, "channel") < len(self.cell.patch):
            raise ValueError(f"channel must be at least 0 and less than {len(self.cell.patch)}, got {channel}")

    @classmethod
    def from_arrays(cls, x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, k: int = 0,
                    channel: int = 0, at: tuple[int, int] = (0, 0), **options: Any) -> ConvolutionDisplay:
        """Of one image (C, H, W) and filters; options as `fastconv.walk.convolution` takes them."""
        return cls(walk.convolution(x, weight, bias, **options), k=k, channel=channel, at=at)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, layer: int = 0, k: int = 0, channel: int = 0,
                   at: tuple[int, int] = (0, 0)) -> ConvolutionDisplay:
        """Of a model's convolution, the one with this number among its layers `Conv2d`, on its way for an image."""
        return cls(_convolution_of(model, x, layer), k=k, channel=channel, at=at)

    def describe(self) -> str:
        cell, data = self.cell, self.data
        terms = [number(value) for value in cell.products[self.channel].flat]
        lines = [f"OH: {data.rows.formula}", f"OW: {data.columns.formula}",
                 f"channel {self.channel} of filter {self.k} at row {self.at[0]}, column {self.at[1]}: products "
                 f"{' + '.join(terms)} = {number(cell.channel_sums[self.channel])}"]
        if len(cell.patch) > 1:
            lines.append("all channels: " + " + ".join(number(value) for value in cell.channel_sums))
        output = f"output[{self.k}, {self.at[0]}, {self.at[1]}]"
        after = "" if data.activation is None else f", {data.activation} of {number(cell.sum)}"
        lines.append(f"with bias {number(cell.bias)}: {output} = {number(cell.value)}{after}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> ConvolutionDisplay:
        """Draw the four panels.

        Parameters
        ----------
        ax : Axes, optional
            To draw into; by default a figure of its own.
        cmap : str
            Colours of the input.

        Returns
        -------
        ConvolutionDisplay
            Itself, with the attributes that end in ``_``.
        """
        data = self.data
        self._begin(ax, (11, 3.3))
        self._panel("input", (0.0, 0.0, 0.3, 0.9), f"channel {self.channel}, padded")
        self._panel("slice", (0.33, 0.2, 0.17, 0.56), f"filter {self.k}, its slice {self.channel}")
        self._panel("products", (0.53, 0.2, 0.17, 0.56), "products")
        self._panel("output", (0.73, 0.0, 0.27, 0.9), f"feature map {self.k}")
        self._plane("input", data.padded[data.channels_of(self.k)[self.channel]], cmap=cmap)
        hatch(self.axes_["input"], data.in_padding)
        self._plane("slice", self.cell.weights[self.channel])
        self._plane("products", self.cell.products[self.channel])
        self._plane("output", data.output[self.k])
        self._boxes = [self._box("input", self.cell.top, self.cell.left, data.rows.extent, data.columns.extent),
                       self._box("output", *self.at, 1, 1)]
        self._label()
        return self

    def animate(self, *, ax: Any = None, interval: int = 400) -> Any:
        """The window on its way over the image, from the top left, row by row.

        Parameters
        ----------
        ax : Axes, optional
        interval : int
            Milliseconds for each position.

        Returns
        -------
        matplotlib.animation.FuncAnimation
            ``animation.save("slide.gif")`` writes it, a notebook shows ``animation.to_jshtml()``.
        """
        self.plot(ax=ax)
        from matplotlib.animation import FuncAnimation

        return FuncAnimation(self.figure_, self._move, list(np.ndindex(*self.data.output.shape[1:])),
                             interval=interval, init_func=lambda: None)

    def _move(self, at: tuple[int, int]) -> None:
        self.at, self.cell = at, self.data.cell(self.k, *at)
        for box, (top, left) in zip(self._boxes, ((self.cell.top, self.cell.left), at)):
            box.set_xy((left - 0.5, top - 0.5))
        products = self.cell.products[self.channel]
        self.images_["products"].set_data(products)
        limit = float(np.abs(products).max()) or 1.0
        self.images_["products"].set_clim(-limit, limit)
        for index, text in np.ndenumerate(self.texts_.get("products", np.empty(0, object))):
            text.set_text(number(products[index]))
        self._label()

    def _box(self, panel: str, top: int, left: int, height: int, width: int) -> Any:
        return self.axes_[panel].add_patch(rectangle(top, left, height, width, edgecolor="tab:orange", linewidth=2))

    def _label(self) -> None:
        self.ax_.set_title("\n".join(self.describe().splitlines()[:2]).replace("\n", "     "), fontsize=9)
        cell = self.cell
        sums = " + ".join(number(value) for value in cell.channel_sums) if len(cell.patch) <= 8 else "all channels"
        self.axes_["products"].set_xlabel(f"sum {number(cell.channel_sums[self.channel])}", fontsize=9)
        self.axes_["output"].set_xlabel(f"{sums} + bias {number(cell.bias)}\n= {number(cell.sum)}"
                                        + ("" if self.data.activation is None else
                                           f", {self.data.activation}: {number(cell.value)}"), fontsize=8)


class ChannelSumDisplay(Display):
    """A row for each channel of the image: the channel, the filter's slice for it, and the channel map; below, their
    sum with the bias, the feature map.

    Parameters
    ----------
    data : walk.ConvolutionWalk
    k : int
        The filter.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import ChannelSumDisplay
    >>> display = ChannelSumDisplay.from_arrays(np.ones((3, 4, 4)), np.ones((1, 3, 3, 3)), [0.5])
    >>> print(display.describe())
    3 channels under the 3 slices of filter 0 give 3 channel maps of 2 x 2
    at row 0, column 0: 9 + 9 + 9 + bias 0.5 = 27.5
    """

    def __init__(self, data: walk.ConvolutionWalk, *, k: int = 0) -> None:
        check_walk(data, walk.ConvolutionWalk)
        self.data, self.k = data, k
        self.cell = data.cell(k, 0, 0)

    @classmethod
    def from_arrays(cls, x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, k: int = 0,
                    **options: Any) -> ChannelSumDisplay:
        """Of one image (C, H, W) and filters; options as `fastconv.walk.convolution` takes them."""
        return cls(walk.convolution(x, weight, bias, **options), k=k)

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, layer: int = 0, k: int = 0) -> ChannelSumDisplay:
        """Of a model's convolution, the one with this number among its layers `Conv2d`, on its way for an image."""
        return cls(_convolution_of(model, x, layer), k=k)

    def describe(self) -> str:
        cell, data = self.cell, self.data
        count = len(cell.patch)
        rows, columns = data.output.shape[1:]
        sums = " + ".join(number(value) for value in cell.channel_sums)
        s = "s" * (count > 1)
        return (f"{count} channel{s} under the {count} slice{s} of filter {self.k} give {count} channel map{s} of "
                f"{rows} x {columns}\n"
                f"at row 0, column 0: {sums} + bias {number(cell.bias)} = {number(cell.sum)}")

    def plot(self, *, ax: Any = None, cmap: str = GREY) -> ChannelSumDisplay:
        """Draw a row for each channel, and the sum; maps have one scale. Parameters as of `ConvolutionDisplay.plot`."""
        data, channels = self.data, self.data.channels_of(self.k)
        count = len(channels) + 1
        self._begin(ax, (7, 1.9 * count))
        limit = float(max(np.abs(data.channel_maps[self.k]).max(), np.abs(data.sums[self.k]).max()))
        height = 1 / count
        for row, channel in enumerate(channels):
            bottom = 1 - (row + 1) * height
            for place, (kind, plane, colours) in enumerate((
                    ("channel", data.padded[channel], cmap), ("slice", data.weight[self.k, row], None),
                    ("map", data.channel_maps[self.k, row], None))):
                self._panel(f"{kind} {row}", (place * 0.34, bottom, 0.3, height * 0.82),
                            {"channel": f"channel {channel}", "slice": f"slice {row} of filter {self.k}",
                             "map": f"channel map {row}"}[kind])
                self._plane(f"{kind} {row}", plane, cmap=colours, limit=limit if kind == "map" else None)
            hatch(self.axes_[f"channel {row}"], data.in_padding)
        if len(data.x) == 3 and count == 4:
            self._panel("image", (0, 0, 0.3, height * 0.82), "the image: its channels together")
            self._picture("image", data.x)
        self._panel("sum", (0.68, 0, 0.3, height * 0.82),
                    f"sum + bias {number(data.bias[self.k])} = feature map {self.k}")
        self._plane("sum", data.sums[self.k], limit=limit)
        return self


class OutputSizeDisplay(Display):
    """A ruler: the pixels of a row with its padding, and under it every position of the window.

    Parameters
    ----------
    data : walk.OutputSize

    Examples
    --------
    >>> from fastconv.plots import OutputSizeDisplay
    >>> print(OutputSizeDisplay.from_sizes(8, 3, stride=2).describe())
    floor((8 + 2*0 - 3)/2) + 1 = 3
    windows start at 0, 2, 4 of 8 pixels; no window holds pixel 7
    """

    def __init__(self, data: walk.OutputSize) -> None:
        check_walk(data, walk.OutputSize)
        self.data = data

    @classmethod
    def from_sizes(cls, size: int, kernel_size: int, stride: int = 1, padding: int | tuple[int, int] = 0,
                   dilation: int = 1) -> OutputSizeDisplay:
        """Of the terms of the formula, as `fastconv.walk.output_size` takes them."""
        return cls(walk.output_size(size, kernel_size, stride, padding, dilation))

    def describe(self) -> str:
        data = self.data
        starts = ", ".join(map(str, data.starts))
        unvisited = ", ".join(map(str, data.unvisited))
        left = f"; no window holds pixel{'s' * (len(data.unvisited) > 1)} {unvisited}" if unvisited else ""
        return f"{data.formula}\nwindows start at {starts} of {data.padded} pixels{left}"

    def plot(self, *, ax: Any = None) -> OutputSizeDisplay:
        """Draw the ruler. Parameters as of `ConvolutionDisplay.plot`."""
        data = self.data
        if data.padded > _MOST_PIXELS:
            raise ValueError(f"size must be at most {_MOST_PIXELS} with its padding to be drawn pixel by pixel, got "
                             f"{data.padded}")
        self._begin(ax, (max(5, 0.45 * data.padded), 1.2 + 0.3 * data.outputs))
        panel = self._panel("ruler", (0, 0, 1, 0.88), data.formula)
        panel.set_xlim(-0.6, data.padded - 0.4)
        panel.set_ylim(data.outputs + 0.6, -0.9)
        unvisited = set(data.unvisited.tolist())
        self.texts_["ruler"] = np.empty(data.padded, object)
        for pixel in range(data.padded):
            inside = 0 <= pixel - data.before < data.size
            panel.add_patch(rectangle(0, pixel, 1, 1, edgecolor="black", linewidth=0.8,
                                      hatch="xx" if pixel in unvisited else None if inside else "////"))
            self.texts_["ruler"][pixel] = panel.text(pixel, 0, str(pixel - data.before) if inside else "P",
                                                     ha="center", va="center", fontsize=8,
                                                     bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
        for row, start in enumerate(data.starts, 1):
            for tap in range(data.taps):
                place = int(start) + tap * data.dilation
                panel.add_patch(rectangle(row + 0.1, place, 0.8, 1, edgecolor="tab:orange", linewidth=1.2))
        for side in panel.spines.values():
            side.set_visible(False)
        panel.set_xlabel("pixels, P padding; below, the positions of the window; crossed: in no window", fontsize=8)
        return self


def _convolution_of(model: nn.Module, x: ArrayLike, layer: int) -> walk.ConvolutionWalk:
    """The walk through a model's convolution, given by its number among them, with what comes to it for an image."""
    layers = walk.forward(model, x).layers
    seen = layer_of(layers, layer, (nn.Conv2d,), "a Conv2d")
    one: Any = seen.layer
    return walk.convolution(channels_first(layers, seen.input), one.weight.data,
                            None if one.bias is None else one.bias.data, stride=one.stride, padding=one.padding,
                            dilation=one.dilation, groups=one.groups, padding_mode=one.padding_mode,
                            padding_value=one.padding_value)
