"""Calls of ever new geometries keep no more than a few MB: every cache is bounded."""

import sys

import pytest
from processes import in_new_process

GROWTH = """
    import os, sys
    os.environ["FASTCONV_POOL_MB"] = "0"  # recycled memory is bounded by itself
    import numpy as np
    import fastconv as fc

    fc.set_num_threads(2)
    first, calls = map(int, sys.argv[1:])
    rng = np.random.default_rng(0)
    FORMATS = ["NCHW", "NHWC"]

    def sizes(count, most):
        # Mostly small ones; their product is at most `most`.
        while True:
            drawn = [int(2 ** rng.uniform(0, 11)) if rng.random() < 0.5 else int(rng.integers(1, 40))
                     for _ in range(count)]
            if np.prod(drawn) <= most:
                return drawn

    def array(*shape):
        return np.zeros(shape, np.float32 if rng.random() < 0.8 else np.float64)

    def like(x, *shape):
        return np.zeros(shape, x.dtype)

    def image(most=1 << 18):
        n, c, h, w = sizes(4, most)
        data_format = FORMATS[rng.integers(2)]
        return array(n, c, h, w) if data_format == "NCHW" else array(n, h, w, c), (c, h, w), data_format

    def convolution():
        x, (c, h, w), data_format = image(1 << 16)
        groups = c if rng.random() < 0.3 else 1
        k = groups * int(rng.integers(1, 9))
        most = 70 if rng.random() < 0.1 else 8
        r, s = int(rng.integers(1, min(h, most) + 1)), int(rng.integers(1, min(w, most) + 1))
        if r * s > 100:
            x, k, groups, c = x[:1, :1, :, :] if data_format == "NCHW" else x[:1, :, :, :1], 1, 1, 1
        options = dict(padding=int(rng.integers(0, 3)), stride=int(rng.integers(1, 3)), groups=groups,
                       data_format=data_format)
        weight = like(x, k, c // groups, r, s)
        kind = rng.integers(5)
        if kind < 3:
            algorithm = ["auto", "direct", "gemm", "winograd", "fft"][rng.integers(5)]
            try:
                y = fc.conv2d(x, weight, like(x, k), algorithm=algorithm, **options)
            except ValueError:
                y = fc.conv2d(x, weight, **options)
            if kind == 2:
                fc.conv2d_backward(y, x, weight, **options)
        elif kind == 3:
            fc.plan_conv2d(x.shape, weight, **options)(x)
        else:
            fc.explain(x.shape, weight.shape, **options)

    def pooling():
        x, (_, h, w), data_format = image()
        window = dict(kernel_size=(int(rng.integers(1, h + 1)), int(rng.integers(1, w + 1))),
                      stride=int(rng.integers(1, 9)), ceil_mode=bool(rng.random() < 0.3), data_format=data_format)
        if max(np.prod(window["kernel_size"]) * x.size // window["stride"] ** 2, 1) > 1 << 24:
            window["stride"] = window["kernel_size"]
        if rng.random() < 0.5:
            y, indices = fc.max_pool2d(x, return_indices=True, **window)
            fc.max_pool2d_backward(y, indices, x.shape, **window)
        else:
            fc.avg_pool2d_backward(fc.avg_pool2d(x, **window), x.shape, **window)

    def adaptive():
        x, _, data_format = image()
        out = sizes(2, 1 << 12) if rng.random() < 0.7 else (1, 1)
        options = dict(output_size=out, data_format=data_format)
        if x.size // (x.shape[1] if data_format == "NCHW" else x.shape[3]) < 1 << 14:
            y, indices = fc.adaptive_max_pool2d(x, return_indices=True, **options)
            fc.adaptive_max_pool2d_backward(y, indices, x.shape, **options)
        y = fc.global_avg_pool2d(x, data_format=data_format)
        fc.global_avg_pool2d_backward(y, x.shape, data_format=data_format)
        fc.global_max_pool2d(x, data_format=data_format, return_indices=True)

    def pointwise():
        x = array(*sizes(int(rng.integers(1, 5)), 1 << 19))
        name = ["relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"][rng.integers(6)]
        getattr(fc, name + "_backward")(x, getattr(fc, name)(x))

    def layers():
        n, features, classes = sizes(3, 1 << 18)
        x, weight = array(n, features), None
        weight = like(x, classes, features)
        logits = fc.linear(x, weight, like(x, classes))
        fc.linear_backward(logits, x, weight)
        labels = rng.integers(0, classes, n)
        fc.cross_entropy(logits, labels), fc.cross_entropy_backward(logits, labels)
        fc.nll_loss_backward(fc.log_softmax(logits), labels)

    def other_ranks():
        # Signals, volumes and transposed convolutions of any rank, their gradients, plans and pooling.
        rank = int(rng.choice([1, 3]))
        transposed = rng.random() < 0.4
        if transposed:
            rank = int(rng.integers(1, 4))
        groups = int(rng.integers(1, 3))
        n, c, k = int(rng.integers(1, 3)), groups * int(rng.integers(1, 9)), groups * int(rng.integers(1, 9))
        size = sizes(rank, 1 << 12)
        window = [int(rng.integers(1, min(length, 5) + 1)) for length in size]
        stride = int(rng.integers(1, 4))
        x = array(n, c, *size)
        if transposed:
            weight = like(x, c, k // groups, *window)
            options = dict(stride=stride, groups=groups)
            y = getattr(fc, f"conv_transpose{rank}d")(x, weight, **options)
            getattr(fc, f"conv_transpose{rank}d_backward")(y, x, weight, **options)
            return
        weight = like(x, k, c // groups, *window)
        options = dict(stride=stride, groups=groups, padding=int(rng.integers(0, 2)))
        if rng.random() < 0.3:
            getattr(fc, f"plan_conv{rank}d")(x.shape, weight, **options)(x)
        y = getattr(fc, f"conv{rank}d")(x, weight, **options)
        getattr(fc, f"conv{rank}d_backward")(y, x, weight, **options)
        window = dict(kernel_size=tuple(window), stride=stride)
        y, indices = getattr(fc, f"max_pool{rank}d")(x, return_indices=True, **window)
        getattr(fc, f"max_pool{rank}d_backward")(y, indices, x.shape, **window)
        y = getattr(fc, f"avg_pool{rank}d")(x, **window)
        getattr(fc, f"avg_pool{rank}d_backward")(y, x.shape, **window)

    def resident():
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    for call in range(calls):
        if call == first:
            before = resident()
        [convolution, convolution, pooling, adaptive, pointwise, layers, other_ranks, other_ranks][call % 8]()
    print(resident() - before)
"""


def grown(first, calls):
    """MB that are resident after so many calls beyond what was after the first."""
    return float(in_new_process(GROWTH, first, calls))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_new_geometries_leave_nothing_behind():
    assert grown(200, 1000) <= 20


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_five_thousand_geometries():
    assert grown(500, 5500) <= 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_long_signals_leave_no_tables():
    assert float(in_new_process("""
        import numpy as np
        import fastconv as fc

        def resident():
            with open("/proc/self/statm") as numbers:
                return int(numbers.read().split()[1]) / 256

        x = np.ones((1, 1, 1, 300_200), np.float32)
        fc.max_pool2d(x, (1, 3), stride=1, return_indices=True)
        for i in range(101):
            if i == 1:
                before = resident()
            window = {"kernel_size": (1, 3), "stride": 1}
            y = fc.max_pool2d(x[..., : 300_000 + i], **window)
            fc.avg_pool2d_backward(fc.avg_pool2d(x[..., : 300_000 + i], **window), (1, 1, 1, 300_000 + i), **window)
            fc.adaptive_max_pool2d(x, (1, 1000 + i))
        print(resident() - before)
    """)) <= 8


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_results_leave_nothing_behind():
    assert float(in_new_process("""
        import os
        os.environ["FASTCONV_POOL_MB"] = "0"
        import numpy as np
        import fastconv as fc

        def resident():
            with open("/proc/self/statm") as numbers:
                return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

        x = np.ones(24 << 18, np.float32)
        fc.relu(x[:1000])
        before = resident()
        for mb in (24, 20, 16):  # malloc would take the second from its heap, as the first came back, and keep it
            fc.relu(x[: mb << 18])
        print(resident() - before)
    """)) <= 4
