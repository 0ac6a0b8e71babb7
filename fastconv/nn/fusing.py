"""Neighbours in a chain that need fewer passes over memory together than one by one.

    Conv, ReLU or ReLU6            the latter while the result of the former is in the cache
    Conv2d, BatchNorm2d            in evaluation mode: one convolution with other weights; and a ReLU or ReLU6
                                   behind them
    BatchNorm, ReLU                one pass, forward and backward
    ReLU, MaxPool2d                backward: fewer numbers, see `MaxPool2d.backward`

Only layers of these very classes, which do what these do, and which nobody watches.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.functional.typing import Activation, NDArray
from fastconv.nn import passes
from fastconv.nn.activation import ReLU, ReLU6
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.conv import Conv1d, Conv2d, Conv3d
from fastconv.nn.module import Module
from fastconv.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from fastconv.nn.passes import Pass
from fastconv.nn.pooling import MaxPool2d

BATCH_NORMS = (BatchNorm1d, BatchNorm2d, BatchNorm3d)
CONVOLUTIONS = (Conv1d, Conv2d, Conv3d)

#: What layers that run in one pass begin with: who asks for others need not come here.
BEGINNINGS = frozenset((*CONVOLUTIONS, *BATCH_NORMS))

#: Layers that a convolution before them does too; what they remember is their output.
FUSED: dict[type, Activation] = {ReLU: "relu", ReLU6: "relu6"}


def in_one_pass(layers: list[Module], i: int, x: Any) -> int:
    """How many layers of a chain, from the one at i on, can run in one pass of the input x."""
    count, end = 1, len(layers)
    if i + 1 == end:
        return 1
    if type(layers[i + 1]) is BatchNorm2d and _is(layers[i], Conv2d) and _folds(layers[i], layers[i + 1], x):
        count = 2
    if i + count < end:
        following = layers[i + count]
        if type(following) in FUSED and (count == 2 or _is(layers[i], *CONVOLUTIONS)):
            count += _is(following, *FUSED)
        elif type(following) is ReLU and _is(layers[i], *BATCH_NORMS):
            count += _is(following, ReLU)
    return count


def run_again(layers: list[Any], i: int, x: Any, inside: Pass | None) -> tuple[NDArray[Any], int] | None:
    """The output of a convolution at i, of the normalisation behind it and of what else ran in one pass with them
    before, and how many these are, where they do so again: nothing has changed, and nobody trains them; else None."""
    conv = layers[i]
    note = conv._folded.note
    if note is None:
        return None
    together, activation = note
    count = len(together)
    if layers[i : i + count] != together:
        return None
    for layer in together:
        own = layer.__dict__
        if "forward" in own or "backward" in own or layer.training:
            return None
    try:
        y = conv.normalised_again(x, together[1], activation)
    except NAMED:  # the layers say it better
        return None
    if y is None:
        return None
    if inside is not None and inside.steps is not None and not inside.steps.fold(
            conv, together[1], x, activation, inside):
        inside.steps = None
    return y, count


def run_in_one_pass(layers: list[Any], x: NDArray[Any], inside: Pass | None) -> NDArray[Any]:
    """The output of the last of them, which run in a pass or in none."""
    if inside is not None:
        inside.steps = None
        for layer in layers:
            if type(layer) is not BatchNorm2d or layer is layers[0]:    # else it is part of the convolution
                passes.look_at(layer, inside)
    first, last = layers[0], layers[-1]
    activation: Any = FUSED.get(type(last))
    try:
        if type(layers[1]) is BatchNorm2d:
            norm = layers[1].in_evaluation()
            if norm is None:  # another thread has just begun to train it
                return layers[1](first(x)) if activation is None else last(layers[1](first(x)))
            y = first.normalised(x, norm, activation)
            first._folded.note = layers, activation
        else:
            y = first.forward(x, activation)
    except NAMED as error:
        name_layer(error, first, first, "x", x)
        raise
    if activation is not None:
        last.remember(y)
    return y


def is_rectified(layer: Any, following: Module) -> bool:
    """Whether a layer's `backward` goes through the `ReLU` that follows it."""
    return (type(layer) in BATCH_NORMS and _is(layer, *BATCH_NORMS) and _is(following, ReLU)
            and layer.went_through_relu())


def rectifies(layer: Module, following: Module) -> bool:
    """Whether it is a `ReLU` before a `MaxPool2d`, which needs fewer numbers for the gradient of both."""
    return type(layer) is ReLU and _is(layer, ReLU) and _is(following, MaxPool2d)


def _is(layer: Module, *kinds: type[Module]) -> bool:
    """Whether a layer is of one of these classes and does what that does: an object may have been given a `forward` or
    `backward` of its own."""
    own = vars(layer)
    return type(layer) in kinds and "forward" not in own and "backward" not in own


def _folds(conv: Any, norm: Any, x: Any) -> bool:
    """Whether a convolution's output may be normalised by weights of its own: neither layer trains, and the arrays are
    such that both would take them one after the other."""
    if not _is(norm, BatchNorm2d) or conv.training or np.ndim(x) != 4 or norm.data_format != conv.data_format:
        return False
    known = norm.in_evaluation()
    weight = conv.weight._array
    return known is not None and all(
        array is None or (isinstance(array, np.ndarray) and array.shape == weight.shape[:1]
                          and array.dtype == weight.dtype)
        for array in known[:4])
