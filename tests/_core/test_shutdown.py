"""Calls when Python is about to end: after the main thread, in atexit, from objects that die last;
and where no thread can be had."""

import threading
from pathlib import Path

import numpy as np
import pytest
from processes import in_new_process

import fastconv as fc
from fastconv._core.fourier import forward as fft

# All operations, with work enough for two threads and a filter that is computed in Python threads.
SCRIPT = """
import atexit, functools, os, sys, threading, time
sys.path[:0] = sys.argv[1:]
import numpy as np
import fastconv as fc
from test_results import of_any_array, of_images, random

fc.set_num_threads(2)
x, image, weight = random((32, 512)), random((2, 4, 64, 64)), random((1, 1, 31, 31))
plane = random((1, 1, 1024, 1024))

compute_large = functools.partial(fc.conv2d, weight=weight, padding=15)

def compute():
    return [compute_large(plane), *of_images(image, "NCHW").values(),
            *of_images(np.moveaxis(image[0], 0, -1), "NHWC").values(), *of_any_array(x).values()]

wanted = compute()

def check():
    assert all(np.array_equal(a, b) for a, b in zip(compute(), wanted, strict=True))
    print("computed", flush=True)
"""

ENDS = {
    "atexit": "atexit.register(check)",
    "a thread that outlives the main thread": """
def work():
    threading.main_thread().join()
    time.sleep(0.1)
    check()
threading.Thread(target=work).start()
""",
    "a thread started in atexit": """
def work():
    thread = threading.Thread(target=check)
    try:
        thread.start()
    except RuntimeError:  # Python 3.12 and later
        check()
    else:
        thread.join()
atexit.register(work)
""",
    "an object that dies last": """
class Last:
    def __init__(self):
        self.itself = self  # so that only the garbage collector finds it; this module's names are gone by then
        self.call, self.wanted = functools.partial(compute_large, plane), wanted[0]
        self.equal, self.write = np.array_equal, os.write
    def __del__(self):
        if self.equal(self.call(), self.wanted):
            self.write(1, b"computed\\n")
last = Last()
""",
}


def at_the_end(end):
    return in_new_process(SCRIPT + end, Path(__file__).parents[1] / "functional", Path(__file__).parents[1])


@pytest.mark.parametrize("name", ENDS)
def test_results_are_the_same_at_the_end(name):
    assert at_the_end(ENDS[name]) == "computed\n"


FIRST_CALLS = """
import functools, os, sys
import numpy as np
import fastconv as fc

def ones(*shape):
    return np.ones(shape, np.float32)

images, filters, plane, vectors = ones(2, 16, 40, 40), ones(16, 16, 3, 3), ones(1, 1, 300, 300), ones(9, 16)
calls = {
    "conv2d": functools.partial(fc.conv2d, images, filters, padding=1),
    "conv2d, large filters": functools.partial(fc.conv2d, plane, ones(1, 1, 31, 31), padding=15),
    "conv2d, idle taps": functools.partial(fc.conv2d, images[..., :1, :1], filters, padding=1, padding_value=2),
    "conv2d_backward": functools.partial(fc.conv2d_backward, images, images, filters, padding=1),
    "conv2d_backward, stride": functools.partial(fc.conv2d_backward, images[..., :20, :20], images, filters, padding=1,
                                                 stride=2),
    "conv2d_backward, reflected": functools.partial(fc.conv2d_backward, images, images, filters, padding=1,
                                                    padding_mode="reflect"),
    "conv2d_backward, idle taps": functools.partial(fc.conv2d_backward, images[..., :1, :1], images[..., :1, :1],
                                                    filters, padding=1, padding_value=2),
    "plan_conv2d": functools.partial(fc.plan_conv2d, images.shape, filters),
    "explain": functools.partial(fc.explain, images.shape, filters.shape),
    "max_pool2d_backward": functools.partial(fc.max_pool2d_backward, images[..., :20, :20],
                                             np.zeros((2, 16, 20, 20), np.int64), images.shape, 2),
    "cross_entropy": functools.partial(fc.cross_entropy, vectors, np.zeros(9, np.int64)),
    "softmax_backward": functools.partial(fc.softmax_backward, vectors, vectors),
    "linear_backward": functools.partial(fc.linear_backward, vectors, vectors, ones(16, 16)),
}

class Last:
    def __init__(self):
        self.itself, self.call, self.write, self.sys = self, calls[sys.argv[1]], os.write, sys
    def __del__(self):
        self.call()
        self.write(1, b"computed" if self.sys.meta_path is None else b"too early")

last = Last()
"""


@pytest.mark.parametrize("name", [line.split('"')[1] for line in FIRST_CALLS.split("\n") if line.startswith('    "')])
def test_the_first_call_in_an_object_that_dies_last(name):
    """Nothing can be imported any more."""
    assert in_new_process(FIRST_CALLS, name) == "computed"


def test_daemon_threads_do_not_keep_python_from_ending():
    at_the_end("""
def work():
    while True:
        compute()
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
""")


IMAGES, FILTERS = np.ones((6, 3, 150, 150), np.float32), np.ones((3, 1, 21, 21), np.float32)


def large():
    return fc.conv2d(IMAGES, FILTERS, groups=3, algorithm="fft")


@pytest.fixture
def eager(monkeypatch):
    monkeypatch.setattr(fft, "SMALL", 1e3)
    before = threading.active_count()
    with fc.num_threads(4):
        yield
        assert fc.get_num_threads() == 4
    assert threading.active_count() == before


@pytest.mark.parametrize("had", [0, 1, 2])
def test_fewer_threads_do_where_no_more_can_be_had(had, eager, monkeypatch):
    wanted, start, started = large(), threading.Thread.start, []

    def scarce(thread):
        if len(started) % 3 == had:
            started.clear()
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    np.testing.assert_array_equal(large(), wanted)


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("calls", [1, 2, 5])
def test_an_error_of_one_thread_ends_all(error, calls, eager, monkeypatch):
    backward, done = fft._backward, []

    def fail(*arguments):
        done.append(None)
        if len(done) == calls:
            raise error("no more")
        return backward(*arguments)

    wanted = large()
    monkeypatch.setattr(fft, "_backward", fail)
    with pytest.raises(error, match="no more"):
        large()
    monkeypatch.undo()
    np.testing.assert_array_equal(large(), wanted)


def test_an_interrupt_while_threads_start_ends_all(eager, monkeypatch):
    start, started = threading.Thread.start, []

    def interrupted(thread):
        if started:
            raise KeyboardInterrupt
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        large()
