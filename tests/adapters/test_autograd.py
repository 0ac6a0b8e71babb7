"""autograd: first and second derivatives against differences, its own tests of convolve, random calls beside it."""

import numpy as np
import pytest
from processes import run_python

pytestmark = pytest.mark.adapters
pytest.importorskip("autograd", reason="autograd is not installed")

import autograd.numpy as anp  # noqa: E402
import autograd.scipy.signal as host  # noqa: E402
from autograd import grad  # noqa: E402
from autograd.test_util import check_grads, combo_check  # noqa: E402

import fastconv as fc  # noqa: E402
from fastconv.adapters import autograd as fast  # noqa: E402

R = np.random.RandomState(0).randn


def check(function, *arguments):
    """Derivatives of first and second order, by differences."""
    check_grads(function, modes=["rev"], order=2)(*arguments)


@pytest.mark.parametrize(("options", "channels"), [
    (dict(), (2, 2)), (dict(stride=2, padding=1), (2, 2)), (dict(padding="same", dilation=2), (2, 2)),
    (dict(groups=2, padding=((0, 1), (2, 0))), (4, 2)), (dict(padding=1, padding_mode="reflect"), (2, 2)),
    (dict(data_format="NHWC", stride=(1, 2)), (2, 2))])
def test_convolution_of_images(options, channels):
    x = R(2, channels[0], 6, 7)
    x = x.transpose(0, 2, 3, 1) if options.get("data_format") else x
    weight, bias = R(4, channels[1], 3, 2), R(4)
    np.testing.assert_array_equal(fast.conv2d(x, weight, bias, **options), fc.conv2d(x, weight, bias, **options))
    check(lambda x, weight, bias: fast.conv2d(x, weight, bias, **options), x, weight, bias)
    check(lambda weight: fast.conv2d(x[0], weight, **options), weight)


def test_convolution_of_signals_and_volumes():
    check(lambda x, w, b: fast.conv1d(x, w, b, stride=2, padding=1), R(2, 3, 9), R(4, 3, 3), R(4))
    check(lambda x, w, b: fast.conv1d(x, w, b, data_format="NLC"), R(2, 9, 3), R(4, 3, 3), R(4))
    check(lambda x, w, b: fast.conv3d(x, w, b, padding=1), R(1, 2, 3, 4, 3), R(2, 2, 2, 3, 2), R(2))


@pytest.mark.parametrize("pool", [fast.max_pool2d, fast.avg_pool2d])
@pytest.mark.parametrize("options", [dict(), dict(stride=1), dict(stride=1, padding=1), dict(ceil_mode=True, stride=2),
                                     dict(data_format="NHWC", stride=1)])
def test_pooling_of_images(pool, options):
    x = R(2, 5, 5, 3)
    np.testing.assert_array_equal(pool(x, 3, **options), getattr(fc, pool.__name__)(x, 3, **options))
    check(lambda x: pool(x, 3, **options), x)
    check(lambda x: pool(x, (2, 3), **{**options, "padding": 0}) ** 2, x[0])


def test_pooling_of_signals_and_volumes():
    for one, three in ((fast.max_pool1d, fast.max_pool3d), (fast.avg_pool1d, fast.avg_pool3d)):
        check(lambda x: one(x, 3, stride=2) ** 2, R(2, 2, 7))
        check(lambda x: three(x, 2, stride=1, data_format="NDHWC") ** 2, R(1, 3, 3, 3, 2))


def test_of_equal_maxima_the_first_gets_the_gradient():
    assert grad(lambda x: anp.sum(fast.max_pool1d(x, 3)))(np.ones((1, 1, 3))).tolist() == [[[1, 0, 0]]]


@pytest.fixture
def own():
    """autograd's name for convolve, with fastconv behind it; nothing is handed on without being counted."""
    fast.report().reset()
    with fast.enabled():
        assert host.convolve is fast.convolve
        yield host.convolve
    assert host.convolve is not fast.convolve


MODES = ["full", "valid", "same"]


def test_autograds_own_checks_of_convolve(own):
    rev = dict(modes=["rev"], order=2)
    combo_check(own, [0, 1], **rev)([R(4), R(6)], [R(2), R(3), R(5)], mode=MODES)
    combo_check(own, [0, 1], **rev)([R(4, 3), R(6, 7)], [R(2, 2), R(4, 2), R(4, 1)], mode=MODES)
    combo_check(own, [0, 1], **rev)([R(4, 3)], [R(3, 2)], mode=MODES,
                                    axes=[([0], [0]), ([1], [1]), ([0], [1]), ([1], [0]), ([0, 1], [0, 1]),
                                          ([1, 0], [1, 0])])
    combo_check(own, [0, 1], **rev)([R(3, 3, 2)], [R(3, 2, 3)], axes=[([1], [1])],
                                    dot_axes=[([0], [2]), ([0], [0])], mode=MODES)
    assert fast.report().served["convolve"] > 100


def random_call(rng):
    count = int(rng.integers(0, 5))
    dots = int(rng.integers(0, 3))
    roles = [*["conv"] * count, *["dot"] * dots]
    of_a = rng.permutation([*roles, *["kept"] * int(rng.integers(0, 3))])
    of_b = rng.permutation([*roles, *["kept"] * int(rng.integers(0, 3))])
    a_shape, b_shape = rng.integers(1, 6, len(of_a)), rng.integers(1, 6, len(of_b))
    axes = [rng.permutation(np.flatnonzero(roles == "conv")).tolist() for roles in (of_a, of_b)]
    dot_axes = [rng.permutation(np.flatnonzero(roles == "dot")).tolist() for roles in (of_a, of_b)]
    b_shape[dot_axes[1]] = a_shape[dot_axes[0]]
    A, B = rng.standard_normal(a_shape), rng.standard_normal(b_shape)
    kind = rng.integers(0, 8)
    A = {0: A.astype(np.float32), 1: (9 * A).astype(int), 2: A * 1j}.get(kind, A)
    return A, B, axes, dot_axes, str(rng.choice(MODES))


def test_random_calls_give_what_autograd_gives(own):
    """Errors too. (autograd's own fails for "same" where the filter is the larger one: then SciPy's definition.)"""
    rng, compared = np.random.default_rng(0), 0
    for _ in range(600):
        A, B, axes, dot_axes, mode = random_call(rng)
        larger = any(B.shape[j] > A.shape[i] for i, j in zip(*axes))
        if not A.ndim or not B.ndim or (mode == "same" and larger):
            continue
        try:
            expected = fast._exchange.own(fast.host, "convolve")(A, B, axes, dot_axes, mode)
        except Exception as error:
            with pytest.raises(type(error)):
                own(A, B, axes, dot_axes, mode)
            continue
        got = own(A, B, axes, dot_axes, mode)
        assert got.shape == expected.shape and got.dtype == expected.dtype, (A.shape, B.shape, axes, dot_axes, mode)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 if A.dtype == np.float32 else 1e-10)
        compared += 1
    assert compared > 300
    reasons = {reason for _, reason in fast.report().handed_on}
    assert {"0 convolved axes", "4 convolved axes", "numbers of type complex128"} <= reasons
    assert fast.report().served["convolve"] > 150


def test_the_whole_of_a_result_is_that_of_scipy(own):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is not installed")
    for a, b in (((40,), (7,)), ((7,), (40,)), ((12, 9), (3, 4)), ((5, 6, 7), (2, 3, 2))):
        A, B = R(*a), R(*b)
        for mode in MODES if a > b else ["full", "valid"]:
            np.testing.assert_allclose(own(A, B, mode=mode), signal.convolve(A, B, mode), atol=1e-12)


def test_docstrings_run():
    run_python("-c", "import doctest, fastconv.adapters.autograd as m; assert doctest.testmod(m) == (0, 13)")
