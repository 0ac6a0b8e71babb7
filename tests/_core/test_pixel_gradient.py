"""The weight gradients of 1 x 1 filters, of pixels and of planes:
integers exactly, any strides of the arrays, long sums, threads."""

import numpy as np
import pytest
import reference
from processes import check_with_isa

import fastconv as fc
from fastconv._core.direct import pixel_gradient, plane_gradient
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.runtime import isa

VIEWS = {
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "nhwc, some channels": lambda a: np.pad(a.transpose(0, 2, 3, 1),
                                            ((0, 0),) * 3 + ((1, 2),)).transpose(0, 3, 1, 2)[:, 1:-2],
    "nhwc, some columns": lambda a: np.pad(a.transpose(0, 2, 3, 1),
                                           ((0, 0), (0, 0), (1, 3), (0, 0))).transpose(0, 3, 1, 2)[..., 1:-3],
    "nchw": lambda a: a,
    "nchw, some rows and columns": lambda a: np.pad(a, ((0, 0), (0, 0), (1, 2), (1, 3)))[:, :, 1:-2, 1:-3],
    "nchw, every second column": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
}
DRIVERS = {"pixels": pixel_gradient, "planes": plane_gradient}
each_driver = pytest.mark.parametrize("driver, view", [("pixels", "nhwc"), ("planes", "nchw")])


def weight_gradient(grad_output, x, weight_shape, stride=1, view="nhwc", driver="pixels"):
    grad_weight = np.full(weight_shape, np.nan, x.dtype)
    window = Window((stride, stride))
    DRIVERS[driver].conv2d_weight_gradient(Convolution(VIEWS[view](x), grad_weight, None,
                                                       VIEWS[view](grad_output), window))
    return grad_weight


def layer(x_shape, filters, stride=1, groups=1, dtype=np.float32):
    """Small integers, whose sums are exact."""
    rng = np.random.default_rng(filters)
    outputs = fc.conv_output_size(x_shape[2:], (1, 1), stride)
    x, grad_output = rng.integers(-3, 4, x_shape), rng.integers(-3, 4, (x_shape[0], filters, *outputs))
    return grad_output.astype(dtype), x.astype(dtype), (filters, x_shape[1] // groups, 1, 1)


def check_sizes():
    """Channels and filters around whole vectors and tiles, and runs of every length."""
    for dtype in (np.float32, np.float64):
        for channels, filters, groups in ((1, 1, 1), (2, 15, 1), (16, 14, 1), (17, 33, 1), (40, 5, 1), (64, 70, 1),
                                          (12, 20, 4), (66, 34, 2)):
            for size, stride in (((1, 1), 1), ((5, 7), 1), ((9, 16), 2), ((2, 300), 1), ((3, 263), 2), ((1, 1030), 2)):
                grad_output, x, shape = layer((3, channels, *size), filters, stride, groups, dtype)
                wanted = reference.conv2d_backward(grad_output, x, np.zeros(shape), stride=stride, groups=groups)[1]
                for driver in DRIVERS:
                    for view in VIEWS:
                        np.testing.assert_array_equal(weight_gradient(grad_output, x, shape, stride, view, driver),
                                                      wanted)


@pytest.mark.parametrize("name", isa.known())
def test_sizes_with_every_instruction_set(name):
    check_with_isa(name, check_sizes)


@each_driver
@pytest.mark.parametrize("x_shape, filters, groups",
                         [((5, 33, 60, 60), 70, 1), ((2, 200, 20, 20), 300, 1), ((3, 64, 40, 41), 32, 4)])
def test_any_number_of_threads_gives_the_same_bits(driver, view, x_shape, filters, groups):
    rng = np.random.default_rng(1)
    x = rng.standard_normal(x_shape, np.float32)
    grad_output = rng.standard_normal((x_shape[0], filters, *x_shape[2:]), np.float32)
    shape = filters, x_shape[1] // groups, 1, 1
    wanted = weight_gradient(grad_output, x, shape, 1, view, driver)
    exact = fc.conv2d_backward(grad_output.astype(float), x.astype(float), np.zeros(shape), groups=groups,
                               needs=(False, True, False))[1]
    assert np.linalg.norm(wanted - exact) < 1e-6 * np.linalg.norm(exact)
    for threads in (1, 2, 3, 16):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(weight_gradient(grad_output, x, shape, 1, view, driver), wanted)


@each_driver
@pytest.mark.parametrize("kind", ["equal", "random"])
def test_sums_of_millions(driver, view, kind):
    rng = np.random.default_rng(2)
    x, grad_output = (np.full(shape, 0.1, np.float32) if kind == "equal" else rng.random(shape, np.float32)
                      for shape in ((2, 3, 1000, 1100), (2, 5, 1000, 1100)))
    wanted = np.einsum("nkhw,nchw->kc", grad_output, x.astype(np.float64), optimize=True)[..., None, None]
    assert (np.abs(weight_gradient(grad_output, x, wanted.shape, 1, view, driver) - wanted).max()
            < 1.5e-6 * np.abs(wanted).max())


@each_driver
def test_not_finite_stays_in_its_channel(driver, view):
    grad_output, x, shape = layer((2, 20, 9, 9), 30)
    x[1, 3, 4, 5], grad_output[0, 7, 8, 8] = np.nan, np.inf
    got = weight_gradient(grad_output, x, shape, 1, view, driver)
    finite = np.ones(shape, bool)
    finite[:, 3], finite[7] = False, False
    np.testing.assert_array_equal(np.isfinite(got), finite)
