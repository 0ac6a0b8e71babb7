"""Images whose rows are too long for memory: blocks of rows and columns, with the numbers of the whole."""

import numpy as np
import pytest
from pieces_of_images import MODES, filters, image, pieces_read
from processes import in_new_process

import fastconv as fc
from fastconv.scale import state
from fastconv.scale.cutting import cut


def pieces_of(shape, memory, function, *arguments, **options):
    """The pieces of a job on bytes, and what is known of it."""
    known = fc.functional.pieces.windowed(function, shape, np.dtype(np.float32), arguments, options)
    source, out = np.broadcast_to(np.uint8(0), shape), np.broadcast_to(np.float32(0), known.shape)
    return cut(source, out, known, memory), known


def assert_in_blocks(bands):
    """Rows are cut, and columns too."""
    assert len({rows for _, (rows, _) in bands}) > 1 and len({columns for _, (_, columns) in bands}) > 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("stride", "dilation", "padding"), [
    (1, 1, "same"), (2, 1, ((3, 0), (1, 4))), (3, 2, 2), (1, 3, "valid"), ((2, 3), (1, 2), ((5, 9), (0, 0))),
    (1, 1, ((2, 3), (40, 33)))])
def test_blocks_of_a_convolution_have_the_bits_of_the_whole(monkeypatch, mode, stride, dilation, padding):
    x, weight, bands = image((3, 31, 150)), filters(4, 3, 3, 5), pieces_read(monkeypatch)
    options = dict(stride=stride, dilation=dilation, padding=padding, padding_mode=mode, algorithm="gemm")
    expected = fc.conv2d(x.astype(np.float32), weight, **options)
    out = np.full_like(expected, np.nan)
    fc.blockwise(fc.conv2d, x, out, weight, memory=9_000, **options)
    np.testing.assert_array_equal(out, expected)
    assert_in_blocks(bands)


@pytest.mark.parametrize("seed", range(6))
def test_random_blocks(seed):
    """Of any form of image, with so little memory that blocks are of a few outputs."""
    rng, blocks = np.random.default_rng(seed), 0
    while blocks < 12:
        channels, form, last = int(rng.integers(1, 4)), int(rng.integers(3)), bool(rng.integers(2))
        size = tuple(map(int, rng.integers(1, 70, 2)))
        channels = channels if form else 1
        shape = size if not form else (*size, channels) if last else (channels, *size)
        shape = (2, *shape) if form == 2 else shape
        taps, stride, dilation = (tuple(map(int, rng.integers(1, most, 2))) for most in (5, 4, 3))
        padding = tuple(tuple(map(int, rng.integers(0, int(rng.choice([3, 20])), 2))) for _ in range(2))
        mode = MODES[rng.integers(5)]
        options = dict(stride=stride, dilation=dilation, padding=padding, padding_mode=mode, algorithm="gemm",
                       padding_value=float(rng.integers(0, 3)) if mode == "constant" else 0.0,
                       data_format="NHWC" if last else "NCHW")
        x, weight = image(shape), filters(2, channels, *taps)
        whole = x.astype(np.float32) if form else np.expand_dims(x.astype(np.float32), 2 if last else 0)
        try:
            expected = fc.conv2d(whole, weight, **options)
        except ValueError:    # the filter does not fit into the image
            continue
        out = np.full_like(expected, np.nan)
        try:
            fc.blockwise(fc.conv2d, x, out, weight, memory=int(rng.integers(2_000, 12_000)), **options)
        except ValueError as error:
            assert "memory must be at least" in str(error)
            continue
        np.testing.assert_array_equal(out, expected, err_msg=f"{shape} {taps} {options}")
        blocks += 1


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel_size", "stride", "padding", "dilation"), [
    (2, None, 0, 1), (3, 2, 1, 1), ((2, 5), (3, 1), ((1, 1), (2, 0)), 1), (3, 4, 2, 2), (7, 1, "same", 1)])
def test_blocks_of_a_maximum_and_an_average(monkeypatch, kernel_size, stride, padding, dilation, ceil_mode):
    x, bands = image((2, 33, 190)), pieces_read(monkeypatch)
    options = dict(stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    for function in (fc.max_pool2d, fc.avg_pool2d):
        expected = function(x.astype(np.float32), kernel_size, **options)
        out = fc.blockwise(function, x, np.empty_like(expected), kernel_size, memory=7_000, **options)
        np.testing.assert_allclose(out, expected, rtol=0 if function is fc.max_pool2d else 1e-6)
        assert_in_blocks(bands)


def test_blocks_begin_where_winograds_tiles_do(monkeypatch):
    x, weight, bands = filters(64, 30, 300), filters(64, 64, 3, 3), pieces_read(monkeypatch)
    options = dict(padding=1, algorithm="winograd")
    expected = fc.conv2d(x, weight, **options)
    for memory in (300_000, 444_444, 700_000):
        out = fc.blockwise(fc.conv2d, x, np.empty_like(expected), weight, memory=memory, **options)
        np.testing.assert_array_equal(out, expected)
    assert_in_blocks(bands)


@pytest.mark.parametrize("mode", MODES)
def test_blocks_of_volumes(monkeypatch, mode):
    x, weight, bands = image((1, 9, 10, 60)), filters(2, 1, 3, 3, 3), pieces_read(monkeypatch)
    options = dict(padding=1, padding_mode=mode, algorithm="gemm")
    expected = fc.conv3d(x.astype(np.float32), weight, **options)
    out = fc.blockwise(fc.conv3d, x, np.empty_like(expected), weight, memory=6_000, **options)
    np.testing.assert_array_equal(out, expected)
    assert len({columns for _, (_, _, columns) in bands}) > 1


@pytest.mark.parametrize("mode", MODES)
def test_blocks_of_a_function_of_ones_own(monkeypatch, mode):
    x, bands = image((20, 400)), pieces_read(monkeypatch)

    def steepness(block):
        return block[2:, 2:] - block[:-2, :-2]

    sides = {"replicate": "edge", "circular": "wrap"}.get(mode, mode)
    out = fc.blockwise(steepness, x, np.empty(x.shape, np.int16), memory=5_000,
                       window=fc.Window(3, padding=1, padding_mode=mode))
    np.testing.assert_array_equal(out, steepness(np.pad(x.astype(np.int16), 1, sides)))
    assert_in_blocks(bands)


def test_columns_of_ones_own_function_must_be_those_of_the_window():
    with pytest.raises(ValueError, match="out must have 2 axes, and 28 x 18 numbers from axis 0 on, as window says"):
        fc.blockwise(np.sqrt, np.zeros((30, 20)), np.zeros((28, 20)), window=fc.Window(3))


def test_whole_rows_are_taken_as_long_as_bands_are_no_less_than_their_windows():
    def columns(memory):
        return {piece.outputs[1] for piece in pieces_of((2000, 30_000), memory, fc.max_pool2d, 31, stride=1)[0]}

    assert columns(32 << 20) == {(0, 29_970)} and len(columns(16 << 20)) > 1


@pytest.mark.parametrize("shape", [(1, 10**9), (2_000, 5_000_000), (10**9, 1), (3, 2, 10**8), (10**8, 30)])
@pytest.mark.parametrize("taps", [1, 31])
def test_pieces_of_very_wide_images(shape, taps):
    """They are some thousands, take the memory that there is, and read no pixel many times."""
    memory = 128 << 20
    pieces, known = pieces_of(shape, memory, fc.conv2d, np.ones((1, shape[0] if len(shape) == 3 else 1, taps, taps),
                                                                np.float32), padding="same")
    channels, read = shape[0] if len(shape) == 3 else 1, 0
    for piece in pieces:
        seen = [len(axis.positions(*ends)) for axis, ends in zip(known.axes, piece.outputs)]
        inside = [span.stop - span.start for span in map(lambda axis, ends: axis.span(*ends), known.axes,
                                                         piece.outputs)]
        read += np.prod(inside)
        made = np.prod([last - first for first, last in piece.outputs])
        assert 2 * 4 * (channels * np.prod(inside) + made) <= memory and min(seen) >= 1
    assert len(pieces) < 4_000 and read < 1.6 * np.prod(shape[-2:])


def test_pieces_cover_the_result_within_the_memory():
    rng = np.random.default_rng(5)
    for _ in range(200):
        n, h, w, taps, stride = map(int, rng.integers(1, (5, 300, 40, 12, 5)))
        if taps > h or taps > w:
            continue
        memory = int(rng.integers(500, 200_000))
        try:
            pieces, known = pieces_of((n, 1, h, w), memory, fc.max_pool2d, taps, stride=stride)
        except ValueError as error:
            assert f"got {memory}" in str(error)
            assert 2 * 4 * ((2 * stride + taps) ** 2 + 9) > memory
            continue
        seen = np.zeros((n, *known.shape[2:]), int)
        for images, (rows, columns) in pieces:
            seen[images, slice(*rows), slice(*columns)] += 1
            count = len(range(*images.indices(n)))
            read = [len(axis.positions(*ends)) for axis, ends in zip(known.axes, (rows, columns))]
            made = [last - first for first, last in (rows, columns)]
            assert 2 * count * 4 * (np.prod(read) + np.prod(made)) <= memory
        assert (seen == 1).all()


def test_a_job_in_blocks_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "SECONDS", 0.0)
    x, weight, bands = image((40, 500)), filters(1, 1, 9, 9), pieces_read(monkeypatch)
    out = np.zeros(x.shape, np.float32)
    left, compute = iter(range(7)), fc.functional.pieces.Windowed.compute

    def interrupted(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return compute(self, *arguments)

    def run(out):
        return fc.blockwise(fc.conv2d, x, out, weight, padding="same", padding_mode="circular", memory=12_000,
                            state=tmp_path / "state")

    with monkeypatch.context() as patch:
        patch.setattr(fc.functional.pieces.Windowed, "compute", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(out)
    bands.clear()
    run(out)
    after = len(bands)
    whole = run(np.zeros_like(out))
    np.testing.assert_array_equal(out, whole)
    assert after == len(bands) - after - 7
    assert_in_blocks(bands)


@pytest.mark.adapters
def test_blocks_begin_at_the_chunks_of_a_zarr_array(tmp_path, monkeypatch):
    zarr = pytest.importorskip("zarr", reason="Zarr is not installed")
    x, weight, bands = image((50, 900)), filters(1, 1, 5, 5), pieces_read(monkeypatch)
    source = zarr.create_array(tmp_path / "image.zarr", shape=x.shape, chunks=(7, 13), dtype=x.dtype)
    source[:] = x
    out = zarr.create_array(tmp_path / "out.zarr", shape=x.shape, chunks=(8, 30), dtype=np.float32)
    options = dict(padding="same", padding_mode="symmetric", algorithm="gemm")
    fc.blockwise(fc.conv2d, source, out, weight, memory=40_000, **options)
    np.testing.assert_array_equal(out[:], fc.conv2d(x.astype(np.float32)[None], weight, **options)[0])
    assert_in_blocks(bands)
    assert all(rows[0] % 8 == columns[0] % 30 == 0 for _, (rows, columns) in bands)


@pytest.mark.parametrize("shape", [(1, 100_000_000), (20, 5_000_000)])
def test_the_memory_of_a_process_stays_small(tmp_path, shape):
    """100 million bytes, of which a row as floats takes more than the memory that there is."""
    grown = in_new_process("""
        import sys
        import numpy as np
        import fastconv as fc
        def peak():
            return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
        shape = int(sys.argv[2]), int(sys.argv[3])
        source = np.memmap(sys.argv[1] + "/image", np.uint8, "w+", shape=shape)
        out = np.memmap(sys.argv[1] + "/out", np.uint8, "w+", shape=(shape[0], shape[1] // 2))
        fc.blockwise(fc.max_pool2d, np.zeros((8, 8), np.float32), np.zeros((8, 4), np.float32), (1, 2))
        before = peak()
        fc.blockwise(fc.max_pool2d, source, out, (1, 2), memory=16 << 20)
        print(peak() - before)
    """, tmp_path, *map(str, shape))
    assert int(grown) < 40_000
