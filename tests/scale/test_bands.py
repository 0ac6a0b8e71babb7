"""Images band by band: the same numbers as the whole, for all forms, borders and kinds of arrays."""

import itertools
import sys
import threading
import weakref

import numpy as np
import pytest
from pieces_of_images import MODES, filters, image, pieces_read

import fastconv as fc
from fastconv.scale.source import Source


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("stride", "dilation", "padding"), [
    (1, 1, "same"), (2, 1, ((3, 0), (1, 4))), (3, 2, 2), (1, 3, "valid"), ((2, 1), (1, 2), ((5, 9), (0, 0))),
    (1, 1, ((40, 33), (2, 3)))])
def test_bands_of_a_convolution_have_the_bits_of_the_whole(monkeypatch, mode, stride, dilation, padding):
    x, weight, bands = image((3, 61, 34)), filters(4, 3, 5, 3), pieces_read(monkeypatch)
    options = dict(stride=stride, dilation=dilation, padding=padding, padding_mode=mode, algorithm="gemm")
    expected = fc.conv2d(x.astype(np.float32), weight, **options)
    out = np.full_like(expected, np.nan)
    assert fc.blockwise(fc.conv2d, x, out, weight, memory=13_000, **options) is out
    np.testing.assert_array_equal(out, expected)
    assert len(bands) > 2


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_padding_may_be_wider_than_the_windows(value):
    """There are outputs, and whole bands, that see nothing but padding."""
    x, weight = image((1, 9, 12)), filters(2, 1, 3, 3)
    options = dict(padding=((50, 70), (1, 1)), padding_value=value, algorithm="gemm")
    expected = fc.conv2d(x.astype(np.float32), weight, **options)
    np.testing.assert_array_equal(
        fc.blockwise(fc.conv2d, x, np.empty_like(expected), weight, memory=4000, **options), expected)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("axes", [2, 3, 4])
def test_every_form_of_an_image(axes, data_format):
    channels = 1 if axes == 2 else 3
    shape = (3, channels, 40, 31) if data_format == "NCHW" else (3, 40, 31, channels)
    shape = (40, 31) if axes == 2 else shape[4 - axes:]
    x, weight = image(shape), filters(1, channels, 3, 5)
    options = dict(padding=1, data_format=data_format, algorithm="gemm")
    whole = x.astype(np.float32)
    if axes == 2:
        whole = whole[None] if data_format == "NCHW" else whole[..., None]
    expected = fc.conv2d(whole, weight, **options)
    for lacking in (False, True)[:1 + (axes == 2)]:
        out = np.empty(x.shape[:-1] + (29,) if lacking else expected.shape, np.float32)
        fc.blockwise(fc.conv2d, x, out, weight, memory=12_000, **options)
        np.testing.assert_array_equal(out.reshape(expected.shape), expected)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride", "padding", "dilation"), [
    (2, None, 0, 1), (3, 2, 1, 1), ((5, 2), (1, 3), ((2, 0), (1, 1)), 1), (3, 4, 2, 2), (7, 1, "same", 1)])
def test_bands_of_a_maximum_have_the_bits_of_the_whole(kernel_size, stride, padding, dilation, ceil_mode):
    x = image((2, 58, 33))
    options = dict(stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    expected = fc.max_pool2d(x.astype(np.float32), kernel_size, **options)
    out = fc.blockwise(fc.max_pool2d, x, np.empty_like(expected), kernel_size, memory=15_000, **options)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("count_include_pad", [False, True])
def test_averages_know_the_border_of_the_whole(count_include_pad, ceil_mode):
    x = image((57, 33, 2))
    options = dict(stride=2, padding=2, ceil_mode=ceil_mode, count_include_pad=count_include_pad, data_format="NHWC")
    expected = fc.avg_pool2d(x.astype(np.float32), 5, **options)
    out = fc.blockwise(fc.avg_pool2d, x, np.empty_like(expected), 5, memory=15_000, **options)
    np.testing.assert_allclose(out, expected, rtol=1e-6)


@pytest.mark.parametrize(("function", "shape", "arguments", "options"), [
    (fc.conv1d, (2, 300), (filters(3, 2, 7),), dict(padding=3, padding_mode="circular", algorithm="gemm")),
    (fc.conv3d, (1, 24, 9, 8), (filters(2, 1, 3, 3, 3),), dict(padding=1, padding_mode="reflect", algorithm="gemm")),
    (fc.max_pool1d, (300,), (4,), dict(stride=3, padding=1)),
    (fc.max_pool3d, (2, 24, 9, 8), ((3, 2, 2),), dict(stride=(2, 1, 1))),
    (fc.avg_pool1d, (2, 300), (4,), {}),
    (fc.avg_pool3d, (24, 9, 8), (2,), {}),
    (fc.lp_pool2d, (3, 60, 20), (2.0, 3), dict(stride=2, ceil_mode=True)),
])
def test_signals_volumes_and_norms(monkeypatch, function, shape, arguments, options):
    x, bands = image(shape), pieces_read(monkeypatch)
    rank = int(function.__name__[-2])
    plain, memory = len(shape) == rank, 1_000 if rank == 1 else 6_000
    expected = function(x.astype(np.float32)[None] if plain else x.astype(np.float32), *arguments, **options)
    out = fc.blockwise(function, x, np.empty_like(expected), *arguments, memory=memory, **options)
    np.testing.assert_allclose(out, expected, rtol=1e-6)
    assert len(bands) > 2


@pytest.mark.parametrize("dilation", [1, 2])
def test_bands_begin_where_winograds_tiles_do(dilation):
    x, weight = filters(64, 90, 30), filters(64, 64, 3, 3)
    options = dict(padding=dilation, dilation=dilation, algorithm="winograd")
    expected = fc.conv2d(x, weight, **options)
    for memory in (200_000 * dilation, 333_333 * dilation, 700_000):
        out = fc.blockwise(fc.conv2d, x, np.empty_like(expected), weight, memory=memory, **options)
        np.testing.assert_array_equal(out, expected)


def test_fourier_transforms_are_as_right_as_those_of_the_whole():
    x, weight = image((300, 200)), filters(1, 1, 31, 31)
    exact = fc.conv2d(x.astype(float)[None], weight.astype(float), padding="same", algorithm="gemm")
    out = fc.blockwise(fc.conv2d, x, np.empty((300, 200), np.float32), weight, memory=150_000, padding="same",
                       algorithm="fft")
    assert np.linalg.norm(out - exact[0]) < 1e-6 * np.linalg.norm(exact)


def test_many_small_images_are_read_some_at_a_time(monkeypatch):
    x, weight, bands = image((100, 1, 12, 12)), filters(2, 1, 3, 3), pieces_read(monkeypatch)
    expected = fc.conv2d(x.astype(np.float32), weight, algorithm="gemm")
    out = fc.blockwise(fc.conv2d, x, np.empty_like(expected), weight, memory=60_000, algorithm="gemm")
    np.testing.assert_array_equal(out, expected)
    assert len(bands) == 5


@pytest.mark.parametrize("source", ["u1", "i2", "i8", "?", ">f4", "f4", "f8", "f2"])
@pytest.mark.parametrize("weights", [np.float32, np.float64])
def test_what_bands_are_computed_in(source, weights):
    x, weight = image((1, 30, 20)).astype(source), filters(1, 1, 3, 3, dtype=weights)
    if np.dtype(source).newbyteorder("=") in (np.float32, np.float64) and np.dtype(source).itemsize != weight.itemsize:
        with pytest.raises(TypeError, match="one call has one dtype"):
            fc.blockwise(fc.conv2d, x, np.empty((1, 28, 18), weights), weight)
        return
    expected = fc.conv2d(x.astype(weights), weight)
    out = fc.blockwise(fc.conv2d, x, np.empty((1, 28, 18), weights), weight, memory=3_500 * weight.itemsize)
    np.testing.assert_allclose(out, expected, rtol=1e-5 if weights is np.float32 else 1e-13)


def test_the_dtype_may_be_said():
    x = image((1, 30, 20), np.int64) + 2**30
    out = fc.blockwise(fc.max_pool2d, x, np.empty((1, 15, 10)), 2, dtype="float64")
    np.testing.assert_array_equal(out, fc.max_pool2d(x.astype(float), 2))


def test_integers_are_rounded_and_kept_in_their_range():
    x = np.array([[0.5, 1.5, 254.5, 255.4, 256.0, 1e9, -0.5, -3.0, -np.inf, np.inf]], np.float32)
    out = fc.blockwise(fc.max_pool2d, x, np.empty(x.shape, np.uint8), 1)
    assert out.tolist() == [[0, 2, 254, 255, 255, 255, 0, 0, 0, 255]]
    out = fc.blockwise(fc.max_pool2d, 200 * x, np.empty(x.shape, np.int16), 1)
    assert out.tolist() == [[100, 300, 32767, 32767, 32767, 32767, -100, -600, -32768, 32767]]


def test_the_bits_do_not_depend_on_the_threads():
    x, weight = image((200, 150)), filters(1, 1, 15, 15)
    results = []
    for count in (1, 2, 3):
        with fc.num_threads(count):
            results.append(fc.blockwise(fc.conv2d, x, np.empty((200, 150), np.float32), weight, padding="same",
                                        memory=100_000))
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[0], results[2])


def test_several_threads_may_use_it():
    x, weight = image((120, 90)), filters(1, 1, 5, 5)
    expected = fc.conv2d(x.astype(np.float32)[None], weight, algorithm="gemm")
    outs = [np.empty_like(expected) for _ in range(4)]

    def run(out):
        fc.blockwise(fc.conv2d, x, out, weight, memory=30_000, algorithm="gemm")

    threads = [threading.Thread(target=run, args=(out,)) for out in outs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for out in outs:
        np.testing.assert_array_equal(out, expected)


def test_there_may_be_no_image():
    out = fc.blockwise(fc.max_pool2d, np.empty((0, 1, 8, 8), np.uint8), np.empty((0, 1, 4, 4), np.float32), 2)
    assert out.shape == (0, 1, 4, 4)


GOOD = dict(source=np.zeros((1, 30, 20), np.uint8), out=np.zeros((1, 28, 18), np.float32))
WEIGHT = filters(1, 1, 3, 3)


@pytest.mark.parametrize(("changed", "error", "words"), [
    (dict(source=[[1, 2]]), TypeError, "source must be an array with shape"),
    (dict(source=np.zeros((1, 30, 20), complex)), TypeError, "source must hold numbers, got complex128"),
    (dict(out=np.zeros((1, 28, 18), np.int32)), TypeError, "out must be floats, or integers of 8 or 16 bits"),
    (dict(out=np.zeros((1, 28, 17), np.float32)), ValueError, r"out must have shape \(1, 28, 18\)"),
    (dict(out=np.broadcast_to(np.float32(0), (1, 28, 18))), ValueError, "out must be writable"),
    (dict(memory=100), ValueError, r"memory must be at least 272 bytes, for 5 x 5 pixels of source and 3 x 3 of out"),
    (dict(memory=1.5), TypeError, "memory must be an integer"),
    (dict(state=3), TypeError, "state must be a str or a path"),
    (dict(state="nowhere/state"), ValueError, "state must be in a folder that exists"),
    (dict(progress="yes"), TypeError, "progress must be True or False"),
    (dict(window=3), TypeError, "window must be a fastconv.Window or None"),
    (dict(window=fc.Window(3)), TypeError, "a function with a window is called with an image alone"),
    (dict(dtype="float16"), TypeError, "dtype must be float32 or float64"),
    (dict(fn=fc.relu), TypeError, "fn must be one of conv1d, conv2d.* another function needs window"),
    (dict(fn=[]), TypeError, "fn must be one of conv1d, conv2d"),
    (dict(source=np.zeros(30)), ValueError, r"source.shape must have 4 sizes \(a batch\) or 3"),
    (dict(stride=0), ValueError, "stride must be at least 1"),
    (dict(strides=1), TypeError, "conv2d: got an unexpected keyword argument 'strides'"),
    (dict(padding_mode="mirror"), ValueError, "padding_mode must be one of"),
    (dict(activation="rleu"), ValueError, "activation must be one of"),
    (dict(algorithm="fast"), ValueError, "algorithm must be one of"),
    (dict(groups=2), ValueError, "groups must divide"),
])
def test_a_bad_call_is_refused_before_anything_is_written(changed, error, words):
    call = {"fn": fc.conv2d, **GOOD, "out": GOOD["out"].copy(), **changed}
    fn, source, out = (call.pop(name) for name in ("fn", "source", "out"))
    before = np.array(out)
    with pytest.raises(error, match=words):
        fc.blockwise(fn, source, out, WEIGHT, **call)
    np.testing.assert_array_equal(out, before)


def test_indices_are_refused():
    with pytest.raises(ValueError, match="return_indices must be False"):
        fc.blockwise(fc.max_pool2d, GOOD["source"], GOOD["out"], 3, stride=1, return_indices=True)


def test_the_result_may_not_lie_over_the_image(tmp_path):
    x = np.zeros((1, 30, 20), np.float32)
    with pytest.raises(ValueError, match="out must not overlap source"):
        fc.blockwise(fc.max_pool2d, x, x[:, 2:, 2:], 3, stride=1)
    source = np.memmap(tmp_path / "image", np.float32, "w+", shape=(1, 30, 20))
    out = np.memmap(tmp_path / "image", np.float32, "r+", shape=(1, 28, 18))
    with pytest.raises(ValueError, match="out must not overlap source"):
        fc.blockwise(fc.max_pool2d, source, out, 3, stride=1)


def test_an_error_of_a_band_reaches_the_caller():
    class Broken:
        shape, dtype, ndim = (1, 30, 20), np.dtype(np.uint8), 3

        def __getitem__(self, key):
            if key[1].start > 10:
                raise OSError("the disk is gone")
            return np.zeros(self.shape, np.uint8)[key]

    with pytest.raises(OSError, match="the disk is gone"):
        fc.blockwise(fc.conv2d, Broken(), GOOD["out"].copy(), WEIGHT, memory=4000)


def test_modes_meet_all_positions():
    """What repeats pixels goes on beyond the image, as np.pad does."""
    for mode, size in itertools.product(MODES[1:], (1, 2, 5)):
        x, weight = image((1, size, 3)), filters(1, 1, 2, 1)
        options = dict(padding=((11, 13), (0, 0)), padding_mode=mode, algorithm="gemm")
        expected = fc.conv2d(x.astype(np.float32), weight, **options)
        out = fc.blockwise(fc.conv2d, x, np.empty_like(expected), weight, memory=200, **options)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("progress", [None, False, True])
def test_a_bar_is_shown_where_it_is_wanted(progress, capsys):
    """On stderr, which is no terminal here."""
    pytest.importorskip("tqdm", reason="tqdm is not installed")
    fc.blockwise(fc.conv2d, GOOD["source"], GOOD["out"].copy(), WEIGHT, memory=1500, progress=progress)
    stdout, stderr = capsys.readouterr()
    assert stdout == "" and ("blockwise: 100%" in stderr) == (progress is True)


def test_a_bar_needs_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    out = GOOD["out"] + 5
    with pytest.raises(ImportError, match=r"progress needs tqdm: pip install fastconv\[progress\]"):
        fc.blockwise(fc.conv2d, GOOD["source"], out, WEIGHT, progress=True)
    assert (out == 5).all()


def test_no_more_than_two_bands_are_there_at_a_time(monkeypatch):
    alive, most = set(), []
    block = Source.block

    def counted(self, *arguments):
        rows, pads = block(self, *arguments)
        alive.add(id(rows))
        weakref.finalize(rows, alive.discard, id(rows))
        most.append(len(alive))
        return rows, pads

    monkeypatch.setattr(Source, "block", counted)
    fc.blockwise(fc.max_pool2d, image((400, 100)), np.empty((200, 50), np.float32), 2, memory=20_000)
    assert len(most) > 10 and max(most) == 2
