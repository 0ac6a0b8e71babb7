"""Layers in which an input goes several ways, that meet again: Residual adds what comes out, Concat joins the channels.

Backward goes the same ways, and the gradient of the input is the sum of what they return. Sums are made in place where
the array that holds one is nobody else's: where the layer that made it is known to keep no hold of it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import numpy as np

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.typing import Activation, DataFormat, Float, NDArray
from fastconv.nn import passes
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.conv import Conv2d
from fastconv.nn.linear import Linear
from fastconv.nn.module import Module, is_watched
from fastconv.nn.norm import BatchNorm2d
from fastconv.nn.programs import JOIN, KEEP, SWAP
from fastconv.nn.sequential import Sequential, is_chain, last_layer

#: Layers that keep neither the array that they return nor the gradient that they return.
_LETS_GO = (Conv2d, Linear, BatchNorm2d)


class Residual(Sequential):
    """``y = body(x) + shortcut(x)``, or ``body(x) + x`` without a shortcut: the body learns the difference.

    Parameters
    ----------
    body : Module
        Several layers are a `Sequential`.
    shortcut : Module, optional
        What x goes through where it does not have the shape of the body's output, such as a `Conv2d` of 1 x 1.
    activation : {None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6"}
        Applied to the sum, in the same pass over memory.

    Notes
    -----
    Source: K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> block = nn.Residual(nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.Conv2d(4, 8, 1, stride=2), activation="relu")
    >>> block(np.ones((2, 4, 8, 8), np.float32)).shape
    (2, 8, 4, 4)
    >>> list(block.state_dict())
    ['body.weight', 'body.bias', 'shortcut.weight', 'shortcut.bias']
    """

    def __init__(self, body: Module, shortcut: Module | None = None, *, activation: Activation | None = None) -> None:
        self._join({"body": body}, "shortcut", shortcut, activation)

    def _join(self, layers: Mapping[str, Module], name: str, shortcut: Module | None,
              activation: Activation | None) -> None:
        """Hold the layers of the body and, as an attribute of this name, the shortcut."""
        super().__init__({**layers, **({} if shortcut is None else {name: shortcut})})
        setattr(self, name, self.layers.pop(name, None))
        self._shortcut_name = name
        self.activation = checks.choice(activation, "activation", (None, *get_args(Activation)))

    @property
    def body(self) -> Module:
        return self.layers["body"]

    def _shortcut(self) -> Module | None:
        shortcut: Module | None = getattr(self, self._shortcut_name)
        return shortcut

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        inside, shortcut = passes.rooms(), self._shortcut()
        passes.note(inside, KEEP)
        y = super().forward(x)
        other = x
        if shortcut is not None:
            passes.note(inside, SWAP)
            other = passes.call(shortcut, x, inside)
            passes.note(inside, SWAP)
        if np.shape(other) != np.shape(y):
            what = "x itself, its shortcut, has" if shortcut is None else f"its {self._shortcut_name} gives"
            raise ValueError(f"the two ways through {type(self).__name__} must give the same shape: its body gives "
                             f"{np.shape(y)}, {what} {np.shape(other)}"
                             + (": write shortcut=nn.Conv2d(...) of 1 x 1 with the body's channels and stride"
                                if shortcut is None else ""))
        join = _sum_in_pixels if passes.lies_in_pixels(y) and passes.lies_in_pixels(other) else _sum
        join = functools.partial(join, self.activation, not is_watched() and _lets_go(last_layer(self)))
        passes.note(inside, JOIN, join)
        y = join(y, other)
        self.remember(y if self.activation is not None else None)
        return y

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        y = self.recall()
        if self.activation is not None:
            grad_output = getattr(F, f"{self.activation}_backward")(grad_output, y)
        grad = super().backward(grad_output, needs_input_grad)
        shortcut = self._shortcut()
        try:
            other: Any = grad_output if shortcut is None else shortcut.backward(grad_output, needs_input_grad)
        except NAMED as error:
            name_layer(error, self, shortcut, "grad_output", grad_output)
            raise
        if not needs_input_grad or grad is None:
            return None
        return F.add(grad, other, out=grad if _lets_gradient_go(self) else None)

    def _image_form(self) -> str | None:
        return self[0]._image_form()

    def __repr__(self) -> str:
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self.named_children()]
        lines += [f"activation={self.activation!r}"] if self.activation is not None else []
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _sum(activation: Activation | None, own: bool, y: Any, other: Any) -> Any:
    """What comes out of both ways, through the activation: where that of the body lies, if that is nobody else's."""
    return F.add(y, other, activation=activation, out=y if own else None)


def _sum_in_pixels(activation: Activation | None, own: bool, y: Any, other: Any) -> Any:
    """The same of maps that lie with channels last."""
    return passes.as_planes(_sum(activation, own, passes.as_pixels(y), passes.as_pixels(other)))


passes.known(passes.as_it_is, Residual, in_steps=False)


class Concat(Module):
    """The channels of several branches, which all see the same input, one after the other.

    Parameters
    ----------
    branches : list of Module, or mapping of str to Module
        Named "0", "1", ... or by the keys of the mapping. Their outputs differ in nothing but the channels.
    data_format : {"NCHW", "NHWC"}
        Which axis the channels are.

    Notes
    -----
    Source: C. Szegedy et al., "Going deeper with convolutions", 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> layer = nn.Concat([nn.Conv2d(3, 8, 1), nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(3, 1, 1)])
    >>> layer(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 15, 8, 8)
    """

    _unnamed_children = "branches"

    def __init__(self, branches: Iterable[Module] | Mapping[str, Module], *, data_format: DataFormat = "NCHW") -> None:
        self.data_format = checks.choice(data_format, "data_format", checks.DATA_FORMATS)
        if not isinstance(branches, (list, tuple, Mapping)) or not branches:
            raise TypeError(f"branches must be a list or a mapping of fastconv.nn modules, got {shown(branches)}")
        try:
            chain = Sequential(branches) if isinstance(branches, Mapping) else Sequential(*branches)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("layers", "branches").replace("layer", "branch")) from None
        self.branches: dict[str, Module] = chain.layers

    @property
    def _axis(self) -> int:
        """That of the channels, of a batch as of one image."""
        return -3 if self.data_format == "NCHW" else -1

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        outputs = {name: branch(x) for name, branch in self.branches.items()}
        first = next(iter(outputs))
        for name, output in outputs.items():
            if _without(output, self._axis) != _without(outputs[first], self._axis):
                raise ValueError(f"the branches must give the same but for the channels ({self.data_format}): "
                                 f"branch {first} gives {_form(outputs[first])}, branch {name} {_form(output)}")
        self.remember([output.shape[self._axis] for output in outputs.values()])
        return np.concatenate(list(outputs.values()), axis=self._axis)

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        ends = np.cumsum(self.recall())
        total, own = None, False
        for branch, grad in zip(self.branches.values(), np.split(grad_output, ends[:-1], axis=self._axis)):
            try:
                grad_x: Any = branch.backward(grad, needs_input_grad)
            except NAMED as error:
                name_layer(error, self, branch, "grad_output", grad)
                raise
            if not needs_input_grad:
                continue
            if total is None:
                total, own = grad_x, _lets_gradient_go(branch)
            else:
                total, own = F.add(total, grad_x, out=total if own else None), True
        return total

    def _image_form(self) -> str | None:
        return next(iter(self.branches.values()))._image_form()

    def __repr__(self) -> str:
        lines = [f"({name}): {branch!r}".replace("\n", "\n  ") for name, branch in self.branches.items()]
        lines += [f"data_format={self.data_format!r}"] if self.data_format != "NCHW" else []
        return "Concat(\n  " + "\n  ".join(lines) + "\n)"


def _lets_go(layer: Module | None) -> bool:
    """Whether it is one of these layers, without a method of its own."""
    return type(layer) in _LETS_GO and not {"forward", "backward"} & vars(layer).keys()


def _lets_gradient_go(module: Module) -> bool:
    """Whether the gradient that a layer, or a chain of layers, returns is nobody else's."""
    while isinstance(module, Sequential) and (is_chain(module) or isinstance(module, Residual)) and len(module):
        module = module[0]
    return _lets_go(module)


def _without(output: NDArray[Any], axis: int) -> tuple[Any, ...]:
    """What must be the same: the dtype, and all sizes but the one along an axis."""
    sizes = list(np.shape(output))
    if len(sizes) >= -axis:
        del sizes[axis]
    return (len(np.shape(output)), *sizes, np.asarray(output).dtype)


def _form(output: NDArray[Any]) -> str:
    return f"{np.shape(output)} of {np.asarray(output).dtype}"
