"""Pooling of rows, images and volumes against the plain loops: values, indices, gradients; every option, `out=`,
layouts, threads, instruction sets, and the adjoint identity."""

from pathlib import Path

import numpy as np
import pooling_cases as cases
import pooling_reference as reference
import pytest
from processes import check_with_isa, in_new_process

import fastconv as fc
from fastconv._core.runtime import isa

DTYPES = [np.float32, np.float64]
RANKS = [1, 2, 3]


def operation(name, rank):
    return getattr(fc, name.replace("Nd", f"{rank}d"))


def values(rng, shape, special=False):
    """Integers, equal ones often; with `special`, many infinities and NaN."""
    x = rng.integers(-4, 5, shape).astype(np.float64)
    if special:
        which = rng.random(shape)
        x[which < 0.5], x[which < 0.15], x[which > 0.97] = -np.inf, np.nan, np.inf
    return x


def check_max(seed, rank, dtype, layout):
    rng = np.random.default_rng(seed)
    shape, window, data_format = cases.random_case(rng, rank)
    x, options = values(rng, shape, rng.random() < 0.3).astype(dtype), {**window, "data_format": data_format}
    formatted, forward = layout(cases.to_format(x, data_format)), operation("max_poolNd", rank)
    y, indices = forward(formatted, **options, return_indices=True)
    axes = cases.windows_of(shape[2:], window)
    expected, expected_indices = reference.max_pool(reference.as_volume(x), axes)
    np.testing.assert_array_equal(cases.from_format(y, data_format), reference.of_rank(expected, rank), str(options))
    np.testing.assert_array_equal(cases.from_format(indices, data_format), reference.of_rank(expected_indices, rank),
                                  str(options))
    assert y.dtype == dtype and indices.dtype == np.int64 and y.flags.c_contiguous and indices.flags.c_contiguous
    np.testing.assert_array_equal(forward(formatted, **options), y)

    grad = layout(rng.integers(-3, 4, y.shape).astype(dtype))
    backward = operation("max_poolNd_backward", rank)
    grad_x = backward(grad, layout(indices), formatted.shape, **options)
    volume = reference.as_volume(cases.from_format(grad, data_format))
    wanted = reference.max_pool_backward(volume, expected_indices, reference.as_volume(x).shape)
    np.testing.assert_array_equal(cases.from_format(grad_x, data_format), reference.of_rank(wanted, rank), str(options))
    assert grad_x.dtype == dtype and grad_x.flags.c_contiguous

    rooms = np.full_like(y, 7, order="C", subok=False), np.full_like(indices, 7, order="C")
    for given in (rooms, (rooms[0], None), (None, rooms[1])):
        results = forward(formatted, **options, return_indices=True, out=given)
        for room, result, right in zip(given, results, (y, indices)):
            assert room is None or result is room
            np.testing.assert_array_equal(result, right)
    room = np.full_like(grad_x, 7)
    assert backward(grad, indices, formatted.shape, **options, out=room) is room
    np.testing.assert_array_equal(room, grad_x)


def check_average(seed, rank, dtype, layout):
    rng = np.random.default_rng(seed)
    shape, window, data_format = cases.random_case(rng, rank)
    counted, divisor = bool(rng.random() < 0.5), int(rng.integers(1, 9)) if rng.random() < 0.3 else None
    x = values(rng, shape).astype(dtype)
    options = {**window, "data_format": data_format, "count_include_pad": counted, "divisor_override": divisor}
    formatted, forward = layout(cases.to_format(x, data_format)), operation("avg_poolNd", rank)
    axes = cases.windows_of(shape[2:], window, count_include_pad=counted)
    y = forward(formatted, **options)
    near = {"rtol": 8 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps, "err_msg": f"{shape} {options}"}
    expected = reference.avg_pool(reference.as_volume(x), axes, divisor)
    np.testing.assert_allclose(cases.from_format(y, data_format), reference.of_rank(expected, rank), **near)
    assert y.dtype == dtype and y.flags.c_contiguous

    grad = layout(rng.integers(-3, 4, y.shape).astype(dtype))
    grad_x = operation("avg_poolNd_backward", rank)(grad, formatted.shape, **options)
    volume = reference.as_volume(cases.from_format(grad, data_format))
    wanted = reference.avg_pool_backward(volume, reference.as_volume(x).shape, axes, divisor)
    np.testing.assert_allclose(cases.from_format(grad_x, data_format), reference.of_rank(wanted, rank), **near)
    assert grad_x.dtype == dtype and grad_x.flags.c_contiguous

    room, place = np.full_like(y, 7), np.full_like(grad_x, 7)
    assert forward(formatted, **options, out=room) is room
    np.testing.assert_array_equal(room, y)
    assert operation("avg_poolNd_backward", rank)(grad, formatted.shape, **options, out=place) is place
    np.testing.assert_array_equal(place, grad_x)


def check_adaptive(seed, rank, dtype, layout):
    rng = np.random.default_rng(seed)
    size = tuple(int(v) for v in rng.integers(1, {1: 40, 2: 12, 3: 8}[rank], rank))
    shape, data_format = (2, int(rng.integers(1, 6)), *size), cases.FORMATS[rank][int(rng.random() < 0.5)]
    output_size = cases.draw(rng, rank, 1, 9) if rng.random() < 0.8 else 1
    x, options = values(rng, shape).astype(dtype), {"data_format": data_format}
    formatted, axes = layout(cases.to_format(x, data_format)), reference.adaptive_windows_of(size, output_size)
    near = {"rtol": 8 * np.finfo(dtype).eps, "atol": 64 * np.finfo(dtype).eps}
    y, indices = operation("adaptive_max_poolNd", rank)(formatted, output_size, **options, return_indices=True)
    expected, expected_indices = reference.max_pool(reference.as_volume(x), axes)
    np.testing.assert_array_equal(cases.from_format(y, data_format), reference.of_rank(expected, rank))
    np.testing.assert_array_equal(cases.from_format(indices, data_format), reference.of_rank(expected_indices, rank))
    mean = operation("adaptive_avg_poolNd", rank)(formatted, output_size, **options)
    np.testing.assert_allclose(cases.from_format(mean, data_format),
                               reference.of_rank(reference.avg_pool(reference.as_volume(x), axes), rank), **near)
    grad = layout(rng.integers(-3, 4, y.shape).astype(dtype))
    volume, volume_shape = reference.as_volume(cases.from_format(grad, data_format)), reference.as_volume(x).shape
    grad_x = operation("adaptive_max_poolNd_backward", rank)(grad, indices, formatted.shape, output_size, **options)
    np.testing.assert_array_equal(
        cases.from_format(grad_x, data_format),
        reference.of_rank(reference.max_pool_backward(volume, expected_indices, volume_shape), rank))
    grad_x = operation("adaptive_avg_poolNd_backward", rank)(grad, formatted.shape, output_size, **options)
    np.testing.assert_allclose(cases.from_format(grad_x, data_format),
                               reference.of_rank(reference.avg_pool_backward(volume, volume_shape, axes), rank), **near)
    if output_size == 1:
        for kind, given in (("max", y), ("avg", mean)):
            np.testing.assert_array_equal(operation(f"global_{kind}_poolNd", rank)(formatted, **options), given)
        np.testing.assert_array_equal(operation("global_avg_poolNd_backward", rank)(grad, formatted.shape, **options),
                                      grad_x)


CHECKS = [check_max, check_average, check_adaptive]


@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("check", CHECKS)
def test_random_poolings(check, rank):
    for seed in range(60):
        check(seed, rank, DTYPES[seed % 2], cases.LAYOUTS[seed // 2 % 4])


@pytest.mark.slow
@pytest.mark.parametrize("rank", RANKS)
@pytest.mark.parametrize("check", CHECKS)
def test_random_poolings_at_length(check, rank):
    for seed in range(1000, 2500):
        check(seed, rank, DTYPES[seed % 2], cases.LAYOUTS[seed // 2 % 4])


FORCED = """
    import os, sys
    os.environ["FASTCONV_ISA"] = sys.argv[1]
    sys.path[:0] = sys.argv[2:]
    import test_pooling_ranks as tests
    import fastconv as fc

    assert fc.show_config("dicts")["isa"]["in_use"] == sys.argv[1]
    for check in tests.CHECKS:
        for rank in tests.RANKS:
            for seed in range(100, 116):
                check(seed, rank, tests.DTYPES[seed % 2], tests.cases.LAYOUTS[seed // 2 % 4])
"""


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    if name not in isa.usable():
        pytest.skip(f"{name} is not in this build or this CPU does not have it")
    here = Path(__file__).resolve().parent
    in_new_process(FORCED, name, here, here.parent)


# ---------------------------------------------------------------------------------------------------------------------
# Volumes that are pooled in blocks

VOLUMES = {
    "C3D's first": ((1, 3, 6, 40, 44), (1, 2, 2), (1, 2, 2), 0),
    "halves": ((2, 5, 10, 40, 36), 2, 2, 0),
    "overlapping": ((1, 3, 12, 50, 60), 3, 1, 1),
    "3D U-Net": ((1, 4, 16, 30, 40), 3, 2, 1),
    "wide planes": ((1, 2, 9, 300, 310), 3, 2, 1),
    "wide planes, many depths": ((1, 1, 70, 120, 140), (5, 3, 3), 1, (2, 1, 1)),
    "all of the depth": ((1, 3, 200, 40, 30), (200, 2, 2), (1, 2, 2), 0),
    "the whole": ((2, 3, 12, 20, 21), (12, 20, 21), 1, 0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data_format", ["NCDHW", "NDHWC"])
@pytest.mark.parametrize("case", VOLUMES.values(), ids=VOLUMES)
def test_volumes_in_blocks_and_threads(case, data_format, dtype):
    """A maximum, and the sum of integers, by what NumPy makes of views of the windows; for 1, 2 and 3 threads."""
    shape, kernel_size, stride, padding = case
    x = np.random.default_rng(0).integers(-50, 51, shape).astype(dtype)
    options = {"stride": stride, "padding": padding, "data_format": data_format}
    taps, step = reference.triple(kernel_size, 3, 1), reference.triple(stride, 3, 1)
    pads = ((0, 0), (0, 0), *((p, p) for p in reference.triple(padding, 3, 0)))
    every = (slice(None), slice(None), *(slice(None, None, s) for s in step))
    largest, total = (
        combine(np.lib.stride_tricks.sliding_window_view(np.pad(x, pads, constant_values=fill), taps, (2, 3, 4))[every],
                axis=(5, 6, 7)) for combine, fill in ((np.max, -np.inf), (np.sum, 0)))
    formatted, results = cases.to_format(x, data_format), []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            y, indices = fc.max_pool3d(formatted, kernel_size, **options, return_indices=True)
            sums = fc.avg_pool3d(formatted, kernel_size, **options, divisor_override=1)
            mean = fc.avg_pool3d(formatted + dtype(0.1), kernel_size, **options, count_include_pad=False)
            grad = cases.to_format(np.random.default_rng(1).integers(-9, 10, largest.shape).astype(dtype), data_format)
            results.append((
                y, indices, sums, mean,
                fc.max_pool3d_backward(grad, indices, formatted.shape, kernel_size, **options),
                fc.avg_pool3d_backward(grad, formatted.shape, kernel_size, **options, divisor_override=1),
                fc.avg_pool3d_backward(grad, formatted.shape, kernel_size, **options, count_include_pad=False)))
    y, indices, sums, *_ = results[0]
    np.testing.assert_array_equal(cases.from_format(y, data_format), largest)
    np.testing.assert_array_equal(cases.from_format(sums, data_format), total)
    found = np.take_along_axis(x.reshape(*shape[:2], -1),
                               cases.from_format(indices, data_format).reshape(*shape[:2], -1), axis=2)
    np.testing.assert_array_equal(found.reshape(largest.shape), largest)
    for others in results[1:]:
        for result, wanted in zip(others, results[0]):
            np.testing.assert_array_equal(result, wanted)
    # The adjoint identity.
    _, _, sums, mean, _, spread, _ = results[0]
    np.testing.assert_allclose((np.float64(sums) * grad).sum(), (np.float64(formatted) * spread).sum(), rtol=1e-6)


@pytest.mark.parametrize("data_format", ["NCDHW", "NDHWC"])
def test_many_windows_over_a_voxel_in_single_precision(data_format):
    """Sums of more terms than a running sum in float32 is right for."""
    rng = np.random.default_rng(0)
    shape = (1, 3, 14, 15, 16) if data_format == "NCDHW" else (1, 14, 15, 16, 3)
    x = rng.random(shape, np.float32)
    options = {"stride": 1, "padding": 3, "data_format": data_format}
    y, indices = fc.max_pool3d(x, 7, **options, return_indices=True)
    grad = rng.random(y.shape, np.float32)
    for got, wanted in (
        (fc.max_pool3d_backward(grad, indices, shape, 7, **options),
         fc.max_pool3d_backward(np.float64(grad), indices, shape, 7, **options)),
        (fc.avg_pool3d(x, 7, **options), fc.avg_pool3d(np.float64(x), 7, **options)),
        (fc.avg_pool3d_backward(grad, shape, 7, **options),
         fc.avg_pool3d_backward(np.float64(grad), shape, 7, **options)),
    ):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("rank", RANKS)
def test_indices_outside_an_item_change_nothing(rank):
    y = np.ones((2, 3, *(3,) * rank))
    for wrong in (-1, 6**rank, 2**40):
        indices = np.zeros(y.shape, np.int64)
        indices.flat[-1] = wrong
        out = np.full((2, 3, *(6,) * rank), 7.0)
        with pytest.raises(ValueError, match="indices"):
            operation("max_poolNd_backward", rank)(y, indices, out.shape, 2)
        with pytest.raises(ValueError, match="indices"):
            operation("max_poolNd_backward", rank)(y, indices, out.shape, 2, out=out)
        assert (out == 7).all()


@pytest.mark.parametrize("rank", RANKS)
def test_one_item_and_none(rank):
    rng = np.random.default_rng(0)
    for data_format in cases.FORMATS[rank]:
        x, options = rng.standard_normal((3, *(6,) * rank)), {"data_format": data_format}
        for name in ("max_poolNd", "avg_poolNd"):
            y = operation(name, rank)(x, 2, **options)
            np.testing.assert_array_equal(y, operation(name, rank)(x[None], 2, **options)[0])
            assert operation(name, rank)(x[None][:0], 2, **options).shape == (0, *y.shape)
        empty = np.zeros((0, *y.shape))
        assert operation("avg_poolNd_backward", rank)(empty, (0, *x.shape), 2, **options).shape == (0, *x.shape)


def test_a_row_is_an_image_of_one_row():
    x = np.random.default_rng(0).standard_normal((2, 3, 40))
    y, indices = fc.max_pool1d(x, 4, stride=3, padding=(2, 1), return_indices=True)
    wanted, positions = fc.max_pool2d(x[:, :, None], (1, 4), stride=(1, 3), padding=((0, 0), (2, 1)),
                                      return_indices=True)
    np.testing.assert_array_equal(y, wanted[:, :, 0])
    np.testing.assert_array_equal(indices, positions[:, :, 0])
    np.testing.assert_array_equal(fc.max_pool1d(x, 4, stride=3, padding=((2, 1),)), y)


def check_rows():
    """Maxima along one row without indices, which are those with indices: all steps, sizes around vectors and chunks,
    borders, dilation, NaN, infinities and equal numbers, of either sign; a row of more than a chunk of outputs."""
    rng = np.random.default_rng(7)
    for dtype in DTYPES:
        for kernel, stride, dilation, padding in [
                (2, 2, 1, 0), (4, 4, 1, 0), (8, 8, 1, 2), (3, 1, 1, 1), (3, 2, 1, 1), (2, 1, 1, 0), (5, 2, 1, 2),
                (3, 3, 1, 0), (4, 3, 1, 2), (2, 4, 1, 1), (5, 4, 1, 0), (7, 5, 1, 3), (3, 1, 4, 3), (2, 2, 3, 2),
                (16, 1, 1, 8), (3, 15, 1, 0), (9, 8, 1, 4), (8, 8, 2, 7)]:
            reach = dilation * (kernel - 1) + 1
            for outputs in (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 300):
                length = max(1, (outputs - 1) * stride + reach - 2 * padding + int(rng.integers(0, stride)))
                if length + 2 * padding < reach or (dilation > 1 and length < dilation):
                    continue
                for special in (False, True):
                    x = values(rng, (2, 3, length), special).astype(dtype)
                    x[rng.random(x.shape) < 0.2] = -0.0
                    options = dict(stride=stride, dilation=dilation, padding=padding, wide_padding=True)
                    wanted, _ = fc.max_pool1d(x, kernel, return_indices=True, **options)
                    y = fc.max_pool1d(x, kernel, **options)
                    np.testing.assert_array_equal(y, wanted, str((kernel, options, length)))
                    np.testing.assert_array_equal(np.signbit(y), np.signbit(wanted))
                    np.testing.assert_array_equal(fc.max_pool1d(x[:, ::2], kernel, **options), wanted[:, ::2])
                    rows = fc.max_pool2d(x, (1, kernel), stride=(2, stride), dilation=(1, dilation),
                                         padding=(0, padding), wide_padding=True)
                    np.testing.assert_array_equal(rows, wanted[:, ::2])
    x = rng.standard_normal((3, 2, 70_000))
    x[1, 1, 40_000] = np.nan
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(fc.max_pool1d(x, 2), np.maximum(x[..., ::2], x[..., 1::2]))


@pytest.mark.parametrize("name", isa.usable())
def test_rows_by_every_instruction_set(name):
    check_with_isa(name, check_rows)


@pytest.mark.parametrize("rank", RANKS)
def test_padding_wider_than_half_the_window(rank):
    x = np.arange(5.0**rank).reshape(1, 1, *(5,) * rank)
    for name in ("max_poolNd", "avg_poolNd"):
        with pytest.raises(ValueError, match="at most half of kernel_size, 1 for 3, got 2.*wide_padding"):
            operation(name, rank)(x, 3, padding=2)
        assert operation(name, rank)(x, 3, stride=1, padding=2, wide_padding=True).shape == (1, 1, *(7,) * rank)
        with pytest.raises(ValueError, match="leaves a window without a pixel"):
            operation(name, rank)(x, 3, padding=3, wide_padding=True)
    assert operation("max_poolNd", rank)(x, 3, stride=1, padding=2, wide_padding=True).max() == x.max()


def test_windows_that_step_over_an_image_are_found_at_once():
    """Whether one does is asked of billions of windows."""
    x = np.zeros((1, 1, 3))
    with pytest.raises(ValueError, match="without a pixel"):
        fc.max_pool1d(x, 2**28, dilation=7, padding=2**30, stride=1, wide_padding=True)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("stride", [1, 2])
def test_many_dilated_windows_over_a_pixel_in_single_precision(data_format, stride):
    x = np.random.default_rng(0).random((2, 5, 40, 41) if data_format == "NCHW" else (2, 40, 41, 5), np.float32)
    options = {"stride": stride, "padding": 9, "dilation": 2, "data_format": data_format}
    for counted in (True, False):
        y = fc.avg_pool2d(x, 10, **options, count_include_pad=counted)
        wanted = fc.avg_pool2d(np.float64(x), 10, **options, count_include_pad=counted)
        np.testing.assert_allclose(y, wanted, rtol=1e-6)
        grad_x, wanted = (fc.avg_pool2d_backward(grad, x.shape, 10, **options, count_include_pad=counted)
                          for grad in (y, np.float64(y)))
        np.testing.assert_allclose(grad_x, wanted, rtol=1e-6)
        np.testing.assert_allclose((np.float64(y) * y).sum(), (np.float64(x) * grad_x).sum(), rtol=1e-6)


SCRATCH = """
    import numpy as np
    import fastconv as fc
    from fastconv._core.runtime import memory

    def wide(shape):
        return np.lib.stride_tricks.as_strided(np.ones(1, np.float32), shape, (0,) * len(shape))

    def taken(call):
        memory.scratch_taken()
        call()
        return memory.scratch_taken()[1] / fc.get_num_threads()

    fc.set_num_threads(2)
    for shape, kernel_size, stride in [((1, 2, 30, 700, 700), 3, 1), ((1, 1, 4000, 30, 30), (4000, 2, 2), 1),
                                       ((1, 1, 3, 2, 400_000), (2, 1, 3), 1),
                                       ((1, 3, 1_000_000, 1, 2), (1_000_000, 1, 1), 1),
                                       ((1, 3, 20, 2000, 2), (19, 1000, 1), 1)]:
        for data_format in ("NCDHW", "NDHWC"):
            x = wide(shape if data_format == "NCDHW" else (shape[0], *shape[2:], shape[1]))
            options = {"stride": stride, "data_format": data_format}
            y, indices = fc.max_pool3d(x, kernel_size, **options, return_indices=True)
            assert (y == 1).all()
            assert taken(lambda: fc.max_pool3d(x, kernel_size, **options, return_indices=True)) <= 8 << 20, shape
            assert taken(lambda: fc.avg_pool3d(x, kernel_size, **options)) <= 8 << 20, shape
            assert taken(lambda: fc.avg_pool3d_backward(y, x.shape, kernel_size, **options)) <= 16 << 20, shape
            assert taken(lambda: fc.max_pool3d_backward(y, indices, x.shape, kernel_size, **options)) <= 16 << 20, shape
"""


def test_scratch_of_volumes_is_bounded():
    in_new_process(SCRATCH)


def test_positions_beyond_32_bits():
    """The last voxel of a volume of 2**33, which takes no memory."""
    depths = np.zeros(2**13, np.float32)
    depths[-1] = 1
    x = np.lib.stride_tricks.as_strided(depths, (1, 1, 2**13, 2**10, 2**10), (0, 0, 4, 0, 0))
    y, indices = fc.max_pool3d(x, (2, 1, 1), stride=(2**13 - 2, 2**9, 2**9), return_indices=True)
    np.testing.assert_array_equal(y[0, 0, :, 0, 0], [0, 1])
    in_plane = np.array([[0, 2**9], [2**19, 2**19 + 2**9]])
    np.testing.assert_array_equal(indices[0, 0], [in_plane, (2**13 - 1) * 2**20 + in_plane])
