"""Outputs computed in regions that meet pixels with the same taps: that the regions are all of the outputs, each once,
that the results are those of the plain loops, and when it is done."""

import cases
import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.regions import of_outputs, regions

# x, filters, options: planes that are smaller than the reach of the filters, or a few times as large.
FAR = {
    "dilation as wide as the plane": ((2, 24, 13, 13), (32, 24, 3, 3), dict(padding=12, dilation=12)),
    "dilation of half a plane": ((2, 32, 17, 17), (16, 32, 3, 3), dict(padding=9, dilation=9)),
    "rows alone": ((1, 16, 12, 40), (24, 16, 3, 3), dict(padding=(11, 1), dilation=(11, 1))),
    "uneven": ((1, 16, 14, 11), (24, 16, 3, 2), dict(padding=((12, 13), (0, 10)), dilation=(13, 9))),
    "stride": ((1, 24, 16, 16), (32, 24, 3, 3), dict(padding=14, dilation=14, stride=(2, 3))),
    "groups": ((2, 32, 13, 13), (32, 8, 3, 3), dict(padding=12, dilation=12, groups=4)),
    "small planes": ((16, 64, 2, 2), (64, 64, 3, 3), dict(padding=1)),
}


def problem(x_shape, weight_shape, options, itemsize=4, channels_last=False):
    stride, dilation = reference.pair(options.get("stride", 1)), reference.pair(options.get("dilation", 1))
    pads = reference.pads(options["padding"], x_shape[2:], weight_shape[2:], stride, dilation)
    sizes = tuple(reference.output_size(*of_axis)
                  for of_axis in zip(x_shape[2:], weight_shape[2:], stride, pads, dilation))
    return ConvProblem(x_shape, weight_shape, stride, pads, dilation, options.get("groups", 1), sizes, itemsize,
                       channels_last, "constant")


def taps_met(size, taps, stride, before, dilation, output):
    """The taps of one output, along an axis, that meet a pixel."""
    return [tap for tap in range(taps) if 0 <= output * stride + tap * dilation - before < size]


@pytest.mark.parametrize("name", FAR)
def test_regions_are_all_outputs_and_meet_the_same_taps(name):
    of = problem(*FAR[name])
    cut = regions(of)
    assert len(cut) > 1
    seen = np.zeros(of.output_size, int)
    for region in cut:
        seen[region] += 1
        for axis in range(2):
            met = {tuple(taps_met(of.size[axis], of.taps[axis], of.stride[axis], of.origin[axis], of.dilation[axis], i))
                   for i in range(region[axis].start, region[axis].stop)}
            assert len(met) == 1
        part = of_outputs(of, *region)
        for axis, (before, after) in enumerate(part.pads):
            assert reference.output_size(of.size[axis], of.taps[axis], of.stride[axis], (before, after),
                                         of.dilation[axis]) == part.output_size[axis]
    assert (seen == 1).all()
    sizes = [(rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in cut]
    assert sum(sizes) == np.prod(of.output_size)


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FAR)
def test_results(name, dtype, data_format):
    """Of whole numbers, whose sums are exact; with a bias, an activation and a padding value, for 1, 2 and 3 threads,
    and of a plan."""
    x_shape, weight_shape, options = FAR[name]
    rng = np.random.default_rng(3)
    x, weight, bias = (rng.integers(-3, 4, shape).astype(dtype) for shape in (x_shape, weight_shape, weight_shape[0]))
    for value in (0.0, -2.0):
        wanted = reference.relu(reference.conv2d(x, weight, bias, padding_value=value, **options))
        given = x if data_format == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        wanted = wanted if data_format == "NCHW" else wanted.transpose(0, 2, 3, 1)
        asked = dict(options, activation="relu", padding_value=value, data_format=data_format)
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                np.testing.assert_array_equal(fc.conv2d(given, weight, bias, **asked), wanted)
        np.testing.assert_array_equal(fc.plan_conv2d(given.shape, weight, bias, **asked)(given), wanted)


def test_the_planner_takes_regions_where_they_pay():
    told = fc.explain((4, 96, 28, 28), (96, 96, 3, 3), padding=24, dilation=24)
    assert "9 regions" in told.reason and told.workspace <= (8 << 20) * fc.get_num_threads()
    expected = {name: nanoseconds for name, nanoseconds, _ in told.candidates if nanoseconds is not None}
    assert min(expected, key=expected.get) == told.driver
    assert "regions" not in fc.explain((8, 64, 56, 56), (64, 64, 3, 3), padding=1).reason
    assert "regions" not in fc.explain((4, 96, 28, 28), (96, 96, 3, 3), padding=24, dilation=24,
                                      padding_mode="replicate").reason


def test_what_is_not_finite_goes_where_the_sum_sends_it():
    """A weight that is infinite makes no number of the zeros around the image, wherever it meets them alone."""
    x_shape, weight_shape, options = FAR["dilation as wide as the plane"]
    x, weight, *_ = cases.ConvCase(x_shape, weight_shape).arrays()
    weight[3, 1, 0, 2] = np.inf
    with np.errstate(invalid="ignore"):
        wanted = reference.conv2d(x, weight, **options)
    y = fc.conv2d(x.astype(np.float32), weight.astype(np.float32), **options)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(wanted))


@pytest.mark.parametrize("reach", [2**31 - 1, 2**20])
def test_far_beyond_the_plane(reach):
    """The planner looks at taps, not at outputs one by one."""
    x, weight, *_ = cases.ConvCase((1, 2, 3, 3), (4, 2, 3, 3)).arrays(dtype=np.float32)
    wanted = reference.conv2d(x, weight[:, :, 1:2, 1:2])
    np.testing.assert_allclose(fc.conv2d(x, weight, padding=reach, dilation=reach), wanted, rtol=1e-5, atol=1e-5)
