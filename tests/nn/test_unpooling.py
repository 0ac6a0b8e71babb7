"""MaxUnpool layers and PoolUnpool: beside plain loops and PyTorch, forward, backward, in models, saved and loaded."""

import numpy as np
import pytest
from gradients import numeric_gradient

import fastconv as fc
from fastconv import nn

POOLS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
UNPOOLS = {1: nn.MaxUnpool1d, 2: nn.MaxUnpool2d, 3: nn.MaxUnpool3d}
FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def in_format(x, data_format):
    return x if data_format[1] == "C" else np.ascontiguousarray(np.moveaxis(x, 1, -1))


def back(x, data_format):
    return x if data_format[1] == "C" else np.moveaxis(x, -1, 1)


def scattered(x, indices, size):
    """The plain loop, channels second."""
    y = np.zeros((*x.shape[:2], int(np.prod(size))))
    for n, c in np.ndindex(*x.shape[:2]):
        for value, at in zip(x[n, c].ravel(), indices[n, c].ravel()):
            y[n, c, at] = value
    return y.reshape(*x.shape[:2], *size)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pool_and_unpool(rank, last):
    data_format, rng = FORMATS[rank][last], np.random.default_rng(rank)
    size = (7, 8, 6)[:rank]
    x = rng.standard_normal((2, 3, *size))
    pool = POOLS[rank](3, 2, 1, return_indices=True, data_format=data_format)
    unpool = UNPOOLS[rank](3, 2, 1, data_format=data_format)
    y, indices = pool(in_format(x, data_format))
    wanted, wanted_indices = getattr(fc, f"max_pool{rank}d")(x, 3, stride=2, padding=1, return_indices=True)
    np.testing.assert_array_equal(back(y, data_format), wanted)
    np.testing.assert_array_equal(back(indices, data_format), wanted_indices)
    z = unpool(y, indices, size)
    np.testing.assert_array_equal(back(z, data_format), scattered(wanted, wanted_indices, size))

    grad = rng.standard_normal((2, 3, *size))
    through = unpool.backward(in_format(grad, data_format))
    at = np.take_along_axis(grad.reshape(2, 3, -1), wanted_indices.reshape(2, 3, -1), axis=2)
    np.testing.assert_array_equal(back(through, data_format), at.reshape(wanted.shape))
    # The layer of the pooling has the gradient of its maxima.
    wanted_grad = getattr(fc, f"max_pool{rank}d_backward")(back(through, data_format), wanted_indices, x.shape, 3,
                                                            stride=2, padding=1)
    np.testing.assert_array_equal(back(pool.backward(through), data_format), wanted_grad)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_against_torch(rank):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(rank)
    for kernel, stride, padding in ((2, None, 0), (3, 2, 1), (2, 3, 0)):
        x = rng.standard_normal((2, 3, *(8, 9, 7)[:rank]))
        t = torch.tensor(x, requires_grad=True)
        theirs = getattr(torch.nn, f"MaxPool{rank}d")(kernel, stride, padding, return_indices=True)
        y, indices = theirs(t)
        z = getattr(torch.nn, f"MaxUnpool{rank}d")(kernel, stride, padding)(y * 3, indices, x.shape)
        grad = rng.standard_normal(z.shape)
        z.backward(torch.tensor(grad))
        pool = POOLS[rank](kernel, stride, padding, return_indices=True)
        unpool = UNPOOLS[rank](kernel, stride, padding)
        own, own_indices = pool(x)
        np.testing.assert_array_equal(own_indices, indices.numpy())
        np.testing.assert_allclose(unpool(own * 3, own_indices, x.shape), z.detach().numpy(), rtol=1e-15)
        np.testing.assert_allclose(pool.backward(unpool.backward(grad) * 3), t.grad.numpy(), rtol=1e-14)


def test_a_chain_that_goes_down_and_up_again():
    """Against the same written out, and against finite differences."""
    inner = nn.PoolUnpool(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, dtype="float64", rng=1),
                                                         nn.Tanh()))
    outer = nn.PoolUnpool(nn.MaxPool2d(3, 3, 1), nn.Sequential(
        nn.Conv2d(4, 4, 1, dtype="float64", rng=2), inner, nn.Conv2d(4, 4, 3, padding=1, dtype="float64", rng=3)))
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1, dtype="float64", rng=4), nn.Tanh(), outer,
                          nn.Conv2d(4, 1, 1, dtype="float64", rng=5))
    x = np.random.default_rng(0).standard_normal((2, 2, 9, 7))
    y = model(x)
    assert y.shape == (2, 1, 9, 7)
    a = model[1](model[0](x))
    b, first = fc.max_pool2d(a, 3, stride=3, padding=1, return_indices=True)
    c = outer.body[0](b)
    d, second = fc.max_pool2d(c, 2, return_indices=True)
    e = fc.max_unpool2d(inner.body(d), second, 2, output_size=c.shape[2:])
    f = fc.max_unpool2d(outer.body[2](e), first, 3, stride=3, padding=1, output_size=(9, 7))
    np.testing.assert_array_equal(model[3](f), y)
    np.testing.assert_array_equal(model.eval()(x), y)
    np.testing.assert_array_equal(model.predict_proba(x).shape, fc.softmax(y).shape)

    weights = np.random.default_rng(1).standard_normal(y.shape)
    model.train()
    model(x)
    grad_x = model.backward(weights)
    np.testing.assert_allclose(grad_x, numeric_gradient(lambda: (model.eval()(x) * weights).sum(), x), atol=1e-6)
    for name, parameter in model.named_parameters():
        wanted = numeric_gradient(lambda: (model.eval()(x) * weights).sum(), parameter.data)
        np.testing.assert_allclose(parameter.grad, wanted, atol=1e-6, err_msg=name)
    model.train()
    model.zero_grad()
    model(x)
    model.backward(weights, needs_input_grad=False)
    np.testing.assert_allclose(parameter.grad, wanted, atol=1e-6)


def test_saved_and_loaded(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.PoolUnpool(nn.MaxPool2d(2, ceil_mode=True),
                                                                       nn.Conv2d(4, 4, 3, padding=1)))
    fc.save(model, tmp_path / "model.safetensors")
    loaded = fc.load(tmp_path / "model.safetensors")
    x = np.random.default_rng(0).standard_normal((1, 3, 9, 5)).astype(np.float32)
    np.testing.assert_array_equal(loaded.eval()(x), model.eval()(x))
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.body.weight", "1.body.bias"]
    assert repr(loaded) == repr(model)
    assert "PoolUnpool(\n    (pool): MaxPool2d(2, ceil_mode=True)\n    (body): Conv2d(4, 4, 3, " in repr(model)
    assert repr(nn.MaxPool2d(2, return_indices=True)) == "MaxPool2d(2, return_indices=True)"
    assert repr(nn.MaxUnpool3d(2, 3, data_format="NDHWC")) == "MaxUnpool3d(2, stride=3, data_format='NDHWC')"


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks_in_a_chain(rank, channels_last):
    data_format, conv = FORMATS[rank][channels_last], {1: nn.Conv1d, 3: nn.Conv3d}[rank]
    model = nn.PoolUnpool(POOLS[rank](2, data_format=data_format), conv(2, 2, 1, data_format=data_format,
                                                                        dtype="float64", rng=0))
    x = in_format(np.random.default_rng(0).standard_normal((2, 2, *(5, 4, 6)[:rank])), data_format)
    y = model(x)
    assert y.shape == x.shape
    weights = np.cos(np.arange(y.size)).reshape(y.shape)
    grad_x = model.backward(weights)
    np.testing.assert_allclose(grad_x, numeric_gradient(lambda: (model.eval()(x) * weights).sum(), x), atol=1e-6)


@pytest.mark.parametrize("make, error, message", [
    (lambda: nn.MaxUnpool2d(0), ValueError, "kernel_size must be at least 1"),
    (lambda: nn.MaxUnpool2d(2, stride=1.5), TypeError, "stride must be an integer"),
    (lambda: nn.MaxUnpool1d((2, 2)), ValueError, "kernel_size must be one integer or 1"),
    (lambda: nn.MaxUnpool2d(2, padding=-1), ValueError, "padding must be at least 0"),
    (lambda: nn.MaxUnpool3d(2, data_format="NCHW"), ValueError, "data_format must be one of 'NCDHW', 'NDHWC'"),
    (lambda: nn.MaxPool2d(2, return_indices=1), TypeError, "return_indices must be True or False"),
    (lambda: nn.PoolUnpool(nn.AvgPool2d(2), nn.ReLU()), TypeError, "pool must be a MaxPool1d, MaxPool2d or MaxPool3d"),
    (lambda: nn.PoolUnpool(nn.MaxPool2d(2), fc.relu), TypeError, "body must be a fastconv.nn module"),
    (lambda: nn.PoolUnpool(nn.MaxPool2d(2, dilation=2), nn.ReLU()), ValueError, "pool must have no dilation"),
    (lambda: nn.PoolUnpool(nn.MaxPool2d(2, padding=((0, 1), (0, 1))), nn.ReLU()), ValueError, "as much padding before"),
    (lambda: nn.PoolUnpool(nn.MaxPool2d(2, padding="same"), nn.ReLU()), ValueError, "as much padding before"),
    (lambda: nn.PoolUnpool(nn.MaxPool2d(2), nn.Conv2d(3, 4, 1))(np.ones((1, 3, 4, 4), np.float32)), ValueError,
     r"body must give the shape that it is given, \(1, 3, 2, 2\), got \(1, 4, 2, 2\)"),
    (lambda: nn.MaxUnpool2d(2)(np.ones((1, 1, 2, 2))), TypeError, "indices must be those of a MaxPool2d"),
    (lambda: nn.Sequential(nn.MaxUnpool2d(2))(np.ones((1, 1, 2, 2))), TypeError, r"layer 0, .* nn.PoolUnpool"),
    (lambda: nn.MaxUnpool2d(2)(np.ones((1, 1, 2, 2)), np.full((1, 1, 2, 2), 99)), ValueError, "indices"),
    (lambda: nn.MaxUnpool2d(2).backward(np.ones((1, 1, 2, 2))), RuntimeError, "needs a forward pass"),
])
def test_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_nothing_is_written_outside_training():
    layer, unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)
    x = np.random.default_rng(0).standard_normal((1, 2, 4, 4))
    model = nn.PoolUnpool(nn.MaxPool2d(2), nn.ReLU())
    for module in (layer, unpool, model):
        module.eval()
    unpool(*layer(x))
    model(x)
    for module in (layer, unpool, model):
        with pytest.raises(RuntimeError, match="training mode"):
            module.backward(x)
