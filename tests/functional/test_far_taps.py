"""Taps as far apart as options go, along each axis of signals, images and volumes: beside plain loops, at once, in
little memory. What such taps meet is worked out by arithmetic; nothing is walked over."""

import itertools
import time

import numpy as np
import pytest
from processes import peak_memory

import fastconv as fc

FAR = 2**31 - 1    # the largest padding, stride and dilation
MODES = ("reflect", "symmetric", "replicate", "circular")
GEOMETRIES = [(FAR, 1, 2), (FAR, FAR, 2), (1, FAR, 3), (2**30, 5, 3), (2**29 + 1, 2**29, 4)]    # stride, dilation, taps
SECONDS = 5


def pixel(position, size, mode):
    """The pixel that a position repeats, or None."""
    if 0 <= position < size:
        return position
    if mode == "constant":
        return None
    if mode == "replicate":
        return min(max(position, 0), size - 1)
    turn = {"reflect": [*range(size), *range(size - 2, 0, -1)], "circular": list(range(size)),
            "symmetric": [*range(size), *range(size - 1, -1, -1)]}[mode]
    return turn[position % len(turn)]


def meetings(size, taps, stride, dilation, pads, mode):
    """Of one axis: (output, tap, the pixel that they meet), and how many outputs there are."""
    outputs = (size + sum(pads) - dilation * (taps - 1) - 1) // stride + 1
    met = ((o, t, pixel(o * stride + t * dilation - pads[0], size, mode))
           for o in range(outputs) for t in range(taps))
    return [each for each in met if each[2] is not None], outputs


def plain(x, weight, grad_output, axes):
    """y, grad_x and grad_weight, each product by itself; axes: the meetings of each."""
    y, grad_x, grad_weight = np.zeros(grad_output.shape), np.zeros(x.shape), np.zeros(weight.shape)
    for met in itertools.product(*(each for each, _ in axes)):
        output, tap, source = ((slice(None), slice(None), *each) for each in zip(*met))
        y[output] += x[source] @ weight[tap].T
        grad_x[source] += grad_output[output] @ weight[tap]
        grad_weight[tap] += grad_output[output].T @ x[source]
    return y, grad_x, grad_weight


def case(rank, axis, size, geometry, mode, seed=0):
    """Arrays and options of which one axis is far, and the others are small, with padding where there is room."""
    stride, dilation, taps = geometry
    rng = np.random.default_rng(seed)
    sizes, counts, pads = [3] * rank, [2] * rank, [(1, 2)] * rank
    strides, dilations = [1] * rank, [1] * rank
    sizes[axis], counts[axis], pads[axis], strides[axis], dilations[axis] = size, taps, (FAR, FAR), stride, dilation
    x, weight = rng.standard_normal((2, 3, *sizes)), rng.standard_normal((4, 3, *counts))
    axes = [meetings(*of, mode) for of in zip(sizes, counts, strides, dilations, pads)]
    options = {"stride": tuple(strides), "dilation": tuple(dilations), "padding": tuple(pads), "padding_mode": mode}
    return x, weight, rng.standard_normal((2, 4, *(outputs for _, outputs in axes))), axes, options


@pytest.mark.parametrize("mode", ["constant", *MODES])
@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("rank, axis", [(1, 0), (2, 0), (3, 0), (3, 1), (3, 2)])
def test_convolutions(rank, axis, geometry, mode):
    forward, backward = getattr(fc, f"conv{rank}d"), getattr(fc, f"conv{rank}d_backward")
    for size in (1, 3):
        x, weight, grad_output, axes, options = case(rank, axis, size, geometry, mode)
        wanted, *wanted_gradients = plain(x, weight, grad_output, axes)
        begun = time.perf_counter()
        y = forward(x, weight, **options)
        gradients = backward(grad_output, x, weight, **options)
        assert time.perf_counter() - begun < SECONDS
        for got, each in zip((y, *gradients), (wanted, *wanted_gradients)):
            np.testing.assert_allclose(got, each, rtol=1e-12, atol=1e-12)
        if mode == "constant":    # the other way round
            begun = time.perf_counter()
            del options["padding_mode"]
            there = {"output_size": x.shape[2:], **options}
            transposed = getattr(fc, f"conv_transpose{rank}d")(grad_output, weight, **there)
            back = getattr(fc, f"conv_transpose{rank}d_backward")(x, grad_output, weight, **there)
            assert time.perf_counter() - begun < SECONDS
            np.testing.assert_allclose(transposed, wanted_gradients[0], rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(back[0], wanted, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(back[1], wanted_gradients[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rank, axis", [(1, 0), (2, 1), (3, 0), (3, 2)])
def test_filters_that_are_not_finite(rank, axis, mode):
    x, weight, grad_output, axes, options = case(rank, axis, 3, (1, FAR, 3), mode)
    weight[1, 2].flat[0] = np.nan
    wanted = plain(x, weight, grad_output, axes)[1]
    begun = time.perf_counter()
    grad_x = getattr(fc, f"conv{rank}d_backward")(grad_output, x, weight, **options)[0]
    assert time.perf_counter() - begun < SECONDS
    np.testing.assert_allclose(grad_x, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rank, axis", [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)])
@pytest.mark.parametrize("geometry", [(FAR, FAR, 2), (1, FAR, 3), (2**29 + 1, 2**29, 4)])
def test_poolings(geometry, rank, axis):
    """Each window holds one pixel at most; those without are refused, and so are averages of none."""
    stride, dilation, taps = geometry
    kernel, strides, dilations, pads, sizes = [1] * rank, [1] * rank, [1] * rank, [(0, 0)] * rank, [2] * rank
    kernel[axis], strides[axis], dilations[axis], sizes[axis] = taps, stride, dilation, 3
    pads[axis] = (dilation * ((taps - 1) // 2), dilation * ((taps - 1) // 2))
    x = np.random.default_rng(1).standard_normal((2, 3, *sizes))
    options = dict(stride=tuple(strides), dilation=tuple(dilations), padding=tuple(pads), wide_padding=True)
    met, outputs = meetings(3, taps, stride, dilation, pads[axis], "constant")
    if {o for o, _, _ in met} != set(range(outputs)) or outputs < 1:
        with pytest.raises(ValueError, match="padding|kernel_size"):
            getattr(fc, f"max_pool{rank}d")(x, tuple(kernel), **options)
        return
    pixels = [source for _, _, source in sorted(met)]
    begun = time.perf_counter()
    y, indices = getattr(fc, f"max_pool{rank}d")(x, tuple(kernel), return_indices=True, **options)
    grad_x = getattr(fc, f"max_pool{rank}d_backward")(y, indices, x.shape, tuple(kernel), **options)
    alone = getattr(fc, f"max_pool{rank}d")(x, tuple(kernel), **options)
    mean = getattr(fc, f"avg_pool{rank}d")(x, tuple(kernel), count_include_pad=False, **options)
    assert time.perf_counter() - begun < SECONDS
    np.testing.assert_array_equal(y, np.take(x, pixels, axis=2 + axis))
    np.testing.assert_array_equal(alone, y)
    np.testing.assert_array_equal(mean, y)
    wanted = np.zeros_like(x)
    for i, source in enumerate(pixels):
        at = (slice(None),) * (2 + axis)
        wanted[(*at, source)] += y[(*at, i)]
    np.testing.assert_array_equal(grad_x, wanted)


def test_memory():
    """Nothing is as large as the padding, or as the distance of taps."""
    prepare = """
        x, weight = np.ones((1, 1, 3, 1, 3), np.float32), np.ones((1, 1, 3, 1, 3), np.float32)
        far = 2**31 - 1
        options = dict(padding=((far, far), (0, 0), (far, far)), dilation=(far, 1, far))

        def call():
            for mode in ("reflect", "symmetric", "replicate", "circular"):
                y = fc.conv3d(x, weight, padding_mode=mode, **options)
                fc.conv3d_backward(y, x, weight, padding_mode=mode, **options)
    """
    assert peak_memory(prepare, "call()", threads=1) < 20
