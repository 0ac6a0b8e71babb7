"""Sizes of zero: what they are taken for, and what is refused, beside PyTorch.

In one thing PyTorch is not followed: of no input channels it makes a result without channels, where a sum of nothing
and a bias is the bias.
"""

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

DTYPES = [np.float32, np.float64]


def ones(*shape, dtype=np.float64):
    return np.ones(shape, dtype)


def refused(call):
    with pytest.raises(ValueError) as caught:
        call()
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Convolution


@pytest.mark.parametrize("algorithm", ["auto", "direct", "gemm", "winograd", "fft"])
@pytest.mark.parametrize("x_shape", [(0, 3, 5, 6), (0, 3, 0, 6), (0, 3, 5, 0), (0, 0, 5, 6)])
def test_no_images(x_shape, algorithm):
    weight = ones(4, x_shape[1], 3, 3, dtype=np.float32)
    for last in (False, True):
        shape = (x_shape[0], *x_shape[2:], x_shape[1]) if last else x_shape
        form = {"data_format": "NHWC" if last else "NCHW"}
        x, bias = ones(*shape, dtype=np.float32), ones(4, dtype=np.float32)
        y = fc.conv2d(x, weight, bias, padding=2, algorithm=algorithm, **form)
        sizes = [size + 2 for size in x_shape[2:]]
        assert y.shape == ((0, *sizes, 4) if last else (0, 4, *sizes))
        assert fc.plan_conv2d(shape, weight, bias, padding=2, algorithm=algorithm, **form)(x).shape == y.shape
        found = fc.explain(shape, weight.shape, padding=2, algorithm=algorithm, **form)
        assert found.output_shape == y.shape and found.flops == found.workspace == 0 and str(found)
        grad_x, grad_weight, grad_bias = fc.conv2d_backward(y, x, weight, padding=2, **form)
        assert grad_x.shape == x.shape and not grad_weight.any() and not grad_bias.any()
        assert grad_weight.shape == weight.shape and grad_bias.shape == (4,)


@pytest.mark.parametrize("padding_mode", ["reflect", "symmetric", "replicate", "circular"])
def test_no_pixel_to_repeat(padding_mode):
    assert "padding must be 0 with padding_mode" in refused(
        lambda: fc.conv2d(ones(0, 3, 0, 6), ones(4, 3, 1, 1), padding=1, padding_mode=padding_mode))
    y = fc.conv2d(ones(0, 3, 0, 6), ones(4, 3, 2, 2), padding=((1, 1), (0, 0)))
    assert y.shape == (0, 4, 1, 5)


@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "gemm", "winograd", "fft"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_no_channels_give_the_bias(dtype, algorithm, activation):
    if algorithm == "winograd" and dtype is np.float64:
        return
    bias = np.array([-1.5, 0.0, 2.0, 30.0], dtype)
    weight = ones(4, 0, 3, 3, dtype=dtype)
    wanted = fc.conv2d(ones(1, 1, 1, 1, dtype=dtype), np.zeros((4, 1, 1, 1), dtype), bias, activation=activation)
    for x_shape, form, y_shape in (((2, 0, 5, 6), "NCHW", (2, 4, 5, 6)), ((2, 5, 6, 0), "NHWC", (2, 5, 6, 4)),
                                   ((0, 5, 6), "NCHW", (4, 5, 6)), ((5, 6, 0), "NHWC", (5, 6, 4))):
        options = {"padding": 1, "data_format": form}
        more = options | {"activation": activation, "algorithm": algorithm}
        x = ones(*x_shape, dtype=dtype)
        y = fc.conv2d(x, weight, bias, **more)
        assert y.shape == y_shape and y.dtype == dtype
        of_bias = wanted.reshape(4) if form == "NHWC" else wanted.reshape(4, 1, 1)
        np.testing.assert_array_equal(y, np.broadcast_to(of_bias, y_shape))
        np.testing.assert_array_equal(fc.plan_conv2d(x_shape, weight, bias, **more)(x), y)
        out = np.full(y_shape, np.nan, dtype)
        np.testing.assert_array_equal(fc.conv2d(x, weight, bias, **more, out=out), y)
        assert out is not y and not np.isnan(out).any()
        if activation is None:
            assert not fc.conv2d(x, weight, **more).any()
        grad_x, grad_weight, grad_bias = fc.conv2d_backward(ones(*y_shape, dtype=dtype), x, weight, **options)
        assert grad_x.shape == x_shape and grad_weight.shape == weight.shape
        np.testing.assert_array_equal(grad_bias, np.full(4, y.size // 4, dtype))
        found = fc.explain(x_shape, weight.shape, **options, dtype=np.dtype(dtype).name)
        assert found.output_shape == y_shape and found.flops == found.workspace == 0 and str(found)


@pytest.mark.parametrize("padding_mode", ["constant", "reflect"])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("axes, forms", [(1, ("NCL", "NLC")), (3, ("NCDHW", "NDHWC"))])
def test_no_channels_of_signals_and_volumes(axes, forms, activation, padding_mode):
    size, bias = (5, 6, 7)[:axes], np.array([-1.5, 0.0, 2.0, 30.0])
    weight, options = ones(4, 0, *(3,) * axes), {"stride": 2, "padding": 1, "padding_mode": padding_mode}
    wanted = bias if activation is None else fc.sigmoid(bias)
    for form, x_shape in zip(forms, ((2, 0, *size), (2, *size, 0))):
        x, more = ones(*x_shape), {"data_format": form, "activation": activation, **options}
        y = getattr(fc, f"conv{axes}d")(x, weight, bias, **more)
        channel = form.index("C")
        assert y.ndim == axes + 2 and y.shape[channel] == 4
        np.testing.assert_array_equal(np.moveaxis(y, channel, -1), np.broadcast_to(wanted, (2, *(3, 3, 4)[:axes], 4)))
        np.testing.assert_array_equal(getattr(fc, f"plan_conv{axes}d")(x_shape, weight, bias, **more)(x), y)
        grads = getattr(fc, f"conv{axes}d_backward")(np.ones_like(y), x, weight, data_format=form, **options)
        assert grads[0].shape == x_shape and grads[1].shape == weight.shape
        np.testing.assert_array_equal(grads[2], np.full(4, y.size // 4))


def test_no_channels_in_groups():
    y = fc.conv2d(ones(2, 0, 5, 5), ones(4, 0, 3, 3), np.arange(4.0), groups=2)
    assert y.shape == (2, 4, 3, 3) and (y == np.arange(4.0)[:, None, None]).all()


REFUSED = [
    ((2, 3, 0, 5), (4, 3, 3, 3), 2), ((2, 3, 5, 0), (4, 3, 3, 3), 2), ((2, 3, 0, 5), (4, 3, 3, 3), 0),
    ((2, 3, 5, 5), (0, 3, 3, 3), 0), ((0, 3, 5, 5), (0, 3, 3, 3), 0), ((2, 3, 5, 5), (4, 3, 0, 3), 0),
    ((2, 3, 5, 5), (4, 0, 3, 3), 0), ((2, 0, 5, 5), (4, 3, 3, 3), 0), ((2, 0, 5, 5), (0, 0, 3, 3), 0),
]


@pytest.mark.parametrize("x_shape, weight_shape, padding", REFUSED)
def test_refused(x_shape, weight_shape, padding):
    refused(lambda: fc.conv2d(ones(*x_shape), ones(*weight_shape), padding=padding))
    refused(lambda: fc.plan_conv2d(x_shape, ones(*weight_shape), padding=padding))
    refused(lambda: fc.explain(x_shape, weight_shape, padding=padding))
    refused(lambda: fc.conv2d_backward(ones(2, 4, 3, 3), ones(*x_shape), ones(*weight_shape), padding=padding))


@pytest.mark.parametrize("x_shape, weight_shape, padding", REFUSED)
def test_pytorch_refuses_the_same(x_shape, weight_shape, padding):
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError):
        torch.nn.functional.conv2d(torch.ones(x_shape).double(), torch.ones(weight_shape).double(), padding=padding)


# ---------------------------------------------------------------------------------------------------------------------
# Pooling: a batch may be empty, nothing else


@pytest.mark.parametrize("x_shape", [(2, 0, 6, 6), (2, 3, 0, 6), (2, 3, 6, 0), (0, 3, 0, 6), (0, 0, 6, 6), (0, 6, 6)])
def test_pooling_wants_channels_and_pixels(x_shape):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for ours, theirs in ((fc.max_pool2d, functional.max_pool2d), (fc.avg_pool2d, functional.avg_pool2d)):
        refused(lambda ours=ours: ours(ones(*x_shape), 3, stride=1, padding=1))
        with pytest.raises(RuntimeError):
            theirs(torch.ones(x_shape), 3, 1, 1)


def test_pooling_of_no_images():
    for call in (fc.max_pool2d, fc.avg_pool2d):
        assert call(ones(0, 3, 6, 6), 2).shape == (0, 3, 3, 3)
    assert fc.adaptive_avg_pool2d(ones(0, 3, 6, 6), 2).shape == (0, 3, 2, 2)


# ---------------------------------------------------------------------------------------------------------------------
# Linear layers, softmax, losses


@pytest.mark.parametrize("x_shape, out_features", [
    ((3, 0), 4), ((0, 5), 4), ((3, 5), 0), ((0,), 4), ((3, 0), 0), ((2, 0, 5), 4), ((0, 0), 0), ((2, 3, 0), 4),
    ((5,), 0),
])
@pytest.mark.parametrize("with_bias", [False, True])
def test_linear(with_bias, x_shape, out_features):
    x, weight = ones(*x_shape), ones(out_features, x_shape[-1])
    bias = np.arange(out_features) + 1.0 if with_bias else None
    y = fc.linear(x, weight, bias)
    out = np.full(y.shape, np.nan)
    np.testing.assert_array_equal(fc.linear(x, weight, bias, out=out), y)
    grad_output = np.full(y.shape, 2.0)
    gradients = fc.linear_backward(grad_output, x, weight)
    torch = pytest.importorskip("torch")
    arguments = [torch.from_numpy(a).requires_grad_() for a in (x, weight, bias) if a is not None]
    theirs = torch.nn.functional.linear(*arguments)
    theirs.backward(torch.from_numpy(grad_output))
    for got, wanted in zip((y, *gradients), (theirs.detach(), *(a.grad for a in arguments))):
        assert got.shape == tuple(wanted.shape)
        np.testing.assert_array_equal(got, wanted.numpy())


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0), (2, 0, 3), (0,)])
def test_softmax_and_activations(shape):
    x = ones(*shape)
    for axis in range(-len(shape), len(shape)):
        for forward, backward in ((fc.softmax, fc.softmax_backward), (fc.log_softmax, fc.log_softmax_backward)):
            y = forward(x, axis)
            assert y.shape == backward(y, y, axis).shape == shape
    for name in ("relu", "leaky_relu", "sigmoid", "tanh"):
        assert getattr(fc, name)(x).shape == getattr(fc, f"{name}_backward")(x, x).shape == shape


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 0, 4), (0, 0, 4), (0,), (2, 3, 0, 4)])
def test_flatten(shape):
    y = fc.flatten(ones(*shape))
    torch = pytest.importorskip("torch")
    if len(shape) > 1:
        assert y.shape == tuple(torch.flatten(torch.ones(shape), 1).shape)
    assert fc.flatten_backward(y, shape).shape == shape


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("loss", ["nll_loss", "cross_entropy"])
def test_losses_of_no_rows(loss, classes):
    forward, backward = getattr(fc, loss), getattr(fc, f"{loss}_backward")
    scores, target = ones(0, classes), np.zeros(0, np.int64)
    assert np.isnan(forward(scores, target)) and forward(scores, target, reduction="sum") == 0
    assert forward(scores, target, reduction="none").shape == (0,)
    for reduction in ("mean", "sum", "none"):
        assert backward(scores, target, reduction=reduction).shape == (0, classes)
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn.functional, loss)
    empty = torch.ones(0, classes), torch.zeros(0, dtype=torch.long)
    assert torch.isnan(theirs(*empty)) and theirs(*empty, reduction="sum") == 0


def test_rows_without_classes():
    for call in (fc.nll_loss, fc.cross_entropy, fc.nll_loss_backward, fc.cross_entropy_backward):
        assert "at least one class" in refused(lambda call=call: call(ones(2, 0), np.zeros(2, np.int64)))


# ---------------------------------------------------------------------------------------------------------------------
# Layers


@pytest.mark.parametrize("layer", [
    nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1, padding_mode="symmetric"), nn.MaxPool2d(2),
    nn.AvgPool2d(2), nn.ReLU(), nn.LeakyReLU(), nn.Sigmoid(), nn.Tanh(), nn.Flatten(), nn.Dropout(0.5), nn.Softmax(),
    nn.LogSoftmax(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 5)),
], ids=lambda layer: type(layer).__name__)
def test_layers_of_no_images(layer):
    x = ones(0, 3, 6, 6, dtype=np.float32)
    for training in (True, False):
        layer.train(training)
        y = layer(x)
        assert len(y) == 0
    layer.train()
    assert layer.backward(np.ones_like(layer(x))).shape == x.shape
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in layer.parameters())
