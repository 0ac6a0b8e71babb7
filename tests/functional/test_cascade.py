"""Convolutions band by band: the bits of whole maps, whatever the bands, the windows and the threads."""

import numpy as np
import pytest
from processes import check_with_isa

import fastconv as fc
from fastconv import nn
from fastconv._core.runtime import isa
from fastconv.functional import cascade
from fastconv.functional.cascade import Cascade, joins
from fastconv.functional.conv import IMAGES
from fastconv.functional.fixed import FixedWeights
from fastconv.functional.rooms import Rooms
from fastconv.nn.programs import Program


def pixels(rng, shape, dtype):
    """Maps (N, C, H, W) with channels last."""
    n, c, h, w = shape
    return rng.standard_normal((n, h, w, c)).astype(dtype).transpose(0, 3, 1, 2)


def chain(rng, x, count):
    """Random calls, pointwise, depthwise or of few taps, each on what the one before gives; and what the
    last one gives."""
    calls, rooms, map_now = [], Rooms(True), x
    for _ in range(10 * count):
        c = map_now.shape[1]
        kind = rng.choice(["pointwise", "depthwise", "square"])
        k, groups = (c, c) if kind == "depthwise" else (int(rng.integers(16, 70)), 1)
        taps = (1, 1) if kind == "pointwise" else tuple(int(n) for n in rng.choice([2, 3, 5], 2))
        stride, dilation = (tuple(int(n) for n in rng.choice([1, 1, 2, 3], 2)) for _ in range(2))
        if kind == "depthwise":
            taps, stride = (int(rng.choice([3, 3, 5, 7])),) * 2, (int(rng.choice([1, 2])),) * 2
        pads = tuple(tuple(int(n) for n in rng.integers(0, 4, 2)) for _ in range(2))
        weight = rng.standard_normal((k, c // groups, *taps)).astype(x.dtype) / 3
        bias = rng.standard_normal(k).astype(x.dtype)
        value = float(rng.choice([0.0, 0.5]))
        options = stride, pads, dilation, groups, "constant", value, "NCHW"
        try:
            call = FixedWeights(IMAGES, options, weight, True).found(
                map_now, bias, (None, "relu", "relu6", "sigmoid")[rng.integers(4)], rooms)
        except ValueError:    # the map has become too small
            return calls, map_now
        if call.of_rows is not None and len(calls) < count:
            calls.append((call, bias))
            map_now = call.fill(map_now, bias, np.ndarray(call.shape, call.dtype, strides=call.strides))
    return calls, map_now


@pytest.fixture
def bands(monkeypatch):
    """Sets how many bytes a convolution of a band takes; maps of any size are large then."""
    monkeypatch.setattr(cascade, "LARGE_BYTES", 0)
    return lambda count: monkeypatch.setattr(cascade, "BAND_BYTES", count)


def check_chains(bands, seeds, dtype):
    checked = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        n, c, h, w = int(rng.integers(1, 4)), int(rng.integers(16, 40)), *(int(m) for m in rng.integers(6, 40, 2))
        x = pixels(rng, (n, c, h, w), dtype)
        calls, wanted = chain(rng, x, int(rng.integers(2, 6)))
        for count in (1, 20_000, 100_000, 1 << 30):
            bands(count)
            y = np.full(wanted.shape[:1] + wanted.shape[2:] + wanted.shape[1:2], np.nan, dtype).transpose(0, 3, 1, 2)
            if len(calls) > 1:
                checked += 1
                joined = Cascade(calls)
                for threads in (1, 2):
                    y[...] = np.nan
                    with fc.num_threads(threads):
                        assert joined.fill(x, None, y) is y
                    np.testing.assert_array_equal(y, wanted, err_msg=f"{seed} {count} {threads}")
    assert checked > 2 * len(seeds)    # of four bands each: few chains have no second call


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bands_of_random_chains_have_the_bits_of_whole_maps(bands, dtype):
    check_chains(bands, range(60), dtype)


def check_instruction_set():
    cascade.LARGE_BYTES = 0
    check_chains(lambda count: setattr(cascade, "BAND_BYTES", count), range(100, 115), np.float32)


@pytest.mark.parametrize("name", isa.known())
def test_each_instruction_set(name):
    check_with_isa(name, check_instruction_set)


def test_rows_that_two_bands_need_are_computed_once(bands):
    bands(30_000)
    rng = np.random.default_rng(1)
    x, calls = pixels(rng, (1, 16, 40, 30), np.float32), []
    for taps, padding, groups in ((1, 0, 1), (3, 1, 32), (1, 0, 1)):
        weight = rng.standard_normal((32, (calls[-1][0].shape[1] if calls else 16) // groups, taps, taps)).astype("f")
        found = FixedWeights(IMAGES, (1, padding, 1, groups, "constant", 0.0, "NCHW"), weight, True).found(
            x if not calls else pixels(rng, calls[-1][0].shape, "f"), None, None, Rooms(True))
        calls.append((found, None))
    steps = Cascade(calls)._steps
    assert len(steps) > 9
    for number in (1, 2, 3):
        assert sum(step.written.stop - step.written.start for step in steps if step.map == number) == 40


def test_what_reflects_the_image_is_left_whole():
    rng = np.random.default_rng(2)
    x = pixels(rng, (1, 64, 64, 64), np.float32)
    weight = rng.standard_normal((64, 1, 3, 3)).astype(np.float32)
    found = [FixedWeights(IMAGES, (1, 1, 1, 64, mode, 0.0, "NCHW"), weight, True).found(x, None, None, Rooms(True))
             for mode in ("constant", "reflect")]
    assert [call.of_rows is not None for call in found] == [True, False]
    assert joins(found[0], found[0]) and not joins(found[0], found[1]) and not joins(found[1], found[0])


def test_small_maps_are_left_whole():
    rng = np.random.default_rng(3)
    x = pixels(rng, (4, 64, 28, 28), np.float32)
    weight = rng.standard_normal((64, 64, 1, 1)).astype(np.float32)
    call = FixedWeights(IMAGES, (1, 0, 1, 1, "constant", 0.0, "NCHW"), weight, True).found(x, None, None, Rooms(True))
    assert call.of_rows is not None and not joins(call, call)    # 4 images of 200 KB each


def program_of(model, x):
    """What the passes come to."""
    for _ in range(6):
        y = model(x)
    program, = (known.program for known in model._passes.known.values())
    assert isinstance(program, Program)
    return y, program


def test_a_network_has_the_bits_of_its_passes(monkeypatch):
    """On one thread in bands, on several with whole maps."""
    x = np.random.default_rng(4).standard_normal((2, 3, 96, 96)).astype(np.float32)
    monkeypatch.setattr(cascade, "LARGE_BYTES", 100_000)
    monkeypatch.setattr(cascade, "BAND_BYTES", 100_000)
    filled, fill = [], Cascade.fill
    monkeypatch.setattr(Cascade, "fill", lambda self, *arrays: filled.append(self) or fill(self, *arrays))
    model = nn.models.mobilenet_v2(rng=0).eval()
    with fc.num_threads(1):
        first = model(x)
        y, _ = program_of(model, x)
    assert len(set(filled)) >= 3
    np.testing.assert_array_equal(y, first)
    filled.clear()
    for threads in (2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(model(x), first)
    assert not filled
