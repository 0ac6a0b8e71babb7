"""Convolution by Fourier transforms: every option, seams of tiles, error, values that are not finite,
threads, memory, choice."""

import sys
from contextlib import contextmanager

import cases
import numpy as np
import pytest
import reference
from processes import peak_memory

import fastconv as fc
from fastconv._core.fourier import forward as fft, layout as fft_layout
from fastconv._core.fourier.layout import FourierSizes, lay_out
from fastconv._core.planner.drivers import FOURIER
from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.parts import FORWARD_BYTES

DTYPES = [np.float32, np.float64]
BOUND = {np.float32: 1e-6, np.float64: 2e-15}  # what the docstring of conv2d promises


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), 1e-30)


def layout_of(case, itemsize=4):
    (k, c, *taps), outputs = case.weight_shape, case.output_shape()[2:]
    return lay_out(FourierSizes(case.x_shape[0], case.groups, c, k // case.groups, tuple(taps), outputs,
                         reference.pair(case.stride), reference.pair(case.dilation), itemsize))


def forward(case, x, weight, bias, **options):
    y = fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **case.window(), data_format=case.data_format,
                  algorithm="fft", **options)
    return cases.to_nchw(y, case.data_format)


def check(case, dtype, activation=None):
    """What is promised is a bound of the sums' error, relative to the sums.
    No activation is steeper than 1, so what comes behind it differs by no more, but may be smaller by far:
    the hyperbolic tangent of 1e6 is 1."""
    x, weight, bias, _ = case.arrays(dtype=dtype)
    y = forward(case, x, weight, bias, activation=activation)
    assert y.dtype == dtype and y.shape == case.output_shape()
    if x.size:
        wanted = reference.conv2d(x, weight, bias, **case.window())
        size = np.linalg.norm(wanted)
        if activation is not None:
            wanted = getattr(reference, activation)(wanted)
            size = max(size, np.linalg.norm(wanted))
        assert np.linalg.norm(y - wanted) < BOUND[dtype] * max(size, 1e-30), case


@contextmanager
def patched(owner, **values):
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


# ---------------------------------------------------------------------------------------------------------------------
# Every option


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [case for _, case in cases.conv_edge_cases()],
                         ids=[name for name, _ in cases.conv_edge_cases()])
def test_edges(case, dtype):
    check(case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_random_options(seed, dtype):
    for case in cases.random_conv_cases(50, 60 + seed):
        check(case, dtype, case.activation)


LARGE = {
    "gray": cases.ConvCase((1, 1, 90, 130), (1, 1, 31, 21), padding=(15, 10)),
    "gray_to_many": cases.ConvCase((2, 1, 60, 70), (9, 1, 17, 23), padding="same"),
    "rgb": cases.ConvCase((1, 3, 70, 65), (4, 3, 19, 19), padding=9),
    "depthwise": cases.ConvCase((2, 11, 40, 37), (22, 1, 13, 15), padding=7, groups=11),
    "dense": cases.ConvCase((3, 12, 45, 50), (10, 12, 11, 9), padding=4),
    "groups": cases.ConvCase((2, 18, 40, 33), (12, 6, 9, 13), padding=5, groups=3),
    "stride": cases.ConvCase((2, 5, 61, 58), (7, 5, 15, 13), stride=(2, 3), padding=6),
    "stride_groups_of_one": cases.ConvCase((1, 6, 61, 58), (6, 1, 15, 13), stride=(3, 2), padding=6, groups=6),
    "dilation": cases.ConvCase((1, 6, 70, 66), (4, 6, 9, 7), dilation=(3, 5), padding=14),
    "stride_and_dilation": cases.ConvCase((2, 2, 90, 80), (3, 2, 9, 8), stride=(4, 6), dilation=(6, 4), padding=12),
    "row_filter": cases.ConvCase((2, 3, 9, 400), (5, 3, 1, 101), padding=(0, 50)),
    "column_filter": cases.ConvCase((2, 3, 400, 9), (5, 3, 101, 1), padding=(50, 0)),
    "filter_larger_than_image": cases.ConvCase((1, 4, 9, 7), (3, 4, 41, 33), padding=(25, 20), padding_value=0.5),
    "reflect": cases.ConvCase((1, 2, 40, 47), (3, 2, 21, 25), padding=((20, 13), (12, 24)), padding_mode="reflect"),
    "replicate": cases.ConvCase((1, 2, 40, 47), (3, 2, 21, 25), padding=30, padding_mode="replicate", stride=2),
    "circular": cases.ConvCase((1, 2, 40, 47), (3, 2, 21, 25), padding=(40, 47), padding_mode="circular", dilation=2),
    "nhwc": cases.ConvCase((2, 7, 30, 41), (9, 7, 11, 11), padding=5, data_format="NHWC"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGE)
def test_large_filters(name, dtype):
    check(LARGE[name], dtype, "leaky_relu")


SMALL_BLOCKS = {"FORWARD_BYTES": 60000, "FILTERS_BYTES": 12000, "IMAGES_BYTES": 20000, "OUTPUTS_BYTES": 8000,
                "BLOCK_BYTES": 4000}


@pytest.mark.parametrize("mode", cases.PADDING_MODES)
def test_seams(mode):
    """Blocks so small that all there is comes in several: tiles, images, groups, channels, filters."""
    lay_out.cache_clear()
    tiles = parts = jobs_of_filters = 0
    try:
        with patched(fft_layout, **SMALL_BLOCKS):
            for name in ("gray", "gray_to_many", "depthwise", "dense", "groups", "stride", "dilation", "row_filter"):
                case = LARGE[name]._replace(padding=2, padding_mode=mode)
                layout = layout_of(case)
                tiles += layout.rows.tile_count > 1 and layout.columns.tile_count > 1
                parts += len(list(layout.parts())) > 1
                jobs_of_filters += layout.filters_of_job < layout.sizes.filters
                check(case, np.float32)
    finally:
        lay_out.cache_clear()
    assert tiles >= 4 and parts >= 4 and jobs_of_filters


def test_any_strides():
    case = cases.ConvCase((2, 6, 30, 35), (8, 6, 9, 9), padding=4)
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    wanted = forward(case, x, weight, bias)
    spread = np.zeros((4, 12, 60, 105), np.float32)
    spread[::2, ::2, ::2, ::3] = x
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    backwards = x[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1]
    for view in (spread[::2, ::2, ::2, ::3], channels_last, np.asfortranarray(x), backwards):
        np.testing.assert_array_equal(forward(case, view, weight, bias), wanted)
    for view in (np.asfortranarray(weight), weight[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1]):
        np.testing.assert_array_equal(forward(case, x, view, bias), wanted)
    for array in (x, weight, bias):
        array.flags.writeable = False
    np.testing.assert_array_equal(forward(case, x, weight, bias), wanted)


def test_result_into_a_view():
    """As the data gradient uses it: outputs that lie apart."""
    x, weight = (np.random.default_rng(0).standard_normal((2, 3, 40, 40)),
                 np.random.default_rng(1).standard_normal((4, 3, 9, 9)))
    room = np.zeros((2, 4, 64, 96))
    fft.conv2d(Convolution(x, weight, None, room[:, :, ::2, ::3], Window()))
    np.testing.assert_array_equal(room[:, :, ::2, ::3], fc.conv2d(x, weight, algorithm="fft"))
    room[:, :, ::2, ::3] = 0
    assert not room.any()


def test_out():
    case = LARGE["rgb"]
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    out = np.full(case.output_shape(), np.nan, np.float32)
    assert forward(case, x, weight, bias, out=out) is not None
    np.testing.assert_array_equal(out, forward(case, x, weight, bias))


# ---------------------------------------------------------------------------------------------------------------------
# Error


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["normal", "image"])
def test_error_is_that_of_the_sum(kind, dtype):
    """At most twice the matrix product's, however long the sum: 1e-7 to 4e-7 and 2e-16 to 9e-16 were measured."""
    rng = np.random.default_rng(3)
    for channels, size, taps in ((1, 128, 15), (1, 200, 63), (64, 48, 9), (300, 20, 7)):
        x, weight = rng.standard_normal((1, channels, size, size)), rng.standard_normal((2, channels, taps, taps))
        if kind == "image":
            x, weight = np.cumsum(np.cumsum(x, 2), 3), np.abs(weight) / weight[0].size
            x -= x.min()
        x, weight = x.astype(dtype), weight.astype(dtype)
        pads = ((taps // 2, taps // 2),) * 2
        exact = np.longdouble if dtype == np.float64 else np.float64
        padded = np.pad(x[0].astype(exact), ((0, 0), *pads))
        wanted = sum(np.einsum("cij,kc->kij", padded[:, r:r + size, s:s + size], weight[:, :, r, s].astype(exact))
                     for r in range(taps) for s in range(taps))
        error, of_sum = (relative_error(fc.conv2d(x, weight, padding=pads, algorithm=name)[0], wanted).astype(float)
                         for name in ("fft", "gemm"))
        assert error < BOUND[dtype]
        assert error < 8 * of_sum


def test_single_precision_on_numpy_1():
    """There transforms are of double precision, and have no `out`."""
    with patched(fft, NUMPY_1=True):
        for name in ("gray", "dense", "row_filter", "stride"):
            check(LARGE[name], np.float32)


# ---------------------------------------------------------------------------------------------------------------------
# Not finite


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["gray_to_many", "depthwise", "dense", "groups", "stride", "stride_and_dilation",
                                  "column_filter", "circular", "nhwc"])
def test_not_finite_goes_where_the_sum_sends_it(name, value):
    case = LARGE[name]
    for dtype in DTYPES:
        x, weight, bias, _ = case.arrays(dtype=dtype)
        x[-1, 1 % x.shape[1], 20 % x.shape[2], 5] = value
        for activation in (None, "relu", "sigmoid"):
            y = forward(case, x, weight, bias, activation=activation)
            direct = cases.to_nchw(fc.conv2d(cases.to_format(x, case.data_format), weight, bias, **case.window(),
                                             algorithm="gemm", data_format=case.data_format, activation=activation),
                                   case.data_format)
            np.testing.assert_array_equal(np.isnan(y), np.isnan(direct))
            np.testing.assert_array_equal(y[np.isinf(direct)], direct[np.isinf(direct)])
            finite = np.isfinite(direct)
            assert finite.any() and relative_error(y[finite], direct[finite]) < 1e-5


def test_not_finite_touches_its_tile_alone():
    case = cases.ConvCase((2, 1, 1000, 1000), (1, 1, 31, 31), padding=15)
    x, weight, _, _ = case.arrays(dtype=np.float32)
    assert layout_of(case).rows.tile_count > 1
    before = forward(case, x, weight, None)
    x[1, 0, 990, 990] = np.nan
    after = forward(case, x, weight, None)
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1, :, :300], after[1, :, :300])
    assert np.isnan(after[1]).sum() == np.isnan(after[1, :, 975:, 975:]).sum() == 25 * 25


@pytest.mark.parametrize("where", ["weight", "bias", "padding"])
def test_not_finite_elsewhere(where):
    case = LARGE["rgb"]
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    if where == "weight":
        weight[1, 2, 3, 4] = np.inf
    elif where == "bias":
        bias[2] = np.nan
    else:
        case = case._replace(padding_value=np.nan)
    wanted = fc.conv2d(x, weight, bias, **case.window(), algorithm="gemm")
    y = forward(case, x, weight, bias)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))
    np.testing.assert_allclose(y[np.isfinite(wanted)], wanted[np.isfinite(wanted)], atol=1e-3)


def test_overflow_of_the_transforms_only():
    x, weight = np.full((1, 1, 64, 64), 3e36, np.float32), np.full((1, 1, 9, 9), 0.01, np.float32)
    wanted = fc.conv2d(x, weight, algorithm="gemm")
    np.testing.assert_allclose(fc.conv2d(x, weight, algorithm="fft"), wanted, rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# Threads, memory


@pytest.mark.parametrize("name", LARGE)
def test_any_number_of_threads_gives_the_same_bits(name):
    case = LARGE[name]
    x, weight, bias, _ = case.arrays(dtype=np.float32)
    results = []
    with patched(fft, SMALL=1e3):
        for threads in (1, 2, 3, 16):
            with fc.num_threads(threads):
                results.append(forward(case, x, weight, bias, activation="tanh"))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_error_in_a_thread_comes_out():
    case = LARGE["depthwise"]
    x, weight, _, _ = case.arrays(dtype=np.float32)

    def fail(*_):
        raise MemoryError("no more")

    with patched(fft, SMALL=1e3, _backward=fail), fc.num_threads(2), pytest.raises(MemoryError, match="no more"):
        forward(case, x, weight, None)


def test_products_are_too_small_for_the_threads_of_blas():
    """OpenBLAS spreads complex products of more than 32768 multiplications, with a vector of 4096;
    more channels come in parts."""
    sizes = []

    def most(t, k):
        return 4095 if 1 in (t, k) else 32768

    def product(v, u, out):
        t, c, k = *v.shape[-2:], u.shape[-1]
        sizes.append((t, c, k))
        return matmul(v, u, out=out)

    matmul = np.matmul
    rng = np.random.default_rng(0)
    for n, c, k, size, taps in ((64, 128, 64, 8, 3), (1, 5000, 32, 8, 3), (40, 3000, 1, 8, 3), (1, 9000, 1, 8, 3)):
        x, weight = (rng.standard_normal((n, c, size, size), np.float32),
                     rng.standard_normal((k, c, taps, taps), np.float32))
        layout = lay_out(FourierSizes(n, 1, c, k, (taps, taps), (size, size), (1, 1), (1, 1), 4))
        t_at_once, k_at_once = layout.tiles_at_once, layout.filters_at_once
        assert t_at_once * c * k_at_once > most(t_at_once, k_at_once)  # so there is something to cut
        with patched(np, matmul=product):
            y = fc.conv2d(x, weight, padding=taps // 2, algorithm="fft")
        assert relative_error(y, fc.conv2d(x, weight, padding=taps // 2, algorithm="gemm")) < 3e-6
    for t, c, k in sizes:
        assert t * c * k <= most(t, k), (t, c, k)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/status")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("x_shape, weight_shape, mode", [((1, 1, 3000, 3000), (1, 1, 63, 63), "constant"),
                                                        ((1, 1, 3000, 3000), (1, 1, 63, 63), "reflect"),
                                                        ((24, 32, 64, 64), (96, 32, 15, 15), "constant")])
def test_peak_memory(x_shape, weight_shape, mode, threads):
    prepare = f"""
    x, weight = np.ones({x_shape}, np.float32), np.ones({weight_shape}, np.float32)
    fc.conv2d(x[:1, :, :80, :80], weight, padding={weight_shape[2] // 2}, algorithm="fft")
    fc.conv2d(x[:1, :, :16, :16], weight[:, :, :3, :3], algorithm="gemm")
    """
    call = f'y = fc.conv2d(x, weight, padding={weight_shape[2] // 2}, padding_mode="{mode}", algorithm="fft")'
    output_mb = x_shape[0] * weight_shape[0] * x_shape[2] * x_shape[3] * 4 / 2**20
    room = 8 + 10 * threads
    if fft_layout.NUMPY_1:  # its transforms make arrays of their own, of twice the precision
        room *= 3
    assert peak_memory(prepare, call, threads) <= output_mb + room


def test_scratch_is_bounded():
    rng = np.random.default_rng(11)
    for _ in range(100):
        images, size = int(rng.integers(1, 40)), int(rng.integers(8, 1200))
        taps = int(rng.integers(1, min(size, 100)))
        channels, filters, groups = (int(2 ** rng.integers(0, 8)) for _ in range(3))
        itemsize = int(rng.choice([4, 8]))
        layout = lay_out(FourierSizes(images, groups, channels, filters, (taps, taps), (size, size), (1, 1),
                                      (1, 1), itemsize))
        one = channels * taps**2 * itemsize  # bytes of one filter, for those that are large themselves
        assert layout.scratch_bytes(1) <= max(FORWARD_BYTES, 10 * one)


def test_lengths_are_fast():
    for taps, outputs in ((63, 512), (31, 56), (7, 1000), (127, 127)):
        layout = lay_out(FourierSizes(1, 1, 1, 1, (taps, taps), (outputs, outputs), (1, 1), (1, 1), 4))
        for length in (layout.rows.length, layout.columns.length):
            for factor in (2, 3, 5):
                while length % factor == 0:
                    length //= factor
            assert length == 1


# ---------------------------------------------------------------------------------------------------------------------
# Prepared filters, gradient, choice


def test_filters_too_large_to_be_kept():
    weight = np.random.default_rng(0).standard_normal((130, 128, 31, 31), np.float32)
    plan = fc.plan_conv2d((1, 128, 16, 16), weight, padding=15, algorithm="fft")
    assert plan._prepared == (None,)
    x = np.random.default_rng(1).standard_normal((1, 128, 16, 16), np.float32)
    np.testing.assert_array_equal(plan(x), fc.conv2d(x, weight, padding=15, algorithm="fft"))


@pytest.mark.parametrize("mode", cases.PADDING_MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_data_gradient(mode, dtype):
    for case in (cases.ConvCase((2, 2, 64, 60), (3, 2, 35, 31), padding=((17, 9), (15, 11)), padding_mode=mode),
                 cases.ConvCase((1, 3, 120, 130), (3, 1, 41, 37), padding=(20, 18), groups=3, padding_mode=mode)):
        x, weight, _, grad_output = case.arrays(dtype=dtype)
        problem = ConvProblem(x.shape, case.weight_shape, (1, 1),
                              reference.pads(case.padding, x.shape[2:], weight.shape[2:], (1, 1), (1, 1)), (1, 1),
                              case.groups, grad_output.shape[2:], x.itemsize, False, mode)
        assert conv2d_plan(problem, "auto").data_gradient.driver.by is FOURIER
        grad_x, grad_weight, _ = fc.conv2d_backward(grad_output, x, weight, **case.window(), needs=(True, False, False))
        assert grad_weight is None
        wanted, _, _ = reference.conv2d_backward(grad_output, x, weight, **case.window())
        assert relative_error(grad_x, wanted) < BOUND[dtype]


def test_chosen_for_large_filters():
    def chosen(x_shape, weight_shape, **options):
        return fc.explain(x_shape, weight_shape, padding=weight_shape[2] // 2, **options)

    blur = chosen((1, 512, 512), (1, 1, 63, 63))
    assert (blur.algorithm, blur.driver) == ("fft", "fourier") and "times as long" in blur.reason
    assert 0 < blur.workspace <= FORWARD_BYTES * fc.get_num_threads()
    assert chosen((1, 512, 512), (1, 1, 63, 63), dtype="float64").algorithm == "fft"
    assert chosen((64, 64, 128, 128), (64, 1, 63, 63), groups=64).algorithm == "fft"
    assert chosen((8, 8, 128, 128), (8, 8, 31, 31)).algorithm == "fft"
    assert chosen((4, 3, 224, 224), (64, 3, 7, 7), stride=2).algorithm != "fft"
    assert chosen((64, 14, 14), (64, 1, 7, 7), groups=64).algorithm == "direct"
    assert chosen((1, 512, 512), (1, 1, 5, 5)).algorithm == "direct"
    assert chosen((1, 30, 30), (1, 1, 3, 3), algorithm="fft").reason == "asked for by name"


def test_empty_batch():
    weight = np.ones((2, 1, 31, 31), np.float32)
    assert fc.conv2d(np.ones((0, 1, 64, 64), np.float32), weight, algorithm="fft").shape == (0, 2, 34, 34)
    assert fc.explain((0, 1, 512, 512), (1, 1, 63, 63)).workspace == 0
    assert (fc.plan_conv2d((0, 1, 64, 64), weight, algorithm="fft")(np.ones((0, 1, 64, 64), np.float32)).shape
            == (0, 2, 34, 34))
