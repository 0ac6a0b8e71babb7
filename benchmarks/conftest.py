"""The benchmarks run on one thread, unless FASTCONV_NUM_THREADS says otherwise, are short, and are grouped by layer."""

import os
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc

SECONDS = 0.05  # for each benchmark, unless --benchmark-max-time says otherwise


def pytest_report_header():
    return f"fastconv: {fc.__version__} from {Path(fc.__file__).resolve().parents[1]}"


def pytest_collection_modifyitems(config, items):
    chosen = any(argument.startswith("--benchmark-max-time") for argument in config.invocation_params.args)
    limits = {} if chosen else {"max_time": SECONDS}
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.benchmark(group=str(item.callspec.params["layer"]), **limits))


@pytest.fixture(autouse=True)
def _threads():
    if "FASTCONV_NUM_THREADS" in os.environ:
        yield
    else:
        with fc.num_threads(1):
            yield


@pytest.fixture
def random():
    """Draws an array of a shape, of normally distributed float32 numbers."""
    return lambda *shape: np.random.default_rng(0).standard_normal(shape, np.float32)
