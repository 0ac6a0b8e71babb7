"""The process of one library: reads what to time as JSON from stdin, writes the times as JSON to stdout.

`benchmarks.compare` starts it. The request has library, threads, seconds, operations and layers; the answer, its last line,
has the version of the library and the times as [operation, layer, seconds], or says under "missing" what is not installed.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.layers import CONV, POOL
from benchmarks.libraries import CONV_OPERATIONS, LIBRARIES, POOL_OPERATIONS, Calls, ConvArrays, Library

LEAST = 3  # calls that are timed, however long they take


def fastest(call: Callable[[], Any], seconds: float) -> float:
    """The shortest time of a call, of as many as fit into the seconds, after two that warm up."""
    call()
    call()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < LEAST or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return min(times)


def conv_calls(library: Library, name: str) -> Calls:
    layer, random = CONV[name], np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return random.standard_normal(shape, np.float32)

    return library.conv(layer, ConvArrays(draw(*layer.x_shape), draw(*layer.weight_shape) * np.float32(0.1), draw(layer.k),
                                          draw(*layer.y_shape)))


def pool_calls(library: Library, name: str) -> Calls:
    layer, random = POOL[name], np.random.default_rng(0)
    return library.pool(layer, random.standard_normal(layer.x_shape, np.float32),
                        random.standard_normal(layer.y_shape, np.float32))


def measure(library: Library, layers: list[str], operations: list[str], seconds: float) -> Iterator[tuple[str, str, float]]:
    for names, choice, prepare in (CONV, CONV_OPERATIONS, conv_calls), (POOL, POOL_OPERATIONS, pool_calls):
        wanted = [operation for operation in choice if operation in operations]
        for layer in layers if wanted else ():
            if layer in names:
                calls = prepare(library, layer)
                for operation in wanted:
                    if operation in calls:
                        yield operation, layer, fastest(calls[operation], seconds)


def main() -> None:
    request = json.load(sys.stdin)
    try:
        library = LIBRARIES[request["library"]](request["threads"])
        version = library.version()
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        print(f"\n{json.dumps({'missing': str(error)})}")
        return
    times = list(measure(library, request["layers"], request["operations"], request["seconds"]))
    home = str(getattr(sys.modules[request["library"]], "__file__", ""))
    print(f"\n{json.dumps({'version': version, 'home': home, 'times': times})}")


if __name__ == "__main__":
    main()
