"""Data of very different magnitudes: "auto" gives what the direct float32 sum would, whatever algorithm it takes.

The promise: each element is within 16 times the rounding bound of a direct sum, n eps sum |x| |w| with its n terms,
or the whole result has a relative L2 error of at most 2e-5.
"""

import cases
import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.winograd import forward as winograd

FACTOR, L2 = 16, 2e-5


def direct_bound(x, weight, bias=None, **window):
    """n eps (|x| convolved with |weight| + |bias|), element by element."""
    terms = np.prod(weight.shape[1:]) + (bias is not None)
    window = {**window, "padding_value": abs(window.get("padding_value", 0.0))}
    with np.errstate(over="ignore"):
        size = reference.conv2d(np.abs(x.astype(float)), np.abs(weight.astype(float)),
                                None if bias is None else np.abs(bias.astype(float)), **window)
    return terms * np.finfo(x.dtype).eps * size


def assert_as_direct(got, x, weight, bias=None, everywhere=False, **window):
    """The promise; `everywhere`: by its first part."""
    wanted = reference.conv2d(x, weight, bias, **window)
    error = np.abs(got - wanted)
    bound = FACTOR * direct_bound(x, weight, bias, **window) + np.finfo(x.dtype).tiny
    if not (error <= bound).all():
        worst = np.unravel_index(np.argmax(error / bound), error.shape)
        relative = np.linalg.norm(error) / np.linalg.norm(wanted)
        assert relative <= L2 and not everywhere, (
            f"L2 {relative:.1e}; at {worst} {got[worst]} for {wanted[worst]}, {error[worst] / bound[worst]:.1f} of the "
            f"bound; {x.shape} {weight.shape} {window}")


def wild(rng, shape, spread):
    return (rng.standard_normal(shape) * np.exp(spread * rng.standard_normal(shape))).astype(np.float32)


LAYERS = {
    "3x3": (cases.ConvCase((2, 16, 24, 25), (16, 16, 3, 3), padding=1), "winograd"),
    "5x5": (cases.ConvCase((1, 16, 32, 31), (32, 16, 5, 5), padding=2), "winograd"),
    "3x3_stride_2": (cases.ConvCase((1, 32, 32, 32), (32, 32, 3, 3), padding=1, stride=2), None),
    "3x3_dilated": (cases.ConvCase((1, 64, 33, 33), (64, 64, 3, 3), padding=2, dilation=2), "winograd"),
    "3x3_nhwc": (cases.ConvCase((1, 32, 20, 21), (32, 32, 3, 3), padding=1, data_format="NHWC"), "winograd"),
    "3x3_many_channels": (cases.ConvCase((1, 70, 14, 15), (48, 70, 3, 3), padding=1, padding_mode="reflect"),
                          "winograd"),
    "3x3_narrow_groups": (cases.ConvCase((1, 64, 28, 28), (64, 8, 3, 3), padding=1, groups=8), None),
    "gray_63": (cases.ConvCase((1, 1, 192, 200), (1, 1, 63, 63), padding=31), "fft"),
    "gray_row": (cases.ConvCase((1, 1, 60, 3000), (1, 1, 1, 301), padding=(0, 150)), None),
    "dense_31": (cases.ConvCase((1, 8, 100, 100), (8, 8, 31, 31), padding=15), "fft"),
    "depthwise_21": (cases.ConvCase((1, 8, 128, 128), (8, 1, 21, 21), padding=10, groups=8), None),
}


def convolve(case, x, weight, **options):
    y = fc.conv2d(cases.to_format(x, case.data_format), weight, **case.window(),
                  data_format=case.data_format, **options)
    return cases.to_nchw(y, case.data_format)


@pytest.mark.parametrize("big", [1e4, 1e8, 1e20, 1e30])
@pytest.mark.parametrize("name", LAYERS)
def test_one_loud_pixel_is_lost_nowhere(name, big):
    case, algorithm = LAYERS[name]
    x, weight, *_ = case.arrays(dtype=np.float32)
    if algorithm is not None:
        explained = fc.explain(cases.to_format(x, case.data_format).shape, weight.shape, stride=case.stride,
                               padding=case.padding, dilation=case.dilation, groups=case.groups,
                               padding_mode=case.padding_mode, data_format=case.data_format)
        assert explained.algorithm == algorithm
    x[0, 1 % x.shape[1], x.shape[2] // 2, x.shape[3] // 2] = big
    y = convolve(case, x, weight)
    # Outputs that see the pixel overflow nowhere here; the others must not notice it.
    assert_as_direct(y, x, weight, everywhere=True, **case.window())


@pytest.mark.parametrize("big", [1e4, 1e8, 1e20, 1e30])
def test_winograd_with_a_stride_looks_at_the_contrast_too(big):
    """The driver alone, as the planner may take it on other machines."""
    case = LAYERS["3x3_stride_2"][0]
    x, weight, *_ = case.arrays(dtype=np.float32)
    x[0, 1, 16, 16] = big
    y = np.full((1, 32, 16, 16), np.nan, np.float32)
    winograd.conv2d(Convolution(x, weight, None, y, Window((2, 2), origin=(1, 1))))
    assert_as_direct(y, x, weight, everywhere=True, **case.window())


@pytest.mark.parametrize("name", ["3x3", "5x5", "3x3_nhwc", "gray_63"])
@pytest.mark.parametrize("region",
                         [np.s_[:, :, :11], np.s_[:, :, 13:], np.s_[..., :10], np.s_[..., 5:], np.s_[:, :, 6:9, 7:19]])
def test_a_region_of_a_fill_value(name, region):
    case = LAYERS[name][0]
    x, weight, *_ = case.arrays(dtype=np.float32)
    x[region] = 1e20
    assert_as_direct(convolve(case, x, weight), x, weight, everywhere=True, **case.window())


@pytest.mark.parametrize("name", ["3x3", "5x5", "gray_63"])
def test_asked_for_by_name_a_transform_is_used_whatever_the_contrast(name):
    case, algorithm = LAYERS[name]
    x, weight, *_ = case.arrays(dtype=np.float32)
    x[0, 0, 12, 12] = 1e8
    with pytest.raises(AssertionError, match="of the bound"):
        assert_as_direct(convolve(case, x, weight, algorithm=algorithm), x, weight, everywhere=True, **case.window())


def test_a_loud_padding_value():
    case = LAYERS["3x3"][0]._replace(padding_value=1e12)
    x, weight, *_ = case.arrays(dtype=np.float32)
    assert_as_direct(convolve(case, x, weight), x, weight, everywhere=True, **case.window())


@pytest.mark.parametrize("size", range(4, 70))
def test_tame_data_keep_the_transform(size):
    """To the bits of the algorithm asked for by name:
    strips of every length are looked at to their end and no further."""
    rng = np.random.default_rng(size)
    for taps, stride in ((3, 1), (5, 1), (3, 2)):
        x = rng.standard_normal((1, 32, 9, size)).astype(np.float32)
        weight = rng.standard_normal((64, 32, taps, taps)).astype(np.float32)
        options = {"stride": stride, "padding": taps // 2}
        if fc.explain(x.shape, weight.shape, **options).algorithm == "winograd":
            np.testing.assert_array_equal(fc.conv2d(x, weight, **options),
                                          fc.conv2d(x, weight, **options, algorithm="winograd"))


@pytest.mark.parametrize("name", ["3x3", "3x3_dilated", "gray_63"])
def test_plans_and_threads_give_the_same_bits(name):
    case = LAYERS[name][0]
    x, weight, *_ = case.arrays(dtype=np.float32)
    x[:, :, 9, 3:20] = 1e9
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results += [convolve(case, x, weight), fc.plan_conv2d(x.shape, weight, **case.window())(x)]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_rows_beside_a_loud_pixel_keep_their_algorithm():
    """Only the rows of tiles that meet the pixel are computed again."""
    case = LAYERS["3x3"][0]
    x, weight, *_ = case.arrays(dtype=np.float32)
    quiet = convolve(case, x, weight)
    x[0, 0, 9, 12] = 1e6
    loud = convolve(case, x, weight)
    np.testing.assert_array_equal(loud[1], quiet[1])
    np.testing.assert_array_equal(loud[0, :, :4], quiet[0, :, :4])
    np.testing.assert_array_equal(loud[0, :, 16:], quiet[0, :, 16:])


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("size", range(1, 9))
def test_small_planes_under_filters_with_a_quiet_centre(size, taps):
    rng = np.random.default_rng(size)
    x = rng.standard_normal((4, 64, size, size)).astype(np.float32)
    for centre in (1, 1e-2, 1e-4):
        weight = rng.standard_normal((64, 64, taps, taps)).astype(np.float32)
        weight[:, :, taps // 2, taps // 2] *= centre
        assert_as_direct(fc.conv2d(x, weight, padding="same"), x, weight, padding="same")
        grad_output = rng.standard_normal(x.shape).astype(np.float32)
        grad_x = fc.conv2d_backward(grad_output, x, weight, padding="same", needs=(True, False, False))[0]
        turned = weight.swapaxes(0, 1)[:, :, ::-1, ::-1]
        assert_as_direct(grad_x, grad_output, turned, padding="same")


def wild_problem(seed):
    """Log-normal values, or one pixel that is 1e2 to 1e30 times as loud; small planes; filters with a quiet centre."""
    rng = np.random.default_rng(seed)
    taps, stride = [(3, 1), (3, 1), (5, 1), (3, 2), (9, 1), (15, 1)][rng.integers(6)]
    size = int(rng.integers(1, 9)) if rng.random() < 0.5 else int(rng.integers(9, 33))
    channels, filters = int(rng.integers(1, 40)), int(rng.integers(1, 40))
    if taps > 5:
        size, channels, filters = int(rng.integers(16, 50)), int(rng.integers(1, 9)), int(rng.integers(1, 9))
    x_spread, w_spread = rng.choice([0.0, 1.0, 2.0, 3.0], 2)
    x = wild(rng, (int(rng.integers(1, 3)), channels, size, size + int(rng.integers(0, 3))), x_spread)
    weight = wild(rng, (filters, channels, taps, taps), w_spread)
    if rng.random() < 0.4:
        x.reshape(-1)[rng.integers(x.size)] *= np.float32(10.0 ** rng.uniform(2, 30))
    if rng.random() < 0.3:
        weight[:, :, taps // 2, taps // 2] *= np.float32(1e-4)
    return (x, weight, {"stride": stride, "padding": [taps // 2, "same"][rng.integers(2)]},
            ["NCHW", "NHWC"][rng.integers(2)])


def check_wild_problems(seeds):
    for seed in seeds:
        x, weight, window, data_format = wild_problem(seed)
        y = fc.conv2d(cases.to_format(x, data_format), weight, **window, data_format=data_format)
        assert_as_direct(cases.to_nchw(y, data_format), x, weight, **window)


def test_wild_problems():
    check_wild_problems(range(150))


@pytest.mark.slow
def test_three_thousand_wild_problems():
    check_wild_problems(range(150, 3150))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_gradient_of_weights_that_are_not_finite(value, layout):
    """Pixels whose sum does not contain such a weight keep their value: the zeros around grad_output are no terms."""
    options = [{"padding": 1}, {"padding": ((0, 2), (1, 0)), "stride": (2, 1)}, {"padding": 2, "dilation": 2},
               {"padding": 1, "stride": 3}, {"padding": 2, "padding_mode": "reflect"},
               {"padding": 1, "padding_mode": "circular", "stride": 2}, {"padding": 1, "groups": 4},
               {"padding": 1, "groups": 2, "padding_mode": "replicate"}, {}]
    for dtype in (np.float32, np.float64):
        for index, window in enumerate(options):
            rng = np.random.default_rng(index)
            groups = window.get("groups", 1)
            x = rng.integers(-3, 4, (2, 4, 9, 8)).astype(dtype)
            weight = rng.integers(1, 4, (8, 4 // groups, 3, 3)).astype(dtype)
            weight[index % 8, 0, index % 3, index // 3 % 3] = value
            case = cases.ConvCase(x.shape, weight.shape, data_format=layout, **window)
            grad_output = rng.integers(1, 4, case.output_shape()).astype(dtype)
            got = fc.conv2d_backward(cases.to_format(grad_output, layout), cases.to_format(x, layout), weight, **window,
                                     data_format=layout, needs=(True, False, False))[0]
            with np.errstate(invalid="ignore"):
                wanted = reference.conv2d_backward(grad_output, x, weight, **window)[0]
            np.testing.assert_array_equal(cases.to_nchw(got, layout), wanted, err_msg=str(window))
