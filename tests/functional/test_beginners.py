"""Mistakes of beginners: the message ends with what to write, and that works."""

import re

import numpy as np
import pytest

import fastconv as fc
from fastconv import nn

F32 = np.float32
RNG = np.random.default_rng(0)

GREY = RNG.random((20, 24), F32)             # a photo (H, W)
PHOTO = RNG.random((20, 24, 3), F32)         # (H, W, C), as Pillow, imageio and OpenCV read it
BYTES = RNG.integers(0, 256, (20, 24, 3), np.uint8)
BATCH = RNG.random((6, 20, 24), F32)         # grey photos
KERNEL = RNG.random((3, 3), F32)
FILTERS = RNG.random((5, 3, 3, 3), F32)      # for colours
ONE = RNG.random((5, 1, 3, 3), F32)          # for grey

EXPRESSION = re.compile(r".*(?:pass|here that is|convert it with|for example with) (.*)$")


def message(call, *values, **options):
    with pytest.raises((TypeError, ValueError)) as caught:
        call(*values, **options)
    return str(caught.value)


def mended(call, names, values, options=None):
    """Calls with what messages say to write for one argument after the other until there is no error: the result, and
    the expressions."""
    values, options, written = dict(zip(names, values, strict=True)), dict(options or {}), []
    for _ in range(4):
        try:
            return call(*values.values(), **options), written
        except (TypeError, ValueError) as error:
            text = str(error)
        found = EXPRESSION.search(text)
        assert found, text
        expression, *other = found.group(1).split(" or ")
        assert not other or eval(other[0], {"np": np, **values}).shape[-3 if expression.endswith('NHWC"') else -1] == 3
        written.append(expression)
        expression, *with_options = re.split(r" with (?=groups)", expression)
        for option in with_options:
            name, value = option.split("=")
            options[name] = int(value)
        for part in re.split(r" and (?=weight)", expression):
            if re.fullmatch(r"\w+=.*", part):
                name, value = part.split("=")
                options[name] = eval(value)
                continue
            # The argument that the message is about, or which it names itself.
            name = next((name for name in sorted(names, key=len, reverse=True) if re.search(rf"\b{name}\b", part)),
                        next(name for name in names if text.startswith(name)))
            values[name] = eval(part, {"np": np, "fc": fc, **values})
    raise AssertionError(f"still wrong after {written}")


def conv(x, weight, wanted, shape, *written, **options):
    result, expressions = mended(fc.conv2d, ("x", "weight"), (x, weight), options)
    assert expressions == list(written)
    assert result.shape == shape
    if wanted is not None:
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5)


def nhwc(photo, weight, **options):
    return fc.conv2d(photo, weight, data_format="NHWC", **options)


# ---------------------------------------------------------------------------------------------------------------------
# Convolution


def test_an_image_and_a_filter():
    conv(GREY, KERNEL, fc.conv2d(GREY[None], KERNEL[None, None]), (1, 18, 22), "x[None] and weight[None, None]")


def test_an_image_and_a_filter_with_channels_last():
    conv(GREY, KERNEL, None, (18, 22, 1), "x[..., None] and weight[None, None]", data_format="NHWC")


def test_an_image_without_its_channel():
    conv(GREY, ONE, fc.conv2d(GREY[None], ONE), (5, 18, 22), "x[None]")


def test_a_filter_alone():
    conv(GREY[None], KERNEL, fc.conv2d(GREY[None], KERNEL[None, None]), (1, 18, 22), "weight[None, None]")


def test_a_filter_alone_on_a_photo():
    conv(PHOTO, KERNEL, None, (18, 22, 3), "np.repeat(weight[None, None], 3, axis=0) with groups=3",
         data_format="NHWC")


def test_a_filter_alone_on_a_photo_with_channels_last():
    conv(PHOTO, KERNEL, None, (18, 22, 3), 'data_format="NHWC"',
         "np.repeat(weight[None, None], 3, axis=0) with groups=3")


def test_one_filter_of_all_channels():
    conv(PHOTO.transpose(2, 0, 1), FILTERS[0], None, (1, 18, 22), "weight[None]")


def test_filters_of_one_channel():
    conv(GREY[None], ONE[:, 0], fc.conv2d(GREY[None], ONE), (5, 18, 22), "weight[:, None]")


def test_a_mask():
    """(H, W) of truth values: numbers first, then the channel."""
    conv(GREY > 0.5, KERNEL, None, (1, 18, 22), "x.astype(np.float32)", "x[None] and weight[None, None]")


def test_a_photo_of_bytes():
    conv(BYTES, FILTERS, nhwc(BYTES.astype(F32), FILTERS), (18, 22, 5), "x.astype(np.float32)", 'data_format="NHWC"')


def test_a_photo_with_channels_last():
    conv(PHOTO, FILTERS, nhwc(PHOTO, FILTERS), (18, 22, 5), 'data_format="NHWC"')
    conv(PHOTO[None], FILTERS, nhwc(PHOTO[None], FILTERS), (1, 18, 22, 5), 'data_format="NHWC"')


def test_channels_first_where_they_should_be_last():
    first = np.ascontiguousarray(PHOTO.transpose(2, 0, 1))
    conv(first, FILTERS, fc.conv2d(first, FILTERS), (5, 18, 22), 'data_format="NCHW"', data_format="NHWC")


def test_a_photo_with_alpha():
    rgba = np.concatenate([PHOTO, PHOTO[..., :1]], axis=2)
    conv(rgba, FILTERS, nhwc(PHOTO, FILTERS), (18, 22, 5), "x[..., :3]", data_format="NHWC")
    first = np.ascontiguousarray(rgba.transpose(2, 0, 1))
    conv(first, FILTERS, fc.conv2d(first[:3], FILTERS), (5, 18, 22), "x[..., :3, :, :]")


def test_a_grey_photo_on_filters_for_colours():
    conv(GREY[None], FILTERS, None, (5, 18, 22), "np.repeat(x, 3, axis=-3)")
    conv(GREY[..., None], FILTERS, None, (18, 22, 5), "np.repeat(x, 3, axis=-1)", data_format="NHWC")


def test_a_batch_without_channels():
    conv(BATCH, ONE, fc.conv2d(BATCH[:, None], ONE), (6, 5, 18, 22), "x[:, None]")
    conv(BATCH, ONE, None, (6, 18, 22, 5), "x[..., None]", data_format="NHWC")


def test_one_filter_on_each_colour():
    conv(PHOTO.transpose(2, 0, 1), KERNEL[None, None], None, (3, 18, 22), "np.repeat(weight, 3, axis=0) with groups=3")


def test_filters_as_tensorflow_has_them():
    filters = RNG.random((7, 3, 5, 5), F32)
    conv(PHOTO.transpose(2, 0, 1), filters.transpose(2, 3, 1, 0), fc.conv2d(PHOTO.transpose(2, 0, 1), filters),
         (7, 16, 20), "weight.transpose(3, 2, 0, 1)")


def test_filters_with_channels_last():
    filters = RNG.random((7, 3, 5, 5), F32)
    conv(PHOTO.transpose(2, 0, 1), filters.transpose(0, 2, 3, 1), fc.conv2d(PHOTO.transpose(2, 0, 1), filters),
         (7, 16, 20), "weight.transpose(0, 3, 1, 2)")


def test_rows_of_pixels():
    rows = RNG.random((4, 784), F32)
    conv(rows, ONE, None, (4, 5, 26, 26), "x.reshape(-1, 1, 28, 28)")
    conv(RNG.random((4, 3072), F32), FILTERS, None, (4, 30, 30, 5), "x.reshape(-1, 32, 32, 3)", data_format="NHWC")


def test_a_batch_of_batches():
    conv(np.stack([BATCH[:, None]] * 2), ONE, None, (12, 5, 18, 22), "x.reshape(-1, 1, 20, 24)")


def test_a_filter_of_integers():
    conv(GREY[None], np.array([[[[1, 0, -1]]]]), None, (1, 20, 22), "np.asarray(weight, dtype=np.float32)")
    conv(GREY[None], np.array([[[[1, 0, -1]]]], np.int8), None, (1, 20, 22), "weight.astype(np.float32)")
    conv(GREY[None].astype(float), [[[[1, 0, -1]]]], None, (1, 20, 22), "np.asarray(weight, dtype=np.float32)",
         "np.asarray(weight, dtype=np.float64)")


def test_a_filter_in_double_precision():
    conv(GREY[None], [[[[1.0, 0.0, -1.0]]]], None, (1, 20, 22), "np.asarray(weight, dtype=np.float32)")


@pytest.mark.parametrize("bias, expression", [
    (np.ones((5, 1, 1), F32), "bias.ravel()"), (np.ones((1, 5, 1, 1), F32), "bias.ravel()"),
    (F32(1), "np.repeat(bias, 5)"), (np.ones(1, F32), "np.repeat(bias, 5)"),
])
def test_a_bias_in_another_form(bias, expression):
    result, written = mended(fc.conv2d, ("x", "weight", "bias"), (GREY[None], ONE, bias))
    assert written == [expression]
    np.testing.assert_array_equal(result, fc.conv2d(GREY[None], ONE, np.ones(5, F32)))


@pytest.mark.parametrize("option, value, right", [
    ("padding", "SAME", "same"), ("padding", "Valid", "valid"), ("data_format", "channels_last", "NHWC"),
    ("data_format", "HWC", "NHWC"), ("data_format", "nchw", "NCHW"), ("padding_mode", "zeros", "constant"),
    ("padding_mode", "edge", "replicate"), ("activation", "ReLU", "relu"), ("algorithm", "im2col", "gemm"),
])
def test_words_of_others(option, value, right):
    x = PHOTO if right == "NHWC" else PHOTO.transpose(2, 0, 1)
    assert message(fc.conv2d, x, FILTERS, **{option: value}).endswith(f"here that is {right!r}")
    fc.conv2d(x, FILTERS, **{option: right})


def test_the_name_of_a_file():
    assert message(fc.conv2d, "photo.png", FILTERS).endswith(
        "got 'photo.png': for the image in a file pass fc.data.load_image(x)")
    assert message(fc.relu, "no file").endswith("got 'no file'")


def test_the_gradient_says_the_same():
    text = message(fc.conv2d_backward, np.ones((5, 18, 22), F32), GREY, ONE)
    assert text.endswith("for one channel pass x[None]")


# ---------------------------------------------------------------------------------------------------------------------
# Plans and explanations: shapes in place of arrays


@pytest.mark.parametrize("shape, right, options", [
    ((20, 24), (1, 20, 24), {}), ((20, 24), (20, 24, 1), {"data_format": "NHWC"}),
    ((5, 784), (5, 1, 28, 28), {}),
])
def test_shapes(shape, right, options):
    plan, written = mended(lambda x_shape, **options: fc.plan_conv2d(x_shape, ONE, **options), ("x_shape",), (shape,),
                           options)
    assert written == [str(right)] and plan.x_shape == right
    assert fc.explain(right, ONE.shape, **options).x_shape == right


def test_what_a_plan_is_given():
    plan = fc.plan_conv2d((1, 20, 24), ONE)
    assert mended(plan, ("x",), (GREY,))[1] == ["x[None]"]
    plan = fc.plan_conv2d((20, 24, 1), ONE, data_format="NHWC")
    assert mended(plan, ("x",), (GREY,))[1] == ["x[..., None]"]


def test_a_filter_of_a_plan():
    plan, written = mended(fc.plan_conv2d, ("x_shape", "weight"), ((1, 20, 24), KERNEL))
    assert written == ["weight[None, None]"] and plan.output_shape == (1, 18, 22)


@pytest.mark.parametrize("shape, right", [((3, 3), (1, 3, 3, 3)), ((7, 3, 3), (7, 3, 3, 3))])
def test_the_shape_of_filters(shape, right):
    found, written = mended(fc.explain, ("x_shape", "weight_shape"), ((3, 20, 24), shape))
    assert written == [str(right)] and found.weight_shape == right


# ---------------------------------------------------------------------------------------------------------------------
# Pooling, linear layers, models


def test_pooling():
    for call in (fc.max_pool2d, fc.avg_pool2d):
        result, written = mended(lambda x, call=call: call(x, 2), ("x",), (GREY,))
        assert written == ["x[None]"] and result.shape == (1, 10, 12)
        text = message(call, PHOTO, 5)
        assert text.endswith('where the 3 are channels pass data_format="NHWC"')
        assert message(call, BYTES, 2).endswith("pass x.astype(np.float32)")
    assert message(fc.global_avg_pool2d, GREY).endswith("for one channel pass x[None]")
    assert message(fc.adaptive_max_pool2d, GREY, 2, data_format="NHWC").endswith("for one channel pass x[..., None]")


def test_linear():
    weight = RNG.random((10, 36), F32)
    result, written = mended(fc.linear, ("x", "weight"), (RNG.random((5, 4, 3, 3), F32), weight))
    assert written == ["fc.flatten(x)"] and result.shape == (5, 10)
    result, written = mended(fc.linear, ("x", "weight"), (RNG.random((4, 3, 3), F32), weight))
    assert written == ["x.reshape(1, -1)"] and result.shape == (1, 10)
    result, written = mended(fc.linear, ("x", "weight"), (RNG.random((5, 36), F32), weight.T))
    assert written == ["weight.T"] and result.shape == (5, 10)


def model():
    return nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(676, 10, rng=0))


@pytest.mark.parametrize("x, expression", [
    (np.zeros((28, 28), F32), "x[None]"), (np.zeros((5, 28, 28), F32), "x[:, None]"),
    (np.zeros((5, 784), F32), "x.reshape(-1, 1, 28, 28)"), (np.zeros((5, 1, 28, 28), np.uint8), "x.astype(np.float32)"),
    (np.zeros((5, 28, 28, 1), F32), 'data_format="NHWC" or np.moveaxis(x, -1, -3)'),
    (np.zeros((5, 3, 28, 28), F32), "x.mean(axis=-3, keepdims=True)"),
])
def test_what_a_model_is_given(x, expression):
    text = message(model(), x)
    assert text.startswith("layer 0, Conv2d(1, 4, 3), given x of shape") and text.endswith(f"pass {expression}")
    if expression.startswith("x"):
        right = eval(expression, {"x": x, "np": np})
        if right.ndim == 4:
            assert model()(right).shape == (len(right), 10)


def test_layers():
    assert message(nn.Conv2d(3, 4, 3), GREY[None]).endswith("pass np.repeat(x, 3, axis=-3)")
    assert message(nn.Conv2d(3, 4, 3), PHOTO).endswith('pass data_format="NHWC" or np.moveaxis(x, -1, -3)')
    assert message(nn.MaxPool2d(2), GREY).endswith("pass x[None]")
    assert message(nn.Linear(36, 2), np.zeros((5, 4, 3, 3), F32)).endswith("pass fc.flatten(x)")
    assert message(nn.Sequential(nn.Linear(36, 2)), np.zeros((5, 4, 3, 3), F32)).endswith("pass fc.flatten(x)")


def test_a_wrong_number_of_channels_inside_a_model_gives_no_wrong_advice():
    """Which of the two layers is wrong nobody knows: the filters are as they should be."""
    wrong = nn.Sequential(nn.Conv2d(1, 16, 3), nn.Conv2d(8, 16, 3))
    assert message(wrong, np.zeros((2, 1, 20, 20), F32)).endswith("got (16, 8, 3, 3)")
