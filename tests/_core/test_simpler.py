"""Convolutions that have a simpler form: which they are, that the results are those of the plain loops, in any layout,
and what idle taps add."""

import itertools

import cases
import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv._core.depthwise import forward as depthwise
from fastconv._core.planner import doors
from fastconv._core.planner.drivers import WINOGRAD
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.simpler import simpler
from fastconv._core.runtime import memory

# name: the case, the change of shape, and the (C/groups, R, S) of the filters that are left.
FORMS = {
    "one_pixel": (cases.ConvCase((6, 20, 1, 1), (9, 20, 3, 3), padding=1), "point", (20, 1, 1)),
    "one_pixel_far_in_padding": (cases.ConvCase((2, 5, 1, 1), (4, 5, 7, 5), padding=(3, 2)), "point", (5, 1, 1)),
    "one_pixel_of_groups": (cases.ConvCase((3, 12, 1, 1), (8, 3, 3, 3), padding=1, groups=4), "point", (3, 1, 1)),
    "nothing_at_one_pixel": (cases.ConvCase((2, 6, 1, 1), (4, 6, 3, 3), padding=2), None, None),
    "two_pixels": (cases.ConvCase((2, 6, 2, 2), (4, 6, 5, 5), padding=2), None, (6, 3, 3)),
    "dilation_beyond_the_image": (cases.ConvCase((2, 6, 5, 4), (4, 6, 3, 3), padding=9, dilation=9), None, (6, 1, 1)),
    "filter_is_the_image": (cases.ConvCase((7, 6, 5, 4), (9, 6, 5, 4)), "point", (120, 1, 1)),
    "filter_is_the_image_of_groups": (cases.ConvCase((7, 6, 5, 4), (10, 3, 5, 4), groups=2), "point", (60, 1, 1)),
    "filter_is_the_image_dilated_where_it_has_one_tap": (
        cases.ConvCase((3, 2, 3, 1), (3, 2, 3, 1), stride=5, dilation=(1, 2)), "point", (6, 1, 1)),
    "filter_is_more_than_the_image": (cases.ConvCase((2, 6, 3, 3), (4, 6, 5, 5), padding=1), None, (6, 3, 3)),
    "corner_pixel": (cases.ConvCase((3, 6, 5, 4), (9, 6, 1, 1), stride=7), "point", (6, 1, 1)),
    "text": (cases.ConvCase((3, 1, 11, 20), (7, 1, 3, 20)), "columns", (20, 1, 3)),
    "text_padded": (cases.ConvCase((3, 1, 11, 20), (7, 1, 3, 20), padding=(2, 0)), "columns", (20, 1, 3)),
    "text_reflected": (cases.ConvCase((3, 1, 11, 20), (7, 1, 3, 20), padding=(2, 0), padding_mode="reflect"),
                       "columns", (20, 1, 3)),
    "text_stride": (cases.ConvCase((2, 1, 17, 9), (5, 1, 4, 9), stride=(3, 1), dilation=(2, 1)), "columns", (9, 1, 4)),
    "some_columns": (cases.ConvCase((2, 1, 9, 11), (5, 1, 3, 4), stride=(1, 20), dilation=(1, 2)),
                     "columns", (4, 1, 3)),
    "columns_of_channels": (cases.ConvCase((2, 4, 9, 3), (5, 4, 3, 3)), "one row", (4, 1, 9)),
    "columns_of_channels_padded": (cases.ConvCase((2, 4, 9, 3), (5, 4, 4, 3), padding=((2, 1), (0, 0)), stride=2),
                                   "one row", (4, 1, 12)),
    "columns_of_groups": (cases.ConvCase((2, 6, 9, 3), (4, 3, 2, 3), groups=2), "one row", (3, 1, 6)),
    "signal_of_rows": (cases.ConvCase((2, 4, 30, 1), (5, 4, 5, 1), padding=(2, 0), dilation=(2, 1)),
                       "one row", (4, 1, 5)),
    "signal_of_rows_circular": (cases.ConvCase((2, 4, 30, 1), (5, 4, 5, 1), padding=(2, 0), padding_mode="circular"),
                                "one row", (4, 1, 5)),
    "signal_of_rows_depthwise": (cases.ConvCase((2, 18, 30, 1), (18, 1, 5, 1), padding=(2, 0), groups=18),
                                 "one row", (1, 1, 5)),
    "signal_in_padding": (cases.ConvCase((2, 4, 30, 1), (5, 4, 3, 3), padding=1), "one row", (4, 1, 3)),
    "spectrum": (cases.ConvCase((2, 1, 12, 25), (6, 1, 12, 5), padding=(0, 2)), "rows", (12, 1, 5)),
    "spectrum_of_channels": (cases.ConvCase((2, 3, 4, 25), (6, 3, 4, 5), stride=(1, 2)), "rows", (12, 1, 5)),
    "spectrum_some_rows": (cases.ConvCase((2, 1, 12, 25), (6, 1, 3, 5), stride=(20, 1), dilation=(4, 1), padding=(0, 2),
                                          padding_mode="replicate"), "rows", (3, 1, 5)),
    "part_of_the_filter_is_the_image": (cases.ConvCase((10, 2, 1, 3), (2, 2, 3, 3), padding=(1, 0)), None, (2, 1, 3)),
    "nothing": (cases.ConvCase((2, 3, 8, 8), (4, 3, 3, 3), padding=1), None, None),
    "nothing_at_the_border": (cases.ConvCase((2, 3, 2, 2), (4, 3, 3, 3), padding=1), None, None),
    "nothing_for_depthwise": (cases.ConvCase((2, 16, 7, 7), (16, 1, 7, 7), groups=16), None, None),
    "filter_in_padding_alone": (cases.ConvCase((1, 2, 2, 2), (3, 2, 1, 1), padding=((3, 0), (0, 0)), stride=(9, 1)),
                                None, None),
}


def simple_form(case):
    stride, dilation = reference.pair(case.stride), reference.pair(case.dilation)
    pads = reference.pads(case.padding, case.x_shape[2:], case.weight_shape[2:], stride, dilation)
    return simpler(ConvProblem(case.x_shape, case.weight_shape, stride, pads, dilation, case.groups,
                               case.output_shape()[2:], 4, case.data_format == "NHWC", case.padding_mode))


def assert_as_the_loops(case, dtype=np.float64, x_view=None, weight_view=None):
    x, weight, bias, grad_output = case.arrays(dtype=dtype, integers=True)
    given, of_weight = cases.to_format(x, case.data_format), weight
    if x_view is not None:
        given, of_weight = x_view(given), weight_view(weight)
    options = {**case.window(), "data_format": case.data_format}
    simple = simple_form(case)
    transformed = cases.may_be_winograd(case, dtype) or (
        dtype == np.float32 and simple is not None and WINOGRAD.refuses(simple.problem) is None)
    same = cases.assert_close_to_sum if transformed else np.testing.assert_array_equal
    y = fc.conv2d(given, of_weight, bias, **options)
    same(cases.to_nchw(y, case.data_format), reference.conv2d(x, weight, bias, **case.window()), str(case))
    gradients = fc.conv2d_backward(cases.to_format(grad_output, case.data_format), given, of_weight, **options)
    wanted = reference.conv2d_backward(grad_output, x, weight, **case.window())
    of_x = cases.assert_close_to_sum if transformed or cases.gradient_may_be_winograd(case, dtype) else same
    of_x(cases.to_nchw(gradients[0], case.data_format), wanted[0], str(case))
    same(gradients[1], wanted[1], str(case))
    np.testing.assert_array_equal(gradients[2], wanted[2])


@pytest.mark.parametrize("name", FORMS)
def test_the_form(name):
    case, shape, left = FORMS[name]
    simple = simple_form(case)
    if shape is left is None:
        assert simple is None
    else:
        assert (simple.shape, simple.problem.weight_shape[1:]) == (shape, left)
        assert np.prod(simple.problem.output_shape) == np.prod(case.output_shape())


def test_the_form_of_pixels():
    case = FORMS["filter_is_the_image"][0]._replace(data_format="NHWC")
    simple = simple_form(case)
    assert (simple.shape == "point of pixels" and simple.problem.x_shape == (1, 6, 1, 7 * 20)
            and simple.problem.stride == (1, 20))
    assert simple_form(case._replace(x_shape=(1, 6, 5, 4))) is None


def test_enormous_filters_are_looked_at_at_once():
    far = 2**40
    simple = simple_form(cases.ConvCase((1, 2, 3, 4), (4, 2, far + 1, 3), padding=(far // 2, 0)))
    assert simple.problem.weight_shape == (4, 2, 5, 3) and simple.problem.origin == (2, 0)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", FORMS)
def test_results_are_those_of_the_loops(name, data_format):
    case = FORMS[name][0]._replace(data_format=data_format)
    for dtype, bias, value in itertools.product((np.float32, np.float64), (True, False), (0.0, -2.0)):
        assert_as_the_loops(case._replace(bias=bias, padding_value=value if case.padding_mode == "constant" else 0.0),
                            dtype)


def test_random_odd_shapes():
    """Filters that are about as large as small images, with much padding."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(150):
        groups = int(rng.choice([1, 1, 2]))
        c, k = (int(n) for n in rng.integers(1, 5, 2))
        size, taps = rng.integers(1, 8, 2), rng.integers(1, 6, 2)
        dilation, stride = rng.integers(1, 4, 2), rng.integers(1, 6, 2)
        before, after = rng.integers(0, 7, (2, 2)) * rng.integers(0, 2, 2)    # none at all in every second one
        if (size + before + after < dilation * (taps - 1) + 1).any():
            continue
        case = cases.ConvCase((int(rng.integers(1, 4)), c * groups, *map(int, size)), (k * groups, c, *map(int, taps)),
                              tuple(map(int, stride)), tuple((int(a), int(b)) for a, b in zip(before, after)),
                              tuple(map(int, dilation)), groups, padding_value=float(rng.choice([0, 0, 3])),
                              data_format=str(rng.choice(["NCHW", "NHWC"])))
        simple = simple_form(case)
        seen.add(None if simple is None else (simple.shape, simple.idle))
        assert_as_the_loops(case)
    assert len(seen) >= 6


VIEWS = {
    "reversed": lambda a: a[:, :, ::-1, ::-1].copy()[:, :, ::-1, ::-1],
    "spread": lambda a: np.repeat(np.repeat(a, 2, axis=2), 3, axis=3)[:, :, ::2, ::3],
    "fortran": np.asfortranarray,
    "of_channels": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "last_first": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["one_pixel", "two_pixels", "filter_is_the_image", "text_padded",
                                  "columns_of_channels", "signal_of_rows", "spectrum_of_channels"])
def test_arrays_of_any_strides(name, view):
    for data_format in ("NCHW", "NHWC"):
        case = FORMS[name][0]._replace(data_format=data_format)
        for of_x, of_weight in ((VIEWS[view], np.copy), (np.copy, VIEWS[view]), (VIEWS[view], VIEWS[view])):
            assert_as_the_loops(case, np.float32, of_x, of_weight)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["one_pixel", "two_pixels", "one_pixel_of_groups", "dilation_beyond_the_image"])
def test_what_is_not_finite_meets_the_padding(name, value):
    """Zero times infinity is no number, in idle taps too; the gradient of x has no such terms."""
    case = FORMS[name][0]
    for of_padding, dtype in itertools.product((0.0, 2.0), (np.float32, np.float64)):
        padded = case._replace(padding_value=of_padding)
        x, weight, bias, grad_output = padded.arrays(dtype=dtype, integers=True)
        weight[2, 1, 0, 1] = value
        with np.errstate(invalid="ignore"):
            wanted = reference.conv2d(x, weight, bias, **padded.window())
        assert np.isfinite(wanted[:, [0, 1, 3]]).all() and not np.isfinite(wanted[:, 2]).any()
        np.testing.assert_array_equal(fc.conv2d(x, weight, bias, **padded.window()), wanted)
        grad_x, *_ = fc.conv2d_backward(grad_output, x, weight, **padded.window())
        if name != "two_pixels":    # there the tap has no part in the gradient
            np.testing.assert_array_equal(grad_x,
                                          fc.conv2d_backward(grad_output, x, np.where(np.isfinite(weight), weight, 0),
                                                             **padded.window())[0])
        weight[2, 1, 0, 1] = 1
        grad_output[0, 1, 0, 0] = value
        with np.errstate(invalid="ignore"):
            wanted = reference.conv2d_backward(grad_output, x, weight, **padded.window())[1]
        np.testing.assert_array_equal(fc.conv2d_backward(grad_output, x, weight, **padded.window())[1], wanted)
    y = fc.conv2d(x, weight, bias, **case._replace(padding_value=value).window())
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(y, reference.conv2d(x, weight, bias,
                                                          **case._replace(padding_value=value).window()))


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_one_output_of_few_images(data_format):
    """Filters are read as they lie: with padding, dilation, an image that is larger than the window,
    a window in the padding alone."""
    for size, taps, window in (((4, 3), (4, 3), {}), ((2, 2), (4, 3), {"padding": ((0, 2), (1, 0))}),
                               ((3, 3), (3, 3), {"dilation": 2, "padding": 1}),
                               ((1, 1), (3, 3), {"padding": 1, "padding_value": 2.0}), ((8, 7), (4, 3), {"stride": 9}),
                               ((3, 3), (4, 4), {"stride": 9, "padding": ((4, 0), (0, 3))})):
        for images, dtype in itertools.product((1, 3, 8, 9), (np.float32, np.float64)):
            case = cases.ConvCase((images, 6, *size), (9, 6, *taps), data_format=data_format, **window)
            assert case.output_shape() == (images, 9, 1, 1)
            assert_as_the_loops(case, dtype)
    shape = (1, 256, 4, 3) if data_format == "NCHW" else (1, 4, 3, 256)
    assert fc.explain(shape, (90, 256, 4, 3), data_format=data_format).driver == "few outputs"


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_few_outputs(data_format):
    """The same of several outputs, whose patches overlap, or lie apart, or meet padding."""
    for images, size, taps, window in ((1, (4, 4), (2, 2), {"stride": 2}), (2, (3, 4), (3, 3), {}),
                                       (1, (2, 3), (3, 3), {"padding": 1, "padding_value": 2.0}),
                                       (1, (9, 5), (2, 3), {"dilation": (3, 2), "stride": (2, 1),
                                                            "padding": ((1, 0), (0, 2))}),
                                       (4, (1, 2), (1, 1), {}), (1, (9, 9), (3, 3), {"stride": 3}),
                                       # images as large as filters, and outputs beyond them
                                       (2, (1, 1), (1, 1), {"stride": (2, 5), "padding": ((0, 2), (0, 0))}),
                                       (3, (2, 3), (2, 3), {"stride": (1, 2), "padding": ((0, 1), (0, 2))})):
        for dtype in (np.float32, np.float64):
            assert_as_the_loops(cases.ConvCase((images, 6, *size), (9, 6, *taps), data_format=data_format, **window),
                                dtype)
    shape = (1, 96, 4, 4) if data_format == "NCHW" else (1, 4, 4, 96)
    assert fc.explain(shape, (768, 96, 2, 2), stride=2, data_format=data_format).driver == "few outputs"


def test_sums_that_overflow_are_not_taken_for_infinite_terms():
    x, weight = np.ones((2, 4, 1, 1), np.float32), np.full((3, 4, 3, 3), 3e38, np.float32)
    weight[:, :, 1, 1] = 1
    np.testing.assert_array_equal(fc.conv2d(x, weight, padding=1), np.full((2, 3, 1, 1), 4))
    grad_output = np.full((2, 3, 1, 1), 3e38, np.float32)
    grad_weight = fc.conv2d_backward(grad_output, x, weight, padding=1, needs=(False, True, False))[1]
    assert (np.delete(grad_weight.reshape(12, 9), 4, axis=1) == 0).all()


@pytest.mark.parametrize("name", FORMS)
def test_plans_activations_and_names(name):
    case = FORMS[name][0]
    x, weight, bias, _ = case.arrays(integers=True)
    wanted = np.maximum(reference.conv2d(x, weight, bias, **case.window()), 0)
    for algorithm in ("auto", "direct", "gemm", "fft"):
        options = {**case.window(), "activation": "relu", "algorithm": algorithm}
        plan = fc.plan_conv2d(x.shape, weight, bias, **options)
        out = np.full(case.output_shape(), np.nan)
        for y in (fc.conv2d(x, weight, bias, out=out, **options), plan(x), plan(np.asfortranarray(x))):
            if algorithm == "fft":
                np.testing.assert_allclose(y, wanted, atol=1e-10)
            else:
                np.testing.assert_array_equal(y, wanted)
        assert fc.explain(x.shape, weight.shape, stride=case.stride, padding=case.padding, dilation=case.dilation,
                          groups=case.groups, padding_mode=case.padding_mode, dtype="float64",
                          algorithm=algorithm).driver == plan._call.plan.driver.name


def random_small_problem(rng):
    """Images of a few pixels, filters about as large."""
    groups, images = int(rng.choice([1, 1, 2, 3])), int(rng.choice([1, 2, 3, 9]))
    c, k = (int(n) for n in rng.choice([1, 2, 3, 17], 2))
    size, taps = rng.integers(1, 5, 2), rng.integers(1, 6, 2)
    dilation, stride = rng.choice([1, 1, 2, 3], 2), rng.choice([1, 1, 2, 5], 2)
    pads = rng.integers(0, 4, (2, 2)) * rng.integers(0, 2, (2, 1))    # none at all along every second axis
    mode = str(rng.choice(["constant", "constant", "constant", "replicate"]))
    case = cases.ConvCase((images, c * groups, *map(int, size)), (k * groups, c, *map(int, taps)),
                          tuple(map(int, stride)), tuple((int(a), int(b)) for a, b in pads), tuple(map(int, dilation)),
                          groups, mode, float(rng.choice([0, 0, 3])) if mode == "constant" else 0.0,
                          str(rng.choice(["NCHW", "NHWC"])))
    possible = (size + pads.sum(1) >= dilation * (taps - 1) + 1).all()
    return case if possible else random_small_problem(rng)


def scratch_of(plan, dtype, padding_value):
    """What a call of a plan takes with this padding: `explain` tells it of zeros, some of which are left out."""
    problem = plan.problem
    x, weight, y = (parts.unbacked(shape, np.dtype(dtype), last) for shape, last in (
        (problem.x_shape, problem.channels_last), (problem.weight_shape, False),
        (problem.output_shape, problem.channels_last)))
    conv = Convolution(x, weight, None, y, plan.window(padding_value))
    if plan.simple is not None:
        conv = doors.as_simpler(plan.simple, conv)
    return parts.scratch_bytes(plan.driver.module.workspace, conv)


def test_small_problems_are_explained_and_planned_as_they_are_computed():
    """The driver, the scratch and the values; images and pixels of planes do not follow each other in memory, so
    a form that joins them must not be planned for such arrays."""
    rng, algorithms = np.random.default_rng(8), ("auto", "auto", "direct", "gemm", "fft")
    for _ in range(3000):
        case, dtype = random_small_problem(rng), rng.choice([np.float32, np.float64])
        x, weight, bias, _ = case.arrays(dtype=dtype, integers=True)
        options = {**case.window(), "data_format": case.data_format, "algorithm": str(rng.choice(algorithms))}
        given = cases.to_format(x, case.data_format)
        plan = fc.plan_conv2d(given.shape, weight, bias, **options)
        depthwise.forget_layouts()
        memory.scratch_taken()
        kept, _ = memory.scratch_taken()
        y = fc.conv2d(given, weight, bias, **options)
        taken = memory.scratch_taken()[1] - kept
        np.testing.assert_array_equal(plan(given), y, str(case))
        wanted = reference.conv2d(x, weight, bias, **case.window())
        np.testing.assert_allclose(cases.to_nchw(y, case.data_format), wanted, rtol=1e-4, atol=1e-4, err_msg=str(case))
        del options["padding_value"]
        told = fc.explain(given.shape, weight.shape, dtype=np.dtype(dtype).name, **options)
        assert told.driver == plan._call.plan.driver.name and told.output_shape == y.shape, case
        if told.driver != "fourier":
            assert scratch_of(plan._call.plan, dtype, case.padding_value) == taken, (case, told.driver, taken)
            assert case.padding_value or told.workspace == taken, (case, told.driver, told.workspace, taken)


LARGE = {
    "one_pixel": cases.ConvCase((40, 256, 1, 1), (300, 256, 3, 3), padding=1),
    "filter_is_the_image": cases.ConvCase((70, 32, 7, 7), (200, 32, 7, 7)),
    "text": cases.ConvCase((4, 1, 60, 200), (64, 1, 4, 200), padding=(3, 0)),
    "one_output": cases.ConvCase((2, 300, 6, 6), (37, 300, 6, 6)),
    "columns": cases.ConvCase((8, 16, 200, 4), (40, 16, 3, 4)),
    "spectrum": cases.ConvCase((2, 1, 64, 200), (48, 1, 64, 5)),
}


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("name", LARGE)
def test_large_ones(name, data_format):
    """The error of float32, the same bits for any number of threads, and the adjoint:
    <y, g> = <x, grad_x> = <w, grad_w>."""
    case = LARGE[name]._replace(data_format=data_format, bias=False)
    x, weight, _, grad_output = case.arrays(dtype=np.float32)
    options = {**case.window(), "data_format": data_format}
    given, g = cases.to_format(x, data_format), cases.to_format(grad_output, data_format)
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results.append((fc.conv2d(given, weight, **options), *fc.conv2d_backward(g, given, weight, **options)))
    for others in results[1:]:
        for one, other in zip(results[0], others):
            np.testing.assert_array_equal(one, other)
    y, grad_x, grad_weight, _ = results[0]
    wanted = reference.conv2d(x, weight, **case.window())
    assert np.linalg.norm(cases.to_nchw(y, data_format) - wanted) <= 2e-6 * np.linalg.norm(wanted)
    inner, scale = np.vdot(wanted, grad_output.astype(float)), np.linalg.norm(wanted) * np.linalg.norm(grad_output)
    assert abs(inner - np.vdot(cases.to_nchw(grad_x, data_format).astype(float), x)) <= 1e-6 * scale
    assert abs(inner - np.vdot(grad_weight.astype(float), weight)) <= 1e-6 * scale
