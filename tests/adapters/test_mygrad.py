"""mygrad: random calls and their gradients beside its own code, derivatives against differences, what is handed on."""

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("mygrad", reason="mygrad is not installed")

import mygrad as mg  # noqa: E402
from mygrad.nnet import conv_nd, max_pool  # noqa: E402

from fastconv.adapters import mygrad as fast  # noqa: E402


@pytest.fixture
def report():
    """The counts of calls while fastconv is switched on."""
    fast.report().reset()
    with fast.enabled():
        yield fast.report()


def results(function, arrays, options, seed):
    """What a function gives of tensors, and all gradients of a sum with random factors."""
    tensors = [mg.tensor(array) for array in arrays]
    y = function(*tensors, **options)
    weights = np.random.default_rng(seed).standard_normal(y.shape)
    (y * weights.astype(y.dtype)).sum().backward()
    return [y.data, *(tensor.grad for tensor in tensors)]


def random_convolution(rng):
    axes = int(rng.integers(1, 5))
    taps, stride, dilation, padding, more = (rng.integers(low, high, axes).tolist() for low, high in (
        (1, 4), (1, 4), (1, 3), (0, 3), (0, 4)))
    sizes = [max(1, (far - 1) * distance + 1 + step * count - 2 * pad)
             for far, step, distance, pad, count in zip(taps, stride, dilation, padding, more)]
    if rng.random() < 0.3:
        stride = int(rng.integers(1, 3))
    c, dtypes = int(rng.integers(1, 4)), rng.choice([np.float32, np.float64], 2)
    x = rng.standard_normal((int(rng.integers(1, 4)), c, *sizes)).astype(dtypes[0])
    w = rng.standard_normal((int(rng.integers(1, 4)), c, *taps)).astype(dtypes[1])
    return conv_nd, [x, w], dict(stride=stride, padding=padding, dilation=dilation)


def random_pooling(rng):
    axes = int(rng.integers(1, 5))
    pool, stride, more = (rng.integers(low, high, axes).tolist() for low, high in ((1, 4), (1, 4), (0, 4)))
    sizes = [window + step * count for window, step, count in zip(pool, stride, more)]
    before = rng.integers(1, 4, int(rng.integers(1, 3))).tolist()
    x = rng.integers(-3, 3, (*before, *sizes)).astype(rng.choice([np.float32, np.float64]))  # with many ties
    return max_pool, [x], dict(pool=tuple(pool), stride=tuple(stride))


@pytest.mark.parametrize("random_call", [random_convolution, random_pooling])
def test_random_calls_give_what_mygrad_gives(report, random_call):
    """Errors too."""
    rng, compared = np.random.default_rng(0), 0
    for seed in range(300):
        function, arrays, options = random_call(rng)
        fast.disable()
        try:
            wanted = results(function, arrays, options, seed)
        except ValueError as error:
            wanted = str(error)
        fast.enable()
        if "dilated window" in str(wanted):  # mygrad takes it for longer than it is, and refuses what fits
            continue
        if isinstance(wanted, str):
            with pytest.raises(ValueError) as raised:
                results(function, arrays, options, seed)
            assert str(raised.value) == wanted
            continue
        for ours, theirs in zip(results(function, arrays, options, seed), wanted):
            assert ours.dtype == theirs.dtype and ours.shape == theirs.shape, options
            single = np.float32 in (array.dtype for array in arrays)
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4 if single else 1e-11)
        compared += 1
    assert compared > 150
    name = function.__name__
    assert report.served[name] > 100 and report.served[f"{name}, gradient"] > 100
    assert (name, "4 axes") in report.handed_on


def test_gradients_by_differences(report):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((3, 2, 2, 3))

    def loss(x, w):
        return (max_pool(conv_nd(x, w, stride=1, padding=1), (2, 1), (1, 2)) ** 2).sum()

    tensors = mg.tensor(x), mg.tensor(w)
    loss(*tensors).backward()
    for which, tensor in enumerate(tensors):
        for place in map(tuple, rng.integers(0, tensor.shape, (10, 4))):
            values = []
            for step in (1e-6, -1e-6):
                moved = [x.copy(), w.copy()]
                moved[which][place] += step
                values.append(float(loss(*map(mg.tensor, moved))))
            np.testing.assert_allclose((values[0] - values[1]) / 2e-6, tensor.grad[place], rtol=1e-5, atol=1e-7)
    assert set(report.served) == {"conv_nd", "conv_nd, gradient", "max_pool", "max_pool, gradient"}
    assert report.handed_on == {}


def test_what_is_not_served_is_mygrads_own(report):
    x, w = mg.arange(12).reshape(1, 1, 12), mg.ones((1, 1, 3), dtype=int)
    assert conv_nd(x, w, stride=1).dtype == np.int64
    assert max_pool(x, (2,), 2).data.tolist() == [[[1, 3, 5, 7, 9, 11]]]
    with pytest.raises(ValueError, match="Stride and kernel dimensions are incompatible"):
        conv_nd(mg.ones((1, 1, 8)), mg.ones((1, 1, 3)), stride=2)
    with pytest.raises(AssertionError):
        conv_nd(mg.ones((1, 1, 8)), mg.ones((1, 1, 3)), stride=0)
    for options in (dict(stride=True), dict(stride=1, padding=True), dict(stride=1, dilation=True)):
        with pytest.raises(AssertionError):
            conv_nd(mg.ones((1, 1, 8)), mg.ones((1, 1, 3)), **options)
    assert report.served == {} and set(report.handed_on) == {
        ("conv_nd", "numbers of type int64"), ("max_pool", "numbers of type int64"), ("conv_nd", fast._UNFIT)}


def test_results_may_be_written_to_as_mygrads_own(report):
    x = mg.tensor(np.ones((1, 1, 4, 4), np.float32))
    y = conv_nd(x, mg.ones((1, 1, 1, 1), dtype=np.float32), stride=1)
    y[0, 0, 0] = 2
    y.sum().backward()
    assert x.grad[0, 0].tolist() == [[0] * 4, [1] * 4, [1] * 4, [1] * 4]


def test_the_switch_goes_back():
    before = fast.ConvND.__call__, fast.MaxPoolND.backward_var
    with fast.enabled():
        assert fast.ConvND.__call__ is fast._convolve
        with fast.enabled():
            pass
        assert fast.ConvND.__call__ is fast._convolve
    assert (fast.ConvND.__call__, fast.MaxPoolND.backward_var) == before
