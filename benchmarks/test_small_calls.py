"""Calls so small that the way to the loops is most of their time, beside PyTorch's where it is
installed, on one thread."""

import importlib.util

import pytest

from benchmarks.libraries import LIBRARIES, Setting
from benchmarks.small import SMALL


@pytest.mark.parametrize("layer", SMALL)
@pytest.mark.parametrize("library", ["fastconv", "torch"])
def test_small_call(benchmark, random, layer, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    call = LIBRARIES[library](Setting(1, "nchw", "float32")).small(SMALL[layer],
                                                                   [random(*shape) for shape in SMALL[layer].shapes])
    if call is None:
        pytest.skip(f"{library} has no such function")
    benchmark(call)
