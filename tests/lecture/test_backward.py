"""Every gradient that the page shows is the library's own."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim, walk
from fastconv.data.framing import Framing
from fastconv.lecture.backward import backward, check
from fastconv.lecture.page import Page
from fastconv.lecture.shown import Shown

DIGITS = data.digits("test")


def page_of(model=None):
    return Page.of(model, None, None, Framing(), "secret", Shown.of(None, None))


@pytest.fixture(scope="module")
def page():
    return page_of()


def lenet():
    return nn.models.lenet5(rng=0)


@pytest.mark.parametrize("number", range(5))
def test_every_gradient_is_the_models(page, number):
    head, arrays = backward(page, {"image": f"digit:{number}", "label": int(DIGITS.labels[number])}, {})
    model, loss = lenet(), nn.NLLLoss()
    value = loss(model(DIGITS.images[number:number + 1]), DIGITS.labels[number:number + 1])
    grad_x = model.backward(loss.backward())
    assert head["losses"] == [float(value)]
    assert np.allclose(arrays["grad_input0"], grad_x[0], rtol=1e-4, atol=1e-6)
    for name, parameter in model.named_parameters():
        if parameter.data.size <= 2**14:
            assert np.array_equal(arrays[f"gradient:{name}"], parameter.grad), name
    assert np.allclose(arrays["error"], arrays["probabilities"] - arrays["onehot"])
    assert np.allclose(arrays["grad_input12"], arrays["error"], atol=1e-6)


def test_a_convolutions_gradients_are_conv2d_backwards(page):
    head, arrays = backward(page, {"image": "digit:3", "label": 0}, {})
    model = lenet()
    for number, layer in ((0, model[0]), (3, model[3])):
        grad_x, grad_weight, grad_bias = fc.conv2d_backward(arrays[f"grad_output{number}"], arrays[f"input{number}"],
                                                            layer.weight.data, padding=layer.padding)
        assert np.array_equal(arrays[f"grad_input{number}"], grad_x)
        assert np.array_equal(arrays[f"gradient:{number}.weight"], grad_weight)
        assert np.array_equal(arrays[f"gradient:{number}.bias"], grad_bias)
        rows, columns = head["layers"][number]["formula"]
        assert arrays[f"padded{number}"].shape[1:] == tuple(axis["size"] + axis["before"] + axis["after"]
                                                            for axis in (rows, columns))
    pooled, winners = fc.max_pool2d(arrays["input2"], 2, return_indices=True)
    assert np.array_equal(arrays["winners2"], winners) and np.array_equal(arrays["output2"], pooled)


@pytest.mark.parametrize("steps", [0, 3])
def test_the_step_is_sgds(page, steps):
    head, arrays = backward(page, {"image": "digit:9", "label": 4, "lr": 0.02, "steps": steps}, {})
    model, loss, x, losses = lenet(), nn.NLLLoss(), DIGITS.images[9:10], []
    optimizer = optim.SGD(model.parameters(), 0.02)
    for _ in range(steps + 1):
        before = {name: parameter.data.copy() for name, parameter in model.named_parameters()}
        optimizer.zero_grad()
        losses.append(float(loss(model(x), [4])))
        model.backward(loss.backward(), False)
        optimizer.step()
    assert np.allclose(head["losses"], losses, rtol=1e-6) and len(head["losses"]) == steps + 1
    assert np.isclose(head["loss_after"], loss(model(x), [4]), rtol=1e-6)
    assert head["loss_after"] < head["losses"][-1]
    for name, parameter in model.named_parameters():
        if f"before:{name}" in arrays:
            assert np.array_equal(arrays[f"before:{name}"], before[name]), name
            assert np.array_equal(arrays[f"after:{name}"], parameter.data), name


def test_layers_say_what_they_are(page):
    head, arrays = backward(page, {"image": "digit:0", "label": 7}, {})
    assert [layer["kind"] for layer in head["layers"]][:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    first = head["layers"][0]
    assert first["path"] == "0" and first["output_shape"] == [6, 28, 28] and first["formula"][0]["before"] == 2
    assert [one["name"] for one in first["parameters"]] == ["0.weight", "0.bias"]
    assert np.isclose(first["norms"][1], np.linalg.norm(arrays["grad_input0"]), rtol=1e-6)
    assert not head["layers"][7]["parameters"][0]["sent"] and "gradient:7.weight" not in arrays


def test_a_finite_difference(page):
    asked = {"image": "digit:5", "label": 1, "lr": 0.05, "steps": 2}
    _, arrays = backward(page, asked, {})
    head, _ = check(page, {**asked, "name": "3.weight", "index": [15, 5, 4, 0]}, {})
    gradient = arrays["gradient:3.weight"][15, 5, 4, 0]
    assert np.isclose(head["difference"], head["gradient"], rtol=1e-4, atol=1e-8)
    assert np.isclose(head["gradient"], gradient, rtol=1e-3, atol=1e-6)
    assert np.isclose((head["loss_above"] - head["loss_below"]) / (2 * head["step"]), head["difference"])


def test_other_models():
    """Normalisation, dropout, leaky ReLU, strides, groups, average pooling; large maps are cut."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, rng=0), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Dropout(0.5),
                          nn.Conv2d(4, 8, 3, groups=4, dilation=2, rng=0), nn.AvgPool2d(2), nn.Flatten(),
                          nn.Linear(128, 10, rng=0))
    head, arrays = backward(page_of(model), {"image": "digit:0", "label": 7}, {})
    seen = walk.backward(model, DIGITS.images[0], 7)
    assert head["losses"] == [float(seen.loss)] and head["layers"][4]["groups"] == 4
    for number, one in enumerate(seen.layers):
        assert np.array_equal(arrays[f"grad_output{number}"], one.grad_output)
        for name, gradient in one.gradients.items():
            assert np.array_equal(arrays[f"gradient:{name}"], gradient), name
    wide = nn.Sequential(nn.Conv2d(1, 400, 1, rng=0), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(400, 10, rng=0))
    _, arrays = backward(page_of(wide), {"image": "digit:0", "label": 7}, {})
    assert arrays["grad_output0"].shape == (2**18 // 784, 28, 28)


@pytest.mark.parametrize(("asked", "message"), [
    ({"label": 10}, "label must be at most 9"), ({}, "label"), ({"label": 1, "steps": 51}, "steps"),
    ({"label": 1, "lr": "fast"}, "lr"), ({"label": 1, "image": "digit:1000"}, "image"),
])
def test_what_is_refused(page, asked, message):
    with pytest.raises((TypeError, ValueError), match=message):
        backward(page, asked, {})


def test_what_cannot_be_checked(page):
    with pytest.raises(ValueError, match="name must be one of"):
        check(page, {"label": 1, "name": "1.weight", "index": [0]}, {})
    with pytest.raises(ValueError, match="index"):
        check(page, {"label": 1, "name": "0.bias", "index": [6]}, {})
