"""Small calls are quick because what their checks found is remembered: none of it may show in a result or an error."""

import gc
import importlib
import re
import threading
import tracemalloc

import numpy as np
import pytest

import fastconv as fc
from fastconv._core.runtime import memory
from fastconv.functional.convolution import Convolutions

F32 = np.float32


class Image(np.ndarray):
    pass


def random(*shape, dtype=F32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def new(*values):
    """A tuple that no other call has."""
    return tuple(value for value in values)


X, W, B = random(2, 4, 8, 8), random(8, 4, 3, 3, seed=1), random(8, seed=2)

Y = fc.conv2d(X, W)

CALLS = {
    "conv2d": lambda: fc.conv2d(X, W),
    "conv2d with bias and options": lambda: fc.conv2d(X, W, B, stride=(1, 2), padding="same", activation="relu"),
    "conv2d of one image": lambda: fc.conv2d(X[0], W, padding=1),
    "conv2d, NHWC": lambda: fc.conv2d(X, random(4, 8, 3, 3), padding=((1, 0), (1, 0)), data_format="NHWC"),
    "max_pool2d": lambda: fc.max_pool2d(X, 2),
    "avg_pool2d": lambda: fc.avg_pool2d(X, (3, 3), stride=2, padding=1, count_include_pad=False),
    "linear": lambda: fc.linear(X[0, 0], X[0, 1], B),
    "conv2d_backward": lambda: fc.conv2d_backward(fc.conv2d(X, W), X, W),
    "conv2d_backward with options": lambda: fc.conv2d_backward(fc.conv2d(X, W, stride=(1, 2), padding="same"), X, W,
                                                               stride=new(1, 2), padding="same",
                                                               needs=new(False, True, True)),
    "conv2d_backward, NHWC": lambda: fc.conv2d_backward(random(2, 3, 8, 4), X, random(4, 8, 3, 3),
                                                        padding=((1, 0), (1, 1)), data_format="NHWC"),
    "max_pool2d_backward": lambda: fc.max_pool2d_backward(*fc.max_pool2d(X, 2, return_indices=True), X.shape, 2),
    "avg_pool2d_backward": lambda: fc.avg_pool2d_backward(fc.avg_pool2d(X, 3, padding=1), X.shape, 3, padding=1),
    "linear_backward": lambda: fc.linear_backward(X[0, 0], X[0, 1], X[0, 2], needs=new(True, False, True)),
}


def all_equal(results, wanted):
    results, wanted = (value if isinstance(value, tuple) else (value,) for value in (results, wanted))
    for result, expected in zip(results, wanted, strict=True):
        assert (result is None) == (expected is None)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("name", CALLS)
def test_the_second_call_is_not_checked_again(name, monkeypatch):
    first = CALLS[name]()

    def again(*arguments, **options):
        raise AssertionError("checked a second time")

    for check in ("checked_call", "planned"):
        monkeypatch.setattr(Convolutions, check, again)
    for module, check in (("pooling_calls", "sliding"), ("linear", "_arguments")):
        monkeypatch.setattr(importlib.import_module(f"fastconv.functional.{module}"), check, again)
    all_equal(CALLS[name](), first)


# What equals a good option but is none, with its error; the good call comes before it.
LOOKALIKES = [
    (fc.conv2d, (X, W), {"stride": 1}, {"stride": True}, TypeError),
    (fc.conv2d, (X, W), {"stride": 1}, {"stride": 1.0}, TypeError),
    (fc.conv2d, (X, W), {"stride": (1, 1)}, {"stride": (1, True)}, TypeError),
    (fc.conv2d, (X, W), {"stride": (1, 2)}, {"stride": (1.0, 2)}, TypeError),
    (fc.conv2d, (X, W), {"stride": 1}, {"stride": np.True_}, TypeError),
    (fc.conv2d, (X, W), {"padding": 0}, {"padding": False}, TypeError),
    (fc.conv2d, (X, W), {"padding": ((0, 1), (1, 0))}, {"padding": ((0, 1), (1, False))}, TypeError),
    (fc.conv2d, (X, W), {"dilation": 1}, {"dilation": 1.0}, TypeError),
    (fc.conv2d, (X, W), {"groups": 1}, {"groups": True}, TypeError),
    (fc.conv2d, (X, W), {"padding_value": 0.0}, {"padding_value": False}, TypeError),
    (fc.conv2d, (X, W, B), {}, {"bias": B[:4]}, ValueError),
    (fc.conv2d, (X, W), {"activation": None}, {"activation": False}, TypeError),
    (fc.max_pool2d, (X, 2), {"return_indices": False}, {"return_indices": 0}, TypeError),
    (fc.max_pool2d, (X, 2), {"ceil_mode": False}, {"ceil_mode": 0}, TypeError),
    (fc.max_pool2d, (X,), {"kernel_size": 1}, {"kernel_size": True}, TypeError),
    (fc.avg_pool2d, (X, 2), {"count_include_pad": True}, {"count_include_pad": 1}, TypeError),
    (fc.conv2d_backward, (Y, X, W), {"needs": (True, True, True)}, {"needs": (True, 1, True)}, TypeError),
    (fc.conv2d_backward, (Y, X, W), {"needs": (True, True, True)}, {"needs": (True, True)}, ValueError),
    (fc.conv2d_backward, (Y, X, W), {"needs": (True, True, True)}, {"needs": True}, TypeError),
    (fc.conv2d_backward, (Y, X, W), {"stride": (1, 1)}, {"stride": (1, True)}, TypeError),
    (fc.conv2d_backward, (Y, X, W), {"padding": 0}, {"padding": 1}, ValueError),
    (fc.linear_backward, (X[0, 0], X[0, 1], X[0, 2]), {"needs": (True, True, True)},
     {"needs": (1, True, True)}, TypeError),
    (fc.max_pool2d_backward, (*fc.max_pool2d(X, 2, return_indices=True), X.shape, 2), {"ceil_mode": False},
     {"ceil_mode": 0}, TypeError),
    (fc.avg_pool2d_backward, (X[..., :4, :4], X.shape, 2), {"padding": 0}, {"padding": 1}, ValueError),
    (fc.avg_pool2d_backward, (X[..., :4, :4],), {"input_shape": X.shape, "kernel_size": 2},
     {"input_shape": (2, 4, 8.0, 8), "kernel_size": 2}, TypeError),
]


@pytest.mark.parametrize("function, arguments, good, bad, error", LOOKALIKES,
                         ids=[f"{f.__name__} {bad}"[:60] for f, _, _, bad, _ in LOOKALIKES])
def test_what_merely_equals_a_good_option_is_still_an_error(function, arguments, good, bad, error):
    positional = arguments[:2] if "bias" in bad else arguments
    with pytest.raises(error) as before:
        function(*positional, **bad)
    for _ in range(2):
        function(*arguments, **good)
    with pytest.raises(error, match=re.escape(str(before.value))):
        function(*positional, **bad)


@pytest.mark.parametrize("x", [X.astype(int), X.astype(object), X.astype(np.float16), X.astype(complex),
                               X > 0, None, F32(1), np.ma.masked_greater(X, 0), X[:, :3], X[:, :, :2],
                               X.astype(float), X[None]],
                         ids=lambda x: f"{type(x).__name__} {getattr(x, 'dtype', '')} {getattr(x, 'shape', '')}")
def test_another_x_is_still_an_error(x):
    for _ in range(2):
        fc.conv2d(X, W)
    with pytest.raises((TypeError, ValueError), match="x |weight "):
        fc.conv2d(x, W)


def test_other_arrays_of_the_same_numbers_give_the_same():
    wanted = fc.conv2d(X, W, B, padding=1)
    read_only = X.copy()
    read_only.flags.writeable = False
    unaligned = np.zeros(X.nbytes + 1, np.uint8)[1:].view(F32).reshape(X.shape)
    unaligned[...] = X
    for x in (read_only, unaligned, X.view(Image), X.astype(">f4"), np.asfortranarray(X), X[::-1][::-1],
              np.repeat(X, 2, 3)[..., ::2], X.transpose(2, 3, 0, 1).copy().transpose(2, 3, 0, 1)):
        result = fc.conv2d(x, W, B, padding=1)
        assert type(result) is np.ndarray and result.dtype == np.dtype(F32)
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5)
    for bias in (np.repeat(B, 3)[::3], B[::-1].copy()[::-1], B.astype(">f4"), B.view(Image)):
        np.testing.assert_array_equal(fc.conv2d(X, W, bias, padding=1), wanted)
        np.testing.assert_array_equal(fc.linear(X[0].reshape(32, 8), X[0, 0], bias),
                                      fc.linear(X[0].reshape(32, 8), X[0, 0], B))
    np.testing.assert_array_equal(fc.conv2d(X, W, B, padding=1), wanted)


def test_each_padding_value_pads_with_itself():
    ones, taps = np.ones((1, 1, 2, 2), F32), np.ones((1, 1, 1, 1), F32)
    for value in (0.0, -0.0, 0, 1.5, 1, 2.0, float("nan"), np.float32(0.5), np.array(0.25), np.array(0.75)):
        for _ in range(2):
            assert np.array_equal(fc.conv2d(ones, taps, padding=1, padding_value=value)[0, 0, 0, 0], F32(value),
                                  equal_nan=True)


@pytest.mark.parametrize("name, of", [("conv2d_backward", (Y, X, W)), ("linear_backward", (X[0, 0], X[0, 1], X[0, 2]))])
def test_other_arrays_are_still_errors_of_backward(name, of):
    function = getattr(fc, name)
    for _ in range(2):
        function(*of)
    for i in range(3):    # grad_output, x, weight
        for bad, error in ((of[i].astype(int), TypeError), (of[i].astype(float), TypeError),
                           (of[i][:1, :1], ValueError), (None, TypeError)):
            with pytest.raises(error, match=r"^(grad_output|x|weight|groups) "):
                function(*of[:i], bad, *of[i + 1:])
        same = np.asfortranarray(of[i])
        for result, wanted in zip(function(*of[:i], same, *of[i + 1:]), function(*of)):
            np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("wrong", [-1, 10, 2**40])
@pytest.mark.parametrize("function", [fc.nll_loss, fc.nll_loss_backward, fc.cross_entropy, fc.cross_entropy_backward])
def test_labels_are_looked_at_each_time(function, wrong):
    scores, labels = -np.abs(random(200, 10)), np.arange(200) % 10
    for reduction in ("mean", "none"):
        function(scores, labels, reduction=reduction)
        for row in (0, 199):
            bad = labels.copy()
            bad[row] = wrong
            with pytest.raises(ValueError, match=f"^target must be class numbers from 0 to 9, got {wrong}"):
                function(scores, bad, reduction=reduction)


def test_out_is_checked_each_time():
    good, plan = np.empty((2, 8, 6, 6), F32), fc.plan_conv2d(X.shape, W)
    for _ in range(2):
        assert fc.conv2d(X, W, out=good) is good and plan(X, out=good) is good
    read_only = good.copy()
    read_only.flags.writeable = False
    wrong = [(read_only, ValueError, "read-only"), (good.astype(float), ValueError, "dtype"),
             (good[:1], ValueError, "shape"),
             (np.empty((2, 6, 6, 8), F32).transpose(0, 3, 1, 2), ValueError, "C-contiguous"),
             (good.tolist(), TypeError, "list"), (good.astype(">f4"), ValueError, "dtype")]
    for out, error, message in wrong:
        for call in (lambda: fc.conv2d(X, W, out=out), lambda: plan(X, out=out)):
            with pytest.raises(error, match=f"^out must .*{message}"):
                call()
    assert not read_only.any() or np.array_equal(read_only, good)
    x = np.concatenate([X.ravel(), good.ravel()])
    with pytest.raises(ValueError, match="overlap"):
        plan(x[:X.size].reshape(X.shape), out=x[X.size - 1:X.size - 1 + good.size].reshape(good.shape))
    image = good.view(Image)
    assert fc.conv2d(X, W, out=image) is image


def test_x_of_a_plan_is_checked_each_time():
    plan = fc.plan_conv2d(X.shape, W)
    wanted = plan(X)
    for x, error in ((X.astype(float), TypeError), (X[:1], ValueError), (X.astype(int), TypeError), (None, TypeError),
                     (X[0], ValueError), (X.tolist(), TypeError)):
        with pytest.raises(error, match="^x "):
            plan(x)
    for x in (X.astype(">f4"), X.view(Image), np.repeat(X, 2, 3)[..., ::2]):
        np.testing.assert_array_equal(plan(x), wanted)


SMALL = {
    "depthwise": ((1, 1, 8, 8), (1, 1, 3, 3), {}),
    "depthwise, several filters": ((2, 3, 9, 9), (6, 1, 5, 5), {"groups": 3, "padding": 2, "stride": 2}),
    "product": ((1, 3, 8, 8), (8, 3, 3, 3), {}),
    "channel lanes": ((1, 16, 4, 4), (16, 16, 1, 1), {}),
    "Winograd": ((1, 16, 8, 8), (16, 16, 3, 3), {"padding": 1}),
    "larger": ((2, 32, 40, 40), (32, 32, 3, 3), {"padding": 1}),
    "NHWC": ((1, 8, 8, 16), (16, 16, 3, 3), {"data_format": "NHWC", "padding_mode": "reflect", "padding": 1}),
}


@pytest.mark.parametrize("name", SMALL)
def test_python_threads_share_a_plan_and_the_memo(name):
    x_shape, weight_shape, options = SMALL[name]
    weight, bias = random(*weight_shape), random(weight_shape[0])
    plan = fc.plan_conv2d(x_shape, weight, bias, activation="relu", **options)
    inputs = [random(*x_shape, seed=i) for i in range(8)]
    wanted = [fc.conv2d(x, weight, bias, activation="relu", **options) for x in inputs]
    wrong, start = [], threading.Barrier(4)

    def work(seed):
        rng, out = np.random.default_rng(seed), np.empty_like(wanted[0])
        start.wait()
        for _ in range(150):
            i = rng.integers(len(inputs))
            with fc.num_threads(int(rng.integers(1, 4))):
                results = [plan(inputs[i]), plan(inputs[i], out=out),
                           fc.conv2d(inputs[i], weight, bias, activation="relu", **options)]
            if not all(np.array_equal(result, wanted[i]) for result in results):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_calls_leave_nothing_behind():
    plans = [(fc.plan_conv2d(x_shape, random(*weight_shape), **options), random(*x_shape), options,
              random(*weight_shape))
             for x_shape, weight_shape, options in SMALL.values()]

    def work():
        for plan, x, options, weight in plans:
            plan(x)
            fc.conv2d(x, weight, **options)
            fc.relu(x)
            fc.softmax(x)
        fc.max_pool2d(X, 2, return_indices=True)
        fc.avg_pool2d(X, 3)
        fc.linear(X[0, 0], X[0, 1], B)
        fc.conv2d_backward(Y, X, W)
        fc.linear_backward(X[0, 0], X[0, 1], X[0, 2])
        fc.cross_entropy_backward(X[0, 0], np.arange(8))
        with pytest.raises(TypeError):
            fc.conv2d(X, W, stride=1.0)

    for _ in range(20):
        work()
    gc.collect()
    pool = memory.pool_statistics()
    tracemalloc.start()
    for _ in range(3):
        work()
    before = tracemalloc.take_snapshot()
    for _ in range(100):
        work()
    gc.collect()
    grown = sum(difference.size_diff for difference in tracemalloc.take_snapshot().compare_to(before, "filename")
                if "fastconv" in difference.traceback[0].filename)
    tracemalloc.stop()
    assert grown < 10_000
    assert memory.pool_statistics()["blocks"] <= pool["blocks"] + 2
    assert memory.pool_statistics()["bytes"] <= pool["bytes"] + (1 << 20)
