"""What every library is asked for."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.layers import ConvLayer, PoolLayer, TransposedLayer
from benchmarks.networks import Network
from benchmarks.small import SmallCall

Array = NDArray[Any]
Call = Callable[[], Any]  # what is timed
Calls = dict[str, Call]  # by operation

CONV_OPERATIONS = "forward", "planned", "grad_x", "grad_weight"
TRANSPOSED_OPERATIONS = tuple(f"conv_transpose{suffix}" for suffix in ("", "_planned", "_grad_x", "_grad_weight"))
POOL_OPERATIONS = "max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward"
NETWORK_OPERATIONS = "training_step", "prediction"
LAYOUTS = "nchw", "nhwc"
DTYPES = "float32", "float64"


class Setting(NamedTuple):
    threads: int
    layout: str  # of images and feature maps; filters are K, C, R, S always
    dtype: str


class ConvArrays(NamedTuple):
    x: Array
    weight: Array
    bias: Array
    grad: Array  # of the output


class Library:
    """One library, imported and set to a number of threads when it is made."""

    title = ""  # as its authors write it
    package = ""  # its name on PyPI
    module = ""  # the name it is imported by
    layouts: tuple[str, ...] = ("nchw",)
    dtypes: tuple[str, ...] = ("float32",)
    prepares_weights = False  # beforehand, always
    adds_bias = True

    def __init__(self, setting: Setting) -> None:
        self.threads, self.layout, self.dtype = setting

    def version(self) -> str:
        return importlib.metadata.version(self.package)

    def conv(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        raise NotImplementedError

    def transposed(self, layer: TransposedLayer, arrays: ConvArrays) -> Calls:
        return {}

    def pool(self, layer: PoolLayer, x: Array, grad: Array) -> Calls:
        return {}

    def large(self, layer: ConvLayer, arrays: ConvArrays) -> Calls:
        return {"large": self.conv(layer, arrays)["forward"]}

    def network(self, network: Network, images: Array, target: Array) -> Calls:
        """A step: no gradients yet, forward, cross-entropy, backward but for the images, SGD with momentum."""
        return {}

    def small(self, call: SmallCall, arrays: list[Array]) -> Call | None:
        return None

    def to_numpy(self, y: Any) -> Array:
        """The feature maps, in the layout of the setting, from what a call of a convolution returns."""
        return np.asarray(y)
