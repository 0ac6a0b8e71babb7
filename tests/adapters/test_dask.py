"""Dask's arrays: random graphs beside the whole image, borders, chunks, models, and a cluster."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

pytestmark = [pytest.mark.adapters, pytest.mark.dask]
pytest.importorskip("dask.array", reason="Dask is not installed")

import dask  # noqa: E402
import dask.array as da  # noqa: E402

import fastconv as fc  # noqa: E402
from fastconv import nn  # noqa: E402
from fastconv.adapters import dask as fast  # noqa: E402
from fastconv.functional.pieces import Windowed  # noqa: E402

MODES = ("constant", "reflect", "symmetric", "replicate", "circular")


def chunked(rng, array):
    """The array with up to three cuts along each axis."""
    chunks = []
    for size in array.shape:
        ends = sorted({0, size, *map(int, rng.integers(1, size + 1, rng.integers(0, 4)))})
        chunks.append(tuple(np.diff(ends).tolist()))
    return da.from_array(array, chunks=tuple(chunks))


def random_image(rng):
    """An image or a batch in one of the data formats, and what of it the function on the whole takes."""
    data_format, form = str(rng.choice(["NCHW", "NHWC"])), int(rng.integers(3))
    channels = int(rng.integers(1, 5)) if form else 1
    size = tuple(map(int, rng.integers(12, 60, 2)))
    shape = size if not form else (channels, *size) if data_format == "NCHW" else (*size, channels)
    if form == 2:
        shape = (int(rng.integers(1, 4)), *shape)
    x = rng.standard_normal(shape).astype(rng.choice(["f4", "f8"]))
    whole = x if form else x[None] if data_format == "NCHW" else x[..., None]
    return x, whole, channels, data_format


def window(rng):
    """Taps, stride, dilation, and padding of any width."""
    taps, stride, dilation = (tuple(map(int, rng.integers(1, most, 2))) for most in (6, 4, 3))
    widest = int(rng.choice([3, 20]))
    return taps, stride, dilation, tuple(tuple(map(int, rng.integers(0, widest, 2))) for _ in range(2))


def chunks(rng):
    return None if rng.random() < 0.4 else tuple(map(int, rng.integers(2, 20, 2)))


@pytest.mark.parametrize("seed", range(8))
def test_random_convolutions_have_the_bits_of_the_whole(seed):
    rng, graphs = np.random.default_rng(seed), 0
    while graphs < 15:
        x, whole, channels, data_format = random_image(rng)
        taps, stride, dilation, padding = window(rng)
        weight = rng.standard_normal((int(rng.integers(1, 4)), channels, *taps)).astype(x.dtype)
        mode = MODES[rng.integers(5)]
        options = dict(stride=stride, dilation=dilation, padding=padding, padding_mode=mode, data_format=data_format,
                       algorithm="gemm", padding_value=float(rng.integers(0, 3)) if mode == "constant" else 0.0)
        expected = fc.conv2d(whole, weight, **options)
        rows = len(expected.shape) - (3 if data_format == "NHWC" else 2)
        if 1 in expected.shape[rows:rows + 2]:    # which the whole computes in a form of its own
            continue
        y = fast.conv2d(chunked(rng, x), weight, chunks=chunks(rng), **options)
        assert y.shape == expected.shape and y.dtype == expected.dtype
        np.testing.assert_array_equal(y.compute(scheduler="sync"), expected)
        graphs += 1


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_random_poolings(seed, average):
    rng = np.random.default_rng(seed)
    for _ in range(15):
        x, whole, _, data_format = random_image(rng)
        taps, stride, dilation, padding = window(rng)
        reach = [(distance * (count - 1) + 1) // 2 for distance, count in zip(dilation, taps)]
        options = dict(stride=stride, dilation=dilation, ceil_mode=bool(rng.integers(2)), data_format=data_format,
                       padding=tuple((min(a, most), min(b, most)) for (a, b), most in zip(padding, reach)))
        if average:
            options["count_include_pad"] = bool(rng.integers(2))
        function, ours = (fc.avg_pool2d, fast.avg_pool2d) if average else (fc.max_pool2d, fast.max_pool2d)
        expected = function(whole, taps, **options)
        y = ours(chunked(rng, x), taps, chunks=chunks(rng), **options).compute(scheduler="sync")
        if average:
            np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-6)
        else:
            np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("algorithm", ["auto", "direct", "winograd", "fft"])
def test_other_algorithms_are_as_right(algorithm):
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((8, 100, 90)).astype(np.float32), rng.standard_normal((8, 8, 3, 3), np.float32)
    exact = fc.conv2d(x.astype(float), weight.astype(float), padding="same")
    y = fast.conv2d(da.from_array(x, chunks=(4, 33, 41)), weight, padding="same", algorithm=algorithm).compute()
    assert np.linalg.norm(y - exact) < 1e-6 * np.linalg.norm(exact)
    if algorithm == "winograd":    # chunks are put where its tiles begin
        np.testing.assert_array_equal(y, fc.conv2d(x, weight, padding="same", algorithm=algorithm))


def test_bias_groups_and_activation():
    rng = np.random.default_rng(4)
    x, weight, bias = rng.random((2, 6, 30, 40)), rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)
    options = dict(groups=2, activation="relu", padding=1, algorithm="gemm")
    y = fast.conv2d(da.from_array(x, chunks=(1, 2, 11, 13)), weight, bias, **options).compute()
    np.testing.assert_array_equal(y, fc.conv2d(x, weight, bias, **options))


@pytest.mark.parametrize("mode", ["reflect", "mirror", "nearest", "wrap", "constant", "grid-wrap"])
@pytest.mark.parametrize("size", [(3, 3), (4, 7), (1, 2)])
def test_correlate_is_scipys(mode, size):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    rng = np.random.default_rng(5)
    x, weights = rng.random((37, 29)), rng.standard_normal(size)
    y = fast.correlate(da.from_array(x, chunks=(10, 8)), weights, mode=mode, cval=2.0 * (mode == "constant"))
    expected = ndimage.correlate(x, weights, mode=mode, cval=2.0 * (mode == "constant"))
    np.testing.assert_allclose(y.compute(), expected, atol=1e-12)


def test_nothing_is_computed_before_it_is_asked_for(monkeypatch):
    pieces = []
    compute = Windowed.compute
    monkeypatch.setattr(Windowed, "compute", lambda *arguments: pieces.append(1) or compute(*arguments))
    x = da.ones((1, 90, 90), chunks=(1, 30, 30))
    y = fast.max_pool2d(x, 2, chunks=(10, 10))
    assert not pieces
    y[:, :10, :10].compute()
    assert len(pieces) == 1
    y.compute()
    assert len(pieces) == 1 + 25


def test_a_task_needs_the_chunks_that_its_windows_see():
    """Of the neighbours a part alone; of chunks beyond nothing."""
    asked = []

    def block(block_info=None):
        asked.append(block_info[None]["chunk-location"])
        return np.ones((1, 30, 30))

    x = da.map_blocks(block, dtype=float, chunks=((1,), (30,) * 5, (30,) * 5), meta=np.empty((0, 0, 0)))
    y = fast.conv2d(x, np.ones((1, 1, 3, 3)), padding=1, chunks=(30, 30))
    y[:, 60:90, 60:90].compute()
    assert sorted(asked) == [(0, i, j) for i in (1, 2, 3) for j in (1, 2, 3)]


def test_small_chunks_are_joined_and_large_ones_divided():
    weight = np.ones((1, 1, 3, 3), np.float32)
    x = da.zeros((1, 2000, 2000), dtype=np.float32, chunks=(1, 10, 10))
    assert 32 <= fast.conv2d(x, weight).npartitions < 1000
    x = da.zeros((1, 20_000, 20_000), dtype=np.float32, chunks=(1, 20_000, 20_000))
    y = fast.conv2d(x, weight)
    assert max(y.chunks[1]) * max(y.chunks[2]) < 16e6
    x = da.zeros((1, 3000, 3000), dtype=np.float32, chunks=(1, 1000, 1000))
    assert fast.max_pool2d(x, 2).chunks == ((1,), (500,) * 3, (500,) * 3)


@pytest.mark.parametrize("size", [2000, 3000, 3500])
def test_chunks_of_some_ten_megabytes_stay_as_they_are(size):
    """Divided they would be computed a little faster, but each part of one is a task and may have to travel."""
    x = da.zeros((1, 20_000, 20_000), dtype=np.float32, chunks=(1, size, size))
    y = fast.conv2d(x, np.ones((1, 1, 31, 31), np.float32), padding="same", padding_mode="reflect")
    assert y.chunks == x.chunks


@pytest.mark.parametrize("mode", MODES)
def test_the_edges_of_a_chunk_are_cut_by_one_task(mode):
    """A task a piece, one a chunk for its edges, and the filters; whatever stands outside the image."""
    x = da.zeros((1, 900, 900), dtype=np.float32, chunks=(1, 300, 300))
    y = fast.conv2d(x, np.ones((1, 1, 5, 5), np.float32), padding="same", padding_mode=mode, chunks=(300, 300))
    assert len(y.dask.layers[y.name]) == 9 + 9 + 1


def test_parts_that_are_no_edges_are_cut_one_by_one():
    """Nobody gets more of a chunk than it needs where that is much."""
    x = da.zeros((1, 400, 400), dtype=np.float32, chunks=(1, 400, 400))
    y = fast.conv2d(x, np.ones((1, 1, 5, 5), np.float32), padding="same", chunks=(100, 100))
    assert len(y.dask.layers[y.name]) == 16 + 16 + 1


def test_a_pooling_of_whole_chunks_is_part_of_the_task_before_it():
    x = da.zeros((1, 1200, 1200), dtype=np.float32, chunks=(1, 600, 600))
    y = fast.conv2d(x, np.ones((1, 1, 5, 5), np.float32), padding="same", padding_mode="reflect")
    (alone,), (with_pooling,) = dask.optimize(y), dask.optimize(fast.max_pool2d(y, 2))
    assert len(dict(with_pooling.dask)) == len(dict(alone.dask))


def test_small_parts_move_rather_than_whole_chunks():
    """Bands of whole rows would be computed a little faster, but most of each chunk would have to travel."""
    x = da.zeros((1, 8000, 8000), dtype=np.float32, chunks=(1, 2000, 2000))
    assert fast.conv2d(x, np.ones((1, 1, 31, 31), np.float32), padding="same").chunks == x.chunks


def test_a_task_has_one_thread_and_tasks_run_side_by_side(monkeypatch):
    """Two tasks wait for each other: they could not if one had to be done before the next begins."""
    threads, together = [], threading.Barrier(2, timeout=60)
    compute = Windowed.compute

    def watched(*arguments):
        threads.append(fc.get_num_threads())
        together.wait()
        return compute(*arguments)

    monkeypatch.setattr(Windowed, "compute", watched)
    x = da.ones((1, 64, 64), dtype=np.float32, chunks=(1, 32, 64))
    y = fast.conv2d(x, np.ones((1, 1, 3, 3), np.float32), chunks=(31, 62)).compute(scheduler="threads", num_workers=2)
    assert threads == [1, 1] and (y == 9).all()


def test_a_graph_has_one_name_for_the_same_call():
    x, weight = da.ones((1, 30, 30), chunks=(1, 10, 10)), np.ones((1, 1, 3, 3))
    assert fast.conv2d(x, weight).name == fast.conv2d(x, weight.copy()).name
    assert fast.conv2d(x, weight).name != fast.conv2d(x, 2 * weight).name
    assert fast.conv2d(x, weight).name != fast.conv2d(x, weight, padding=1).name


def test_weights_may_change_after_the_call():
    x, weight = da.ones((1, 30, 30), chunks=(1, 10, 10)), np.ones((1, 1, 3, 3))
    y = fast.conv2d(x, weight)
    weight[:] = 0
    assert (y.compute() == 9).all()


def model_of(rng):
    return nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(),
                         nn.Linear(4 * 36, 10, rng=rng))


def test_predict_is_the_model_in_evaluation_mode():
    rng = np.random.default_rng(6)
    model, x = model_of(rng), rng.random((50, 1, 8, 8), np.float32)
    with model.evaluating():
        expected = model(x)
    y = fast.predict(model, da.from_array(x, chunks=(7, 1, 5, 8)))
    assert y.chunks == ((7,) * 7 + (1,), (10,)) and y.dtype == np.float32
    for parameter in model.parameters():
        parameter.data[...] = 0    # it was copied
    np.testing.assert_allclose(y.compute(), expected, rtol=1e-4, atol=1e-6)
    assert model.training


def test_predict_takes_a_function():
    x = da.ones((10, 3, 4), chunks=(4, 3, 4))
    y = fast.predict(lambda images: images.sum(axis=(1, 2)), x)
    assert y.chunks == ((4, 4, 2),) and y.compute().tolist() == [12.0] * 10
    with pytest.raises(ValueError, match="model must return an output for each image"):
        fast.predict(lambda images: np.zeros(3), x)


@pytest.mark.parametrize("model", [lambda images: np.zeros((len(images), len(images))),
                                   lambda images: np.zeros(len(images), np.float32 if len(images) > 1 else float)])
def test_outputs_that_are_not_alike_are_noticed(model):
    """The array that was promised has one shape and dtype."""
    with pytest.raises(ValueError, match="model must return outputs that are alike"):
        fast.predict(model, da.ones((10, 3), chunks=4)).compute()


def test_counts():
    fast.report().reset()
    x = da.ones((20, 20), chunks=(8, 8))
    fast.correlate(x, [[1.0]])
    fast.max_pool2d(x, 2)
    fast.max_pool2d(x, 3)
    assert fast.report().served == {"correlate": 1, "max_pool2d": 2} and fast.report().handed_on == {}


@pytest.mark.parametrize("function", [lambda x: fast.conv2d(x, WEIGHT), lambda x: fast.max_pool2d(x, 2)])
@pytest.mark.parametrize("dtype", ["f8", "i4"])
def test_chunks_of_another_dtype_than_was_said_are_noticed(function, dtype):
    wrong = da.map_blocks(lambda chunk: chunk.astype(dtype), IMAGE, dtype=np.float32, meta=np.empty((0, 0, 0), "f4"))
    name = np.dtype(dtype).name
    with pytest.raises(TypeError, match=rf"float32, as x says, got {name}: .* map_blocks\(..., dtype=np.{name}\)"):
        function(wrong).compute(scheduler="sync")


@pytest.mark.parametrize("function", [lambda x: fast.conv2d(x, WEIGHT), lambda x: fast.max_pool2d(x, 2)])
def test_chunks_of_another_size_than_was_said_are_noticed(function):
    wrong = da.map_blocks(lambda chunk: chunk[:, :-1], IMAGE, dtype=np.float32, meta=np.empty((0, 0, 0), "f4"))
    with pytest.raises(ValueError, match="the chunks of x must be as large as x says"):
        function(wrong).compute(scheduler="sync")


@pytest.mark.parametrize("chunks", [(1, 20, 20), (1, 7, 20), (1, 1, 1)])
def test_big_endian_numbers_and_chunks_of_any_size(chunks):
    x = np.random.default_rng(7).random((1, 20, 20), np.float32)
    y = fast.conv2d(da.from_array(x.astype(">f4"), chunks=chunks), WEIGHT, padding=1, algorithm="gemm")
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y.compute(scheduler="sync"), fc.conv2d(x, WEIGHT, padding=1, algorithm="gemm"))


def test_a_chunk_may_be_empty():
    x = np.random.default_rng(8).random((1, 20, 20), np.float32)
    chunked = da.concatenate([*map(da.from_array, (x[:, :0], x[:, :9], x[:, 9:9], x[:, 9:]))], axis=1)
    np.testing.assert_array_equal(fast.max_pool2d(chunked, 3).compute(scheduler="sync"), fc.max_pool2d(x, 3))


IMAGE = da.ones((1, 20, 20), dtype=np.float32, chunks=(1, 8, 8))
WEIGHT = np.ones((1, 1, 3, 3), np.float32)


@pytest.mark.parametrize(("call", "error", "words"), [
    (lambda: fast.conv2d(np.ones((1, 20, 20)), WEIGHT), TypeError, "x must be a dask.array.Array"),
    (lambda: fast.conv2d(IMAGE.astype(int), WEIGHT), TypeError, r"x must be float32 or float64.*astype\(np.float32\)"),
    (lambda: fast.conv2d(IMAGE.astype(float), WEIGHT), TypeError, "one call has one dtype"),
    (lambda: fast.conv2d(IMAGE[:, IMAGE[0, :, 0] > 0], WEIGHT), ValueError, "x must have a known size"),
    (lambda: fast.conv2d(IMAGE, WEIGHT, stride=0), ValueError, "stride must be at least 1"),
    (lambda: fast.conv2d(IMAGE, WEIGHT, chunks=(0, 3)), ValueError, "chunks must be at least 1"),
    (lambda: fast.conv2d(IMAGE[:, :2], WEIGHT), ValueError, "weight does not fit into x"),
    (lambda: fast.max_pool2d(IMAGE, 3, padding=2), ValueError, "padding must be at most half"),
    (lambda: fast.correlate(IMAGE, np.ones((3, 3))), ValueError, r"x must be a plain image \(H, W\)"),
    (lambda: fast.correlate(IMAGE[0], np.ones(3, np.float32)), ValueError, "weights must have shape"),
    (lambda: fast.correlate(IMAGE[0], WEIGHT[0, 0], mode="same"), ValueError, "mode must be one of 'reflect'"),
    (lambda: fast.conv2d(IMAGE, None), TypeError, "weight must be an array, got None"),
    (lambda: fast.predict(lambda images: 3.0, IMAGE), ValueError, r"an output for each image, got shape \(\) for 1"),
    (lambda: fast.predict(3, IMAGE), TypeError, "model must be a fastconv.nn.Module or a function"),
    (lambda: fast.predict(np.sqrt, da.ones(3)), ValueError, "x must be images"),
])
def test_a_bad_call_is_refused_at_once(call, error, words):
    with pytest.raises(error, match=words):
        call()


CLUSTER = """
import os, sys
import dask.array as da
import numpy as np
import fastconv as fc
from dask.distributed import Client, LocalCluster
from fastconv.adapters import dask as fast

class Counted:
    def __init__(self, file):
        self.file = file

    def __setstate__(self, state):
        self.file = state["file"]
        with open(self.file, "a") as file:
            file.write(f"{os.getpid()}\\n")

    def __call__(self, images):
        return images.sum(axis=(1, 2)) + (fc.get_num_threads() - 1)

def main():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        rng = np.random.default_rng(0)
        x, weight = rng.random((3, 200, 150)), rng.standard_normal((2, 3, 5, 4))
        for mode in ("constant", "circular", "reflect"):
            options = dict(stride=(2, 3), padding=2, padding_mode=mode, algorithm="gemm")
            y = fast.conv2d(da.from_array(x, chunks=(2, 60, 47)), weight, chunks=(17, 13), **options)
            assert np.array_equal(y.compute(), fc.conv2d(x, weight, **options))
        y = fast.max_pool2d(da.from_array(x, chunks=(2, 60, 47)), 3, chunks=(17, 13)).compute()
        assert np.array_equal(y, fc.max_pool2d(x, 3))
        images = da.ones((60, 3, 4), chunks=(5, 3, 4))
        assert (fast.predict(Counted(sys.argv[1]), images).compute() == 12).all()
        read = open(sys.argv[1]).read().split()
        counts = [read.count(str(number)) for number in client.run(os.getpid).values()]
        assert max(counts) == 1, counts

if __name__ == "__main__":
    main()
"""


def test_a_cluster(tmp_path):
    """Two processes: the same bits, a model once in each, one thread a task."""
    pytest.importorskip("distributed", reason="distributed is not installed")
    (tmp_path / "cluster.py").write_text(CLUSTER)
    done = subprocess.run([sys.executable, tmp_path / "cluster.py", tmp_path / "read"], capture_output=True, text=True,
                          timeout=120, env={**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "True"})
    assert done.returncode == 0, done.stderr
