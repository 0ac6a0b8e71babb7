"""The weight gradient by Winograd's algorithm: every scheme, layout, group size and padding; its error;
values that are not finite."""

import cases
import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.planner.plan import conv2d_plan
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.product import weight_gradient as product
from fastconv._core.runtime import isa
from fastconv._core.winograd import weight_gradient as winograd
from fastconv.functional.conv import IMAGES

planned = IMAGES.planned

BOUND = {2: 2e-6, 3: 2e-6, 5: 8e-6}    # of the relative L2 error, by the size of the filter
SCHEMES = {"f43": (3, 1), "f45": (5, 1), "f43s2": (3, 2), "f42": (2, 1)}
VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "nhwc, some channels": lambda a: np.pad(a.transpose(0, 2, 3, 1),
                                            ((0, 0),) * 3 + ((1, 2),)).transpose(0, 3, 1, 2)[:, 1:-2],
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
}


def weight_gradient(grad_output, x, weight_shape, stride=1, padding=0, view="nchw", driver=winograd, **options):
    """The driver alone, on (N, C, H, W) arrays laid out as VIEWS says."""
    dilation = options.get("dilation", 1)
    grad_weight = np.full(weight_shape, np.nan, x.dtype)
    window = Window((stride, stride), (dilation, dilation), (padding, padding), options.get("mode", 0),
                    options.get("value", 0.0))
    driver.conv2d_weight_gradient(Convolution(VIEWS[view](x), grad_weight, None, VIEWS[view](grad_output), window))
    return grad_weight


def exact(grad_output, x, weight_shape, **window):
    return reference.conv2d_backward(grad_output.astype(np.float64), x.astype(np.float64),
                                     np.zeros(weight_shape), **window)[1]


def relative_error(got, wanted):
    return np.linalg.norm(got - wanted) / np.linalg.norm(wanted)


def layer(seed, x_shape, filters, size, stride=1, padding=1, groups=1, dilation=1, dtype=np.float32):
    """Random x and grad_output, and the shape of the weights."""
    rng = np.random.default_rng(seed)
    outputs = fc.conv_output_size(x_shape[2:], (size, size), stride, padding, dilation)
    x, grad_output = rng.standard_normal(x_shape), rng.standard_normal((x_shape[0], filters, *outputs))
    return grad_output.astype(dtype), x.astype(dtype), (filters, x_shape[1] // groups, size, size)


def driver_of(x_shape, weight_shape, data_format="NCHW", dtype=np.float32, **window):
    """The name of the driver that conv2d_backward takes."""
    n, c, h, w = x_shape
    plan, _ = planned(x_shape, weight_shape, window.get("stride", 1), window.get("padding", 0),
                      window.get("dilation", 1), window.get("groups", 1), window.get("padding_mode", "constant"), 0.0,
                      "auto", np.dtype(dtype).itemsize, data_format == "NHWC")
    return plan.weight_gradient_driver.name


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("channels, filters, groups",
                         [(1, 1, 1), (3, 17, 1), (16, 16, 1), (17, 33, 1), (40, 5, 1), (4, 4, 2),
                          (16, 16, 8), (24, 24, 3), (9, 9, 3), (66, 34, 2), (8, 24, 4), (70, 150, 1)])
def test_channels_and_groups(scheme, channels, filters, groups):
    size, stride = SCHEMES[scheme]
    grad_output, x, shape = layer(channels * filters, (3, channels, 13, 10), filters, size, stride, 1, groups)
    wanted = exact(grad_output, x, shape, stride=stride, padding=1, groups=groups)
    got = weight_gradient(grad_output, x, shape, stride, 1)
    assert relative_error(got, wanted) < BOUND[size]
    for view in VIEWS:
        np.testing.assert_array_equal(weight_gradient(grad_output, x, shape, stride, 1, view), got)


def check_all_schemes():
    """Every scheme, precision and layout; groups that share a vector, of which the last is partly filled."""
    for dtype in (np.float32, np.float64):
        for size, stride in SCHEMES.values():
            bound = BOUND[size] * np.finfo(dtype).eps / np.finfo(np.float32).eps
            for channels, filters, groups in ((20, 35, 1), (34, 18, 2), (7 * 5, 7 * 5, 5), (3 * 9, 3 * 9, 9)):
                grad_output, x, shape = layer(size, (2, channels, 9, 14), filters, size, stride, 1, groups, dtype=dtype)
                wanted = exact(grad_output, x, shape, stride=stride, padding=1, groups=groups)
                for view in ("nchw", "nhwc"):
                    got = weight_gradient(grad_output, x, shape, stride, 1, view)
                    assert relative_error(got, wanted) < bound, (dtype, size, stride, channels, groups)


@pytest.mark.parametrize("name", isa.known())
def test_every_instruction_set(name):
    check_with_isa(name, check_all_schemes)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("height, width", [(1, 1), (2, 3), (5, 5), (6, 7), (9, 33), (20, 5), (5, 300), (31, 18)])
def test_planes(scheme, height, width):
    size, stride = SCHEMES[scheme]
    for images in (1, 5):
        grad_output, x, shape = layer(height * width, (images, 18, height, width), 20, size, stride, 2)
        wanted = exact(grad_output, x, shape, stride=stride, padding=2)
        for view in VIEWS:
            assert relative_error(weight_gradient(grad_output, x, shape, stride, 2, view), wanted) < BOUND[size]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("mode", range(len(cases.PADDING_MODES)))
@pytest.mark.parametrize("scheme", SCHEMES)
def test_padding_modes(scheme, mode, groups):
    size, stride = SCHEMES[scheme]
    grad_output, x, shape = layer(mode, (2, 8, 9, 11), 8, size, stride, 3, groups)
    name = cases.PADDING_MODES[mode]
    wanted = exact(grad_output, x, shape, stride=stride, padding=3, padding_mode=name, padding_value=1.5, groups=groups)
    for view in VIEWS:
        assert relative_error(weight_gradient(grad_output, x, shape, stride, 3, view, mode=mode, value=1.5),
                              wanted) < BOUND[size]


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("dilation, groups", [(2, 1), (3, 2), (7, 1)])
def test_dilation(size, dilation, groups):
    grad_output, x, shape = layer(dilation, (2, 12, 33, 34), 10, size, 1, 4, groups, dilation)
    wanted = exact(grad_output, x, shape, padding=4, dilation=dilation, groups=groups)
    for view in VIEWS:
        assert relative_error(weight_gradient(grad_output, x, shape, 1, 4, view, dilation=dilation),
                              wanted) < BOUND[size]


# (images, channels, rows, columns), filters, size, stride, groups. What is said is true of AVX-512.
LAYOUTS = [
    ((8, 16, 64, 64), 16, 3, 1, 1),        # chunks
    ((40, 24, 28, 28), 32, 5, 1, 1),
    ((2, 64, 27, 29), 64, 3, 1, 4),        # a chunk for each group
    ((3, 56, 90, 90), 56, 3, 1, 7),        # groups that are joined in pairs
    ((4, 64, 28, 28), 48, 3, 1, 1),        # shared blocks, whose sums are kept
    ((2, 40, 56, 56), 64, 3, 2, 1),
    ((9, 130, 40, 36), 140, 3, 1, 1),      # several shared blocks that go to the totals
    ((2, 300, 14, 14), 200, 3, 1, 1),      # one shared block
]


@pytest.mark.parametrize("x_shape, filters, size, stride, groups", LAYOUTS)
def test_any_number_of_threads_and_any_layout_gives_the_same_bits(x_shape, filters, size, stride, groups):
    grad_output, x, shape = layer(filters, x_shape, filters, size, stride, 1, groups)
    wanted = weight_gradient(grad_output, x, shape, stride, 1)
    by_product = weight_gradient(grad_output.astype(np.float64), x.astype(np.float64), shape, stride, 1, driver=product)
    assert relative_error(wanted, by_product) < BOUND[size]
    for threads in (1, 2, 3, 16):
        with fc.num_threads(threads):
            for view in ("nchw", "nhwc"):
                np.testing.assert_array_equal(weight_gradient(grad_output, x, shape, stride, 1, view), wanted)


@pytest.mark.parametrize("kind", ["equal", "random"])
def test_sums_of_very_many_tiles(kind):
    """300000 tiles: sums of sums of sums lose nothing, whether all rounding errors point the same way or not."""
    rng = np.random.default_rng(1)
    x = np.full((3, 2, 1282, 1282), 0.1, np.float32) if kind == "equal" else rng.random((3, 2, 1282, 1282), np.float32)
    grad_output = (np.full((3, 3, 1280, 1280), 0.1, np.float32) if kind == "equal"
                   else rng.random((3, 3, 1280, 1280), np.float32))
    wide = x.astype(np.float64)
    wanted = np.empty((3, 2, 3, 3))
    for i in range(3):
        for j in range(3):
            wanted[..., i, j] = np.einsum("nkhw,nchw->kc", grad_output,
                                          wide[:, :, i:i + 1280, j:j + 1280], optimize=True)
    assert np.abs(weight_gradient(grad_output, x, wanted.shape) - wanted).max() < 2e-6 * np.abs(wanted).max()


# ---------------------------------------------------------------------------------------------------------------------
# Values that a transform would spread


WILD = {
    "3x3": ((4, 32, 28, 28), 32, 3, 1, 1), "3x3 groups": ((4, 32, 30, 28), 32, 3, 1, 4),
    "5x5": ((2, 32, 28, 27), 48, 5, 1, 1), "stride 2": ((4, 32, 29, 28), 40, 3, 2, 1),
    "many channels": ((2, 130, 14, 14), 140, 3, 1, 1),
}


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("where", ["x", "grad_output"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_goes_where_the_sum_sends_it(value, where, name):
    x_shape, filters, size, stride, groups = WILD[name]
    grad_output, x, shape = layer(5, x_shape, filters, size, stride, 1, groups)
    for place in ((0, 1, 0, 0), (1, 3, 9, -1), (1, 5, 6, 6)):    # two of them are not seen by all taps
        got_x, got_grad = x.copy(), grad_output.copy()
        (got_x if where == "x" else got_grad)[place] = value
        got, wanted = (weight_gradient(got_grad, got_x, shape, stride, 1, driver=driver)
                       for driver in (winograd, product))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(wanted))
        finite = np.isfinite(wanted)
        assert finite.any() and not finite.all()
        np.testing.assert_array_equal(got[~finite], wanted[~finite])
        np.testing.assert_allclose(got[finite], wanted[finite], atol=1e-5 * np.abs(wanted[finite]).max())


@pytest.mark.parametrize("name", WILD)
@pytest.mark.parametrize("where", ["x", "grad_output"])
@pytest.mark.parametrize("big", [1e6, 1e12, 1e20])
def test_one_loud_pixel_is_lost_nowhere(big, where, name):
    """Within 16 times the rounding bound of the direct sum, n eps sum |x| |grad_output|, as in the forward pass;
    and where no tap meets the pixel, within that of the others."""
    x_shape, filters, size, stride, groups = WILD[name]
    grad_output, x, shape = layer(6, x_shape, filters, size, stride, 1, groups)
    for place in ((0, 1, 0, 0), (1, 3, 9, -1), (1, 5, 6, 6)):
        loud_x, loud_grad = x.copy(), grad_output.copy()
        (loud_x if where == "x" else loud_grad)[place] = big
        wide_x, wide_grad = loud_x.astype(np.float64), loud_grad.astype(np.float64)
        wanted = weight_gradient(wide_grad, wide_x, shape, stride, 1, driver=product)
        size_of_sums = weight_gradient(np.abs(wide_grad), np.abs(wide_x), shape, stride, 1, driver=product)
        terms = grad_output[:, 0].size
        error = np.abs(weight_gradient(loud_grad, loud_x, shape, stride, 1) - wanted)
        assert (error <= min(16 * terms, 2000) * np.finfo(np.float32).eps * size_of_sums).all()


def test_many_loud_strips_and_sparse_gradients():
    """Whether few strips are left out or so many that all is computed as a product: the result is that of the sum."""
    grad_output, x, shape = layer(8, (8, 24, 16, 16), 24, 3)
    grad_output *= np.random.default_rng(1).random(grad_output.shape) < 0.05
    for images in (1, 3, 8):
        loud = x.copy()
        loud[:images, ::5, 3::4, 5] = 1e9
        wanted = exact(grad_output, loud, shape, padding=1)
        for threads in (1, 3):
            with fc.num_threads(threads):
                got = weight_gradient(grad_output, loud, shape, 1, 1)
        assert np.abs(got - wanted).max() < 1e-5 * np.abs(wanted).max()
        quiet = np.abs(wanted) < 1e4    # of channels that have no such pixel
        assert quiet.any()
        np.testing.assert_allclose(got[quiet], wanted[quiet], atol=1e-4)


@pytest.mark.parametrize("size, stride", SCHEMES.values())
@pytest.mark.parametrize("images, side", [(1, 12), (1, 28), (4, 28)])
@pytest.mark.parametrize("factor", [20, 250, 1000, 4000])
def test_loud_pixels_where_the_gradient_is_zero(size, stride, images, side, factor):
    """Rows of x that no tap multiplies by anything but zero are louder: each element stays within 16 times the rounding
    bound of the sum, or all of it within the error of an even image."""
    grad_output, x, weight_shape = layer(11, (images, 16, side, side), 16, size, stride, size // 2)
    unseen = np.ones(side, bool)
    for row in range(grad_output.shape[2]):
        if row % 6:
            grad_output[:, :, row] = 0
        else:
            unseen[max(row * stride - size // 2, 0):row * stride + size - size // 2] = False
    assert unseen.any()
    x[:, :, unseen] *= factor
    got = weight_gradient(grad_output, x, weight_shape, stride, size // 2)
    options = dict(stride=stride, padding=size // 2)
    wanted = exact(grad_output, x, weight_shape, **options)
    terms = images * grad_output.shape[2] * grad_output.shape[3]
    bound = 16 * terms * 2.0**-24 * exact(abs(grad_output), abs(x), weight_shape, **options)
    assert (abs(got - wanted) <= bound).all() or relative_error(got, wanted) <= 1e-5


def test_overflow_inside_the_transform_only():
    x = np.full((1, 16, 8, 8), 2e37, np.float32)
    grad_output = np.full((1, 16, 8, 8), 1e-3, np.float32)
    np.testing.assert_allclose(weight_gradient(grad_output, x, (16, 16, 3, 3), 1, 1),
                               weight_gradient(grad_output, x, (16, 16, 3, 3), 1, 1, driver=product), rtol=1e-5)


# ---------------------------------------------------------------------------------------------------------------------
# The choice


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("x_shape, weight_shape, window", [
    ((4, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}), ((4, 256, 14, 14), (256, 256, 3, 3), {"padding": 1}),
    ((64, 32, 28, 28), (64, 32, 3, 3), {"padding": 1}), ((64, 64, 8, 8), (64, 64, 3, 3), {"padding": 1}),
    ((8, 128, 28, 28), (128, 32, 3, 3), {"padding": 1, "groups": 4}),
    ((8, 64, 28, 28), (64, 64, 3, 3), {"padding": 2, "dilation": 2}),
    ((8, 64, 27, 27), (192, 64, 5, 5), {"padding": 2})])
def test_it_is_chosen_and_right(x_shape, weight_shape, window, data_format):
    assert driver_of(x_shape, weight_shape, data_format, **window) == "winograd"
    assert driver_of(x_shape, weight_shape, data_format, np.float64, **window) in ("direct", "product")
    stride, size = window.get("stride", 1), weight_shape[2]
    x_shape = (2, *x_shape[1:])
    grad_output, x, shape = layer(3, x_shape, weight_shape[0], size, stride, window["padding"], window.get("groups", 1),
                                  window.get("dilation", 1))
    weight = np.zeros(shape, np.float32)
    got = fc.conv2d_backward(cases.to_format(grad_output, data_format), cases.to_format(x, data_format),
                             weight, **window, data_format=data_format, needs=(False, True, False))[1]
    wide = [array.astype(np.float64) for array in (grad_output, x, weight)]
    wanted = fc.conv2d_backward(*wide, **window, needs=(False, True, False))[1]
    assert relative_error(got, wanted) < BOUND[size]


def test_it_is_not_chosen_where_it_must_not_be():
    assert driver_of((4, 64, 56, 56), (64, 1, 3, 3), padding=1, groups=64) == "depthwise"
    assert driver_of((4, 64, 56, 56), (64, 64, 1, 1)) == "planes"
    assert driver_of((4, 64, 2, 2), (64, 64, 5, 5), padding=2) in ("direct", "product")    # most taps meet padding
    conv2d_plan.cache_clear()
