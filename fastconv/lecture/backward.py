"""The calls ``backward``, the gradient of one image's loss on its way back through the model and the step that follows
from it, and ``check``, one number of it beside a finite difference."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.lecture.conv import size_of
from fastconv.lecture.images import Sections, model_image
from fastconv.lecture.page import Page

__all__ = ["backward", "check"]

#: Numbers of one array that a page shows: of more the first channels are sent, of larger parameters no number.
_MOST_NUMBERS = 2**18
_MOST_WEIGHTS = 2**14
_MOST_STEPS = 50
_OPTIONS = ("stride", "padding", "dilation", "groups", "padding_mode", "padding_value")

#: Python that looks at one number of a filter's gradient, behind that of the way back.
_LOOK = f"""
layer = next(one for one in seen.layers if one.name.startswith("LAYER:"))
options = {{name: getattr(layer.layer, name) for name in {_OPTIONS}}}
back = walk.convolution_backward(layer.grad_output, layer.input, layer.layer.weight.data, **options)
print(back.tap(PLACE))
print(walk.finite_difference(model, image, label, "LAYER.weight", (PLACE)))"""


def backward(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """The way back of an image, see `images.model_image`, that is of class ``head["label"]``, and one step of gradient
    descent with ``head["lr"]``. Where ``head["steps"]`` says so, after so many such steps.

    Returns head: code, Python that makes the same, and look, what shows one number of a filter's gradient; label,
    prediction, lr, losses (before each step that was made, and now), loss_after (of one step more), layers (name, kind,
    shapes, norms, parameters, formula of a window). And sections: x, probabilities, onehot, error; of each layer
    ``input0``, ``output0``, ``grad_output0``, ``grad_input0``, ...; of a convolution ``padded0``; of max pooling
    ``winners0``, the places in the plane of the input; and of each small parameter ``before:NAME``, ``gradient:NAME``,
    ``after:NAME``.
    """
    image = model_image(page, head, sections)
    label = checks.integer(head.get("label"), "label", 0, len(page.classes) - 1)
    lr = checks.number(head.get("lr", 0.05), "lr")
    steps = checks.integer(head.get("steps", 0), "steps", 0, _MOST_STEPS)
    model, losses = _after(page.model, image, label, lr, steps)
    seen = walk.backward(model, image, label)
    step = walk.update(model, image[np.newaxis], [label], lr)
    layers, arrays = [], {"x": seen.forward.x, "probabilities": seen.forward.probabilities, "onehot": seen.onehot,
                          "error": seen.error}
    for number, one in enumerate(seen.layers):
        layers.append(_told(one))
        arrays |= {f"{name}{number}": _first_channels(array) for name, array in (
            ("input", one.input), ("output", one.output), ("grad_output", one.grad_output),
            ("grad_input", one.grad_input), *_beside(one))}
    for name, gradient in step.gradients.items():
        if gradient.size <= _MOST_WEIGHTS:
            arrays |= {f"before:{name}": step.before[name], f"gradient:{name}": gradient,
                       f"after:{name}": step.after[name]}
    code = [*page.program(head, image), f"label, lr = {label}, {lr!r}"]
    if steps:
        code += [f"for _ in range({steps}):", "    step = walk.update(model, image[None], [label], lr)",
                 "    model.load_state_dict({**model.state_dict(), **step.after})"]
    code += ["seen = walk.backward(model, image, label)", "print(seen.loss, seen.error)",
             "step = walk.update(model, image[None], [label], lr)", "print(step.loss_before, step.loss_after)"]
    document = {"code": "\n".join(code), "look": _LOOK, "label": label, "prediction": seen.forward.prediction, "lr": lr,
                "trained": page.trained, "losses": [*losses, float(seen.loss)],
                "loss_after": float(step.loss_after), "layers": layers}
    return document, arrays


def check(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """Number ``head["index"]`` of the gradient of parameter ``head["name"]``, beside a finite difference; image, label,
    lr and steps as of `backward`.

    Returns head: value, step, loss_below, loss_above, difference, gradient.
    """
    image = model_image(page, head, sections)
    label = checks.integer(head.get("label"), "label", 0, len(page.classes) - 1)
    lr = checks.number(head.get("lr", 0.05), "lr")
    model, _ = _after(page.model, image, label, lr, checks.integer(head.get("steps", 0), "steps", 0, _MOST_STEPS))
    index = checks.integers(head.get("index"), "index", 0)
    one = walk.finite_difference(model, image, label, str(head.get("name")), index)
    return {"value": one.value, "step": one.step, "loss_below": one.loss_below, "loss_above": one.loss_above,
            "difference": one.difference, "gradient": one.gradient}, {}


def _after(model: nn.Module, image: NDArray[Any], label: int, lr: float, steps: int) -> tuple[nn.Module, list[float]]:
    """A model after some steps of gradient descent on an image, and the loss before each; the model is not changed."""
    losses = []
    for _ in range(steps):
        step = walk.update(model, image[np.newaxis], [label], lr)
        losses.append(float(step.loss_before))
        model = copy.deepcopy(model)
        model.load_state_dict({**model.state_dict(), **step.after})
    return model, losses


def _told(one: walk.LayerWalk) -> dict[str, Any]:
    """A layer in words and few numbers."""
    rows = [size_of(axis) for axis in one.formula]
    return {"name": one.name, "path": one.name.split(":")[0], "kind": type(one.layer).__name__,
            "input_shape": list(one.input.shape), "output_shape": list(one.output.shape), "formula": rows,
            "groups": getattr(one.layer, "groups", 1),
            "norms": [_norm(one.grad_output), _norm(one.grad_input)],
            "parameters": [{"name": name, "shape": list(gradient.shape), "norm": _norm(gradient),
                            "sent": gradient.size <= _MOST_WEIGHTS} for name, gradient in one.gradients.items()]}


def _beside(one: walk.LayerWalk) -> list[tuple[str, Any]]:
    """What a layer's rule needs beside what goes in and comes out."""
    layer: Any = one.layer
    if isinstance(one.layer, nn.Conv2d):
        gradient: Any = one.grad_output
        seen = walk.convolution_backward(gradient, one.input, layer.weight.data,
                                         **{name: getattr(layer, name) for name in _OPTIONS})
        return [("padded", seen.padded)]
    if isinstance(one.layer, nn.MaxPool2d) and layer.dilation in (1, (1, 1)):
        pooled = walk.pooling(one.input, layer.kernel_size, stride=layer.stride, padding=layer.padding,
                              ceil_mode=layer.ceil_mode)
        return [("winners", pooled.indices)]
    return []


def _norm(array: Any) -> float:
    """The square root of the sum of squares."""
    return float(np.sqrt(np.square(array, dtype=np.float64).sum()))


def _first_channels(array: Any) -> NDArray[Any]:
    """As many of the first channels as a page shows."""
    channel = array[0].size if array.ndim > 1 else 1
    some: NDArray[Any] = array[:max(1, _MOST_NUMBERS // max(channel, 1))]
    return some
