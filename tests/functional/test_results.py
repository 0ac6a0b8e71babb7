"""Results are ordinary arrays: they own their memory, whatever the layout, and behave as those that NumPy makes."""

import copy
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn
from fastconv._core.runtime import memory

DTYPES = [np.float32, np.float64]


@pytest.fixture(params=[None, 0], ids=["pool", "no pool"])
def pool(request):
    before = None if request.param is None else memory.set_pool_bound(request.param)
    yield
    if before is not None:
        memory.set_pool_bound(before)


def random(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# Views of results, as those of ravel and reshape are.
VIEWS = {"flatten", "flatten_backward"}


def parts(name, results):
    """Name, part -> each of several results."""
    return {f"{name}, {i}": result for i, result in enumerate(results)}


def of_poolings(axes, x, data_format):
    """Name -> result of the poolings of signals, images or volumes."""
    form, few = {"data_format": data_format}, {1: 2, 2: (2, 3), 3: (1, 2, 3)}[axes]
    window = {"kernel_size": {1: 2, 2: 2, 3: (1, 2, 2)}[axes], **form}

    def pool(name, *arguments, **options):
        return getattr(fc, name.replace("pool", f"pool{axes}d"))(*arguments, **options)

    pair, index = pool("max_pool", x, return_indices=True, **window)
    most, where = pool("adaptive_max_pool", x, few, return_indices=True, **form)
    whole, place = pool("global_max_pool", x, return_indices=True, **form)
    mean, adaptive, overall = (pool("avg_pool", x, **window), pool("adaptive_avg_pool", x, few, **form),
                               pool("global_avg_pool", x, **form))
    power = pool("lp_pool", x, 2, **window)
    apart = pool("max_unpool", pair, index, output_size=x.shape, **window)
    results = {
        "max_pool": pair, "max_pool, indices": index, "avg_pool": mean, "lp_pool": power, "max_unpool": apart,
        "adaptive_max_pool": most, "adaptive_max_pool, indices": where, "adaptive_avg_pool": adaptive,
        "global_max_pool": whole, "global_max_pool, indices": place, "global_avg_pool": overall,
        "max_pool_backward": pool("max_pool_backward", pair, index, x.shape, **window),
        "avg_pool_backward": pool("avg_pool_backward", mean, x.shape, **window),
        "lp_pool_backward": pool("lp_pool_backward", power, x, power, 2, **window),
        "max_unpool_backward": pool("max_unpool_backward", apart, index, **form),
        "adaptive_max_pool_backward": pool("adaptive_max_pool_backward", most, where, x.shape, few, **form),
        "adaptive_avg_pool_backward": pool("adaptive_avg_pool_backward", adaptive, x.shape, few, **form),
        "global_max_pool_backward": pool("global_max_pool_backward", whole, place, x.shape, **form),
        "global_avg_pool_backward": pool("global_avg_pool_backward", overall, x.shape, **form),
    }
    return {name.replace("pool", f"pool{axes}d"): result for name, result in results.items()}


def of_maps(x, data_format):
    """Name -> result of resizing and normalising images, and of adding them."""
    x = x if x.ndim == 4 else x[None]
    channels, form = x.shape[-3 if data_format == "NCHW" else -1], {"data_format": data_format}
    large, mean, var = fc.interpolate(x, (13, 11), **form), random(channels, x.dtype), random(channels, x.dtype)**2
    normal = fc.batch_norm(x, mean, var, **form)
    of_batch = fc.batch_norm_backward(normal, x, mean, var, mean, mean, **form)
    of_groups = fc.group_norm_backward(x, x, 1, mean, **form)
    of_layer = fc.layer_norm_backward(x, x, x.shape[-1], random(x.shape[-1], x.dtype))
    return {
        "add": fc.add(x, x), "interpolate": large,
        "interpolate_backward": fc.interpolate_backward(large, x.shape, (13, 11), **form),
        "batch_norm": normal, **parts("batch_norm_backward", of_batch),
        "group_norm": fc.group_norm(x, 1, **form), **parts("group_norm_backward", of_groups),
        "layer_norm": fc.layer_norm(x, x.shape[-1]), **parts("layer_norm_backward", of_layer),
    }


def of_images(x, data_format):
    """Name -> result of every operation on images, for a batch or one image."""
    dtype, channels = x.dtype, x.shape[-3 if data_format == "NCHW" else -1]
    weight, bias, form = random((6, channels, 3, 3), dtype), random(6, dtype), {"data_format": data_format}
    large = random((6, channels, 7, 7), dtype)
    y = fc.conv2d(x, weight, bias, padding=1, **form)
    grad_x, grad_weight, grad_bias = fc.conv2d_backward(y, x, weight, padding=1, **form)
    back = fc.conv_transpose2d_backward(x, y, weight, padding=1, **form)
    signal, rows = y[..., 0, :] if data_format == "NCHW" else y[..., 0, :, :], weight[:, :, 0]
    of_signals = {"data_format": data_format.replace("H", "").replace("W", "L")}
    volume, cube = y[..., None, :, :] if data_format == "NCHW" else y[..., None, :, :, :], weight[:, :, None]
    of_volumes = {"data_format": data_format.replace("H", "DH")}
    deeper = fc.conv_transpose3d(volume, cube, stride=2, **of_volumes)
    volume_back = fc.conv_transpose3d_backward(deeper, volume, cube, stride=2, **of_volumes)
    longer = fc.conv_transpose1d(signal, rows, stride=2, **of_signals)
    signal_back = fc.conv_transpose1d_backward(longer, signal, rows, stride=2, **of_signals)
    row, space = ((x[..., 0, :], x[..., None, :, :]) if data_format == "NCHW"
                  else (x[..., 0, :, :], x[..., None, :, :, :]))
    of_row, of_space = fc.conv1d(row, weight[:, :, 0], **of_signals), fc.conv3d(space, cube, **of_volumes)
    row_back = fc.conv1d_backward(of_row, row, weight[:, :, 0], **of_signals)
    space_back = fc.conv3d_backward(of_space, space, cube, **of_volumes)
    maximum, index = fc.max_pool2d(x, 3, stride=2, **form, return_indices=True)
    pair, pair_index = fc.max_pool2d(x, 2, **form, return_indices=True)
    mean = fc.avg_pool2d(x, 3, stride=1, padding=1, **form)
    most, where = fc.adaptive_max_pool2d(x, (2, 3), **form, return_indices=True)
    whole, place = fc.global_max_pool2d(x, **form, return_indices=True)
    adaptive, overall = fc.adaptive_avg_pool2d(x, (2, 3), **form), fc.global_avg_pool2d(x, **form)
    return {
        "conv2d": y, "conv2d_backward, x": grad_x, "conv2d_backward, weight": grad_weight,
        "conv2d_backward, bias": grad_bias,
        **{f"conv2d, {name}": fc.conv2d(x, large, algorithm=name, **form) for name in ("direct", "gemm", "fft")},
        "conv2d, winograd": fc.conv2d(x, weight, algorithm="winograd", **form),
        "conv2d, depthwise": fc.conv2d(x, weight[:channels, :1], groups=channels, **form),
        "plan_conv2d": fc.plan_conv2d(x.shape, weight, **form)(x), "max_pool2d": maximum, "max_pool2d, indices": index,
        "conv_transpose2d": fc.conv_transpose2d(y, weight, padding=1, **form),
        "conv_transpose2d, stride 2": fc.conv_transpose2d(y, weight, stride=2, padding="same", **form),
        "conv_transpose2d_backward, x": back[0], "conv_transpose2d_backward, weight": back[1],
        "conv_transpose2d_backward, bias": back[2],
        "conv_transpose1d": longer, "conv_transpose1d_backward, x": signal_back[0],
        "conv_transpose1d_backward, weight": signal_back[1], "conv_transpose1d_backward, bias": signal_back[2],
        "conv_transpose3d": deeper, "conv_transpose3d_backward, x": volume_back[0],
        "conv_transpose3d_backward, weight": volume_back[1], "conv_transpose3d_backward, bias": volume_back[2],
        "plan_conv_transpose3d": fc.plan_conv_transpose3d(volume.shape, cube, **of_volumes)(volume),
        "plan_conv_transpose1d": fc.plan_conv_transpose1d(signal.shape, rows, **of_signals)(signal),
        "plan_conv_transpose2d": fc.plan_conv_transpose2d(y.shape, weight, **form)(y),
        "max_pool2d, 2 x 2": pair, "max_pool2d, 2 x 2, indices": pair_index,
        "max_pool2d_backward": fc.max_pool2d_backward(maximum, index, x.shape, 3, stride=2, **form),
        "max_pool2d_backward, 2 x 2": fc.max_pool2d_backward(pair, pair_index, x.shape, 2, **form), "avg_pool2d": mean,
        "avg_pool2d, 2 x 2": fc.avg_pool2d(x, 2, **form),
        "avg_pool2d_backward": fc.avg_pool2d_backward(mean, x.shape, 3, stride=1, padding=1, **form),
        "adaptive_max_pool2d": most, "adaptive_max_pool2d, indices": where,
        "adaptive_max_pool2d_backward": fc.adaptive_max_pool2d_backward(most, where, x.shape, (2, 3), **form),
        "adaptive_avg_pool2d": adaptive,
        "adaptive_avg_pool2d_backward": fc.adaptive_avg_pool2d_backward(adaptive, x.shape, (2, 3), **form),
        "global_max_pool2d": whole, "global_max_pool2d, indices": place,
        "global_max_pool2d_backward": fc.global_max_pool2d_backward(whole, place, x.shape, **form),
        "global_avg_pool2d": overall,
        "global_avg_pool2d_backward": fc.global_avg_pool2d_backward(overall, x.shape, **form),
        "conv1d": of_row, **parts("conv1d_backward", row_back), "conv3d": of_space,
        **parts("conv3d_backward", space_back),
        "plan_conv1d": fc.plan_conv1d(row.shape, weight[:, :, 0], **of_signals)(row),
        "plan_conv3d": fc.plan_conv3d(space.shape, cube, **of_volumes)(space),
        **of_poolings(1, row, of_signals["data_format"]), **of_poolings(2, x, data_format),
        **of_poolings(3, space, of_volumes["data_format"]), **of_maps(x, data_format),
    }


def of_any_array(x):
    """Name -> result of every other operation."""
    weight, labels = random((5, x.shape[-1]), x.dtype), np.arange(len(x)) % x.shape[-1]
    y = fc.linear(x, weight, random(5, x.dtype))
    grad_x, grad_weight, grad_bias = fc.linear_backward(y, x, weight)
    results = {"linear": y, "linear_backward, x": grad_x, "linear_backward, weight": grad_weight,
               "linear_backward, bias": grad_bias}
    for name in ("relu", "leaky_relu", "sigmoid", "tanh", "softmax", "log_softmax"):
        results[name] = getattr(fc, name)(x)
        results[f"{name}_backward"] = getattr(fc, f"{name}_backward")(x, results[name])
    results["softmax, axis 0"] = fc.softmax(x, axis=0)
    for name in ("relu6", "elu", "gelu", "silu", "hardswish", "hardsigmoid", "softplus"):
        results[name] = getattr(fc, name)(x)
        results[f"{name}_backward"] = getattr(fc, f"{name}_backward")(x, x)
    results["prelu"] = fc.prelu(x, weight[0, :1])
    results |= parts("prelu_backward", fc.prelu_backward(x, x, weight[0, :1]))
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
        results[name] = getattr(fc, name)(x, x, reduction="none")
        results[f"{name}_backward"] = getattr(fc, f"{name}_backward")(x, x)
    if x.ndim == 2:
        results["nll_loss"] = fc.nll_loss(x, labels, reduction="none")
        results["nll_loss_backward"] = fc.nll_loss_backward(x, labels)
        results["cross_entropy"] = fc.cross_entropy(x, labels, reduction="none")
        results["cross_entropy_backward"] = fc.cross_entropy_backward(x, labels)
    return results


def test_all_operations_are_here():
    named = {name.split(",")[0] for name in {**of_images(random((2, 4, 9, 8)), "NCHW"), **of_any_array(random((4, 6)))}}
    operations = {name for name in fc.__all__ if callable(getattr(fc, name)) and name in vars(fc.functional)}
    assert operations - named == VIEWS | {"conv_output_size", "explain"}


def forms(x, data_format):
    """Arrays and views of the same image: with a layout of its own, or of another memory order."""
    yield "contiguous", np.ascontiguousarray(x if data_format == "NCHW" else np.moveaxis(x, -3, -1))
    yield "view", (np.ascontiguousarray(np.moveaxis(x, -3, -1)).transpose(*range(x.ndim - 3), -1, -3, -2)
                   if data_format == "NCHW" else np.moveaxis(x, -3, -1))
    doubled = np.repeat(x, 2, -1)[..., ::2]
    yield "strided", doubled if data_format == "NCHW" else np.moveaxis(doubled, -3, -1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
@pytest.mark.parametrize("shape",
                         [(2, 4, 9, 8), (4, 9, 8), (1, 4, 9, 8), (0, 4, 9, 8), (2, 1, 9, 8), (1, 8, 7)], ids=str)
def test_results_of_images_own_their_memory(shape, data_format, dtype, pool):
    contents = {}
    for form, x in forms(random(shape, dtype), data_format):
        for name, result in of_images(x, data_format).items():
            assert type(result) is np.ndarray and result.base is None, (form, name)
            assert (result.flags.owndata and result.flags.writeable and result.flags.c_contiguous
                    and result.flags.aligned), (form, name)
            assert result.ctypes.data % 64 == 0, (form, name)
            np.testing.assert_allclose(result, contents.setdefault(name, result), rtol=1e-3, atol=1e-3,
                                       err_msg=f"{form}, {name}")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 6), (2, 3, 6), (0, 6), (3, 1)], ids=str)
def test_other_results_own_their_memory(shape, dtype, pool):
    for x in (random(shape, dtype), random((*shape[:-1], 2 * shape[-1]), dtype)[..., ::2]):
        for name, result in of_any_array(x).items():
            assert type(result) is np.ndarray and result.flags.owndata and result.base is None, name
            assert result.flags.writeable and result.flags.c_contiguous, name
            assert result.ctypes.data % 64 == 0 or name in ("nll_loss", "cross_entropy"), name


def test_results_of_layers_own_their_memory(pool):
    x = random((2, 3, 12, 12))
    for model in (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)),
                  nn.Sequential(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(100, 5), nn.LogSoftmax())):
        for training in (True, False):
            model.train(training)
            y = model(x)
            assert y.flags.owndata and y.base is None
        model.train()
        grad = model.backward(np.ones_like(model(x)))
        assert grad.flags.owndata and grad.base is None


SIZES = [(3, 4), (2, 500, 500), (1, 3, 1024, 1024)]


def rectified(shape, dtype=np.float32):
    x = random(shape, dtype) + 3
    return np.maximum(x, 0), fc.relu(x)


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_resize_is_that_of_numpy(shape, pool):
    for size in (0, 1, 7, 12, 100, 250_000, 500_001, 4_000_000):
        wanted, y = rectified(shape)
        for new in ((size,), (1, size), shape):
            grown = np.zeros(int(np.prod(new)), np.float32)
            kept = min(grown.size, wanted.size)
            grown[:kept] = wanted.ravel()[:kept]
            wanted = grown.reshape(new)
            y.resize(new, refcheck=False)
            np.testing.assert_array_equal(y, wanted)
            assert y.flags.owndata and y.ctypes.data % 64 == 0
    wanted, y = rectified(shape)
    view = y[1:]
    with pytest.raises(ValueError, match="resize"):
        y.resize(y.size + 1)
    np.testing.assert_array_equal(view, wanted[1:])
    with pytest.raises(MemoryError):
        y.resize(1 << 58, refcheck=False)
    np.testing.assert_array_equal(y, wanted)


def test_what_is_freed_is_what_was_taken():
    """Whatever NumPy takes the array's size for by then: another shape or dtype, none of its elements, another size."""
    before = memory.set_pool_bound(0)    # empties the pool
    memory.set_pool_bound(before)
    for change in (lambda y: None, lambda y: y.resize(0, refcheck=False), lambda y: y.resize(10, refcheck=False),
                   lambda y: y.resize(300_000, refcheck=False), lambda y: y.__setstate__(np.ones(3).__reduce__()[2])):
        y = fc.relu(random((100, 100)))
        change(y)
        del y
    assert memory.pool_statistics()["bytes"] <= 40960 + 64 + 64 + 1_310_720
    for _ in range(3):
        results = [fc.relu(random((100, 100), seed=i)) for i in range(4)]
        for i, result in enumerate(results):
            np.testing.assert_array_equal(result, np.maximum(random((100, 100), seed=i), 0))


@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_memory_is_used_again_only_when_the_last_view_is_gone(shape, pool):
    wanted, y = rectified(shape)
    view = y[..., 1:]
    gone = weakref.ref(y)
    del y
    assert view.base is gone() and gone().flags.owndata
    others = [fc.relu(np.full(shape, i, np.float32)) for i in range(1, 4)]
    np.testing.assert_array_equal(view, wanted[..., 1:])
    assert not any(np.shares_memory(view, other) for other in others)
    del view
    assert gone() is None


def test_copies_and_pickles():
    wanted, y = rectified((3, 5))
    for other in (y.copy(), copy.copy(y), copy.deepcopy(y), pickle.loads(pickle.dumps(y)),
                  pickle.loads(pickle.dumps(y, 5)), np.array(y), y.astype(np.float64).astype(np.float32)):
        np.testing.assert_array_equal(other, wanted)
        assert other.flags.writeable and not np.shares_memory(other, y)


def test_a_result_can_be_locked_and_filled_again():
    x, weight = random((2, 3, 8, 8)), random((4, 3, 3, 3))
    y = fc.conv2d(x, weight)
    base = y
    while base.base is not None:
        base = base.base
    base.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        fc.conv2d(x, weight, out=y)
    y.flags.writeable = True
    y[...] = 0
    assert fc.conv2d(x, weight, out=y) is y
    np.testing.assert_array_equal(y, fc.conv2d(x, weight))


def test_exports_keep_the_memory():
    wanted, y = rectified((64, 1024))
    exported = np.from_dlpack(y), memoryview(y), np.asarray(memoryview(y))
    del y
    for i in range(4):
        fc.relu(np.full((64, 1024), i, np.float32))
    for other in exported:
        np.testing.assert_array_equal(other, wanted)


def test_a_tensor_keeps_the_memory():
    torch = pytest.importorskip("torch")
    wanted, y = rectified((64, 1024))
    tensors = torch.from_numpy(y), torch.from_dlpack(y)
    assert all(tensor.data_ptr() == y.ctypes.data for tensor in tensors)
    del y
    for i in range(4):
        fc.relu(np.full((64, 1024), i, np.float32))
    for tensor in tensors:
        np.testing.assert_array_equal(tensor.numpy(), wanted)


def test_tracemalloc_counts_results_as_numpys_arrays():
    x = random((256, 1024))
    tracemalloc.start()
    try:
        def traced():
            own = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)])
            return sum(trace.size for trace in own.traces)

        before = traced()
        y = fc.relu(x)
        assert traced() - before == x.nbytes
        y.resize((512, 1024), refcheck=False)
        assert traced() - before == 2 * x.nbytes
        del y
        assert traced() == before
    finally:
        tracemalloc.stop()
