"""A model as a chain of layers: forward runs it from the first to the last, backward from the last to the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, overload

import numpy as np

from fastconv.functional import checks, expressions
from fastconv.functional.foreign import shown
from fastconv.functional.typing import Float, NDArray
from fastconv.nn import passes
from fastconv.nn.activation import ReLU
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.conv import Conv2d
from fastconv.nn.fusing import (
    BEGINNINGS,
    in_one_pass,
    is_rectified,
    rectifies,
    run_again,
    run_in_one_pass,
)
from fastconv.nn.linear import Flatten
from fastconv.nn.module import Module, is_watched, watched
from fastconv.nn.parameter import Parameter
from fastconv.nn.pooling import MaxPool2d


class Sequential(Module):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Module, or one mapping of str to Module
        Layers are named "0", "1", ... or by the keys of the mapping. Every layer must be an object of its own,
        because it remembers its own last input.

    Notes
    -----
    In evaluation mode a chain of layers of `fastconv.nn` keeps the maps between NCHW layers, whose axes stay what they
    are, with their channels last in memory where its convolutions are expected to be done sooner so: networks of 1 x 1
    and depthwise convolutions are. The layers and the shape of the input decide that alone. What the chain returns is
    C-contiguous, and so is what a layer of one's own gets, and all that `feature_maps` shows.

    After `eval`, a chain of convolutions that are normalised, and of layers of `fastconv.nn` around them, keeps the
    calls of a pass. Before it takes them again it looks whether any attribute, layer, weight or statistic has changed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    ...                       nn.Linear(6 * 14 * 14, 10), nn.LogSoftmax())
    >>> x = np.zeros((64, 1, 28, 28), np.float32)
    >>> loss = nn.NLLLoss()
    >>> value = loss(model(x), np.zeros(64, np.int64))
    >>> grad_x = model.backward(loss.backward())
    >>> grad_x.shape
    (64, 1, 28, 28)
    >>> model
    Sequential(
      (0): Conv2d(1, 6, 5, padding=2)
      (1): ReLU()
      (2): MaxPool2d(2)
      (3): Flatten()
      (4): Linear(1176, 10)
      (5): LogSoftmax()
    )
    """

    _unnamed_children = "layers"

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        named: Mapping[str, Module | Mapping[str, Module]]
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = layers[0]
        else:
            named = {str(index): layer for index, layer in enumerate(layers)}
        self.layers: dict[str, Module] = {}
        self._passes = passes.Passes()
        seen: dict[int, str] = {}
        for name, layer in named.items():
            if not isinstance(name, str) or not name or "." in name:
                raise ValueError(f"layers must have names without a dot, got {shown(name)}")
            if not isinstance(layer, Module):
                raise TypeError(f"layers must be fastconv.nn modules, layer {name} is {shown(layer)}")
            for inner, module in layer.named_modules(name):
                if seen.setdefault(id(module), inner) != inner:
                    raise ValueError(f"layers must be objects of their own, layer {inner} is the same object as layer "
                                     f"{seen[id(module)]}: a layer remembers its last input, so make a second one")
            self.layers[name] = layer
        for name, parameter in self.named_parameters():
            parameter.name = name

    @property
    def returns(self) -> str:  # type: ignore[override]
        last = last_layer(self)
        return Module.returns if last is None else last.returns

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        if self.training or passes.rooms() is not None or is_watched():
            return self._run(x)
        y: NDArray[Float] = passes.run(self, x)
        return y

    def _run(self, x: NDArray[Float]) -> NDArray[Float]:
        layers: list[Module] = list(self.layers.values())
        apart, inside = is_watched(), passes.rooms()
        i, count = 0, len(layers)
        while i < count:
            if not apart and type(layers[i]) is Conv2d and (again := run_again(layers, i, x, inside)) is not None:
                x, together = again
                i += together
                continue
            together = 1 if apart or type(layers[i]) not in BEGINNINGS else in_one_pass(layers, i, x)
            if together == 1:
                x = passes.call(layers[i], x, inside)
            else:
                x = run_in_one_pass(layers[i : i + together], x, inside)
            i += together
        return x

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        layers = list(self.layers.values())
        first = 0
        if not needs_input_grad:  # nothing before the first layer with parameters needs a gradient
            first = next((i for i, layer in enumerate(layers) if _learns(layer)), len(layers))
        grad: Any = grad_output
        i = len(layers)
        while i > first:
            i -= 1
            try:
                if i > first and type(layers[i]) is MaxPool2d and rectifies(layers[i - 1], layers[i]):
                    grad = layers[i].backward(grad, rectified=True)  # type: ignore[call-arg]  # it is a MaxPool2d
                    i -= 1
                    layers[i].recall()
                elif i > first and type(layers[i]) is ReLU and is_rectified(layers[i - 1], layers[i]):
                    layers[i].recall()  # the layer before it does that too
                else:
                    grad = (layers[i].backward(grad) if needs_input_grad or i > first
                            else layers[i].backward(grad, False))
            except NAMED as error:
                name_layer(error, self, layers[i], "grad_output", grad)
                raise
        return grad if needs_input_grad else None

    def release(self) -> None:
        self._passes.forget()

    def feature_maps(self, x: NDArray[Float]) -> list[tuple[str, NDArray[Float]]]:
        """The output of every layer for the input `x`, in evaluation mode.

        Returns
        -------
        list of (str, ndarray)
            Name and output of each layer, from the first to the last; layers of a Sequential inside are listed one
            by one.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> model = nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2))
        >>> for name, maps in model.feature_maps(np.zeros((1, 1, 28, 28), np.float32)):
        ...     print(name, maps.shape)
        0: Conv2d (1, 6, 28, 28)
        1: ReLU (1, 6, 28, 28)
        2: MaxPool2d (1, 6, 14, 14)
        """
        names = {id(layer): name for name, layer in self._rows()}
        maps: list[tuple[str, NDArray[Any]]] = []

        def watch(module: Module, x: NDArray[Any]) -> NDArray[Any]:
            y = module.forward(x)
            if id(module) in names:
                maps.append((names[id(module)], y))
            return y

        with watched(self, watch):
            self(x)
        return maps

    def summary(self, input_shape: tuple[int, ...]) -> Summary:
        """A table of the layers for an input of this shape, without the batch: ``(1, 28, 28)``.

        The network runs once, on one image of zeros. Layers of a Sequential inside have a row each;
        a module of one's own has one, with the multiply-adds of all that it called.

        Examples
        --------
        >>> from fastconv import nn
        >>> nn.Sequential(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)).summary((1, 28, 28))
        layer         output shape  parameters  multiply-adds
        -----------------------------------------------------
        0: Conv2d     6 x 28 x 28          156        117,600
        1: ReLU       6 x 28 x 28            0              0
        2: MaxPool2d  6 x 14 x 14            0              0
        -----------------------------------------------------
        total                              156        117,600
        """
        sizes = checks.integers(input_shape, "input_shape", 1)
        if (form := self._image_form()) and len(sizes) != form.count(",") + 1:
            raise ValueError(f"input_shape must be ({form}), got {sizes}"
                             f"{expressions.image(sizes, f'N{form}'.replace(', ', ''), 'input_shape')}")
        dtype = next((parameter.data.dtype for parameter in self.parameters()), np.dtype(np.float32))
        names = {id(layer): name for name, layer in self._rows()}
        rows: list[SummaryRow] = []
        counted = 0  # multiply-adds of the modules that were called since the one around them began

        def watch(module: Module, x: NDArray[Any]) -> NDArray[Any]:
            nonlocal counted
            before, counted = counted, 0
            y = module.forward(x)
            shape = np.shape(y)[1:]
            if type(module).multiply_adds is not Module.multiply_adds:
                counted = module.multiply_adds(shape)
            if id(module) in names:
                count = sum(parameter.data.size for parameter in module.parameters())
                rows.append(SummaryRow(names[id(module)], shape, count, counted))
            counted += before
            return y

        with watched(self, watch):
            self(np.zeros((1, *sizes), dtype))
        return Summary(tuple(rows))

    def _image_form(self) -> str | None:
        """That of the first layer, if there is nothing before it."""
        first = next(iter(self), None)
        return first._image_form() if first is not None and is_chain(self) else None

    def _rows(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """The layers, those of chains inside one by one, with the names that feature maps and summary give them."""
        for name, layer in self.layers.items():
            if is_chain(layer):
                yield from layer._rows(f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}: {type(layer).__name__}", layer

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.layers.values())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module | Sequential:
        """A layer, or with a slice a model of some of them: the same objects, under the same names."""
        if isinstance(index, slice):
            return Sequential(dict(list(self.layers.items())[index]))
        return list(self.layers.values())[index]

    def __repr__(self) -> str:
        if not self.layers:
            return "Sequential()"
        lines = [f"({name}): {layer!r}".replace("\n", "\n  ") for name, layer in self.layers.items()]
        return "Sequential(\n  " + "\n  ".join(lines) + "\n)"


passes.known(passes.as_it_is, Sequential, in_steps=False)


def is_chain(module: Module) -> TypeGuard[Sequential]:
    """Whether the module is a Sequential that does nothing but run its layers: a subclass may do more."""
    return isinstance(module, Sequential) and type(module).forward is Sequential.forward


def _learns(layer: Module) -> bool:
    """Whether there are parameters: asked in every step of a training,
    and mostly seen in the layer's own attributes."""
    return any(isinstance(value, Parameter) for value in vars(layer).values()) or bool(layer.parameters())


def last_layer(chain: Sequential) -> Module | None:
    """The layer that says what the output means: the last one, also of a Sequential at the end,
    that is no `Flatten`."""
    for layer in reversed(chain.layers.values()):
        found = last_layer(layer) if is_chain(layer) else layer
        if found is not None and not isinstance(found, Flatten):
            return found
    return None


@dataclass(frozen=True)
class SummaryRow:
    """One line of `Summary`: shapes without the batch, multiply-adds for one image."""

    layer: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True, repr=False)
class Summary:
    """What `Sequential.summary` returns: `rows`, and the table as text."""

    rows: tuple[SummaryRow, ...]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        head = ("layer", "output shape", "parameters", "multiply-adds")
        body = [(row.layer, " x ".join(map(str, row.output_shape)), f"{row.parameters:,}", f"{row.multiply_adds:,}")
                for row in self.rows]  # fmt: skip
        total = ("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}")
        widths = [max(map(len, column)) for column in zip(head, *body, total)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}"
                 for a, b, c, d in (head, *body, total)]  # fmt: skip
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    __repr__ = __str__
