"""conv1d and conv3d: every option against the plain loops, forward and backward; layouts, views, plans, threads."""

import copy
import itertools
import pickle
from typing import NamedTuple

import numpy as np
import pytest
import reference
import reference_volumes as volumes

import fastconv as fc
from fastconv import nn
from fastconv._core.depthwise import forward as depthwise
from fastconv._core.runtime import memory

DTYPES = [np.float32, np.float64]
FORMS = {1: ("NCL", "NLC"), 3: ("NCDHW", "NDHWC")}
FORWARD = {1: fc.conv1d, 3: fc.conv3d}
BACKWARD = {1: fc.conv1d_backward, 3: fc.conv3d_backward}
PLANS = {1: fc.plan_conv1d, 3: fc.plan_conv3d}


class Case(NamedTuple):
    """One convolution over one or three axes; padding a pair an axis."""

    x_shape: tuple
    weight_shape: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int = 1
    mode: str = "constant"
    value: float = 0.0
    channels_last: bool = False

    @property
    def axes(self):
        return len(self.stride)

    def options(self):
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups,
                "padding_mode": self.mode, "padding_value": self.value,
                "data_format": FORMS[self.axes][self.channels_last]}

    def as_volumes(self):
        """The options of the reference."""
        more = 3 - self.axes
        return {"stride": (1,) * more + self.stride, "padding": ((0, 0),) * more + self.padding,
                "dilation": (1,) * more + self.dilation, "groups": self.groups, "mode": self.mode, "value": self.value}

    def arrays(self, seed=0, integers=True):
        """x, weight, bias and grad_output as volumes, of float64."""
        rng = np.random.default_rng(seed)
        draw = (lambda *shape: rng.integers(-4, 5, shape).astype(float)) if integers else (
            lambda *shape: rng.standard_normal(shape))
        more = (1,) * (3 - self.axes)
        x = draw(*self.x_shape[:2], *more, *self.x_shape[2:])
        w = draw(*self.weight_shape[:2], *more, *self.weight_shape[2:])
        window = self.as_volumes()
        size = volumes.output_size(x.shape[2:], w.shape[2:], window["stride"], window["padding"], window["dilation"])
        return x, w, draw(len(w)), draw(len(x), len(w), *size)

    def seen(self, array, dtype, filters=False):
        """A volume of the reference as an argument."""
        array = array.reshape(*array.shape[:2], *array.shape[5 - self.axes:]).astype(dtype)
        last = self.channels_last and not filters
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if last else array

    def back(self, array):
        """A result as a volume of the reference."""
        array = np.moveaxis(array, -1, 1) if self.channels_last else array
        return array.reshape(*array.shape[:2], *(1,) * (3 - self.axes), *array.shape[2:])


def random_case(rng, axes):
    def each(low, high):
        return tuple(int(rng.integers(low, high + 1)) for _ in range(axes))

    while True:
        groups = int(rng.choice([1, 1, 1, 2, 3]))
        c, k = groups * int(rng.integers(1, 5)), groups * int(rng.integers(1, 5))
        if rng.random() < 0.1:
            c, k = groups * 17, groups * 19
        size = each(1, 24 if axes == 1 else 5)
        taps, stride, dilation = each(1, 5 if axes == 1 else 3), each(1, 3), each(1, 3 if axes == 1 else 2)
        mode = str(rng.choice(["constant", "constant", "reflect", "replicate", "circular"]))
        most = {"constant": 4, "reflect": min(size) - 1, "replicate": 4, "circular": min(size)}[mode]
        most = most if axes == 1 else min(most, 2)
        padding = tuple((int(rng.integers(0, most + 1)), int(rng.integers(0, most + 1))) if rng.random() < 0.7 else
                        (0, 0) for _ in range(axes))
        value = float(rng.choice([0, 0, 2])) if mode == "constant" else 0.0
        fits = all(length + sum(pads) >= distance * (count - 1) + 1
                   for length, pads, distance, count in zip(size, padding, dilation, taps))
        if fits:
            return Case((int(rng.integers(1, 4)), c, *size), (k, c // groups, *taps), stride, padding, dilation, groups,
                        mode, value, bool(rng.integers(2)))


EDGES = {
    "pixels": Case((2, 3, 4, 5, 6), (7, 3, 1, 1, 1), (1, 1, 1), ((0, 0),) * 3, (1, 1, 1)),
    "depth alone": Case((2, 3, 6, 5, 4), (7, 3, 3, 1, 1), (2, 1, 1), ((1, 1), (0, 0), (0, 0)), (1, 1, 1)),
    "depth alone, reflected": Case((2, 3, 6, 5, 4), (7, 3, 3, 1, 1), (1, 1, 1), ((2, 1), (0, 0), (0, 0)), (1, 1, 1), 1,
                                   "reflect"),
    "planes alone": Case((2, 3, 4, 7, 6), (5, 3, 1, 3, 3), (2, 1, 1), ((0, 0), (1, 1), (1, 1)), (1, 1, 1)),
    "one plane of outputs": Case((2, 3, 3, 7, 6), (5, 3, 3, 3, 3), (1, 1, 1), ((0, 0), (1, 1), (1, 1)), (1, 1, 1)),
    "no depth": Case((3, 4, 1, 7, 6), (5, 4, 1, 3, 3), (1, 2, 1), ((0, 0), (1, 1), (1, 1)), (1, 1, 1)),
    "one channel": Case((2, 1, 9, 7, 6), (5, 1, 4, 3, 3), (1, 2, 1), ((2, 1), (1, 1), (1, 1)), (2, 1, 1)),
    "winograd": Case((1, 16, 5, 14, 13), (18, 16, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1)),
    "winograd, channels last": Case((2, 16, 4, 14, 13), (18, 16, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 1,
                                    "constant", 0.0, True),
    "many items of few planes": Case((40, 5, 2, 4, 4), (6, 5, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1)),
    "outputs that meet padding alone": Case((1, 2, 1, 3, 3), (3, 2, 2, 2, 2), (1, 1, 1), ((4, 4), (1, 0), (0, 3)),
                                            (2, 1, 1)),
    "nothing but padding": Case((1, 2, 1, 3, 3), (3, 2, 1, 1, 1), (9, 1, 1), ((5, 9), (0, 0), (0, 0)), (1, 1, 1)),
    "depthwise": Case((2, 6, 5, 7, 6), (12, 1, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), 6),
    "volumes in circles": Case((2, 3, 4, 4, 5), (4, 3, 3, 3, 3), (1, 1, 1), ((4, 4), (3, 2), (1, 5)), (1, 1, 1), 1,
                               "circular"),
    "wide padding of pixels repeated": Case((1, 2, 2, 3, 3), (3, 2, 2, 2, 2), (2, 1, 1), ((9, 7), (2, 0), (0, 3)),
                                            (2, 1, 1), 1, "replicate"),
    "signal, causal": Case((2, 8, 50), (16, 8, 3), (1,), ((16, 0),), (8,)),
    "signal, one channel": Case((2, 1, 90), (16, 1, 9), (4,), ((4, 4),), (1,)),
    "signal, depthwise": Case((2, 8, 40), (8, 1, 5), (1,), ((2, 2),), (1,), 8),
    "signal, one sample": Case((3, 8, 1), (4, 8, 1), (1,), ((0, 0),), (1,)),
    "signal, whole": Case((5, 3, 20), (4, 3, 20), (1,), ((0, 0),), (1,)),
    "signal that no tap meets, but its ends repeated": Case((3, 4, 1), (3, 4, 1), (3,), ((4, 3),), (3,), 1,
                                                            "replicate"),
    "signal, reflected": Case((2, 3, 20), (4, 3, 5), (2,), ((7, 19),), (2,), 1, "reflect"),
}
CASES = [*EDGES.values(), *(random_case(np.random.default_rng(seed), axes) for axes in (1, 3) for seed in range(40))]
NAMES = [*EDGES, *(f"{axes}d, {seed}" for axes in (1, 3) for seed in range(40))]


def close(result, wanted, dtype, bound=1e-5):
    """Whole numbers exactly, but for transforms, in float32 alone."""
    if dtype == np.float64:
        np.testing.assert_array_equal(result, wanted)
    else:
        assert np.linalg.norm(result - wanted) <= bound * max(np.linalg.norm(wanted), 1e-30)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_forward(case, dtype):
    x, w, bias, _ = case.arrays()
    wanted = volumes.conv3d(x, w, bias, **case.as_volumes())
    arguments = case.seen(x, dtype), case.seen(w, dtype, True), bias.astype(dtype)
    y = FORWARD[case.axes](*arguments, **case.options())
    assert y.dtype == dtype and y.flags.c_contiguous
    close(case.back(y), wanted, dtype)
    rectified = FORWARD[case.axes](*arguments, **case.options(), activation="relu")
    np.testing.assert_array_equal(rectified, np.maximum(y, 0))
    plan = PLANS[case.axes](arguments[0].shape, *arguments[1:], **case.options())
    assert plan.output_shape == y.shape
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            out = np.full_like(y, 9)
            assert FORWARD[case.axes](*arguments, **case.options(), out=out) is out
            np.testing.assert_array_equal(out, y)
            np.testing.assert_array_equal(plan(arguments[0]), y)
    one = FORWARD[case.axes](arguments[0][0], *arguments[1:], **case.options())
    close(one, y[0], dtype)
    for algorithm in ("gemm", "direct", "winograd", "fft"):
        try:
            named = FORWARD[case.axes](*arguments, **case.options(), algorithm=algorithm)
        except ValueError as error:
            assert algorithm != "gemm" and f"algorithm {algorithm!r} is not possible" in str(error)
            continue
        assert np.linalg.norm(case.back(named) - wanted) <= 1e-5 * np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_backward(case, dtype):
    x, w, _, g = case.arrays(1)
    wanted = volumes.conv3d_backward(g, x, w, **case.as_volumes())
    arguments = case.seen(g, dtype), case.seen(x, dtype), case.seen(w, dtype, True)
    grad_x, grad_weight, grad_bias = BACKWARD[case.axes](*arguments, **case.options())
    close(case.back(grad_x), wanted[0], dtype)
    close(grad_weight.reshape(w.shape), wanted[1], dtype)
    close(grad_bias, wanted[2], dtype)
    for threads in (2, 3):
        with fc.num_threads(threads):
            for again, first in zip(BACKWARD[case.axes](*arguments, **case.options()),
                                    (grad_x, grad_weight, grad_bias)):
                np.testing.assert_array_equal(again, first)
    for i in range(3):
        needs = tuple(j == i for j in range(3))
        some = BACKWARD[case.axes](*arguments, **case.options(), needs=needs)
        assert [gradient is not None for gradient in some] == list(needs)
        np.testing.assert_array_equal(some[i], (grad_x, grad_weight, grad_bias)[i])


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_a_group_that_is_computed_by_itself(axes, dtype):
    """Filters of more than a MB are turned a few groups at a time: each group has the gradients that it has alone."""
    rng = np.random.default_rng(7)
    groups, of_group, taps = 3, 24 if axes == 3 else 120, (4, 5, 6) if axes == 3 else (9,)
    x = rng.standard_normal((2, groups * of_group, *((5, 6, 7) if axes == 3 else (30,)))).astype(dtype)
    w = rng.standard_normal((groups * of_group, of_group, *taps)).astype(dtype)
    y = FORWARD[axes](x, w, padding=2, groups=groups)
    g = rng.standard_normal(y.shape).astype(dtype)
    together = BACKWARD[axes](g, x, w, padding=2, groups=groups)
    for group in range(groups):
        some = slice(group * of_group, (group + 1) * of_group)
        alone = BACKWARD[axes](*(np.ascontiguousarray(a[:, some]) for a in (g, x)), w[some], padding=2)
        for result, wanted in zip((together[0][:, some], together[1][some], together[2][some]), alone):
            assert np.linalg.norm(result - wanted) <= (1e-5 if dtype == np.float32 else 1e-13) * np.linalg.norm(wanted)


VIEWS = {
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "first axis backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "axes in the other order": lambda a: np.ascontiguousarray(a.T).T,
    "third axis strided": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", EDGES)
def test_views(name, view):
    case = EDGES[name]
    x, w, bias, g = case.arrays(2)
    x, w, g = case.seen(x, np.float64), case.seen(w, np.float64, True), case.seen(g, np.float64)
    some = VIEWS[view]
    np.testing.assert_array_equal(FORWARD[case.axes](some(x), some(w), bias, **case.options()),
                                  FORWARD[case.axes](x, w, bias, **case.options()))
    for result, wanted in zip(BACKWARD[case.axes](some(g), some(x), some(w), **case.options()),
                              BACKWARD[case.axes](g, x, w, **case.options())):
        np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("axes", (1, 3))
@pytest.mark.parametrize("activation", ("relu", "leaky_relu", "sigmoid", "tanh"))
def test_activations(axes, activation):
    rng = np.random.default_rng(3)
    for _ in range(20):
        case = random_case(rng, axes)
        x, w, bias, _ = case.arrays(integers=False)
        arguments = case.seen(x, np.float64), case.seen(w, np.float64, True), bias
        y = FORWARD[axes](*arguments, **case.options())
        np.testing.assert_allclose(FORWARD[axes](*arguments, **case.options(), activation=activation),
                                   getattr(reference, activation)(y), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("axes", (1, 3))
def test_against_torch(axes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    for _ in range(100):
        case = random_case(rng, axes)
        x, w, bias, g = case.arrays(integers=False)
        x, w, g = (array.reshape(*array.shape[:2], *array.shape[5 - axes:]) for array in (x, w, g))
        pads = [side for pair in case.padding[::-1] for side in pair]
        leaves = [torch.tensor(array, requires_grad=True) for array in (x, w, bias)]
        value = {"value": case.value} if case.mode == "constant" else {}
        padded = torch.nn.functional.pad(leaves[0], pads, mode=case.mode, **value)
        y = getattr(torch.nn.functional, f"conv{axes}d")(padded, *leaves[1:], case.stride, 0, case.dilation,
                                                         case.groups)
        y.backward(torch.tensor(g))
        options = {**case.options(), "data_format": FORMS[axes][0]}
        np.testing.assert_allclose(FORWARD[axes](x, w, bias, **options), y.detach().numpy(), rtol=1e-11, atol=1e-11)
        for result, leaf in zip(BACKWARD[axes](g, x, w, **options), leaves):
            np.testing.assert_allclose(result, leaf.grad.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("axes", (1, 3))
def test_adjoint(axes):
    """<conv(x, w), g> = <x, grad_x> = <w, grad_weight>."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        case = random_case(rng, axes)._replace(value=0.0)
        x, w, _, g = case.arrays(integers=False)
        x, w, g = case.seen(x, np.float64), case.seen(w, np.float64, True), case.seen(g, np.float64)
        grad_x, grad_weight, _ = BACKWARD[axes](g, x, w, **case.options())
        product = (FORWARD[axes](x, w, **case.options()) * g).sum()
        np.testing.assert_allclose([(x * grad_x).sum(), (w * grad_weight).sum()], product, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("axes", (1, 3))
def test_padding_same_and_valid(axes):
    x, w = np.ones((1, 2, *(9, 8, 7)[:axes])), np.ones((3, 2, *(3, 2, 3)[:axes]))
    for step in (1, 2, 3):
        y = FORWARD[axes](x, w, padding="same", stride=step)
        assert y.shape[2:] == tuple(-(-size // step) for size in x.shape[2:])
    assert FORWARD[axes](x, w, padding="valid").shape == FORWARD[axes](x, w).shape
    np.testing.assert_array_equal(FORWARD[axes](x, w, padding=1), FORWARD[axes](x, w, padding=(1,) * axes))


@pytest.mark.parametrize("padding", [(1, 2), [1, 2], np.array([1, 2])], ids=("tuple", "list", "array"))
@pytest.mark.parametrize("name", ("conv1d", "conv_transpose1d"))
def test_one_pair_is_that_of_the_only_axis(name, padding):
    """(before, after) without a tuple around it, as pooling has it; not (both, both) of two axes."""
    rng = np.random.default_rng(1)
    function, gradients = getattr(fc, name), getattr(fc, f"{name}_backward")
    x, weight = rng.standard_normal((2, 3, 9)), rng.standard_normal((3, 3, 4))
    wanted = function(x, weight, padding=((1, 2),))
    np.testing.assert_array_equal(function(x, weight, padding=padding), wanted)
    if name == "conv1d":    # a sum of another kind: padded by hand
        padded = np.pad(x, ((0, 0), (0, 0), (1, 2)))
        by_hand = np.einsum("nclt,kct->nkl", np.lib.stride_tricks.sliding_window_view(padded, 4, axis=2), weight)
        np.testing.assert_allclose(wanted, by_hand, atol=1e-13)
    grad_output = rng.standard_normal(wanted.shape)
    for got, each in zip(gradients(grad_output, x, weight, padding=padding),
                         gradients(grad_output, x, weight, padding=((1, 2),))):
        np.testing.assert_array_equal(got, each)
    plan = getattr(fc, f"plan_{name}")(x.shape, weight, padding=padding)
    np.testing.assert_array_equal(plan(x), wanted)
    transposed = name != "conv1d"
    assert fc.explain(x.shape, weight.shape, padding=padding, transposed=transposed).output_shape == wanted.shape
    layer = (nn.ConvTranspose1d if transposed else nn.Conv1d)(3, 3, 4, padding=padding, bias=False, dtype="float64")
    layer.weight.data[...] = weight
    np.testing.assert_array_equal(layer(x), wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("what", ("x", "weight", "grad_output"))
@pytest.mark.parametrize("axes", (1, 3))
def test_what_is_not_finite_goes_where_the_sums_send_it(axes, what, dtype):
    rng = np.random.default_rng(6)
    cases = [random_case(rng, axes) for _ in range(20)] + [case for case in EDGES.values() if case.axes == axes]
    for case in cases:
        x, w, bias, g = case.arrays(7)
        array = {"x": x, "weight": w, "grad_output": g}[what]
        array.reshape(-1)[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
        with np.errstate(invalid="ignore"):
            y = volumes.conv3d(x, w, bias, **case.as_volumes())
            gradients = volumes.conv3d_backward(g, x, w, **case.as_volumes())
        x, w, g = case.seen(x, dtype), case.seen(w, dtype, True), case.seen(g, dtype)
        result = FORWARD[axes](x, w, bias.astype(dtype), **case.options())
        np.testing.assert_array_equal(np.isfinite(case.back(result)), np.isfinite(y), str(case))
        results = BACKWARD[axes](g, x, w, **case.options())
        for name, result, wanted in zip(("grad_x", "grad_weight"), (case.back(results[0]), results[1]), gradients):
            np.testing.assert_array_equal(np.isfinite(result.reshape(wanted.shape)), np.isfinite(wanted),
                                          f"{name} {case}")


@pytest.mark.parametrize("axes", (1, 3))
def test_empty_batches(axes):
    x, w = np.ones((0, 2, *(5, 6, 7)[:axes]), np.float32), np.ones((3, 2, *(3, 3, 3)[:axes]), np.float32)
    y = FORWARD[axes](x, w, np.ones(3, np.float32), padding=1)
    assert y.shape == (0, 3, *x.shape[2:])
    grad_x, grad_weight, grad_bias = BACKWARD[axes](y, x, w, padding=1)
    assert grad_x.shape == x.shape and not grad_weight.any() and not grad_bias.any()
    assert PLANS[axes](x.shape, w, padding=1)(x).shape == y.shape


@pytest.mark.parametrize("axes", (1, 3))
def test_plans_are_copied_and_pickled(axes):
    x, w = np.ones((2, 2, *(5, 6, 7)[:axes]), np.float32), np.ones((3, 2, *(3, 3, 3)[:axes]), np.float32)
    plan = PLANS[axes](x.shape, w, padding=1, activation="tanh")
    wanted = plan(x)
    w[...] = 5
    for one in (plan, copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        np.testing.assert_array_equal(one(x), wanted)
        assert f"Conv{axes}dPlan" in repr(one) and one.x_shape == x.shape
    with pytest.raises(ValueError, match="x must have shape"):
        plan(x[:1])


@pytest.mark.parametrize(("axes", "layer"), [(1, nn.Conv1d), (3, nn.Conv3d)])
def test_layers(axes, layer, tmp_path):
    for options in ({}, {"stride": 2, "padding": 1, "padding_mode": "replicate"}, {"bias": False, "groups": 2},
                    {"data_format": FORMS[axes][1], "padding": "same"}):
        one = layer(4, 6, 3, dtype="float64", **options)
        shape = (2, *(7, 6, 5)[:axes], 4) if "data_format" in options else (2, 4, *(7, 6, 5)[:axes])
        x = np.random.default_rng(0).standard_normal(shape)
        y = one(x)
        settings = {name: value for name, value in options.items() if name != "bias"}
        bias = None if one.bias is None else one.bias.data
        np.testing.assert_array_equal(y, FORWARD[axes](x, one.weight.data, bias, **settings))
        grad_x = one.backward(np.ones_like(y))
        wanted = BACKWARD[axes](np.ones_like(y), x, one.weight.data, **settings)
        np.testing.assert_array_equal(grad_x, wanted[0])
        np.testing.assert_array_equal(one.weight.grad, wanted[1])
        model = nn.Sequential(one, nn.ReLU())
        np.testing.assert_array_equal(model(x), np.maximum(y, 0))
        fc.save(model, tmp_path / "model.safetensors")
        loaded = fc.load(tmp_path / "model.safetensors")
        np.testing.assert_array_equal(loaded.eval()(x), np.maximum(y, 0))
        assert repr(loaded) == repr(model) and pickle.loads(pickle.dumps(model))(x).shape == y.shape
        assert one.multiply_adds(y.shape[1:]) == y[0].size * one.weight.data[0].size
    with pytest.raises(ValueError, match="x must be a batch"):
        layer(4, 6, 3).predict(np.ones((4, *(7, 6, 5)[:axes]), np.float32))


@pytest.mark.parametrize("algorithm", ("auto", "winograd"))
@pytest.mark.parametrize("last", (False, True))
def test_loud_pixels_do_not_drown_others(last, algorithm):
    """A transform looks at the contrast: what it is not to be trusted with is added up anew."""
    case = Case((2, 16, 5, 21, 18), (16, 16, 3, 3, 3), (1, 1, 1), ((1, 1),) * 3, (1, 1, 1), channels_last=last)
    x, w, bias, _ = case.arrays(integers=False)
    x[0, 3, 2, 4, 5] = 1e6
    x[1, 0, 4, 20, 17] = np.nan
    with np.errstate(invalid="ignore"):
        wanted = np.maximum(volumes.conv3d(x, w, bias, **case.as_volumes()), 0)
    y = case.back(fc.conv3d(case.seen(x, np.float32), case.seen(w, np.float32, True), bias.astype(np.float32),
                            **case.options(), activation="relu", algorithm=algorithm))
    if algorithm == "auto":
        np.testing.assert_array_equal(np.isnan(y), np.isnan(wanted))
        quiet = ~np.isnan(wanted) & (np.abs(wanted) < 1e3)
        assert np.abs(y - wanted)[quiet].max() < 2e-4


LARGE = {    # sizes at which a block, a plane or filters are large
    "planes": ((1, 64, 4, 120, 120), (64, 64, 3, 3, 3), {"padding": 1}),
    "large planes of few channels": ((1, 2, 5, 900, 900), (2, 2, 2, 3, 3), {}),
    "large planes, reflected": ((2, 8, 3, 300, 300), (3, 8, 3, 5, 5), {"padding": 2, "padding_mode": "reflect"}),
    "many taps along the depth": ((1, 3, 60, 8, 8), (300, 3, 9, 3, 3), {"padding": 4}),
    "many channels": ((1, 3000, 2, 3, 3), (40, 3000, 3, 3, 3), {"padding": 1}),
    "many filters": ((1, 700, 3, 12, 12), (700, 700, 3, 3, 3), {"padding": 1}),
    "signal, many channels": ((1, 3000, 100), (300, 3000, 9), {"padding": 4}),
    "signal, many taps": ((1, 1, 70000), (4, 1, 5000), {"padding": 9}),
    "signal, far taps": ((3, 64, 9000), (64, 1, 3), {"groups": 64, "dilation": 512, "padding": 512}),
}


@pytest.mark.parametrize("name", LARGE)
def test_scratch_is_bounded(name):
    x_shape, weight_shape, options = LARGE[name]
    rng = np.random.default_rng(8)
    x, w = (rng.standard_normal(shape, np.float32) for shape in (x_shape, weight_shape))
    axes = len(x_shape) - 2
    depthwise.forget_layouts()
    with fc.num_threads(1):
        memory.scratch_taken()
        kept, _ = memory.scratch_taken()    # by plans of other tests
        y = FORWARD[axes](x, w, **options)
        taken = memory.scratch_taken()[1] - kept
        assert taken <= min(8 << 20, fc.explain(x_shape, weight_shape, **options).workspace + 4096)
        for i in range(3):
            BACKWARD[axes](y, x, w, **options, needs=tuple(j == i for j in range(3)))
            assert memory.scratch_taken()[1] <= 16 << 20


def test_items_of_a_batch_have_the_bits_of_the_batch_in_threads():
    case = EDGES["winograd"]
    x, w, bias, _ = case.arrays(integers=False)
    x, w = np.repeat(case.seen(x, np.float32), 3, axis=0), case.seen(w, np.float32, True)
    for threads, layout in itertools.product((1, 2, 3), ("NCDHW",)):
        with fc.num_threads(threads):
            y = fc.conv3d(x, w, padding=1, data_format=layout)
        np.testing.assert_array_equal(y[0], y[2])
