"""Pictures of what a network has learnt and sees: feature maps, layer by layer, and filters."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.plots.display import Display, check_walk, number, tiled
from fastconv.walk.layers import channels_first, convolution_of

SCALES = ("map", "layer", "model")


class FeatureMapDisplay(Display):
    """All maps of a network for one image: a block for each layer, a tile for each channel.

    Parameters
    ----------
    data : walk.ForwardWalk
    most : int
        Maps of a layer that are drawn, from the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> from fastconv.plots import FeatureMapDisplay
    >>> display = FeatureMapDisplay.from_model(nn.models.lenet5(rng=0), np.ones((1, 28, 28), np.float32))
    >>> print(display.describe().split(",")[0])
    0: Conv2d: 6 maps of 28 x 28
    """

    def __init__(self, data: walk.ForwardWalk, *, most: int = 64) -> None:
        check_walk(data, walk.ForwardWalk)
        self.data = data
        self.most = checks.integer(most, "most", 1)
        self.layers = [(one.name, channels_first(data.layers, one.output)) for one in data.layers
                       if one.output.ndim == 3]
        if not self.layers:
            raise ValueError("model must have a layer that gives maps (C, H, W): a Conv2d or a pooling")

    @classmethod
    def from_model(cls, model: nn.Module, x: ArrayLike, *, most: int = 64) -> FeatureMapDisplay:
        """Of one image (C, H, W) on its way through a model."""
        return cls(walk.forward(model, x), most=most)

    def describe(self) -> str:
        lines = []
        for name, maps in self.layers:
            count, rows, columns = maps.shape
            hidden = f", {self.most} of them drawn" if count > self.most else ""
            lines.append(f"{name}: {count} map{'s' * (count > 1)} of {rows} x {columns}, from {number(maps.min())} to "
                         f"{number(maps.max())}{hidden}")
        return "\n".join(lines)

    def plot(self, *, ax: Any = None, scale: Literal["map", "layer", "model"] = "layer") -> FeatureMapDisplay:
        """Draw the blocks.

        Parameters
        ----------
        ax : Axes, optional
            To draw into; by default a figure of its own.
        scale : {"map", "layer", "model"}
            What has one colour for one value.

        Returns
        -------
        FeatureMapDisplay
            Itself, with the attributes that end in ``_``.
        """
        checks.choice(scale, "scale", SCALES)
        wide = 16
        heights = [math.ceil(min(len(maps), self.most) / wide) + 0.6 for _, maps in self.layers]
        total = sum(heights)
        self._begin(ax, (9, 0.62 * total))
        of_model = max(float(np.abs(maps).max()) for _, maps in self.layers)
        top = 1.0
        for (name, maps), height in zip(self.layers, heights):
            drawn = maps[:self.most]
            across = min(wide, len(drawn))
            limits = np.full(len(drawn), {"map": 0.0, "layer": float(np.abs(maps).max()), "model": of_model}[scale])
            if scale == "map":
                limits = np.abs(drawn).max(axis=(1, 2))
            sheet = tiled(drawn / np.where(limits == 0, 1, limits)[:, None, None], across)
            block = (height - 0.6) / total
            self._panel(name, (0, top - 0.5 / total - block, across / wide, block))
            self.axes_[name].set_title(f"{name}   {' x '.join(map(str, maps.shape))}", fontsize=8, loc="left")
            self._plane(name, sheet, limit=1.0, numbers=False)
            top -= height / total
        self.ax_.set_title(f"red above 0, blue below; one scale a {scale}", fontsize=9)
        return self


class FilterDisplay(Display):
    """The filters of a layer: a row for each filter, a tile for each of its slices.

    Parameters
    ----------
    weight : ndarray (K, C / groups, R, S)
    most : (int, int)
        Filters and slices that are drawn, from the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.plots import FilterDisplay
    >>> print(FilterDisplay.from_arrays(np.ones((6, 3, 5, 5))).describe())
    6 filters of 3 slices of 5 x 5, weights from 1 to 1
    """

    def __init__(self, weight: NDArray[Any], *, most: tuple[int, int] = (16, 32)) -> None:
        self.weight = checks.array(weight, "weight")
        if self.weight.ndim != 4 or not self.weight.size:
            raise ValueError(f"weight must be filters (K, C/groups, R, S), with at least one number, got shape "
                             f"{self.weight.shape}")
        self.most = checks.pair(most, "most")

    @classmethod
    def from_arrays(cls, weight: ArrayLike, *, most: tuple[int, int] = (16, 32)) -> FilterDisplay:
        """Of filters (K, C/groups, R, S)."""
        return cls(checks.array(weight, "weight"), most=most)

    @classmethod
    def from_model(cls, model: nn.Module, *, layer: int = 0, most: tuple[int, int] = (16, 32)) -> FilterDisplay:
        """Of a model's convolution, the one with this number among its layers `Conv2d`."""
        return cls(convolution_of(model, layer)[1].weight.data, most=most)

    def describe(self) -> str:
        filters, slices, rows, columns = self.weight.shape
        return (f"{filters} filter{'s' * (filters > 1)} of {slices} slice{'s' * (slices > 1)} of {rows} x {columns}, "
                f"weights from {number(self.weight.min())} to {number(self.weight.max())}")

    def plot(self, *, ax: Any = None, rgb: bool = False) -> FilterDisplay:
        """Draw the grid, with one scale for all.

        Parameters
        ----------
        ax : Axes, optional
        rgb : bool
            Draw filters of three slices as colours: grey is 0.
        """
        drawn = self.weight[:self.most[0], :self.most[1]]
        limit = float(np.abs(self.weight).max()) or 1.0
        if rgb:
            if self.weight.shape[1] != 3:
                raise ValueError(f"rgb needs filters of 3 slices, these have {self.weight.shape[1]}")
            self._begin(ax, (8, 1 + len(drawn) / 8))
            panel = self._panel("filters", (0, 0, 1, 1), "filters as colours: grey is 0")
            colours = 0.5 + 0.5 * drawn.transpose(0, 2, 3, 1) / limit
            sheet = np.stack([tiled(colours[..., c], 8, 1.0) for c in range(3)], axis=-1)
            self.images_["filters"] = panel.imshow(sheet, interpolation="nearest")
            return self
        filters, slices = drawn.shape[:2]
        self._begin(ax, (1.5 + 0.6 * max(slices, 4), 0.8 + 0.6 * filters))
        panel = self._panel("filters", (0.12, 0.02, 0.7, 0.95), "slice of channel 0, 1, ...")
        sheet = tiled(drawn.reshape(-1, *drawn.shape[2:]), slices)
        image = self._plane("filters", sheet, limit=limit, numbers=False)
        panel.set_yticks([k * (drawn.shape[2] + 1) + drawn.shape[2] / 2 for k in range(filters)],
                         [f"filter {k}" for k in range(filters)], fontsize=8)
        self.axes_["scale"] = panel.inset_axes((1.06, 0, 0.06, 1))
        self.figure_.colorbar(image, cax=self.axes_["scale"])
        return self
