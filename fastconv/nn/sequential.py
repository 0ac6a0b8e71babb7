"""A model as a chain of layers: forward runs it from the first to the last, backward from the last to the first."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.typing import Array, Float, NDArray
from fastconv.nn.module import Module


class Sequential(Module):
    """Layers one after the other.

    Parameters
    ----------
    *layers : Module, or one mapping of str to Module
        Layers are named "0", "1", ... or by the keys of the mapping. Every layer must be an object of its own,
        because it remembers its own last input.

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

    def __init__(self, *layers: Module | Mapping[str, Module]) -> None:
        named: Mapping[str, Module | Mapping[str, Module]]
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = layers[0]
        else:
            named = {str(index): layer for index, layer in enumerate(layers)}
        self.layers: dict[str, Module] = {}
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
        return self[-1].returns if self.layers else Module.returns

    def forward(self, x: NDArray[Float]) -> NDArray[Float]:
        for layer in self.layers.values():
            x = layer(x)
        return x

    def backward(self, grad_output: NDArray[Float], needs_input_grad: bool = True) -> NDArray[Float] | None:
        layers = list(self.layers.values())
        grad: Any = grad_output
        if needs_input_grad:
            for layer in reversed(layers):
                grad = layer.backward(grad)
            return grad
        # Nothing before the first layer with parameters needs a gradient.
        first = next((i for i, layer in enumerate(layers) if layer.parameters()), len(layers))
        for layer in reversed(layers[first + 1 :]):
            grad = layer.backward(grad)
        if first < len(layers):
            layers[first].backward(grad, False)
        return None

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
        with self.evaluating():
            return [(name, output) for name, _, output in self._run(x)]

    def summary(self, input_shape: tuple[int, ...]) -> Summary:
        """A table of the layers for an input of this shape, without the batch: ``(1, 28, 28)``.

        The network runs once, on one image of zeros.

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
        dtype = next((parameter.data.dtype for parameter in self.parameters()), np.dtype(np.float32))
        with self.evaluating():
            rows = []
            for name, layer, output in self._run(np.zeros((1, *sizes), dtype)):
                shape = output.shape[1:]
                count = sum(parameter.data.size for parameter in layer.parameters())
                rows.append(SummaryRow(name, shape, count, layer.multiply_adds(shape)))
        return Summary(tuple(rows))

    def _run(self, x: Array, prefix: str = "") -> Generator[tuple[str, Module, Array], None, Array]:
        """Forward, stopping after each layer with (name, layer, output)."""
        for name, layer in self.layers.items():
            if isinstance(layer, Sequential):
                x = yield from layer._run(x, f"{prefix}{name}.")
            else:
                x = layer(x)
                yield f"{prefix}{name}: {type(layer).__name__}", layer, x
        return x

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self.layers.items())

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
