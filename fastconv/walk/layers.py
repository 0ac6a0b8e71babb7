"""A layer of a network by its number among those of a kind, and its maps with the channels first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import nn
from fastconv.functional import checks
from fastconv.walk.network import LayerWalk, a_module


def layer_of(layers: Sequence[LayerWalk], layer: int, kinds: tuple[type[nn.Module], ...],
             title: str) -> LayerWalk:
    """The layer with this number among those of these kinds.

    Parameters
    ----------
    layers : sequence of LayerWalk
        Of a network, in its order.
    layer : int
        The argument of that name.
    kinds : tuple of type
    title : str
        What such a layer is called in a message, such as "a Conv2d".

    Raises
    ------
    ValueError
        If there are not so many.
    """
    found = [one for one in layers if isinstance(one.layer, kinds)]
    return found[_number(layer, len(found), title)]


def convolution_of(model: Any, layer: int) -> tuple[str, Any]:
    """The dotted name and the module of a model's `Conv2d` with this number."""
    found = [(path, module) for path, module in a_module(model).named_modules() if isinstance(module, nn.Conv2d)]
    return found[_number(layer, len(found), "a Conv2d")]


def _number(layer: int, count: int, title: str) -> int:
    """The argument layer: a number of so many layers."""
    if not count:
        raise ValueError(f"model must have {title} among its layers")
    if not 0 <= checks.integer(layer, "layer") < count:
        raise ValueError(f"layer must be the number of {title}, at least 0 and less than {count}, got {layer}")
    return int(layer)


def channels_first(layers: Iterable[LayerWalk] | nn.Module, maps: NDArray[Any]) -> NDArray[Any]:
    """Images or maps of a network as (..., C, H, W): in one of NHWC the layers without a format, such as ReLU, have
    their channels last too."""
    modules = ((module for _, module in layers.named_modules()) if isinstance(layers, nn.Module)
               else (one.layer for one in layers))
    last = any(getattr(module, "data_format", "") == "NHWC" for module in modules)
    return np.moveaxis(maps, -1, -3) if last and maps.ndim >= 3 else maps
