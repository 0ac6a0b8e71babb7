"""Parameters, and the base class of everything that holds them.

A layer is two functions: `forward`, and a `backward` that takes the gradient of the loss with respect to the layer's
output and returns the one with respect to its input (the chain rule, one link of it). What backward needs of the
forward pass, the layer remembers: only in training mode, and only until backward has used it. There is no tape.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.foreign import read
from fastconv.functional.typing import Float

Self = TypeVar("Self", bound="Module")


class Parameter:
    """An array that is learnt, and its gradient.

    Parameters
    ----------
    data : array
        The initial value, float32 or float64. It is kept C-contiguous and updated in place.
    name : str, optional
        For messages; `Sequential` gives its parameters the names of the state dict (``"0.weight"``).

    Attributes
    ----------
    data : ndarray
    grad : ndarray or None
        The gradients since the last `zero_grad`, added up; None before the first.
    name : str

    Examples
    --------
    >>> from fastconv import nn
    >>> p = nn.Parameter([1.0, 2.0])
    >>> p.add_grad(p.data * 10); p.add_grad(p.data)
    >>> p.grad
    array([11., 22.])
    """

    __slots__ = ("data", "grad", "name")

    def __init__(self, data: Any, name: str = "") -> None:
        self.data: NDArray[Any] = np.ascontiguousarray(checks.array(data, "data"))
        self.grad: NDArray[Any] | None = None
        self.name = name

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def add_grad(self, grad: NDArray[Any]) -> None:
        """Add to the gradient. The first array since `zero_grad` is kept, not copied, and added to later."""
        if self.grad is None:
            self.grad = grad
        else:
            self.grad += grad

    def zero_grad(self) -> None:
        """Forget the gradient: None, as in PyTorch, costs no pass over memory."""
        self.grad = None

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Parameter({name}shape={self.shape}, dtype={self.data.dtype})"


class Module:
    """Base class of layers and models. A subclass defines `forward` and `backward`.

    Attributes that are a `Parameter` or a `Module` are found by themselves: their names make the names of the state
    dict (``self.weight`` is ``"weight"``, ``self.conv.weight`` is ``"conv.weight"``).

    Attributes
    ----------
    training : bool
        Set by `train` and `eval`. A new module is in training mode.
    returns : {"logits", "log-probabilities", "probabilities"}
        What the output means if the module is the last of a classifier; `predict_proba` reads it.

    Examples
    --------
    A residual block, ``y = x + f(x)``:

    >>> import numpy as np
    >>> from fastconv import nn
    >>> class Residual(nn.Module):
    ...     def __init__(self, inner):
    ...         self.inner = inner
    ...     def forward(self, x):
    ...         return x + self.inner(x)
    ...     def backward(self, grad_output, needs_input_grad=True):
    ...         return grad_output + self.inner.backward(grad_output)
    >>> block = Residual(nn.Conv2d(4, 4, 3, padding="same"))
    >>> block(np.ones((2, 4, 8, 8), np.float32)).shape
    (2, 4, 8, 8)
    >>> list(block.state_dict())
    ['inner.weight', 'inner.bias']
    """

    training: bool = True
    returns: str = "logits"
    _remembered: tuple | None = None

    # -- what a subclass defines

    def forward(self, x: NDArray[Any]) -> NDArray[Any]:
        """The output for the input `x`."""
        raise NotImplementedError(f"{type(self).__name__} must define forward")

    def backward(self, grad_output: NDArray[Any], needs_input_grad: bool = True) -> NDArray[Any] | None:
        """Pass the gradient back through the last `forward`.

        The gradients of the parameters are added to their ``.grad``; the gradient of the input is returned.

        Parameters
        ----------
        grad_output : ndarray
            The gradient of the loss with respect to the output, in the output's shape.
        needs_input_grad : bool
            False saves the work for the gradient of the input where nobody asks for it, as before the first layer;
            what is returned is then of no use, None where there was work to save.

        Raises
        ------
        RuntimeError
            If there was no forward pass in training mode since the last backward.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward")

    def multiply_adds(self, output_shape: tuple[int, ...]) -> int:
        """Multiplications with a weight that one output of this shape takes (`Sequential.summary` shows them)."""
        return 0

    # -- what a subclass uses

    def remember(self, *values: Any) -> None:
        """Keep what backward will need; in eval mode nothing is kept."""
        self._remembered = values if self.training else None

    def recall(self) -> Any:
        """What `remember` kept, once: a value, or a tuple of several."""
        values, self._remembered = self._remembered, None
        if values is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward pass in training mode before it: call "
                               "model.train() and model(x), then backward once")
        return values[0] if len(values) == 1 else values

    def set_mode(self, training: bool) -> None:
        """Training or evaluation mode, for this module alone: `train` and `eval` come here for each one."""
        self.training = training

    # -- what everybody gets

    def __call__(self, x: NDArray[Float]) -> NDArray[Float]:
        return self.forward(x)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one, with their names."""
        for name, value in vars(self).items():
            if isinstance(value, Module):
                yield name, value

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, at any depth, with their dotted names."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """All parameters at any depth, with their dotted names."""
        dot = f"{prefix}." if prefix else ""
        for name, value in vars(self).items():
            if isinstance(value, Parameter):
                yield dot + name, value
        for name, child in self.named_children():
            yield from child.named_parameters(dot + name)

    def parameters(self) -> list[Parameter]:
        """All parameters at any depth: what an optimiser takes."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def train(self: Self, mode: bool = True) -> Self:
        """Training mode: forward remembers what backward needs, and Dropout drops. Returns the module."""
        self.set_mode(mode)
        for _, child in self.named_children():
            child.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Evaluation mode: nothing is remembered, nothing dropped. Returns the module."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode inside a ``with`` block; afterwards every module is in the mode it was in."""
        modes = [(module, module.training) for _, module in self.named_modules()]
        self.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.set_mode(training)

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The parameters' arrays by name, as PyTorch names them: the arrays themselves, not copies."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy arrays into the parameters of the same names.

        Parameters
        ----------
        state : mapping of str to array
            From `state_dict`, `fastconv.load_weights`, or a PyTorch module's ``state_dict()``. Values are converted
            to the dtype of the parameter.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape differs; the message lists all differences, and no
            parameter is changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"state must map names to arrays, got {type(state).__name__}")
        own = dict(self.named_parameters())
        given = {name: read(value, f"state[{name!r}]") for name, value in state.items()}
        wrong = [f"missing {name}" for name in own if name not in given]
        wrong += [f"unknown {name}" for name in given if name not in own]
        for name in own.keys() & given.keys():
            if given[name].dtype.kind not in "fiu":
                wrong.append(f"{name} has dtype {given[name].dtype}, not a real number")
            elif given[name].shape != own[name].shape:
                wrong.append(f"{name} has shape {given[name].shape}, must have {own[name].shape}")
        if wrong:
            raise ValueError("state does not fit the model: " + "; ".join(sorted(wrong)))
        for name, parameter in own.items():
            parameter.data[...] = given[name]

    def predict(self, x: ArrayLike, batch_size: int = 256) -> NDArray[np.int64]:
        """The class of each image: the index of the largest output.

        Parameters
        ----------
        x : array (N, C, H, W)
            In the model's `data_format`.
        batch_size : int
            Images that go through the model at once.

        Returns
        -------
        ndarray (N,), int64
        """
        return self._outputs(x, batch_size).argmax(axis=-1)

    def predict_proba(self, x: ArrayLike, batch_size: int = 256) -> NDArray[Any]:
        """The probability of each class for each image, (N, classes); rows add up to 1. See `predict`."""
        outputs = self._outputs(x, batch_size)
        if self.returns == "probabilities":
            return outputs
        return np.exp(outputs) if self.returns == "log-probabilities" else F.softmax(outputs)

    def _outputs(self, x: ArrayLike, batch_size: int) -> NDArray:
        images = checks.array(x, "x")
        if images.ndim == 0:
            raise ValueError("x must be a batch of images, got a number")
        batch_size = checks.integer(batch_size, "batch_size", 1)
        with self.evaluating():
            outputs = [self(images[start : start + batch_size]) for start in range(0, max(len(images), 1), batch_size)]
        return np.concatenate(outputs)

    # -- a module from its settings, and back

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, read from the attributes of the same names (an argument without one, such as
        `init`, only matters at birth)."""
        names = inspect.signature(type(self)).parameters
        settings = {name: getattr(self, name) for name in names if hasattr(self, name)}
        if "bias" in settings:
            settings["bias"] = settings["bias"] is not None
        return settings

    def __repr__(self) -> str:
        signature = inspect.signature(type(self)).parameters
        shown = []
        for name, value in self.settings().items():
            default = signature[name].default
            if default is inspect.Parameter.empty:
                shown.append(repr(value))
            elif value != default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def float_dtype(dtype: DTypeLike) -> Literal["float32", "float64"]:
    """The name of a parameter dtype: "float32" or "float64"."""
    return "float32" if checks.float_dtype(dtype, "dtype") == np.float32 else "float64"
