"""Normalisation against PyTorch in float64: hundreds of random calls, running statistics over several steps."""

import numpy as np
import pytest

import fastconv as fc

torch = pytest.importorskip("torch")

FORMATS = {2: ("NC",), 3: ("NCL", "NLC"), 4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}


def agree(got, wanted, dtype, floor=1.0):
    wanted = wanted.detach().numpy()
    assert got.shape == wanted.shape and got.dtype == dtype
    bound = 1e-12 if dtype == np.float64 else 4e-6
    assert np.linalg.norm(got - wanted) <= bound * max(np.linalg.norm(wanted), floor)


def drawn(rng):
    """Maps with the channels second, in a format that is told too, with strides of some kind; a gradient like them;
    weight and bias or None."""
    dtype = rng.choice([np.float32, np.float64])
    ndim = int(rng.integers(2, 6))
    shape = [int(rng.integers(1, 9)), int(rng.choice([1, 2, 3, 6, 8, 17, 32])),
             *(int(rng.integers(1, 12)) for _ in range(ndim - 2))]
    if shape[0] * np.prod(shape[2:]) == 1:
        shape[0] = 3
    data_format = FORMATS[ndim][int(rng.integers(len(FORMATS[ndim])))]
    maps = []
    for _ in range(2):
        array = (rng.standard_normal(shape) * rng.uniform(0.1, 3) + rng.uniform(-3, 3)).astype(dtype)
        if data_format[1] != "C":
            array = np.ascontiguousarray(np.moveaxis(array, 1, -1))
        if rng.random() < 0.3:
            axis = int(rng.integers(ndim))
            array = np.flip(np.flip(array, axis).copy(), axis)
        maps.append(array)
    affine = [rng.uniform(-2, 2, shape[1]).astype(dtype) if rng.random() < 0.6 else None for _ in range(2)]
    return maps, affine, data_format, shape[1]


def as_torch(array, grad=True):
    return None if array is None else torch.tensor(array.astype(np.float64).copy(), requires_grad=grad)


def second(tensor, data_format):
    return tensor if data_format[1] == "C" else tensor.movedim(-1, 1)


@pytest.mark.parametrize("seed", range(300))
def test_batch_norm(seed):
    rng = np.random.default_rng(seed)
    (x, grad), (weight, bias), data_format, channels = drawn(rng)
    training, eps, momentum = bool(rng.random() < 0.6), float(rng.choice([1e-5, 1e-3, 0.5])), float(rng.random())
    running = [rng.uniform(0.5, 2, channels).astype(x.dtype) for _ in range(2)]
    tx, tw, tb, *trunning = [as_torch(value) for value in (x, weight, bias)] + [as_torch(v, False) for v in running]
    ty = torch.nn.functional.batch_norm(second(tx, data_format), *trunning, tw, tb, training, momentum, eps)
    (ty * second(as_torch(grad, False), data_format)).sum().backward()
    known = rng.random() < 0.5
    options = dict(training=training, eps=eps, data_format=data_format)
    before = [value.copy() for value in running]
    y, statistics = fc.batch_norm(x, *running, weight, bias, momentum=momentum, return_statistics=True, **options)
    agree(second(torch.tensor(y), data_format).numpy(), ty, x.dtype)
    for ours, theirs in zip(running, trunning):
        agree(ours, theirs, x.dtype)
    back = fc.batch_norm_backward(grad, x, *before, weight, bias, statistics=statistics if known and training else None,
                                  **options)
    for got, leaf in zip(back, (tx, tw, tb)):
        if leaf is not None:
            agree(got, leaf.grad, x.dtype, np.sqrt(x.size))


@pytest.mark.parametrize("seed", range(200))
def test_group_norm(seed):
    rng = np.random.default_rng(1000 + seed)
    (x, grad), (weight, bias), data_format, channels = drawn(rng)
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    if x.size == groups * len(x) * 1 and len(x) == 1:
        groups = 1
    tx, tw, tb = (as_torch(value) for value in (x, weight, bias))
    ty = torch.native_group_norm(second(tx, data_format).contiguous(), tw, tb, len(x), channels,
                                 x.size // (len(x) * channels), groups, 1e-3)[0]
    (ty * second(as_torch(grad, False), data_format)).sum().backward()
    y = fc.group_norm(x, groups, weight, bias, eps=1e-3, data_format=data_format)
    agree(second(torch.tensor(y), data_format).numpy(), ty, x.dtype)
    back = fc.group_norm_backward(grad, x, groups, weight, eps=1e-3, data_format=data_format)
    for got, leaf in zip(back, (tx, tw, tb)):
        if leaf is not None:
            agree(got, leaf.grad, x.dtype, np.sqrt(x.size))


@pytest.mark.parametrize("seed", range(200))
def test_layer_norm(seed):
    rng = np.random.default_rng(2000 + seed)
    (x, grad), _, _, _ = drawn(rng)
    sizes = x.shape[-int(rng.integers(1, x.ndim + 1)):]
    weight, bias = (rng.uniform(-2, 2, sizes).astype(x.dtype) if rng.random() < 0.6 else None for _ in range(2))
    tx, tw, tb = (as_torch(value) for value in (x, weight, bias))
    ty = torch.nn.functional.layer_norm(tx, sizes, tw, tb, 1e-3)
    (ty * as_torch(grad, False)).sum().backward()
    agree(fc.layer_norm(x, sizes, weight, bias, eps=1e-3), ty, x.dtype)
    for got, leaf in zip(fc.layer_norm_backward(grad, x, sizes, weight, eps=1e-3), (tx, tw, tb)):
        if leaf is not None:
            agree(got, leaf.grad, x.dtype, np.sqrt(x.size))
