"""The numbers of a walk through a convolution or a pooling are the kernels', and explain them."""

import numpy as np
import pytest
import reference

import fastconv as fc
from fastconv import walk


def drawn(rng):
    """A random convolution of one image: its arrays and options."""
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, k = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 4))
    r, s = (int(n) for n in rng.integers(1, 5, 2))
    h, w = (int(n) for n in rng.integers(9, 14, 2))
    options = dict(stride=tuple(int(n) for n in rng.integers(1, 4, 2)),
                   dilation=tuple(int(n) for n in rng.integers(1, 3, 2)),
                   padding=tuple(tuple(int(n) for n in rng.integers(0, 4, 2)) for _ in range(2)),
                   padding_mode=str(rng.choice(["constant", "reflect", "symmetric", "replicate", "circular"])),
                   groups=groups)
    if options["padding_mode"] == "constant":
        options["padding_value"] = float(rng.choice([0.0, -1.5, 2.0]))
    dtype = rng.choice([np.float32, np.float64])
    x = rng.standard_normal((c, h, w)).astype(dtype)
    return x, rng.standard_normal((k, c // groups, r, s)).astype(dtype), rng.standard_normal(k).astype(dtype), options


@pytest.mark.parametrize("seed", range(40))
def test_a_cell_is_made_of_its_products(seed):
    rng = np.random.default_rng(seed)
    x, weight, bias, options = drawn(rng)
    seen = walk.convolution(x, weight, bias, activation="relu", **options)
    assert np.array_equal(seen.sums, fc.conv2d(x, weight, bias, algorithm="direct", **options))
    assert np.array_equal(seen.output, np.maximum(seen.sums, 0))
    value = options.get("padding_value", 0.0)
    assert np.array_equal(seen.padded, reference.pad(x[None], options["padding"], options["padding_mode"], value)[0])
    rounding = 1e-5 if x.dtype == np.float32 else 1e-13
    for _ in range(5):
        k, i, j = (int(rng.integers(n)) for n in seen.output.shape)
        cell = seen.cell(k, i, j)
        assert np.array_equal(cell.products, cell.patch * cell.weights)
        assert cell.value == seen.output[k, i, j] and cell.sum == seen.sums[k, i, j]
        assert abs(cell.total - cell.sum) <= rounding * (1 + abs(cell.products).sum())
        assert np.allclose(cell.channel_sums, seen.channel_maps[k, :, i, j], rtol=0,
                           atol=rounding * (1 + abs(cell.products).sum()))
        for channel, row, column in ((c, a, b) for c in range(len(cell.patch)) for a in range(weight.shape[2])
                                     for b in range(weight.shape[3])):
            place = i * options["stride"][0] + row * options["dilation"][0], \
                j * options["stride"][1] + column * options["dilation"][1]
            assert cell.patch[channel, row, column] == seen.padded[(seen.channels_of(k)[channel], *place)]


@pytest.mark.parametrize("seed", range(20))
def test_which_pixels_are_used_and_by_which_outputs(seed):
    x, weight, bias, options = drawn(np.random.default_rng(100 + seed))
    seen = walk.convolution(x, weight, bias, **options)
    counts = np.zeros(seen.padded.shape[1:], int)
    feeds = {}
    for i in range(seen.output.shape[1]):
        for j in range(seen.output.shape[2]):
            cell = seen.cell(0, i, j)
            for row in cell.rows:
                for column in cell.columns:
                    counts[row, column] += 1
                    feeds.setdefault((int(row), int(column)), []).append((i, j))
    assert np.array_equal(seen.uses, counts)
    for (row, column), outputs in feeds.items():
        assert seen.fed_by(row, column) == outputs
    assert np.array_equal(seen.rows.unvisited, np.flatnonzero(counts.sum(axis=1) == 0))
    assert np.array_equal(seen.columns.unvisited, np.flatnonzero(counts.sum(axis=0) == 0))
    inside = np.zeros(seen.padded.shape[1:], bool)
    (top, _), (left, _) = options["padding"]
    inside[top:top + x.shape[1], left:left + x.shape[2]] = True
    assert np.array_equal(seen.in_padding, ~inside)


def test_the_formula_says_what_it_computes():
    assert walk.output_size(28, 5, padding=2).formula == "(28 + 2*2 - 5)/1 + 1 = 28"
    assert walk.output_size(7, 3, stride=2, padding=(0, 1)).formula == "floor((7 + 0 + 1 - 3)/2) + 1 = 3"
    assert walk.output_size(9, 3, dilation=2).formula == "(9 + 2*0 - (2*(3 - 1) + 1))/1 + 1 = 5"
    for size in range(1, 12):
        for taps in range(1, size + 1):
            for stride in (1, 2, 3):
                one = walk.output_size(size, taps, stride)
                assert one.outputs == fc.conv_output_size(size, taps, stride)
                assert one.starts[-1] + taps + one.rest == size
    with pytest.raises(ValueError, match="kernel_size"):
        walk.output_size(3, 5)
    with pytest.raises(ValueError, match="padding must be an integer"):
        walk.output_size(8, 3, padding=(1, 2, 3))


def test_each_pixel_is_counted_as_often_as_windows_hold_it():
    for size, taps, stride, padding, dilation in ((1, 1, 1, 0, 1), (9, 3, 1, 0, 1), (9, 3, 4, 2, 1), (9, 3, 2, 1, 2),
                                                  (9, 2, 3, 0, 7), (9, 1, 2, 0, 100), (8, 8, 1, 3, 1)):
        one = walk.output_size(size, taps, stride, padding, dilation)
        held = [int(start) + tap * dilation for start in one.starts for tap in range(taps)]
        assert one.uses.tolist() == [held.count(pixel) for pixel in range(one.padded)]
    wide = walk.output_size(400_000, 200_000)  # not in as many steps as a window has taps
    assert wide.uses.max() == 200_000 and wide.uses.sum() == 200_000 * wide.outputs


def test_what_there_is_not():
    x, weight = np.ones((2, 5, 5), np.float32), np.ones((3, 2, 3, 3), np.float32)
    with pytest.raises(ValueError, match=r"x must be one image .* write x\[0\]"):
        walk.convolution(x[None], weight)
    with pytest.raises(ValueError, match=r"x must be one image .* write x\[None\]"):
        walk.convolution(x[0], weight)
    seen = walk.convolution(x, weight)
    for cell in ((3, 0, 0), (0, 3, 0), (0, 0, -1)):
        with pytest.raises(ValueError, match="must be at least 0 and less than 3"):
            seen.cell(*cell)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_windows_of_a_pooling(kind, ceil_mode):
    rng = np.random.default_rng(3)
    for _ in range(20):
        x = rng.standard_normal((2, int(rng.integers(5, 12)), int(rng.integers(5, 12)))).astype(np.float32)
        taps, stride = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        padding = int(rng.integers(0, taps // 2 + 1))
        seen = walk.pooling(x, taps, stride=stride, padding=padding, ceil_mode=ceil_mode, kind=kind)
        pool = fc.max_pool2d if kind == "max" else fc.avg_pool2d
        assert np.array_equal(seen.output, pool(x, taps, stride=stride, padding=padding, ceil_mode=ceil_mode))
        for _ in range(10):
            c, i, j = (int(rng.integers(n)) for n in seen.output.shape)
            window = seen.window(c, i, j)
            assert window.value == seen.output[c, i, j] and window.pixels.size
            if kind == "max":
                assert window.value == window.pixels.max() == x[c, window.winner[0], window.winner[1]]
                assert window.rows[0] <= window.winner[0] < window.rows[1]
            elif padding == 0 and window.pixels.shape == (taps, taps):
                assert np.isclose(window.value, window.pixels.mean(), atol=1e-6)
        assert seen.rows.formula.endswith(f"= {seen.output.shape[1]}")
    with pytest.raises(ValueError, match="kind"):
        walk.pooling(x, 2, kind="min")


@pytest.mark.parametrize("seed", range(20))
def test_a_filters_gradient_is_made_of_its_products(seed):
    rng = np.random.default_rng(200 + seed)
    x, weight, _, options = drawn(rng)
    grad_output = rng.standard_normal(fc.conv2d(x, weight, **options).shape).astype(x.dtype)
    seen = walk.convolution_backward(grad_output, x, weight, **options)
    expected = fc.conv2d_backward(grad_output, x, weight, **options)
    for array, other in zip((seen.grad_x, seen.grad_weight, seen.grad_bias), expected):
        assert np.array_equal(array, other)
    rounding = 1e-5 if x.dtype == np.float32 else 1e-13
    ahead = walk.convolution(x, weight, **options)
    for _ in range(5):
        place = tuple(int(rng.integers(n)) for n in weight.shape)
        tap = seen.tap(*place)
        k, channel, r, s = place
        assert np.array_equal(tap.products, tap.pixels * grad_output[k])
        assert tap.value == seen.grad_weight[place]
        assert abs(tap.total - tap.value) <= rounding * (1 + abs(tap.products).sum())
        for i, j in np.ndindex(*tap.pixels.shape):
            assert tap.pixels[i, j] == ahead.cell(k, i, j).patch[channel, r, s]


def test_a_weight_that_is_not_there():
    seen = walk.convolution_backward(np.ones((2, 2, 2)), np.ones((3, 4, 4)), np.ones((2, 3, 3, 3)))
    with pytest.raises(ValueError, match="channel must be at least 0 and less than 3, got 3"):
        seen.tap(0, 3, 0, 0)
    with pytest.raises(ValueError, match="one image"):
        walk.convolution_backward(np.ones((1, 2, 2, 2)), np.ones((1, 3, 4, 4)), np.ones((2, 3, 3, 3)))


def test_the_filters_are_everybodys():
    """Who changed one would change it for the page, the command line and all that come after."""
    for values in walk.FILTERS.values():
        with pytest.raises(ValueError, match="read-only"):
            values[0, 0] = 7
    with pytest.raises(TypeError):
        walk.FILTERS["blur"] = np.zeros((3, 3), np.float32)
    mine = walk.FILTERS["blur"].copy()
    mine *= 2
    np.testing.assert_allclose(walk.FILTERS["blur"].sum(), 1, rtol=1e-6)
