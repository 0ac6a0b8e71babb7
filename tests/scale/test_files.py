"""From file to file: memory maps, HDF5 data sets and Zarr arrays, and how much of them is in memory."""

import mmap

import numpy as np
import pytest
from processes import in_new_process

import fastconv as fc
from fastconv.scale.cutting import cut
from fastconv.scale.target import forget_pages

BOX = np.full((1, 1, 5, 5), 1 / 25, np.float32)
OPTIONS = dict(padding="same", padding_mode="reflect", algorithm="gemm")


def picture(rows=300, columns=200):
    return np.random.default_rng(0).integers(0, 256, (rows, columns), np.uint8)


def rounded(x):
    return np.rint(fc.conv2d(x.astype(np.float32)[None], BOX, **OPTIONS)[0]).clip(0, 255).astype(np.uint8)


def test_memory_maps(tmp_path):
    x = picture()
    np.save(tmp_path / "image.npy", x)
    source = np.load(tmp_path / "image.npy", mmap_mode="r")
    out = np.lib.format.open_memmap(tmp_path / "blurred.npy", "w+", np.uint8, x.shape)
    fc.blockwise(fc.conv2d, source, out, BOX, memory=50_000, **OPTIONS)
    del out
    np.testing.assert_array_equal(np.load(tmp_path / "blurred.npy"), rounded(x))


def test_a_private_map_keeps_its_changes(tmp_path):
    x = picture()
    x.tofile(tmp_path / "image")
    source = np.memmap(tmp_path / "image", np.uint8, "c", shape=x.shape)
    out = np.memmap(tmp_path / "image", np.uint8, "c", shape=x.shape)
    source[:100] = 7
    changed = np.array(source)
    with pytest.raises(ValueError, match="overlap"):
        fc.blockwise(fc.conv2d, source, out, BOX, **OPTIONS)
    (tmp_path / "out").write_bytes(bytes(x.size))
    out = np.memmap(tmp_path / "out", np.uint8, "c", shape=x.shape)
    fc.blockwise(fc.conv2d, source, out, BOX, memory=50_000, **OPTIONS)
    np.testing.assert_array_equal(source, changed)
    np.testing.assert_array_equal(out, rounded(changed))


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="this system has no madvise")
def test_pages_that_were_forgotten_come_back(tmp_path):
    written = np.memmap(tmp_path / "image", np.uint8, "w+", shape=(100, 100))
    written[:] = 5
    forget_pages(written[10:, 3])
    assert (written == 5).all()
    forget_pages(np.zeros(3))


@pytest.mark.adapters
@pytest.mark.parametrize("options", [{}, dict(chunks=(64, 50), compression="gzip")])
def test_hdf5(tmp_path, options):
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    x = picture()
    with h5py.File(tmp_path / "image.h5", "w") as file:
        source = file.create_dataset("image", data=x, **options)
        out = file.create_dataset("blurred", x.shape, np.uint8, **options)
        fc.blockwise(fc.conv2d, source, out, BOX, memory=100_000, state=tmp_path / "state", **OPTIONS)
        np.testing.assert_array_equal(out[:], rounded(x))


@pytest.mark.adapters
def test_zarr(tmp_path):
    zarr = pytest.importorskip("zarr", reason="Zarr is not installed")
    x = picture()
    source = zarr.create_array(tmp_path / "image.zarr", shape=x.shape, chunks=(64, 64), dtype=x.dtype)
    source[:] = x
    out = zarr.create_array(tmp_path / "blurred.zarr", shape=(1, *x.shape), chunks=(1, 32, 64), dtype=np.uint8)
    fc.blockwise(fc.conv2d, source, out, BOX, memory=120_000, **OPTIONS)
    np.testing.assert_array_equal(out[0], rounded(x))


@pytest.mark.adapters
@pytest.mark.parametrize("kind", ["h5py", "zarr"])
def test_the_result_may_not_be_the_image_opened_twice(tmp_path, kind):
    library, x = pytest.importorskip(kind, reason=f"{kind} is not installed"), picture()
    if kind == "h5py":
        file = library.File(tmp_path / "image.h5", "w")
        file["image"], file["other"] = x, np.zeros_like(x)
        one, two, other = file["image"], file["image"], file["other"]
    else:
        one = library.create_array(tmp_path / "image.zarr", shape=x.shape, chunks=(64, 64), dtype=x.dtype)
        other = library.create_array(tmp_path / "other.zarr", shape=x.shape, chunks=(64, 64), dtype=x.dtype)
        one[:], two = x, library.open_array(tmp_path / "image.zarr")
    with pytest.raises(ValueError, match="out must not overlap source"):
        fc.blockwise(fc.conv2d, one, two, BOX, memory=100_000, **OPTIONS)
    np.testing.assert_array_equal(one[:], x)
    fc.blockwise(fc.conv2d, one, other, BOX, memory=120_000, **OPTIONS)
    np.testing.assert_array_equal(other[:], rounded(x))


@pytest.mark.adapters
@pytest.mark.parametrize("kind", ["h5py", "zarr"])
def test_a_result_that_cannot_be_written_is_refused(tmp_path, kind):
    library, x, reads = pytest.importorskip(kind, reason=f"{kind} is not installed"), picture(), []
    if kind == "h5py":
        with library.File(tmp_path / "out.h5", "w") as file:
            file["out"] = x
        out = library.File(tmp_path / "out.h5", "r")["out"]
    else:
        library.create_array(tmp_path / "out.zarr", shape=x.shape, chunks=(64, 64), dtype=x.dtype)
        out = library.open_array(tmp_path / "out.zarr", mode="r")

    class Watched:
        shape, dtype, ndim = x.shape, x.dtype, 2

        def __getitem__(self, key):
            reads.append(key)
            return x[key]

    with pytest.raises(ValueError, match=r"out must be writable, got a read-only array: open its file with mode 'r\+'"):
        fc.blockwise(fc.conv2d, Watched(), out, BOX, memory=100_000, **OPTIONS)
    assert not reads


@pytest.mark.adapters
def test_a_file_that_is_closed(tmp_path):
    """Before the job, and meanwhile: with a state too the error is the one of the array that cannot be reached."""
    h5py, x = pytest.importorskip("h5py", reason="h5py is not installed"), picture()
    file = h5py.File(tmp_path / "image.h5", "w")
    source, out = file.create_dataset("image", data=x), file.create_dataset("out", x.shape, np.uint8)

    class Closing:
        shape, dtype, ndim, left = x.shape, x.dtype, 2, 3

        def __getitem__(self, key):
            self.left -= 1
            if not self.left:
                file.close()
            return x[key]

    with pytest.raises(RuntimeError, match="dataspace|dataset|identifier"):
        fc.blockwise(fc.conv2d, Closing(), out, BOX, memory=50_000, state=tmp_path / "state", **OPTIONS)
    for arrays, name in (((source, np.empty_like(x)), "source"), ((x, out), "out")):
        with pytest.raises(ValueError, match=f"{name} must be open, got a data set of an HDF5 file that is closed"):
            fc.blockwise(fc.conv2d, *arrays, BOX, **OPTIONS)


@pytest.mark.parametrize("dtype", ["<f4", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_order_of_bytes_and_axes(dtype, order):
    x = picture().astype(np.float32)
    expected = fc.conv2d(x[None], BOX, **OPTIONS)[0]
    out = np.empty(x.shape, dtype, order)
    fc.blockwise(fc.conv2d, np.asarray(x, dtype, order), out, BOX, memory=60_000, **OPTIONS)
    np.testing.assert_array_equal(out, expected)


def test_pieces_begin_at_the_chunks_of_out():
    class Chunked:
        shape, dtype, ndim, chunks = (300, 200), np.dtype(np.float32), 2, (32, 64)

    function = fc.functional.pieces.windowed(fc.conv2d, (300, 200), np.dtype(np.float32), (BOX,), OPTIONS)
    starts = [piece.outputs[0][0] for piece in cut(picture(), Chunked(), function, 150_000)]
    assert len(starts) > 4 and all(start % 32 == 0 for start in starts)


def test_the_memory_of_a_process_stays_small(tmp_path):
    """An image of 144 MB, 576 as floats: a process grows by little more than the memory that it may use."""
    grown = in_new_process("""
        import sys
        import numpy as np
        import fastconv as fc
        def peak():
            return int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
        shape = 12_000, 12_000
        source = np.memmap(sys.argv[1] + "/image", np.uint8, "w+", shape=shape)
        out = np.memmap(sys.argv[1] + "/out", np.uint8, "w+", shape=(6000, 6000))
        fc.blockwise(fc.max_pool2d, np.zeros((8, 8), np.float32), np.zeros((4, 4), np.float32), 2)
        before = peak()
        fc.blockwise(fc.max_pool2d, source, out, 2, memory=16 << 20)
        print(peak() - before)
    """, tmp_path)
    assert int(grown) < 40_000
