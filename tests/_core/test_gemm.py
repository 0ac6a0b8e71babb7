"""The implicit matrix product: exactly the plain product on integers, on every edge of tiles,
panels, slices and stages."""

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.product import forward as gemm
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]


def draw(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


def amid(array, value):
    """The same numbers as part of a larger array of another value."""
    around = np.full([length + 6 for length in array.shape], value, array.dtype)
    part = around[tuple(slice(3, 3 + length) for length in array.shape)]
    part[...] = array
    return around, part


def check_product(m, depth, n, dtype=np.float32, bias=None, turned=False):
    """What surrounds the matrices must neither be read (NaN) nor written."""
    a, b = draw(m, depth, dtype=dtype), draw(depth, n, dtype=dtype, seed=1)
    added = None if bias is None else draw(n if bias == "columns" else m, dtype=dtype, seed=2)
    wanted = a.astype(float) @ b.astype(float)
    if bias is not None:
        wanted += added if bias == "columns" else added[:, None]
    (_, a), (_, b) = amid(a.T if turned else a, np.nan), amid(b.T if turned else b, np.nan)
    around, y = amid(np.zeros((n, m) if turned else (m, n), dtype), 5)
    a, b, y = (a.T, b.T, y.T) if turned else (a, b, y)
    gemm.product(a, b, added, y, bias == "columns")
    np.testing.assert_array_equal(y, wanted)
    y[...] = 5
    assert (around == 5).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 2, 5, 6, 7, 12, 13, 14, 15, 27, 28, 29, 43])
def test_rows(m, dtype):
    """Of a tile: at most 6 or 14."""
    for turned in (False, True):
        check_product(m, 19, 37, dtype, "rows", turned)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 131, 1100])
def test_columns(n, dtype):
    """Of a panel: at most two vectors; the rest of the last one is nobody's."""
    for turned in (False, True):
        check_product(9, 11, n, dtype, "columns", turned)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("depth", [1, 2, 3, 383, 384, 385, 767, 768, 769, 1537, 3000])
def test_slices_of_the_sum(depth, dtype):
    """The first overwrites, the others add."""
    check_product(15, depth, 33, dtype)
    check_product(15, depth, 33, dtype, "rows", turned=True)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_stages_of_filters(threads):
    """Packed they are more than a stage takes, and more than a thread's scratch may be."""
    with fc.num_threads(threads):
        check_product(700, 2000, 20)
        check_product(17, 90_000, 3)


@pytest.mark.parametrize("activation", range(6))
@pytest.mark.parametrize("n", [1, 17, 32, 40])
def test_the_epilogue_comes_last(n, activation):
    """After the last slice of the sum, with the bias, once."""
    functions = [lambda v: v, reference.relu, lambda v: reference.leaky_relu(v, 0.25), reference.sigmoid,
                 reference.tanh, reference.relu6]
    x, w, b = draw(1, 900, 1, n), draw(20, 900, 1, 1, seed=1), draw(20, seed=2)
    w[:, 2:] = np.where(np.arange(898) % 100 == 0, w[:, 2:].reshape(20, 898), 0).reshape(20, 898, 1, 1)
    y = np.full((1, 20, 1, n), np.nan, np.float32)
    gemm.conv2d(Convolution(x, w, b, y, Window(), Epilogue(activation, 0.25)))
    np.testing.assert_allclose(y, functions[activation](reference.conv2d(x, w, b)), rtol=1e-6, atol=1e-6)


WINDOWS = [  # x, filters, window
    ((2, 5, 9, 40), (16, 5, 3, 3), Window()),                                      # read in place
    ((2, 5, 9, 40), (16, 5, 3, 3), Window(origin=(1, 1))),                         # from a band
    ((2, 6, 9, 11), (16, 3, 3, 2), Window((2, 3), origin=(1, 0))),                 # groups, several images a block
    ((1, 4, 30, 31), (5, 4, 1, 1), Window()),                                      # one long row
    ((3, 4, 7, 7), (31, 4, 2, 2), Window(dilation=(3, 2), origin=(2, 2))),
    ((1, 300, 5, 6), (20, 300, 3, 3), Window(origin=(1, 1))),                      # slices of channels
    ((1, 1, 60, 70), (3, 1, 40, 50), Window()),                                    # slices of taps
]


def problem(x_shape, weight_shape, window, view=lambda a: a, dtype=np.float32):
    x, w, b = (draw(*x_shape, dtype=dtype), draw(*weight_shape, dtype=dtype, seed=1),
               draw(weight_shape[0], dtype=dtype, seed=2))
    padding = [(before, before) for before in window.origin]
    wanted = reference.conv2d(x, w, b, stride=window.stride, dilation=window.dilation, padding=padding,
                              groups=x_shape[1] // weight_shape[1])
    return Convolution(view(x), w, b, view(np.full(wanted.shape, np.nan, dtype)), window), wanted


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: str(window[:2]))
def test_windows(window, dtype):
    def channels_last(a):
        return np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)

    for view in (lambda a: a, channels_last, lambda a: np.repeat(a, 2, axis=3)[..., ::2]):
        conv, wanted = problem(*window, view, dtype)
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                for prepared in (None, gemm.prepare(conv)):
                    conv.y[...] = np.nan
                    gemm.conv2d(conv, prepared)
                    np.testing.assert_array_equal(conv.y, wanted)


def check_windows():
    for window in WINDOWS:
        for dtype in DTYPES:
            test_windows(window, dtype)
    for n in (1, 15, 16, 17, 33):
        test_columns(n, np.float32)


@pytest.mark.parametrize("name", isa.known())
def test_with_every_instruction_set(name):
    check_with_isa(name, check_windows)


def test_same_bits_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((2, 200, 20, 20), (90, 200, 3, 3)))
    results = []
    for threads in (1, 2, 3, 7):
        y = np.empty((2, 90, 18, 18), np.float32)
        with fc.num_threads(threads):
            gemm.conv2d(Convolution(x, w, None, y, Window()))
        results.append(y)
    for y in results:
        np.testing.assert_array_equal(y, results[0])
    assert np.abs(results[0] - reference.conv2d(x, w)).max() < 1e-3


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 3, 4, 0)])
def test_nothing_to_compute(shape):
    y = np.empty((shape[0], 5, 4, shape[3]), np.float32)
    gemm.conv2d(Convolution(np.zeros(shape, np.float32), np.zeros((5, 3, 1, 1), np.float32), None, y, Window()))


# x, filters, window: few pixels, which filters meet as they were written; rests of tiles, several slices of the sum,
# padding, steps, groups, several images.
FEW_PIXELS = {
    "one pixel": ((1, 70, 1, 1), (15, 70, 1, 1), Window()),
    "one image": ((1, 40, 5, 7), (35, 40, 1, 1), Window()),
    "several images": ((3, 20, 4, 4), (29, 20, 3, 3), Window(origin=(1, 1))),
    "slices": ((1, 900, 3, 17), (9, 900, 1, 1), Window()),
    "slices of taps": ((2, 2, 30, 31), (5, 2, 29, 30), Window()),
    "strided": ((2, 6, 9, 11), (16, 3, 3, 2), Window((2, 3), origin=(1, 0))),
    "a power of two": ((1, 1024, 2, 9), (30, 1024, 1, 1), Window()),
    "as many as there may be": ((1, 3, 8, 32), (17, 3, 3, 3), Window(origin=(1, 1))),
}


def few_pixels(name, dtype, channels_last=False):
    x_shape, weight_shape, window = FEW_PIXELS[name]
    x, w, bias = (draw(*shape, dtype=dtype, seed=seed)
                  for seed, shape in enumerate((x_shape, weight_shape, weight_shape[:1])))
    padding = [(before, before) for before in window.origin]
    wanted = reference.conv2d(x, w, bias, stride=window.stride, padding=padding,
                              groups=x_shape[1] // weight_shape[1])
    y = np.zeros(wanted.shape, dtype)
    if channels_last:
        x, y = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, y))
    return x, w, bias, y, window, wanted


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FEW_PIXELS)
def test_filters_as_they_were_written(name, dtype, channels_last):
    """Amid others, which are neither read nor written, for any number of threads; with and without an activation."""
    x, w, bias, y, window, wanted = few_pixels(name, dtype, channels_last)
    around, w = amid(w, np.nan)
    assert not w.flags.c_contiguous
    w = np.ascontiguousarray(w)
    for kind in (0, 1):
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                gemm.conv2d(Convolution(x, w, bias, y, window, Epilogue(kind)))
            np.testing.assert_array_equal(y, np.maximum(wanted, 0) if kind else wanted)
    gemm.conv2d(Convolution(x, w, None, y, window))
    np.testing.assert_array_equal(y, wanted - bias[:, None, None])
    gemm.conv2d(Convolution(x, w, None, y, window, Epilogue(accumulate=True)))
    np.testing.assert_array_equal(y, 2 * (wanted - bias[:, None, None]))
    gemm.conv2d(Convolution(x, w, bias, y, window, Epilogue(accumulate=True)))
    np.testing.assert_array_equal(y, 3 * wanted - 2 * bias[:, None, None])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FEW_PIXELS)
def test_packed_filters_have_the_same_bits(name, dtype):
    """Those that were packed beforehand, and those that lie otherwise."""
    x, w, bias, y, window, _ = few_pixels(name, dtype)
    rng = np.random.default_rng(5)
    x, w, bias = (rng.standard_normal(a.shape).astype(dtype) for a in (x, w, bias))
    x[0, 0, 0, 0] = w[0, 0, 0, 0] = -0.0
    packed, turned = y.copy(), y.copy()
    gemm.conv2d(Convolution(x, w, bias, y, window))
    conv = Convolution(x, w, bias, packed, window)
    gemm.conv2d(conv, gemm.prepare(conv))
    gemm.conv2d(Convolution(x, np.asfortranarray(w), bias, turned, window))
    assert y.tobytes() == packed.tobytes() == turned.tobytes()


# ---------------------------------------------------------------------------------------------------------------------
# Few filters: rows of the band, tap by tap

FEW_FILTERS = {    # x, filters, options: slices of the channels and of the taps, blocks of several images and of parts
    "one": ((2, 9, 12, 37), (1, 9, 3, 3), dict(padding=1)),
    "six": ((1, 70, 20, 64), (6, 70, 3, 3), dict(padding=(2, 0))),
    "groups": ((3, 10, 9, 33), (4, 5, 2, 3), dict(groups=2, dilation=(2, 1))),
    "repeated pixels": ((1, 5, 11, 40), (3, 5, 5, 3), dict(padding=((4, 1), (0, 3)), padding_mode="reflect")),
    "a value": ((1, 5, 40, 60), (3, 5, 3, 3), dict(padding=2, padding_value=3.0, stride=(2, 3))),
    "large filters": ((1, 2, 33, 70), (2, 2, 31, 29), dict(padding=15)),
    "many pixels": ((1, 3, 40, 1200), (5, 3, 1, 7), dict(padding=(0, 3))),
    "one tap": ((2, 60, 6, 50), (4, 60, 1, 1), dict(padding=1)),
}


def check_few_filters(name, dtype):
    """Amid others, which are neither read nor written, with and without what an epilogue has."""
    x_shape, w_shape, options = FEW_FILTERS[name]
    x, w, bias = draw(*x_shape, dtype=dtype), draw(*w_shape, dtype=dtype, seed=1), draw(w_shape[0], dtype=dtype, seed=2)
    wanted = reference.conv2d(x, w, bias, **options)
    (_, x), (_, w) = amid(x, np.nan), amid(w, np.nan)
    for of_x in (x, np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        around, y = amid(np.zeros(wanted.shape, dtype), 5)
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                plan = fc.plan_conv2d(x_shape, np.ascontiguousarray(w), bias, algorithm="gemm", **options)
                np.testing.assert_array_equal(fc.conv2d(of_x, w, bias, algorithm="gemm", **options), wanted)
                if of_x is x:
                    np.testing.assert_array_equal(plan(of_x), wanted)
            pads = np.asarray(reference.pads(options.get("padding", 0), x_shape[2:], w_shape[2:], 1, 1))
            stride, dilation = (reference.pair(options.get(each, 1)) for each in ("stride", "dilation"))
            window = Window(stride, dilation, tuple(int(n) for n in pads[:, 0]),
                            1 if "padding_mode" in options else 0, options.get("padding_value", 0.0))
            with fc.num_threads(threads):
                gemm.conv2d(Convolution(of_x, w, bias, y, window, Epilogue(1)))
                np.testing.assert_array_equal(y, np.maximum(wanted, 0))
                gemm.conv2d(Convolution(of_x, w, bias, y, window, Epilogue(accumulate=True)))
                np.testing.assert_array_equal(y, np.maximum(wanted, 0) + wanted)
        y[...] = 5
        assert (around == 5).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FEW_FILTERS)
def test_few_filters(name, dtype):
    check_few_filters(name, dtype)


def check_all_few_filters():
    for name in FEW_FILTERS:
        for dtype in DTYPES:
            check_few_filters(name, dtype)


@pytest.mark.parametrize("name", isa.known())
def test_few_filters_with_every_instruction_set(name):
    check_with_isa(name, check_all_few_filters)
