"""The patches of many images that a filter answers to most strongly: what it looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import nn
from fastconv.functional import checks
from fastconv.walk.activation import ACTIVATIONS
from fastconv.walk.layers import layer_of
from fastconv.walk.network import LayerWalk, forward

__all__ = ["PatchesWalk", "top_patches"]

_BATCH = 64

#: Layers whose output at a pixel is of that pixel alone, but for numbers that are the same for all pixels.
_POINTWISE = (*ACTIVATIONS, nn.PReLU, nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity)


@dataclass(frozen=True, eq=False)
class PatchesWalk:
    """What there is to see of the filters of one layer.

    Attributes
    ----------
    name : str
        Of the layer, ``"3: Conv2d"``.
    weight : ndarray (K, C / groups, R, S)
    extent : (int, int)
        Rows and columns of the image that one number of the layer's maps sees: its receptive field.
    values : ndarray (K, most)
        The largest numbers of each filter's map, at most one an image, the largest first.
    images : ndarray (K, most) of int64
        In which image each is.
    corners : ndarray (K, most, 2) of int64
        Row and column of the patch's first pixel there; below 0 in the padding.
    patches : ndarray (K, most, C, *extent)
        What is seen there; 0 outside the image.
    """

    name: str
    weight: NDArray[Any]
    extent: tuple[int, int]
    values: NDArray[Any]
    images: NDArray[np.int64]
    corners: NDArray[np.int64]
    patches: NDArray[Any]


def top_patches(model: nn.Module, x: ArrayLike, *, layer: int = 0, most: int = 8) -> PatchesWalk:
    """Find the patches of images that the filters of a layer answer to most strongly, in evaluation mode.

    Parameters
    ----------
    model : Module
        A chain of layers; between the image and the convolution may be convolutions, poolings, activations, batch
        normalisation and dropout.
    x : array (N, C, H, W)
    layer : int
        A number among the model's layers `Conv2d`.
    most : int
        Patches for each filter, at most one an image.

    Returns
    -------
    PatchesWalk

    Raises
    ------
    TypeError, ValueError
        If the model does not take the images, there is no such layer, or one before it of another kind.

    Examples
    --------
    >>> from fastconv import data, nn, walk
    >>> seen = walk.top_patches(nn.models.lenet5(rng=0), data.digits("test").images[:100], layer=1, most=3)
    >>> seen.extent, seen.patches.shape
    ((14, 14), (16, 3, 1, 14, 14))
    """
    images = checks.array(x, "x")
    if images.ndim != 4 or not len(images):
        raise ValueError(f"x must be at least one image (N, C, H, W), got shape {images.shape}")
    layers = forward(model, images[0]).layers
    one: Any = layer_of(layers, layer, (nn.Conv2d,), "a Conv2d")
    depth = layers.index(one)
    rows, columns = (_receptive(layers[:depth + 1], axis) for axis in (0, 1))
    last = one.layer.data_format == "NHWC"
    values, places = _largest(model, images, depth, last)
    order = np.argsort(-values, axis=0, kind="stable")[:min(checks.integer(most, "most", 1), len(images))].T
    kept = np.take_along_axis(values.T, order, axis=1)
    where = np.take_along_axis(places.T, order, axis=1)
    across = one.formula[1].outputs
    corners = np.stack([where // across * rows[1] + rows[2], where % across * columns[1] + columns[2]], axis=-1)
    if last:
        images = np.moveaxis(images, -1, 1)
    extent = rows[0], columns[0]
    patches = np.stack([[_cut(images[image], corner, extent) for image, corner in zip(*of_filter)]
                        for of_filter in zip(order, corners)])
    return PatchesWalk(one.name, one.layer.weight.data, extent, kept, order, corners, patches)


def _largest(model: nn.Module, images: NDArray[Any], depth: int,
             last: bool) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The largest number of each map of a layer for each image, and its place, both (N, K)."""
    values, places = [], []
    chain: Any = model
    for start in range(0, len(images), _BATCH):
        maps = chain.feature_maps(images[start:start + _BATCH])[depth][1]
        flat = (np.moveaxis(maps, -1, 1) if last else maps).reshape(len(maps), maps.shape[-1 if last else 1], -1)
        values.append(flat.max(axis=2))
        places.append(flat.argmax(axis=2))
    return np.concatenate(values), np.concatenate(places)


def _receptive(layers: tuple[LayerWalk, ...], axis: int) -> tuple[int, int, int]:
    """Of one number behind these layers, along an axis: how many pixels it sees, how far the fields of neighbours are
    apart, and where the first begins."""
    extent, apart, start = 1, 1, 0
    for one in layers:
        if one.formula:
            size = one.formula[axis]
            start -= size.before * apart
            extent += (size.extent - 1) * apart
            apart *= size.stride
        elif not isinstance(one.layer, _POINTWISE):
            raise ValueError(f"model must have convolutions, poolings, activations and batch normalisation before the "
                             f"layer, it has {one.name}, whose field is not known")
    return extent, apart, start


def _cut(image: NDArray[Any], corner: NDArray[np.int64], extent: tuple[int, int]) -> NDArray[Any]:
    """A patch of an image (C, H, W), with 0 where it reaches out of it."""
    patch = np.zeros((len(image), *extent), image.dtype)
    (top, left), (height, width) = corner, extent
    inside = image[:, max(0, top):max(0, top + height), max(0, left):max(0, left + width)]
    down, right = max(0, -top), max(0, -left)
    patch[:, down:down + inside.shape[1], right:right + inside.shape[2]] = inside
    return patch
