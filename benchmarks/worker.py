"""The process of one library: reads what to do as lines of JSON from stdin, answers each with a line of JSON on stdout.

`benchmarks.process` starts it. The first line chooses a library, and has threads, layout, dtype and operations; the
answer has the version of the library and where it lies, or says under "missing" what is not installed. Then come

    {"layer": NAME}       prepares a layer of the tables; what was prepared before is forgotten
    {"seconds": SECONDS}  the time of each operation on it: {"times": {operation: seconds}}
    {"check": true}       how far its results are off: {"errors": {operation: error}}

until stdin ends.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from benchmarks.accuracy import convolve, relative_error, transposed
from benchmarks.layers import CONV, LARGE, POOL, TRANSPOSED, ConvLayer, TransposedLayer
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


# The operations whose results are compared with the sum in float64.
EXACT = "forward", "planned", "large", "conv_transpose", "conv_transpose_planned"


class Worker:
    """A library, and the calls of the layer that was prepared last."""

    def __init__(self, library: Library, operations: list[str]) -> None:
        self.library, self.operations = library, operations
        self.calls: Calls = {}
        self.timed: Callable[[Callable[[], Any], float], float] = fastest
        self.exact: Callable[[], Any] | None = None    # the result that those of convolutions should be

    def prepare(self, name: str) -> None:
        self.calls, self.timed, self.exact = {}, fastest, None
        library = self.library
        if name in CONV:
            calls = self._convolution(library.conv, CONV[name])
        elif name in LARGE:
            calls = self._convolution(library.large, LARGE[name])
        elif name in TRANSPOSED:
            calls = self._convolution(library.transposed, TRANSPOSED[name])
        elif name in POOL:
            layer = POOL[name]
            calls = library.pool(layer, *(in_layout(array, library.layout)
                                          for array in draw(library.dtype, layer.x_shape, layer.y_shape)))
        elif name in NETWORKS:
            network = NETWORKS[name]
            images, = draw(library.dtype, (network.batch, *network.image))
            calls = library.network(network, images, np.random.default_rng(0).integers(CLASSES, size=network.batch))
        else:
            call = library.small(SMALL[name], draw(library.dtype, *SMALL[name].shapes))
            calls, self.timed = {"small": call} if call else {}, fastest_small
        self.calls = {operation: calls[operation] for operation in self.operations if operation in calls}

    def _convolution(self, prepare: Callable[[Any, ConvArrays], Calls], layer: ConvLayer | TransposedLayer) -> Calls:
        library = self.library
        arrays = ConvArrays(*draw(library.dtype, layer.x_shape, layer.weight_shape, (layer.k,), layer.y_shape))
        arrays = arrays._replace(weight=arrays.weight * np.array(0.1, library.dtype))
        summed = arrays if library.adds_bias else arrays._replace(bias=np.zeros_like(arrays.bias))
        self.exact = lambda: (transposed if isinstance(layer, TransposedLayer) else convolve)(layer, summed)
        return prepare(layer, arrays._replace(x=in_layout(arrays.x, library.layout),
                                              grad=in_layout(arrays.grad, library.layout)))

    def times(self, seconds: float) -> dict[str, float]:
        found: dict[int, float] = {}  # of each call, once: an engine's forward and planned are the same
        for call in self.calls.values():
            if id(call) not in found:
                found[id(call)] = self.timed(call, seconds)
        return {operation: found[id(call)] for operation, call in self.calls.items()}

    def errors(self) -> dict[str, float]:
        compared = [operation for operation in EXACT if operation in self.calls]
        if not compared or self.exact is None:
            return {}
        exact, library = self.exact(), self.library
        return {operation: relative_error(in_nchw(library.to_numpy(self.calls[operation]()), library.layout), exact)
                for operation in compared}


def choose(request: dict[str, Any]) -> tuple[Worker | None, dict[str, Any]]:
    """The worker of a library, and what to say of it."""
    kind = LIBRARIES[request["library"]]
    try:
        library = kind(Setting(request["threads"], request["layout"], request["dtype"]))
        version = library.version()
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return None, {"missing": str(error)}
    home = str(getattr(sys.modules[kind.module], "__file__", ""))
    return Worker(library, request["operations"]), {"version": version, "home": home}


def serve(requests: TextIO, answers: TextIO) -> None:
    def answer(value: dict[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    worker, first = choose(json.loads(next(requests)))
    answer(first)
    if worker is None:
        return
    for line in requests:
        request = json.loads(line)
        if "layer" in request:
            worker.prepare(request["layer"])
            answer({})
        elif "seconds" in request:
            answer({"times": worker.times(request["seconds"])})
        else:
            answer({"errors": worker.errors()})


def main() -> None:
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what the libraries print: MNN does, on its way out too
        serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
