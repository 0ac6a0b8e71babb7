"""Every layer: output shape, backward against numerical derivatives in float64, modes, constructor errors."""

import numpy as np
import pytest
from gradients import numeric_gradient

from fastconv import nn

IMAGES = (2, 4, 6, 5)
ROWS = (3, 7)
SERIES, VOLUMES = (2, 4, 9), (2, 3, 4, 5, 4)

LAYERS = [
    (nn.Conv2d(4, 3, 3, dtype="float64", rng=0), IMAGES, (2, 3, 4, 3)),
    (nn.Conv2d(4, 6, (3, 2), (2, 1), ((1, 0), (2, 1)), 1, 2, dtype="float64", rng=0), IMAGES, (2, 6, 3, 7)),
    (nn.Conv2d(4, 4, 3, padding="same", groups=4, bias=False, dtype="float64", rng=0), IMAGES, (2, 4, 6, 5)),
    (nn.Conv2d(4, 2, 2, padding="valid", dilation=2, dtype="float64", rng=0), IMAGES, (2, 2, 4, 3)),
    (nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect", dtype="float64", rng=0), IMAGES, (2, 2, 6, 5)),
    (nn.Conv2d(4, 2, 3, padding=1, padding_value=0.5, dtype="float64", rng=0), IMAGES, (2, 2, 6, 5)),
    (nn.Conv2d(5, 3, 3, stride=2, data_format="NHWC", dtype="float64", rng=0), IMAGES, (2, 1, 2, 3)),
    (nn.ConvTranspose3d(2, 3, 2, (1, 2, 2), (1, 0, 0), dtype="float64", rng=0), (1, 2, 3, 2, 4), (1, 3, 2, 4, 8)),
    (nn.ConvTranspose1d(7, 4, 3, 2, 1, 1, dtype="float64", rng=0), (3, 7, 5), (3, 4, 10)),
    (nn.ConvTranspose2d(4, 3, 3, dtype="float64", rng=0), IMAGES, (2, 3, 8, 7)),
    (nn.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 0), 2, dtype="float64", rng=0), IMAGES, (2, 6, 12, 6)),
    (nn.ConvTranspose2d(4, 2, 4, 2, "same", bias=False, dtype="float64", rng=0), IMAGES, (2, 2, 12, 10)),
    (nn.ConvTranspose2d(5, 2, 2, 2, ((1, 0), (0, 1)), dilation=2, data_format="NHWC", dtype="float64", rng=0), IMAGES,
     (2, 8, 12, 2)),
    (nn.MaxPool2d(2), IMAGES, (2, 4, 3, 2)),
    (nn.MaxPool2d((3, 2), 1, 1, ceil_mode=True), IMAGES, (2, 4, 6, 6)),
    (nn.MaxPool2d(2, dilation=2), IMAGES, (2, 4, 2, 2)),
    (nn.MaxPool2d(2, data_format="NHWC"), IMAGES, (2, 2, 3, 5)),
    (nn.AvgPool2d(2), IMAGES, (2, 4, 3, 2)),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), IMAGES, (2, 4, 4, 3)),
    (nn.AdaptiveMaxPool2d((4, 2)), IMAGES, (2, 4, 4, 2)),
    (nn.AdaptiveMaxPool2d(2, data_format="NHWC"), IMAGES, (2, 2, 2, 5)),
    (nn.AdaptiveAvgPool2d((4, 2)), IMAGES, (2, 4, 4, 2)),
    (nn.AdaptiveAvgPool2d(2, data_format="NHWC"), IMAGES, (2, 2, 2, 5)),
    (nn.GlobalMaxPool2d(), IMAGES, (2, 4, 1, 1)),
    (nn.GlobalMaxPool2d(data_format="NHWC"), IMAGES, (2, 1, 1, 5)),
    (nn.GlobalAvgPool2d(), IMAGES, (2, 4, 1, 1)),
    (nn.GlobalAvgPool2d(data_format="NHWC"), IMAGES, (2, 1, 1, 5)),
    (nn.AvgPool2d(2, divisor_override=3), IMAGES, (2, 4, 3, 2)),
    (nn.AvgPool2d(2, 1, 1, dilation=2, wide_padding=True), IMAGES, (2, 4, 6, 5)),
    (nn.LPPool2d(2, 3, stride=2, ceil_mode=True), IMAGES, (2, 4, 3, 2)),
    (nn.MaxPool1d(3, 2, 1), SERIES, (2, 4, 5)),
    (nn.MaxPool1d(2, padding=(1, 0), data_format="NLC"), SERIES, (2, 2, 9)),
    (nn.AvgPool1d(3, 2, 1, count_include_pad=False), SERIES, (2, 4, 5)),
    (nn.AdaptiveMaxPool1d(4), SERIES, (2, 4, 4)),
    (nn.AdaptiveAvgPool1d(4, data_format="NLC"), SERIES, (2, 4, 9)),
    (nn.GlobalMaxPool1d(), SERIES, (2, 4, 1)),
    (nn.GlobalAvgPool1d(data_format="NLC"), SERIES, (2, 1, 9)),
    (nn.LPPool1d(2, 3), SERIES, (2, 4, 3)),
    (nn.MaxPool3d((1, 2, 2)), VOLUMES, (2, 3, 4, 2, 2)),
    (nn.MaxPool3d(3, 1, 1, data_format="NDHWC"), VOLUMES, VOLUMES),
    (nn.AvgPool3d(2, ceil_mode=True), VOLUMES, (2, 3, 2, 3, 2)),
    (nn.AvgPool3d(3, 1, 1, divisor_override=4, data_format="NDHWC"), VOLUMES, VOLUMES),
    (nn.AdaptiveMaxPool3d((3, 2, 2)), VOLUMES, (2, 3, 3, 2, 2)),
    (nn.AdaptiveAvgPool3d(2, data_format="NDHWC"), VOLUMES, (2, 2, 2, 2, 4)),
    (nn.GlobalMaxPool3d(), VOLUMES, (2, 3, 1, 1, 1)),
    (nn.GlobalAvgPool3d(data_format="NDHWC"), VOLUMES, (2, 1, 1, 1, 4)),
    (nn.LPPool3d(2, 2), VOLUMES, (2, 3, 2, 2, 2)),
    (nn.ReLU(), IMAGES, IMAGES),
    (nn.ReLU6(), IMAGES, IMAGES),
    (nn.LeakyReLU(0.2), IMAGES, IMAGES),
    (nn.Sigmoid(), IMAGES, IMAGES),
    (nn.Tanh(), IMAGES, IMAGES),
    (nn.ELU(), IMAGES, IMAGES),
    (nn.ELU(0.5), ROWS, ROWS),
    (nn.GELU(), IMAGES, IMAGES),
    (nn.GELU("tanh"), ROWS, ROWS),
    (nn.SiLU(), IMAGES, IMAGES),
    (nn.Hardswish(), IMAGES, IMAGES),
    (nn.Hardsigmoid(), IMAGES, IMAGES),
    (nn.Softplus(), IMAGES, IMAGES),
    (nn.Softplus(2.0, 1.0), ROWS, ROWS),
    (nn.PReLU(dtype="float64"), ROWS, ROWS),
    (nn.PReLU(4, 0.1, dtype="float64"), IMAGES, IMAGES),
    (nn.PReLU(5, data_format="NHWC", dtype="float64"), IMAGES, IMAGES),
    (nn.Identity(), IMAGES, IMAGES),
    (nn.ZeroPad2d(2), IMAGES, (2, 4, 10, 9)),
    (nn.ZeroPad2d((1, 0, 2, 3)), IMAGES, (2, 4, 11, 6)),
    (nn.ZeroPad2d((1, 0, 2, 3), data_format="NHWC"), IMAGES, (2, 9, 7, 5)),
    (nn.Dropout2d(0.0), IMAGES, IMAGES),
    (nn.Softmax(), ROWS, ROWS),
    (nn.Softmax(axis=0), ROWS, ROWS),
    (nn.LogSoftmax(), ROWS, ROWS),
    (nn.LogSoftmax(axis=1), IMAGES, IMAGES),
    (nn.Flatten(), IMAGES, (2, 120)),
    (nn.Flatten(data_format="NHWC"), IMAGES, (2, 120)),
    (nn.Upsample((9, 4)), IMAGES, (2, 4, 9, 4)),
    (nn.Upsample(scale_factor=2), IMAGES, (2, 4, 12, 10)),
    (nn.Upsample(None, (2, 0.5), "bilinear"), IMAGES, (2, 4, 12, 2)),
    (nn.Upsample(7, mode="bilinear", align_corners=True), IMAGES, (2, 4, 7, 7)),
    (nn.Upsample(scale_factor=1.5, mode="bilinear", data_format="NHWC"), IMAGES, (2, 6, 9, 5)),
    (nn.Linear(7, 4, dtype="float64", rng=0), ROWS, (3, 4)),
    (nn.Linear(7, 4, bias=False, dtype="float64", rng=0), ROWS, (3, 4)),
    (nn.Dropout(0.0), IMAGES, IMAGES),
    (nn.BatchNorm1d(7, track_running_stats=False, dtype="float64"), ROWS, ROWS),
    (nn.BatchNorm2d(4, track_running_stats=False, dtype="float64"), IMAGES, IMAGES),
    (nn.BatchNorm2d(5, affine=False, track_running_stats=False, data_format="NHWC"), IMAGES, IMAGES),
    (nn.GroupNorm(2, 4, dtype="float64"), IMAGES, IMAGES),
    (nn.GroupNorm(1, 4, affine=False), IMAGES, IMAGES),
    (nn.LayerNorm((6, 5), dtype="float64"), IMAGES, IMAGES),
    (nn.LayerNorm(7, bias=False, dtype="float64"), ROWS, ROWS),
]


@pytest.fixture(params=LAYERS, ids=lambda case: repr(case[0]))
def case(request):
    layer, input_shape, output_shape = request.param
    layer.train().zero_grad()
    # Distinct values, none near zero: no ties in max pooling, no kink of ReLU, within a numerical step.
    values = np.random.default_rng(1).permutation(np.prod(input_shape)) + 0.5
    return layer, values.reshape(input_shape) / 40 - 1, output_shape


def test_backward_is_the_derivative(case):
    layer, x, output_shape = case
    grad_output = np.random.default_rng(2).standard_normal(output_shape)

    def value():
        return float((layer(x) * grad_output).sum())

    expected = [numeric_gradient(value, array) for array in (x, *layer.state_dict().values())]
    y = layer(x)
    assert y.shape == output_shape
    grads = [layer.backward(grad_output), *(parameter.grad for parameter in layer.parameters())]
    for got, wanted in zip(grads, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


def test_gradients_add_up_until_zero_grad(case):
    layer, x, output_shape = case
    grad_output = np.ones(output_shape)
    layer(x)
    layer.backward(grad_output)
    once = [parameter.grad.copy() for parameter in layer.parameters()]
    layer(x)
    layer.backward(grad_output)
    for parameter, grad in zip(layer.parameters(), once, strict=True):
        np.testing.assert_array_equal(parameter.grad, 2 * grad)
    layer.zero_grad()
    assert all(parameter.grad is None for parameter in layer.parameters())


def test_without_the_input_gradient_the_others_are_the_same(case):
    layer, x, output_shape = case
    grad_output = np.random.default_rng(2).standard_normal(output_shape)
    layer(x)
    layer.backward(grad_output)
    expected = [parameter.grad for parameter in layer.parameters()]
    layer.zero_grad()
    layer(x)
    grad_x = layer.backward(grad_output, needs_input_grad=False)
    assert grad_x is None or not expected
    for parameter, grad in zip(layer.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)


def test_backward_needs_one_forward_in_training_mode(case):
    layer, x, output_shape = case
    grad_output = np.ones(output_shape)
    message = f"{type(layer).__name__}.backward needs a forward pass in training mode"
    layer(x)
    layer.backward(grad_output)
    with pytest.raises(RuntimeError, match=message):
        layer.backward(grad_output)
    layer(x)
    layer.eval()(x)  # forgets what the training pass remembered
    with pytest.raises(RuntimeError, match=message):
        layer.backward(grad_output)


def test_both_modes_give_the_same_output(case):
    layer, x, _ = case
    np.testing.assert_array_equal(layer.train()(x), layer.eval()(x))


def test_dropout_drops_in_training_only():
    x = np.ones((100, 100), np.float32)
    layer = nn.Dropout(0.25, rng=3)
    y = layer(x)
    assert y.dtype == np.float32
    assert set(np.unique(y)) == {np.float32(0), np.float32(4 / 3)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(layer.backward(x), y)
    assert not np.array_equal(layer(x), y)
    assert layer.eval()(x) is x


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_dropout2d_drops_whole_channels_in_training_only(data_format):
    x = np.ones((50, 60, 3, 4) if data_format == "NCHW" else (50, 3, 4, 60), np.float32)
    layer = nn.Dropout2d(0.25, data_format=data_format, rng=3)
    y = layer(x)
    assert y.dtype == np.float32 and set(np.unique(y)) == {np.float32(0), np.float32(4 / 3)}
    pixels = y.reshape(50, 60, 12) if data_format == "NCHW" else y.reshape(50, 12, 60).transpose(0, 2, 1)
    np.testing.assert_array_equal(pixels, np.broadcast_to(pixels[..., :1], pixels.shape))
    assert abs((pixels == 0).mean() - 0.25) < 0.04
    np.testing.assert_array_equal(layer.backward(x), y)
    assert layer(x[0]).shape == x[0].shape and not np.array_equal(layer(x), y)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match=r"x must be a batch \(N, .*\) or one image"):
        layer(x[0, 0])


@pytest.mark.parametrize("layer", [nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Hardswish(), nn.Hardsigmoid(),
                                   nn.Softplus(0.5, 1.0), nn.PReLU(3), nn.ZeroPad2d((1, 0, 2, 3)), nn.Identity()],
                         ids=repr)
def test_a_layer_is_that_of_pytorch(layer):
    torch = pytest.importorskip("torch")
    theirs = eval(f"torch.nn.{layer!r}", {"torch": torch})
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
    state = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    assert {name: value.shape for name, value in layer.state_dict().items()} == state
    np.testing.assert_allclose(layer(x), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_repeats_with_its_seed():
    x = np.ones((10, 10))
    np.testing.assert_array_equal(nn.Dropout(rng=5)(x), nn.Dropout(rng=5)(x))
    outputs = []
    for _ in range(2):
        nn.init.seed(7)
        outputs.append([nn.Dropout()(x), nn.Dropout()(x)])
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[0][0], outputs[0][1])


def test_repr_is_the_call_that_makes_the_layer():
    for layer, _, _ in LAYERS:
        again = eval(repr(layer), vars(nn))
        assert repr(again) == repr(layer)
        assert {name: array.shape for name, array in again.state_dict().items()} == {
            name: array.shape for name, array in layer.state_dict().items()}  # fmt: skip
    assert repr(nn.Conv2d(3, 8, 3, padding="same", bias=False)) == "Conv2d(3, 8, 3, padding='same', bias=False)"


@pytest.mark.parametrize("make, error, message", [
    (lambda: nn.Conv2d(0, 1, 3), ValueError, "in_channels must be at least 1, got 0"),
    (lambda: nn.Conv2d(1, 2.0, 3), TypeError, "out_channels must be an integer"),
    (lambda: nn.Conv2d(1, 1, 0), ValueError, "kernel_size must be at least 1"),
    (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ValueError, "kernel_size must be one integer or 2"),
    (lambda: nn.Conv2d(1, 1, 3, stride=0), ValueError, "stride must be at least 1"),
    (lambda: nn.Conv2d(1, 1, 3, stride=True), TypeError, "stride must be an integer"),
    (lambda: nn.Conv2d(1, 1, 3, padding=-1), ValueError, "padding must be at least 0"),
    (lambda: nn.Conv2d(1, 1, 3, padding="full"), ValueError, "padding must be one of 'same', 'valid'"),
    (lambda: nn.Conv2d(1, 1, 3, dilation=1.5), TypeError, "dilation must be an integer"),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), ValueError,
     "groups must divide in_channels and out_channels, got 4 for 4 and 6"),
    (lambda: nn.Conv2d(1, 1, 3, bias=1), TypeError, "bias must be True or False"),
    (lambda: nn.Conv2d(1, 1, 3, padding_mode="zeros"), ValueError, "padding_mode must be one of"),
    (lambda: nn.Conv2d(1, 1, 3, padding_value="0"), TypeError, "padding_value must be a real number"),
    (lambda: nn.Conv2d(1, 1, 3, data_format="nchw"), ValueError, "data_format must be one of 'NCHW', 'NHWC'"),
    (lambda: nn.Conv2d(1, 1, 3, init="he"), ValueError, "init must be one of .*he_uniform"),
    (lambda: nn.Conv2d(1, 1, 3, rng=1.5), TypeError, "rng must be an integer"),
    (lambda: nn.Conv2d(1, 1, 3, dtype="float16"), TypeError, "dtype must be float32 or float64, got 'float16'"),
    (lambda: nn.Linear(1, 1, dtype=None), TypeError, "dtype must be float32 or float64, got None"),
    (lambda: nn.Linear(1, 1, dtype="number"), TypeError, "dtype must be float32 or float64, got 'number'"),
    (lambda: nn.Linear(0, 1), ValueError, "in_features must be at least 1"),
    (lambda: nn.Linear(1, None), TypeError, "out_features must be an integer"),
    (lambda: nn.MaxPool2d(0), ValueError, "kernel_size must be at least 1"),
    (lambda: nn.MaxPool2d(2, "2"), TypeError, "stride must be an integer"),
    (lambda: nn.MaxPool2d(2, ceil_mode=0), TypeError, "ceil_mode must be True or False"),
    (lambda: nn.AvgPool2d(2, count_include_pad=None), TypeError, "count_include_pad must be True or False"),
    (lambda: nn.AvgPool2d(2, padding=(1,)), ValueError, "padding must be an integer, 2 integers or 2 pairs"),
    (lambda: nn.AvgPool2d(2, data_format=1), TypeError, "data_format must be one of"),
    (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "output_size must be at least 1"),
    (lambda: nn.AdaptiveMaxPool2d((2, 2, 2)), ValueError, "output_size must be one integer or 2"),
    (lambda: nn.GlobalAvgPool2d(data_format="CHWN"), ValueError, "data_format must be one of"),
    (lambda: nn.AvgPool2d(2, divisor_override=0), ValueError, "divisor_override must be a number other than 0"),
    (lambda: nn.AvgPool2d(2, divisor_override=1.0), TypeError, "divisor_override must be an integer"),
    (lambda: nn.MaxPool2d(2, wide_padding=1), TypeError, "wide_padding must be True or False"),
    (lambda: nn.MaxPool1d((2, 2)), ValueError, "kernel_size must be one integer or 1"),
    (lambda: nn.MaxPool1d(2, data_format="NCHW"), ValueError, "data_format must be one of 'NCL', 'NLC'"),
    (lambda: nn.MaxPool3d((2, 2)), ValueError, "kernel_size must be one integer or 3"),
    (lambda: nn.AvgPool3d(2, data_format="NHWC"), ValueError, "data_format must be one of 'NCDHW', 'NDHWC'"),
    (lambda: nn.AdaptiveAvgPool3d((1, 1)), ValueError, "output_size must be one integer or 3"),
    (lambda: nn.LPPool2d(0, 2), ValueError, "norm_type must be above 0"),
    (lambda: nn.LPPool1d(2, 2, ceil_mode=None), TypeError, "ceil_mode must be True or False"),
    (lambda: nn.LeakyReLU(None), TypeError, "negative_slope must be a real number"),
    (lambda: nn.Softmax(axis=1.0), TypeError, "axis must be an integer"),
    (lambda: nn.LogSoftmax(axis="1"), TypeError, "axis must be an integer"),
    (lambda: nn.Dropout(1), ValueError, "p must be at least 0 and less than 1, got 1"),
    (lambda: nn.Dropout(float("nan")), ValueError, "p must be at least 0 and less than 1"),
    (lambda: nn.Dropout2d(1.0), ValueError, "p must be at least 0 and less than 1, got 1.0"),
    (lambda: nn.Dropout2d(data_format="NCWH"), ValueError, "data_format must be one of"),
    (lambda: nn.ELU("1"), TypeError, "alpha must be a real number"),
    (lambda: nn.GELU("erf"), ValueError, "approximate must be one of 'none', 'tanh'"),
    (lambda: nn.Softplus(0), ValueError, "beta must be finite and not 0"),
    (lambda: nn.Softplus(threshold=None), TypeError, "threshold must be a real number"),
    (lambda: nn.PReLU(0), ValueError, "num_parameters must be at least 1"),
    (lambda: nn.PReLU(1, None), TypeError, "init must be a real number"),
    (lambda: nn.PReLU(dtype="float16"), TypeError, "dtype must be float32 or float64"),
    (lambda: nn.ZeroPad2d((1, 2)), ValueError, "padding must be one integer or 4 of them"),
    (lambda: nn.ZeroPad2d(-1), ValueError, "padding must be at least 0"),
    (lambda: nn.ZeroPad2d(1.0), TypeError, "padding must be an integer"),
    (lambda: nn.models.lenet5(input_size=11), ValueError, "input_size must be at least 12"),
    (lambda: nn.models.lenet5(classes=0), ValueError, "classes must be at least 1"),
])  # fmt: skip
def test_bad_constructor_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
