"""Runs let go of the GIL: other Python threads go on while the loops run."""

import time

import numpy as np
import pytest
from c_api.clients import addresses, planned
from processes import in_new_process

F32 = np.float32

# kind, fields, and the shapes of the arrays in the order of the call's arguments: each takes some tenths of a second.
LONG = {
    "product": ("conv2d", dict(x_shape=(8, 64, 96, 96), weight_shape=(128, 64, 3, 3), padding=(1, 1, 1, 1),
                               algorithm=2),
                ((8, 64, 96, 96), (128, 64, 3, 3), None, (8, 128, 96, 96))),
    "direct": ("conv2d", dict(x_shape=(8, 64, 96, 96), weight_shape=(128, 64, 3, 3), padding=(1, 1, 1, 1), algorithm=1),
               ((8, 64, 96, 96), (128, 64, 3, 3), None, (8, 128, 96, 96))),
    "winograd": ("conv2d", dict(x_shape=(16, 64, 96, 96), weight_shape=(128, 64, 3, 3), padding=(1, 1, 1, 1),
                                algorithm=3),
                 ((16, 64, 96, 96), (128, 64, 3, 3), None, (16, 128, 96, 96))),
    "gradients": ("conv2d_backward", dict(x_shape=(4, 64, 96, 96), weight_shape=(128, 64, 3, 3), padding=(1, 1, 1, 1)),
                  ((4, 128, 96, 96), (4, 64, 96, 96), (128, 64, 3, 3), (4, 64, 96, 96), (128, 64, 3, 3), (128,))),
    "depthwise": ("conv2d", dict(x_shape=(16, 64, 130, 130), weight_shape=(64, 1, 9, 9), groups=64, algorithm=1),
                  ((16, 64, 130, 130), (64, 1, 9, 9), None, (16, 64, 122, 122))),
    "fourier": ("conv2d", dict(x_shape=(2, 16, 300, 300), weight_shape=(16, 16, 31, 31), algorithm=4),
                ((2, 16, 300, 300), (16, 16, 31, 31), None, (2, 16, 270, 270))),
    "max pooling": ("max_pool2d", dict(x_shape=(16, 64, 200, 200), kernel_size=(9, 9), stride=(1, 1)),
                    ((16, 64, 200, 200), (16, 64, 192, 192), None)),
    "average gradient": ("avg_pool2d_backward", dict(x_shape=(16, 64, 200, 200), kernel_size=(9, 9), stride=(1, 1)),
                         ((16, 64, 192, 192), (16, 64, 200, 200))),
}


def watched(client, kind, plan, arrays):
    """One run in a thread of its own, seen from here: how long it took, the longest time for which this thread stood
    still meanwhile, and how often it did something."""
    client.start(kind, plan, addresses(*arrays))
    start = last = time.perf_counter()
    stood_still, steps = 0.0, 0
    while client.running():
        time.sleep(1e-4)
        now = time.perf_counter()
        stood_still, last, steps = max(stood_still, now - last), now, steps + 1
    assert client.wait() == (0, "")
    return last - start, stood_still, steps


@pytest.mark.parametrize("case", LONG)
def test_python_goes_on_during_a_run(client, case):
    """Were the GIL held all the time, this thread would stand still from the start to the end. The best of some runs:
    other programs hold it up too."""
    kind, fields, shapes = LONG[case]
    arrays = [None if shape is None else np.ones(shape, F32) for shape in shapes]
    plan = planned(client, kind, dtype=1, **fields)
    runs = [watched(client, kind, plan, arrays) for _ in range(4)]
    assert any(steps > 10 and stood_still < took / 2 for took, stood_still, steps in runs), runs


def test_a_thread_that_holds_the_gil_is_not_waited_for_in_vain(client):
    """Two runs from C and Python code in this thread take turns: nobody waits for ever."""
    x, weight = np.ones((1, 3, 30, 30), F32), np.ones((4, 3, 3, 3), F32)
    results = [np.zeros((1, 4, 28, 28), F32) for _ in range(8)]
    plan = planned(client, "conv2d", dtype=1, x_shape=x.shape, weight_shape=weight.shape)
    for _ in range(50):
        answers = client.run("conv2d", plan, [addresses(x, weight, None, y) for y in results], False)
        assert answers == [(0, "")] * 8
    assert all((y == 27).all() for y in results)


def test_import_fastconv_does_not_load_the_c_api():
    assert in_new_process("""
        import sys, fastconv
        print([name for name in sys.modules if "c_api" in name], fastconv.get_include()[-7:], fastconv._C_API)
        """).startswith("[] include <capsule object \"fastconv._C_API\" at ")
