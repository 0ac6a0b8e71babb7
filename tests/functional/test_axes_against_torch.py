"""Convolution, transposed convolution and pooling of one, two and three axes against PyTorch in float64: random
configurations, all options mixed, forward and backward, in both data formats, of views with any strides.

A short run by default; ``pytest -m slow`` compares 1,000 configurations of each function.
"""

import math
from typing import NamedTuple

import numpy as np
import pytest
import reference

import fastconv as fc

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
functional = torch.nn.functional

SHORT, LONG = 40, 1000
runs = pytest.mark.parametrize("count", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)])
FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
LARGEST = {1: 60, 2: 15, 3: 8}    # size of an image along each axis
LONGEST = {1: 9, 2: 5, 3: 4}      # filter
MODES = ("constant", "reflect", "replicate", "circular", "symmetric")
ACTIVATIONS = {None: lambda y: y, "relu": torch.relu, "leaky_relu": functional.leaky_relu, "sigmoid": torch.sigmoid,
               "tanh": torch.tanh}


def there_are(*names):
    """Those of these functions that the package has, as a parameter of a test."""
    return pytest.mark.parametrize("name", [name for name in names if name in fc.__all__])


class Case(NamedTuple):
    """One call; sizes are channels first whatever the data format, options as the functions take them."""

    axes: int
    x_shape: tuple
    weight_shape: tuple
    options: dict
    pads: tuple
    activation: str
    algorithm: str
    bias: bool
    last: bool
    batched: bool
    dtype: type
    seed: int


# ---------------------------------------------------------------------------------------------------------------------
# Drawing


def per_axis(rng, axes, low, high):
    """One number for all axes, or one for each."""
    if rng.random() < 0.5:
        return int(rng.integers(low, high))
    return tuple(int(each) for each in rng.integers(low, high, axes))


def each(value, axes):
    return (value,) * axes if isinstance(value, int) else tuple(value)


def draw_padding(rng, axes, high):
    form = rng.choice(["one", "each", "pairs", "same", "valid"], p=[0.35, 0.2, 0.25, 0.1, 0.1])
    if form == "one":
        return int(rng.integers(0, high))
    if form == "each":
        return tuple(int(side) for side in rng.integers(0, high, axes))
    if form == "pairs":
        return tuple(tuple(int(side) for side in of_axis) for of_axis in rng.integers(0, high, (axes, 2)))
    return str(form)


def in_full(padding, size, taps, stride, dilation):
    """Every form of padding -> a pair for each axis."""
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding == "same":
        totals = [max(0, (math.ceil(n / s) - 1) * s + d * (r - 1) + 1 - n)
                  for n, r, s, d in zip(size, taps, stride, dilation)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if isinstance(padding, int):
        return ((padding, padding),) * len(size)
    return tuple(side if isinstance(side, tuple) else (side, side) for side in padding)


def draw_channels(rng):
    kind = rng.choice(["dense", "groups", "depthwise"], p=[0.6, 0.2, 0.2])
    if kind == "dense":
        return 1, int(rng.integers(1, 20)), int(rng.integers(1, 20))
    groups = int(rng.integers(2, 7))
    if kind == "groups":
        return groups, groups * int(rng.integers(1, 5)), groups * int(rng.integers(1, 5))
    return groups, groups, groups * int(rng.integers(1, 3))


def draw(rng, axes, transposed, seed):
    while True:
        groups, c, k = draw_channels(rng)
        size = tuple(int(n) for n in rng.integers(1, LARGEST[axes] + 1, axes))
        taps = tuple(int(n) for n in rng.integers(1, LONGEST[axes] + 1, axes))
        stride, dilation = per_axis(rng, axes, 1, 4), per_axis(rng, axes, 1, 3)
        options = {"stride": stride, "dilation": dilation, "groups": groups}
        step, distance = each(stride, axes), each(dilation, axes)
        if transposed:
            padding = int(rng.integers(0, 3)) if rng.random() < 0.5 else tuple(
                tuple(int(side) for side in of_axis) for of_axis in rng.integers(0, 3, (axes, 2)))
            extra = tuple(int(rng.integers(0, s)) for s in step)
            options |= {"padding": padding, "output_padding": extra}
            pads = in_full(padding, size, taps, step, distance)
            outputs = [(n - 1) * s - sum(pad) + d * (r - 1) + more + 1
                       for n, r, s, d, pad, more in zip(size, taps, step, distance, pads, extra)]
            weight_shape = (c, k // groups, *taps)
        else:
            padding = draw_padding(rng, axes, 6)
            options |= {"padding": padding, "padding_mode": str(rng.choice(MODES, p=[0.4, 0.15, 0.15, 0.15, 0.15]))}
            if options["padding_mode"] == "constant" and rng.random() < 0.3:
                options["padding_value"] = float(rng.integers(-2, 3))
            pads = in_full(padding, size, taps, step, distance)
            outputs = [(n + sum(pad) - d * (r - 1) - 1) // s + 1
                       for n, r, s, d, pad in zip(size, taps, step, distance, pads)]
            weight_shape = (k, c // groups, *taps)
        if min(outputs) >= 1:
            break
    batched = bool(rng.random() < 0.8)
    images = int(rng.integers(0, 4)) if batched else 1
    return Case(axes, (images, c, *size), weight_shape, options, pads, (*ACTIVATIONS,)[rng.integers(0, 9) % 5],
                str(rng.choice(["auto", "auto", "auto", "direct", "gemm", "fft"])), bool(rng.random() < 0.6),
                bool(rng.random() < 0.4), batched, np.float32 if rng.random() < 0.5 else np.float64, seed)


def seen(rng, array):
    """The same numbers in memory of another order, apart, or backwards."""
    turned = (slice(None, None, -1),) * array.ndim
    kind = rng.integers(0, 5)
    if kind == 1:
        return np.ascontiguousarray(array[turned])[turned]
    if kind == 2:
        return np.repeat(array, 2, -1)[..., ::2]
    if kind == 3:
        return np.asfortranarray(array)
    if kind == 4:
        return np.pad(array, 1, constant_values=np.nan)[(slice(1, -1),) * array.ndim]
    return np.ascontiguousarray(array)


def formed(case, array):
    """An array (N, C, ...) as the call gets it: in its data format, one item or a batch."""
    array = array if case.batched else array[0]
    return np.moveaxis(array, -1 - case.axes, -1) if case.last else array


def first(case, array):
    """The way back."""
    array = np.moveaxis(array, -1, -1 - case.axes) if case.last else array
    return array if case.batched else array[None]


def call(function, case, *arrays, **options):
    """With an array for the result, or without, which must be the same; by another algorithm where that one does not
    serve."""
    try:
        y = function(*arrays, **options)
    except ValueError as error:
        assert "is not possible" in str(error), case
        return call(function, case, *arrays, **options | {"algorithm": "auto"})
    out = np.full(y.shape, np.nan, y.dtype)
    assert function(*arrays, **options, out=out) is out
    np.testing.assert_array_equal(out, y, err_msg=str(case))
    return y


def close(case, got, wanted, what, bound):
    assert got.dtype == case.dtype, case
    wanted = wanted.detach().numpy()
    assert got.shape == wanted.shape, f"{what}: {got.shape}, not {wanted.shape}, of {case}"
    error = np.linalg.norm(got - wanted)
    size = np.linalg.norm(wanted)
    assert error <= bound * max(size, 1e-30) or error <= bound * math.sqrt(wanted.size), (
        f"{what}: relative error {error / max(size, 1e-30):.2g} of {case}")


def tensor(array):
    return torch.tensor(np.ascontiguousarray(array), dtype=torch.float64, requires_grad=True)


def check(name, case, theirs):
    """The function and its gradients beside `theirs`, which computes y of tensors x and weight without the bias."""
    rng = np.random.default_rng(case.seed)
    k = case.weight_shape[1] * case.options["groups"] if "transpose" in name else case.weight_shape[0]
    x, weight, bias = (rng.standard_normal(shape).astype(case.dtype)
                       for shape in (case.x_shape, case.weight_shape, (k,)))
    tx, tw, tb = tensor(x), tensor(weight), tensor(bias)
    ty = theirs(tx, tw)
    grad_output = rng.standard_normal(tuple(ty.shape)).astype(case.dtype)
    if case.bias:
        ty = ty + tb.reshape(-1, *(1,) * case.axes)
    ty.backward(torch.tensor(grad_output, dtype=torch.float64))
    options = case.options | {"data_format": FORMATS[case.axes][case.last]}
    given, filters = seen(rng, formed(case, x)), seen(rng, weight)
    y = call(getattr(fc, name), case, given, filters, bias if case.bias else None, **options,
             activation=case.activation, algorithm=case.algorithm)
    double = case.dtype is np.float64
    close(case, first(case, y), ACTIVATIONS[case.activation](ty), "y", 1e-12 if double else 2e-5)
    gradients = getattr(fc, f"{name}_backward")(seen(rng, formed(case, grad_output)), given, filters, **options)
    bound = 1e-11 if double else 1e-5
    close(case, first(case, gradients[0]), tx.grad, "grad_x", bound)
    close(case, gradients[1], tw.grad, "grad_weight", bound)
    if case.bias:
        close(case, gradients[2], tb.grad, "grad_bias", bound)


# ---------------------------------------------------------------------------------------------------------------------
# Convolution


def padded(case, x):
    """x continued beyond its border: pixels that are repeated, by their index."""
    mode = case.options["padding_mode"]
    if mode == "constant":
        sides = [side for of_axis in reversed(case.pads) for side in of_axis]
        return functional.pad(x, sides, "constant", case.options.get("padding_value", 0.0))
    for axis, of_axis in enumerate(case.pads):
        x = x.index_select(2 + axis, torch.tensor(reference.sources(x.shape[2 + axis], of_axis, mode)))
    return x


@runs
@there_are("conv1d", "conv2d", "conv3d")
def test_convolution(name, count):
    axes = int(name[-2])
    rng = np.random.default_rng(axes)
    for seed in range(count):
        case = draw(rng, axes, False, seed)
        stride, dilation = each(case.options["stride"], axes), each(case.options["dilation"], axes)
        check(name, case, lambda x, weight, case=case, stride=stride, dilation=dilation: getattr(functional, name)(
            padded(case, x), weight, None, stride, 0, dilation, case.options["groups"]))


@runs
@there_are("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def test_transposed_convolution(name, count):
    axes = int(name[-2])
    rng = np.random.default_rng(10 + axes)
    for seed in range(count):
        case = draw(rng, axes, True, seed)
        stride, dilation = each(case.options["stride"], axes), each(case.options["dilation"], axes)

        def theirs(x, weight, case=case, stride=stride, dilation=dilation):
            """Without padding, filled up, and cut to what it leaves."""
            whole = getattr(functional, name)(x, weight, None, stride, 0, 0, case.options["groups"], dilation)
            filled = [side for more in reversed(case.options["output_padding"]) for side in (0, more)]
            cut = [-side for of_axis in reversed(case.pads) for side in of_axis]
            return functional.pad(functional.pad(whole, filled), cut)

        check(name, case, theirs)


# ---------------------------------------------------------------------------------------------------------------------
# Pooling


def draw_pool(rng, axes, seed):
    while True:
        size = tuple(int(n) for n in rng.integers(1, LARGEST[axes] + 1, axes))
        kernel, dilation = per_axis(rng, axes, 1, LONGEST[axes] + 1), per_axis(rng, axes, 1, 3)
        taps = each(kernel, axes)
        stride = None if rng.random() < 0.3 else per_axis(rng, axes, 1, 4)
        padding = tuple(int(rng.integers(0, n // 2 + 1)) for n in taps)
        if all(n + 2 * p >= d * (r - 1) + 1 and d < n
               for n, p, d, r in zip(size, padding, each(dilation, axes), taps)):
            break
    batched = bool(rng.random() < 0.8)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding if rng.random() < 0.5 or axes > 1 else (
        padding[0]), "ceil_mode": bool(rng.random() < 0.5)}
    shape = (int(rng.integers(0, 4)) if batched else 1, int(rng.integers(1, 20)), *size)
    return Case(axes, shape, None, options, (), None, "", False, bool(rng.random() < 0.4), batched,
                np.float32 if rng.random() < 0.5 else np.float64, seed), dilation


def check_pool(name, case, options, with_indices):
    rng = np.random.default_rng(case.seed)
    x = rng.integers(-4, 5, case.x_shape).astype(case.dtype)
    tx = tensor(x)
    more = {"return_indices": True} if with_indices else {}
    theirs = {"stride": options["stride"]} if "stride" in options else {}
    wanted = getattr(functional, name)(tx, **options | theirs, **more)
    ours = options | {"data_format": FORMATS[case.axes][case.last]}
    given = seen(rng, formed(case, x))
    size = {key: ours.pop(key) for key in ("kernel_size", "output_size") if key in ours}
    got = getattr(fc, name)(given, *size.values(), **ours, **more)
    ty = wanted[0] if with_indices else wanted
    y = got[0] if with_indices else got
    close(case, first(case, y), ty, "y", 1e-12 if case.dtype is np.float64 else 1e-6)
    grad_output = rng.standard_normal(tuple(ty.shape)).astype(case.dtype)
    ty.backward(torch.tensor(grad_output, dtype=torch.float64))
    before = [seen(rng, formed(case, grad_output))]
    if with_indices:
        np.testing.assert_array_equal(first(case, got[1]), wanted[1].numpy(), err_msg=str(case))
        before.append(got[1])
    grad_x = getattr(fc, f"{name}_backward")(*before, given.shape, *size.values(), **ours)
    close(case, first(case, grad_x), tx.grad, "grad_x", 1e-12 if case.dtype is np.float64 else 1e-5)


@runs
@there_are("max_pool1d", "max_pool2d", "max_pool3d")
def test_max_pooling(name, count):
    rng = np.random.default_rng(20 + int(name[-2]))
    for seed in range(count):
        case, dilation = draw_pool(rng, int(name[-2]), seed)
        check_pool(name, case, case.options | {"dilation": dilation}, True)


@runs
@there_are("avg_pool1d", "avg_pool2d", "avg_pool3d")
def test_average_pooling(name, count):
    rng = np.random.default_rng(30 + int(name[-2]))
    for seed in range(count):
        case, _ = draw_pool(rng, int(name[-2]), seed)
        options = case.options | {"count_include_pad": bool(rng.random() < 0.5)}
        taps = each(options["kernel_size"], case.axes)
        if case.axes == 3 and any(n < r for n, r in zip(case.x_shape[2:], taps)):
            continue    # PyTorch refuses, of three axes alone, a window that is larger than the image without padding
        check_pool(name, case, options, False)


@runs
@there_are(*(f"adaptive_{kind}_pool{axes}d" for kind in ("max", "avg") for axes in (1, 2, 3)))
def test_adaptive_pooling(name, count):
    axes = int(name[-2])
    rng = np.random.default_rng(40 + axes)
    for seed in range(count):
        case, _ = draw_pool(rng, axes, seed)
        check_pool(name, case, {"output_size": per_axis(rng, axes, 1, LARGEST[axes])}, "max" in name)
