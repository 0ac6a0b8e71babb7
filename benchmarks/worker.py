"""The process of one library: reads what to time as JSON from stdin, writes the times as JSON to stdout.

`benchmarks.compare` starts it. The request has library, threads, layout, dtype, seconds, operations, layers (of the
tables that these operations are of), and whether to check the results. The answer has the version of the library,
the times as [operation, layer, seconds] and the relative errors as [operation, layer, error], or says under
"missing" what is not installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.accuracy import convolve, relative_error
from benchmarks.layers import CONV, LARGE, POOL, ConvLayer
from benchmarks.libraries import LIBRARIES, Calls, ConvArrays, Library, Setting
from benchmarks.networks import CLASSES, NETWORKS
from benchmarks.small import SMALL
from benchmarks.timing import fastest, fastest_small


def draw(dtype: str, *shapes: tuple[int, ...]) -> list[Any]:
    random = np.random.default_rng(0)
    return [random.standard_normal(shape, np.dtype(dtype)) for shape in shapes]


def in_layout(images: Any, layout: str) -> Any:
    return images if layout == "nchw" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))


def in_nchw(maps: Any, layout: str) -> Any:
    return maps if layout == "nchw" else maps.transpose(0, 3, 1, 2)


class Worker:
    def __init__(self, library: Library, operations: list[str], seconds: float, check: bool) -> None:
        self.library, self.operations, self.seconds, self.check = library, operations, seconds, check
        self.times: list[tuple[str, str, float]] = []
        self.errors: list[tuple[str, str, float]] = []

    def conv(self, name: str) -> None:
        self._convolution(name, self.library.conv, CONV[name])

    def large(self, name: str) -> None:
        self._convolution(name, self.library.large, LARGE[name])

    def pool(self, name: str) -> None:
        layer, library = POOL[name], self.library
        images = (in_layout(array, library.layout) for array in draw(library.dtype, layer.x_shape, layer.y_shape))
        self._time(name, library.pool(layer, *images))

    def network(self, name: str) -> None:
        network, library = NETWORKS[name], self.library
        images, = draw(library.dtype, (network.batch, *network.image))
        self._time(name, library.network(network, images,
                                         np.random.default_rng(0).integers(CLASSES, size=network.batch)))

    def small(self, name: str) -> None:
        call = self.library.small(SMALL[name], draw(self.library.dtype, *SMALL[name].shapes))
        if call:
            self.times.append(("small", name, fastest_small(call, self.seconds)))

    def _convolution(self, name: str, prepare: Callable[[ConvLayer, ConvArrays], Calls], layer: ConvLayer) -> None:
        library = self.library
        arrays = ConvArrays(*draw(library.dtype, layer.x_shape, layer.weight_shape, (layer.k,), layer.y_shape))
        arrays = arrays._replace(weight=arrays.weight * np.array(0.1, library.dtype))
        calls = prepare(layer, arrays._replace(x=in_layout(arrays.x, library.layout),
                                               grad=in_layout(arrays.grad, library.layout)))
        self._time(name, calls)
        compared = [one for one in ("forward", "planned", "large") if one in calls and one in self.operations]
        if self.check and compared:
            exact = convolve(layer, arrays if library.adds_bias else arrays._replace(bias=np.zeros_like(arrays.bias)))
            for operation in compared:
                maps = in_nchw(library.to_numpy(calls[operation]()), library.layout)
                self.errors.append((operation, name, relative_error(maps, exact)))

    def _time(self, name: str, calls: Calls) -> None:
        seconds: dict[int, float] = {}  # of each call, once: an engine's forward and planned are the same
        for operation in self.operations:
            if operation in calls:
                call = calls[operation]
                if id(call) not in seconds:
                    seconds[id(call)] = fastest(call, self.seconds)
                self.times.append((operation, name, seconds[id(call)]))


def work(request: dict[str, Any]) -> dict[str, Any]:
    kind = LIBRARIES[request["library"]]
    try:
        library = kind(Setting(request["threads"], request["layout"], request["dtype"]))
        version = library.version()
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return {"missing": str(error)}
    worker = Worker(library, request["operations"], request["seconds"], request["check"])
    measures = {**dict.fromkeys(CONV, worker.conv), **dict.fromkeys(LARGE, worker.large),
                **dict.fromkeys(POOL, worker.pool), **dict.fromkeys(NETWORKS, worker.network),
                **dict.fromkeys(SMALL, worker.small)}
    for name in request["layers"]:
        measures[name](name)
    home = str(getattr(sys.modules[kind.module], "__file__", ""))
    return {"version": version, "home": home, "times": worker.times, "errors": worker.errors}


def main() -> None:
    request = json.load(sys.stdin)
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what the libraries print: MNN does, on its way out too
        json.dump(work(request), answer)


if __name__ == "__main__":
    main()
