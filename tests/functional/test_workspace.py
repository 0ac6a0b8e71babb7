"""Scratch is bounded: 8 MB a thread for a forward call, 16 for a backward call, whatever the problem;
and `explain` says what is taken."""

import math

import numpy as np
import pytest
import reference
from processes import in_new_process

import fastconv as fc
from fastconv._core.depthwise import forward as depthwise, weight_gradient as depthwise_gradient
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution, Epilogue, Window
from fastconv._core.product import forward as gemm, weight_gradient as gemm_gradient
from fastconv._core.runtime import memory

MB = 1 << 20
FORWARD, BACKWARD = 8 * MB, 16 * MB
ALGORITHMS = ("auto", "direct", "gemm", "fft")


def scale(rng, most):
    """Small numbers as likely as large ones."""
    return int(most ** rng.random())


def random_problem(rng, most_work):
    """Shapes and options for `explain`, of at most so many multiplications."""
    while True:
        kind = rng.choice(["plain", "grouped", "depthwise", "long", "tall", "huge filter", "wide", "winograd"])
        groups = scale(rng, 64) if kind == "grouped" else scale(rng, 4000) if kind == "depthwise" else 1
        c = 1 if kind == "depthwise" else scale(rng, 10**5 if kind == "wide" else 600)
        k = scale(rng, 5) if kind == "depthwise" else scale(rng, 10**5 if kind == "wide" else 600)
        size, taps = [scale(rng, 300) for _ in range(2)], [scale(rng, 9) for _ in range(2)]
        stride, dilation = ([int(rng.choice([1, 1, 1, 2, 3, 30])) for _ in range(2)] for _ in range(2))
        if kind in ("long", "tall"):
            axis = int(kind == "long")
            size[axis], taps[axis], c, k = scale(rng, 3 * 10**7), scale(rng, 10**6), scale(rng, 16), scale(rng, 16)
        elif kind == "huge filter":
            size, taps, c, k = ([scale(rng, 6000) for _ in range(2)], [scale(rng, 3000) for _ in range(2)],
                                scale(rng, 8), scale(rng, 8))
        elif kind == "wide":
            size, taps = [scale(rng, 30) for _ in range(2)], [scale(rng, 3) for _ in range(2)]
        elif kind == "winograd":
            (taps, stride), groups = WINOGRADS[rng.integers(3)], scale(rng, 4)
            dilation = [int(rng.choice([1, 2, 6]))] * 2 if stride == [1, 1] else [1, 1]
            c, k = (max(1, scale(rng, 4000) // groups) for _ in range(2))
        mode = str(rng.choice(["constant", "constant", "reflect", "replicate", "circular", "symmetric"]))
        most_padding = min(size) - 1 if mode != "constant" else max(taps)
        padding = tuple(tuple(scale(rng, min(most_padding, 50) + 1) - 1 for _ in range(2)) for _ in range(2))
        extent = [sum(padding[i]) + size[i] - dilation[i] * (taps[i] - 1) - 1 for i in range(2)]
        if min(extent) < 0:
            continue
        outputs = [extent[i] // stride[i] + 1 for i in range(2)]
        images = scale(rng, 40) if kind in ("plain", "grouped") else 1
        if images * groups * c * k * math.prod(taps) * math.prod(outputs) > most_work:
            continue
        nhwc = bool(rng.random() < 0.4)
        sizes = (images, *size, groups * c) if nhwc else (images, groups * c, *size)
        dtype = str(rng.choice(["float32", "float64"]))
        if math.prod(sizes) * 8 > 200 * MB or groups * c * k * math.prod(taps) * 8 > 200 * MB:
            if most_work < 10**12:    # to be computed
                continue
        algorithms = [*ALGORITHMS, "winograd"] if fits_winograd(taps, stride, dilation, mode) else ALGORITHMS
        yield sizes, (groups * k, c, *taps), {
            "stride": tuple(stride), "padding": padding, "dilation": tuple(dilation), "groups": groups,
            "padding_mode": mode, "data_format": "NHWC" if nhwc else "NCHW", "dtype": dtype,
            "algorithm": str(rng.choice(algorithms[-1:] if kind == "winograd" and rng.random() < 0.5 else algorithms))}


WINOGRADS = ([3, 3], [1, 1]), ([5, 5], [1, 1]), ([3, 3], [2, 2])


def fits_winograd(taps, stride, dilation, mode):
    if (taps, stride) not in WINOGRADS:
        return False
    return dilation == [1, 1] or (stride == [1, 1] and mode == "constant")


def problems(count, seed, most_work):
    found = random_problem(np.random.default_rng(seed), most_work)
    return [next(found) for _ in range(count)]


@pytest.mark.parametrize("threads", [1, 2])
def test_of_any_problem(threads):
    with fc.num_threads(threads):
        beyond = [(x, w, options, told.workspace / MB) for x, w, options in problems(500, 7, 10**15)
                  if (told := fc.explain(x, w, **options)).workspace > threads * FORWARD]
    assert beyond == []


def scratch_of(call):
    """Bytes that a call takes at a time, where it finds nothing that an earlier one has kept."""
    depthwise.forget_layouts()
    memory.scratch_taken()
    before, _ = memory.scratch_taken()
    call()
    return memory.scratch_taken()[1] - before


@pytest.mark.parametrize("threads", [1, 2])
def test_is_what_is_taken(threads):
    rng = np.random.default_rng(3)
    with fc.num_threads(threads):
        for x_shape, weight_shape, options in problems(100, 70 + threads, 10**8):
            told = fc.explain(x_shape, weight_shape, **options)
            dtype = options.pop("dtype")
            x, weight = (rng.standard_normal(shape, dtype) for shape in (x_shape, weight_shape))
            out = np.empty(told.output_shape, dtype)
            taken = scratch_of(lambda: fc.conv2d(x, weight, out=out, **options))
            if told.algorithm == "fft" and threads > 1:    # one thread may be done before the other begins
                assert taken <= told.workspace, (x_shape, weight_shape, options)
            else:
                assert taken == told.workspace, (x_shape, weight_shape, options)


VIEWS = {
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
}


@pytest.mark.parametrize("view", VIEWS)
def test_of_views(view):
    rng = np.random.default_rng(5)
    for x_shape, weight_shape, options in problems(40, 17, 10**7):
        told = fc.explain(x_shape, weight_shape, **options)
        dtype = options.pop("dtype")
        x, weight = (VIEWS[view](rng.standard_normal(shape, dtype)) for shape in (x_shape, weight_shape))
        out = np.empty(told.output_shape, dtype)
        assert scratch_of(lambda: fc.conv2d(x, weight, out=out, **options)) <= fc.get_num_threads() * FORWARD, (
            x_shape, weight_shape, options)


def test_of_backward_calls():
    rng = np.random.default_rng(9)
    for x_shape, weight_shape, options in problems(60, 90, 10**7):
        told = fc.explain(x_shape, weight_shape, **options)
        dtype, _ = options.pop("dtype"), options.pop("algorithm")
        x, weight, grad = (rng.standard_normal(shape, dtype) for shape in (x_shape, weight_shape, told.output_shape))
        assert scratch_of(lambda: fc.conv2d_backward(grad, x, weight, **options)) <= fc.get_num_threads() * BACKWARD, (
            x_shape, weight_shape, options)


# ---------------------------------------------------------------------------------------------------------------------
# Parts compute what the whole does, down to pieces of a few elements.


def in_parts(driver, weights_cost, pixels_cost):
    """conv2d and conv2d_weight_gradient of a driver whose scratch would be so much for each weight and each output."""

    def workspace(conv, alone=True):
        return weights_cost * conv.w.size + pixels_cost * conv.y.size

    def conv2d(conv):
        if workspace(conv) <= parts.FORWARD_BYTES:
            driver.conv2d(conv)
        else:
            parts.convolve(conv2d, workspace, conv)

    def weight_gradient(conv):
        if workspace(conv) <= parts.BACKWARD_BYTES:
            driver.conv2d_weight_gradient(conv)
        else:
            parts.weight_gradient(weight_gradient, workspace, conv)

    return conv2d, weight_gradient


@pytest.mark.parametrize("costs", [(1, 0), (0, 1), (1, 1), (3, 1)])
def test_parts_are_the_whole(costs, monkeypatch):
    monkeypatch.setattr(parts, "FORWARD_BYTES", 150)
    monkeypatch.setattr(parts, "BACKWARD_BYTES", 200)
    monkeypatch.setattr(parts, "SUM_BYTES", 4000)
    rng = np.random.default_rng(1)
    small = [(x, w, options) for x, w, options in problems(400, 31, 20000)
             if math.prod(w) < 3000 and math.prod(x) < 20000][:40]
    assert len(small) == 40
    for x_shape, weight_shape, options in small:
        x, weight = (rng.integers(-3, 4, shape).astype(options["dtype"]) for shape in (x_shape, weight_shape))
        last = options["data_format"] == "NHWC"
        x = x.transpose(0, 3, 1, 2) if last else x
        window = {name: options[name] for name in ("stride", "padding", "dilation", "groups", "padding_mode")}
        bias = rng.integers(-3, 4, weight_shape[:1]).astype(x.dtype)
        wanted = reference.conv2d(x, weight, bias, **window).astype(x.dtype)
        grad = rng.integers(-3, 4, wanted.shape).astype(x.dtype)
        y = VIEWS["channels last"](np.full_like(wanted, np.nan)) if last else np.full_like(wanted, np.nan)
        grad_weight = np.full_like(weight, np.nan)
        mode = parts.PADDING_MODES.index(options["padding_mode"])
        lie = Window(window["stride"], window["dilation"], (window["padding"][0][0], window["padding"][1][0]), mode)
        conv2d, _ = in_parts(depthwise if weight_shape[1] == 1 else gemm, *costs)
        conv2d(Convolution(x, weight, bias, y, lie, Epilogue(1)))
        np.testing.assert_array_equal(y, np.maximum(wanted, 0))
        _, weight_gradient = in_parts(depthwise_gradient if weight_shape[1] == 1 else gemm_gradient, *costs)
        weight_gradient(Convolution(x, grad_weight, None, grad, lie))
        np.testing.assert_array_equal(grad_weight, reference.conv2d_backward(grad, x, weight, **window)[1])


def test_bits_do_not_depend_on_threads():
    rng = np.random.default_rng(2)
    for x_shape, weight_shape in (((1, 1, 610, 630), (2, 1, 600, 610)), ((1, 1, 3, 1_500_000), (1, 1, 2, 5)),
                                  ((1, 300_000, 2, 2), (3, 300_000, 1, 1))):
        x, weight = rng.standard_normal(x_shape, np.float32), rng.standard_normal(weight_shape, np.float32)
        for algorithm in ("direct", "gemm", "fft"):
            results = []
            for threads in (1, 2, 3):
                with fc.num_threads(threads):
                    results.append(fc.conv2d(x, weight, algorithm=algorithm))
                np.testing.assert_array_equal(results[0], results[-1])
        gradients = []
        for threads in (1, 2, 3):
            with fc.num_threads(threads):
                gradients.append(fc.conv2d_backward(results[0], x, weight))
            for one, other in zip(gradients[0], gradients[-1]):
                np.testing.assert_array_equal(one, other)


def test_box_filter_of_millions_of_taps():
    rng = np.random.default_rng(0)
    x = rng.random((1, 1, 2010, 2010), np.float32)
    ones = np.ones((1, 1, 2000, 2000), np.float32)
    totals = np.pad(x[0, 0].astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    wanted = totals[2000:, 2000:] - totals[:-2000, 2000:] - totals[2000:, :-2000] + totals[:-2000, :-2000]
    for algorithm in ALGORITHMS:
        np.testing.assert_allclose(fc.conv2d(x, ones, algorithm=algorithm)[0, 0], wanted, rtol=1e-6)


def test_gradients_in_parts_are_bounded_and_right():
    rng = np.random.default_rng(4)
    x, w = rng.standard_normal((1, 1, 1, 10**6)), np.zeros((1, 1, 1, 3))
    grad = rng.standard_normal((1, 1, 1, 10**6 - 2))
    for driver in (depthwise_gradient, gemm_gradient):
        driver.conv2d_weight_gradient(Convolution(x, w, None, grad, Window()))
        np.testing.assert_allclose(w[0, 0, 0], [np.vdot(grad, x[..., i:i + 10**6 - 2]) for i in range(3)],
                                   rtol=1e-10, atol=1e-8)


def test_bounded_losses_are_right():
    rng = np.random.default_rng(8)
    for rows, classes in ((5000, 300), (3, 400_000)):
        logits, target = rng.standard_normal((rows, classes), np.float32), rng.integers(0, classes, rows)
        exact = logits.astype(np.float64)
        log_probs = exact - exact.max(1, keepdims=True)
        log_probs -= np.log(np.exp(log_probs).sum(1, keepdims=True))
        losses = -0.9 * log_probs[np.arange(rows), target] - 0.1 * log_probs.mean(1)
        np.testing.assert_allclose(fc.cross_entropy(logits, target, reduction="none", label_smoothing=0.1),
                                   losses, rtol=1e-5)
        np.testing.assert_allclose(fc.cross_entropy(logits, target, label_smoothing=0.1), losses.mean(), rtol=1e-5)
        np.testing.assert_allclose(fc.nll_loss(log_probs, target),
                                   -log_probs[np.arange(rows), target].mean(), rtol=1e-12)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("backward", [fc.softmax_backward, fc.log_softmax_backward])
def test_strided_softmax_gradients_are_right(backward, axis):
    rng = np.random.default_rng(6)
    grad, y = rng.standard_normal((500, 700)).T, -rng.random((500, 700)).T
    np.testing.assert_allclose(backward(grad, y, axis=axis), backward(grad.copy(), y.copy(), axis=axis),
                               rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("backward", [fc.relu_backward, fc.leaky_relu_backward, fc.sigmoid_backward, fc.tanh_backward])
def test_strided_activation_gradients_are_right(backward):
    rng = np.random.default_rng(6)
    grad, value = (rng.standard_normal((30, 40, 50, 60), np.float32) for _ in range(2))
    for a, b in ((grad.T, value.T), (grad.T.copy(), value.T), (grad[::2, ::-1], value[::2, ::-1])):
        np.testing.assert_array_equal(backward(a, b), backward(a.copy(), b.copy()))


def test_linear_of_unevenly_spaced_rows_is_right():
    rng = np.random.default_rng(3)
    x, grad = rng.standard_normal((300, 40, 130))[:, ::2], rng.standard_normal((300, 40, 50))[:, ::2]
    weight, bias = rng.standard_normal((50, 130)), rng.standard_normal(50)
    np.testing.assert_allclose(fc.linear(x, weight, bias), x @ weight.T + bias, rtol=1e-9, atol=1e-11)
    for result, wanted in zip(fc.linear_backward(grad, x, weight),
                              (grad @ weight, np.einsum("abk,abc->kc", grad, x), grad.sum((0, 1)))):
        np.testing.assert_allclose(result, wanted, rtol=1e-9, atol=1e-10)


def test_data_gradient_of_large_grouped_weights_is_right():
    rng = np.random.default_rng(5)
    x, weight = rng.integers(-3, 4, (1, 64, 3, 3)).astype(float), rng.integers(-3, 4, (4000, 32, 3, 3)).astype(float)
    grad = rng.integers(-3, 4, (1, 4000, 3, 3)).astype(float)
    whole, _, _ = fc.conv2d_backward(grad, x, weight, padding=1, groups=2, needs=(True, False, False))
    for group in range(2):
        c, k = slice(32 * group, 32 * group + 32), slice(2000 * group, 2000 * group + 2000)
        part, _, _ = fc.conv2d_backward(grad[:, k], x[:, c], weight[k], padding=1, needs=(True, False, False))
        np.testing.assert_array_equal(whole[:, c], part)


# ---------------------------------------------------------------------------------------------------------------------
# Peaks of memory, in processes of their own: what a call takes beyond its result, in MB.

PEAK = """
import ctypes
import numpy as np
import fastconv as fc
from fastconv._core.runtime import memory

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

fc.set_num_threads(1)
memory.set_pool_bound(0)
ctypes.CDLL(None).mallopt(-3, 1 << 16)  # M_MMAP_THRESHOLD: what is freed goes back at once, and counts again
ones = lambda *shape: np.ones(shape, np.float32)
{prepare}
fc.conv2d(ones(1, 1, 300, 300), ones(1, 1, 80, 80), algorithm="fft")
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
before = status("VmRSS")
result = {call}
results = result if isinstance(result, tuple) else (result,)
print(status("VmHWM") - before - sum(each.nbytes for each in results if isinstance(each, np.ndarray)) / 2**20)
"""

EXTREMES = {
    "filters of millions of taps": ("x, w = ones(1, 1, 3010, 3010), ones(1, 1, 3000, 3000)", "fc.conv2d(x, w)", 8),
    "the same, direct": ("x, w = ones(1, 1, 3003, 3003), ones(1, 1, 3000, 3000)",
                         "fc.conv2d(x, w, algorithm='direct')", 8),
    "the same, gemm": ("x, w = ones(1, 1, 3003, 3003), ones(1, 1, 3000, 3000)", "fc.conv2d(x, w, algorithm='gemm')", 8),
    "their gradient": ("x, w, g = ones(1, 1, 2003, 2003), ones(1, 1, 2000, 2000), ones(1, 1, 4, 4)",
                       "fc.conv2d_backward(g, x, w, needs=(False, True, True))", 16),
    "that of their images": ("x, w, g = ones(1, 1, 503, 503), ones(1, 1, 500, 500), ones(1, 1, 4, 4)",
                             "fc.conv2d_backward(g, x, w, needs=(True, False, False))", 16),
    "a row of 20 million pixels": ("x, w = ones(1, 1, 1, 20_000_000), ones(1, 1, 1, 3)", "fc.conv2d(x, w)", 8),
    "the same, large filter": ("x, w = ones(1, 1, 1, 20_000_000), ones(1, 1, 1, 5001)", "fc.conv2d(x, w)", 8),
    "the same, gradients": ("x, w, g = ones(1, 1, 1, 20_000_000), ones(1, 1, 1, 3), ones(1, 1, 1, 19_999_998)",
                            "fc.conv2d_backward(g, x, w)", 16),
    "the same, gradients of a large filter": ("x, w, g = ones(1, 1, 1, 1_000_000), ones(1, 1, 1, 1001), "
                                              "ones(1, 1, 1, 999_000)",
                                              "fc.conv2d_backward(g, x, w)", 16),
    "linear_backward": ("g, x, w = ones(500_000, 32), ones(500_000, 40), ones(32, 40)",
                        "fc.linear_backward(g, x, w)", 16),
    "linear of strided rows": ("x, w = ones(1000, 40, 2000)[:, ::2], ones(8, 2000)", "fc.linear(x, w)", 8),
    "linear_backward of strided rows": ("x, w, g = ones(1000, 40, 2000)[:, ::2], ones(8, 2000), ones(1000, 20, 8)",
                                        "fc.linear_backward(g, x, w)", 16),
    "relu_backward": ("x = ones(5000, 10000)", "fc.relu_backward(x.T, x.T)", 16),
    "sigmoid_backward": ("x, g = ones(5000, 10000), ones(10000, 5000)", "fc.sigmoid_backward(g, x.T)", 16),
    "softmax": ("x = ones(5000, 10000)", "fc.softmax(x.T, axis=0)", 8),
    "softmax_backward": ("x = ones(5000, 10000)", "fc.softmax_backward(x.T, x.T, axis=0)", 16),
    "log_softmax_backward": ("x = ones(5000, 10000)", "fc.log_softmax_backward(x.T, x.T, axis=1)", 16),
    "cross_entropy": ("x, t = ones(5000, 10000), np.zeros(5000, int)", "fc.cross_entropy(x, t)", 8),
    "cross_entropy of millions of classes": ("x, t = ones(2, 20_000_000), np.zeros(2, int)",
                                             "fc.cross_entropy(x, t, label_smoothing=0.1)", 8),
    "65536 filters": ("x, w = ones(1, 64, 8, 8), ones(65536, 64, 1, 1)", "fc.conv2d(x, w)", 8),
    "65536 filters, gradients": ("x, w, g = ones(1, 64, 8, 8), ones(65536, 64, 1, 1), ones(1, 65536, 8, 8)",
                                 "fc.conv2d_backward(g, x, w)", 16),
    "100,000 channels": ("x, w = ones(1, 100_000, 4, 4), ones(16, 100_000, 1, 1)", "fc.conv2d(x, w)", 8),
    "100,000 channels last": ("x, w = ones(1, 4, 4, 100_000), ones(16, 100_000, 3, 3)",
                              "fc.conv2d(x, w, data_format='NHWC')", 8),
    "100,000 channels, gradients": ("x, w, g = ones(1, 100_000, 4, 4), ones(16, 100_000, 1, 1), ones(1, 16, 4, 4)",
                                    "fc.conv2d_backward(g, x, w)", 16),
    "large grouped weights, gradients": ("x, w, g = ones(1, 4000, 3, 3), ones(4000, 2000, 1, 1), ones(1, 4000, 3, 3)",
                                         "fc.conv2d_backward(g, x, w, groups=2)", 16),
}
QUICK = ("a row of 20 million pixels", "linear_backward", "relu_backward", "65536 filters", "100,000 channels")
NUMPYS = 6   # MB of code and tables that are read for the first time, and of the allocator


@pytest.mark.parametrize("name",
                         [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in EXTREMES])
def test_peak(name):
    prepare, call, bound = EXTREMES[name]
    assert float(in_new_process(PEAK.format(prepare=prepare, call=call))) <= bound + NUMPYS
