"""The base class of everything that holds parameters.

A layer is two functions: `forward`, and a `backward` that takes the gradient of the loss with respect to the layer's
output and returns the one with respect to its input (the chain rule, one link of it). What backward needs of the
forward pass, the layer remembers: only in training mode, and only until backward has used it. There is no tape.

A pass for inference writes nothing into the model, so that others may train or predict with it meanwhile: that it is
one is kept beside the model, in a context variable, which every thread and every asyncio task has for itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.folding import FoldedWeights
from fastconv.functional.prepared import KeptWeights
from fastconv.functional.typing import Float
from fastconv.nn.blame import NAMED, name_layer
from fastconv.nn.parameter import Parameter
from fastconv.nn.state import PLAIN, Buffer, by_name, copy_into, held, new_buffer, once

Self = TypeVar("Self", bound="Module")

#: The modules that are in evaluation mode here, whatever their own mode, by identity.
_evaluated: ContextVar[Mapping[int, Module]] = ContextVar("evaluated", default={})  # noqa: B039 (never written into)

#: What runs the modules called here in place of their `forward`, to see what comes out of each.
_watch: ContextVar[Callable[[Module, Any], Any] | None] = ContextVar("watch", default=None)


#: What the attributes of a layer are that holds no modules: `train` and `eval` look at all layers,
#: before every step as it may be.
_CHILDLESS = PLAIN | {Parameter, KeptWeights, FoldedWeights}


class Module:
    """Base class of layers and models. A subclass defines `forward` and `backward`.

    Attributes that are a `Parameter` or a `Module` are found by themselves, in lists, tuples, dicts, deques, namespaces
    and object arrays too (in a set, which has no order to name them by, they are an error): their names make the names
    of the state dict (``self.weight`` is ``"weight"``, ``self.conv.weight`` is ``"conv.weight"``, the weight of
    ``self.blocks[0]`` is ``"blocks.0.weight"``). Arrays that are not learnt but belong to the state, such as running
    means, are said by `register_buffer`.

    What `forward` keeps for `backward`, it gives to `remember`, or sets only where ``self.training``: then `predict`
    and its like may run in one thread while another one trains. Constructors keep each argument as the attribute of its
    name (or the class defines `settings`), so that `fastconv.save` can write down how to make the module.

    Attributes
    ----------
    training : bool
        Set by `train` and `eval`. A new module is in training mode. Inside `evaluating`, and so in `predict` and its
        like, it is False for who asks in that thread, and what it was for others.
    returns : {"logits", "log-probabilities", "probabilities"}
        What the output means if the module is the last of a classifier; `predict_proba` and `fastconv.Trainer` read it.

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

    returns: str = "logits"
    _training: bool = True
    _remembered: tuple[Any, ...] | None = None
    _buffer_names: tuple[str, ...] = ()
    _unnamed_children: str = ""  # the attribute, a list or dict, whose modules have no name before their index or key

    @property
    def training(self) -> bool:
        if not self._training:
            return False
        evaluated = _evaluated.get()
        return not evaluated or id(self) not in evaluated

    @training.setter
    def training(self, training: bool) -> None:
        self._training = training

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
        """Multiplications with a weight that one output of this shape takes (`Sequential.summary` shows them).

        A class that defines it counts for all that is inside; without it, the modules inside are counted one by one.
        """
        return 0

    # -- what a subclass uses

    def register_buffer(self, name: str, array: ArrayLike) -> None:
        """Make an array part of the state, beside the parameters: it is saved and loaded, and not learnt.

        Parameters
        ----------
        name : str
            The attribute that holds it from now on: to be changed in place, or set to another array.
        array : array
            Real numbers or truth values, of any dtype from bool to float64.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import nn
        >>> class Centre(nn.Module):
        ...     def __init__(self, channels):
        ...         self.channels = channels
        ...         self.register_buffer("mean", np.zeros(channels, np.float32))
        ...     def forward(self, x):
        ...         if self.training:
        ...             self.mean += 0.1 * (x.mean(axis=0) - self.mean)
        ...         return x - self.mean
        >>> layer = Centre(2)
        >>> y = layer(np.ones((4, 2), np.float32))
        >>> layer.state_dict()
        {'mean': array([0.1, 0.1], dtype=float32)}
        """
        array = new_buffer(name, array)
        if name not in self._buffer_names:
            if hasattr(self, name):
                raise ValueError(f"name must be that of a new attribute, {type(self).__name__} has {name!r} already")
            self._buffer_names = (*self._buffer_names, name)
        setattr(self, name, array)

    def remember(self, *values: Any) -> None:
        """Keep what backward will need; outside training mode nothing is kept, and what was kept stays."""
        if self.training:
            self._remembered = values

    def recall(self) -> Any:
        """What `remember` kept, once: a value, or a tuple of several."""
        values, self._remembered = self._remembered, None
        if values is None:
            raise RuntimeError(f"{type(self).__name__}.backward needs a forward pass in training mode before it: call "
                               "model.train() and model(x), then backward once")
        return values[0] if len(values) == 1 else values

    def set_mode(self, training: bool) -> None:
        """Training or evaluation mode, for this module alone: `train` and `eval` come here for each one.

        `evaluating` does not: it changes nothing in the module.
        """
        self._training = training
        if training:
            self.release()
        else:
            self._remembered = None

    def release(self) -> None:
        """Give back what is kept from one pass in evaluation mode to the next: the module trains (again)."""

    # -- what everybody gets

    def __call__(self, x: NDArray[Float]) -> NDArray[Float]:
        watch = _watch.get()
        try:
            return self.forward(x) if watch is None else watch(self, x)
        except NAMED as error:
            name_layer(error, self, self, "x", x)
            raise

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly inside this one, in attributes and in lists,
        tuples and dicts there, with their names."""
        attributes = vars(self)
        if _CHILDLESS.issuperset(map(type, list(attributes.values()))):
            return iter(())
        if not self._unnamed_children:
            return iter(held(attributes.items(), Module))
        others = dict(attributes)
        unnamed = others.pop(self._unnamed_children, ())
        items = unnamed.items() if isinstance(unnamed, dict) else enumerate(unnamed)
        return iter(held([*items, *others.items()], Module))

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """This module and all inside it, at any depth, with their dotted names; each once."""
        return once(_paths(self, prefix))

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """All parameters at any depth, with their dotted names; each once."""
        return once((name, entry) for name, entry in _entries(self, prefix) if isinstance(entry, Parameter))

    def parameters(self) -> list[Parameter]:
        """All parameters at any depth: what an optimiser takes."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, NDArray[Any]]]:
        """All arrays that `register_buffer` made part of the state, at any depth,
        with their dotted names; each once."""
        return once((name, entry.data) for name, entry in _entries(self, prefix) if isinstance(entry, Buffer))

    def buffers(self) -> list[NDArray[Any]]:
        """All arrays that `register_buffer` made part of the state."""
        return [array for _, array in self.named_buffers()]

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
        """Evaluation mode inside a ``with`` block, for this thread alone: others go on in the mode that they are in.

        Nothing is written into the model, so it may train in another thread meanwhile. What `train` and `eval`
        set inside the block counts after it. A module whose forward pass goes on in other threads takes the mode
        there with ``contextvars.copy_context().run``.
        """
        inside: dict[int, Module] = {id(module): module for _, module in self.named_modules()}
        before = _evaluated.set({**_evaluated.get(), **inside})
        try:
            yield
        finally:
            _evaluated.reset(before)
            for module in inside.values():
                if module.training:
                    module.release()

    def state_dict(self) -> dict[str, NDArray[Any]]:
        """The arrays of parameters and buffers by name, as PyTorch names them: the arrays themselves, not copies.

        What several names lead to, such as a weight that two layers share, stands under each of them.
        """
        return {name: entry.data for name, entry in by_name(_entries(self)).items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Copy arrays into the parameters and buffers of the same names.

        Parameters
        ----------
        state : mapping of str to array
            From `state_dict`, `fastconv.load_weights`, or a PyTorch module's ``state_dict()``. Values are converted
            to the dtype of the parameter or buffer. Of several names for one array one is enough.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a shape differs; the message lists all differences,
            and nothing is changed. Where the names differ by one beginning only, such as ``"module."``,
            it has the expression to write.
        """
        copy_into(_entries(self), state)

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

    def _outputs(self, x: ArrayLike, batch_size: int) -> NDArray[Any]:
        images = checks.array(x, "x")
        if images.ndim == 0:
            raise ValueError("x must be a batch of images, got a number")
        if (form := self._image_form()) and images.ndim == form.count(",") + 1:
            raise ValueError(f"x must be a batch (N, {form}), "
                             f"got shape {images.shape}: write x[None] for one image ({form})")
        batch_size = checks.integer(batch_size, "batch_size", 1)
        with self.evaluating():
            outputs = [self(images[start : start + batch_size]) for start in range(0, max(len(images), 1), batch_size)]
        return np.concatenate(outputs)

    def _image_form(self) -> str | None:
        """The sizes of one image, "C, H, W" or "H, W, C", or of a signal or a volume, where the module begins with a
        layer that takes these alone."""
        data_format: str = getattr(self, "data_format", "")
        known = any(data_format in formats for formats in checks.FORMATS.values())
        return ", ".join(data_format[1:]) if known else None

    # -- a module from its settings, and back

    def settings(self) -> dict[str, Any]:
        """The constructor's arguments by name: `fastconv.load` makes the module of them anew, and its repr shows them.

        They are read from the attributes of the same names; an argument without one only matters at birth, such as
        `init`. A class of one's own that keeps them otherwise defines this method.
        """
        settings = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters
                    if name in vars(self) or isinstance(getattr(type(self), name, None), property)}
        if isinstance(settings.get("bias", False), Parameter | None):
            settings["bias"] = settings["bias"] is not None
        return settings

    def __repr__(self) -> str:
        signature = inspect.signature(type(self)).parameters
        shown = []
        for name, value in self.settings().items():
            default = signature[name].default
            if default is inspect.Parameter.empty:
                shown.append(repr(value))
            elif isinstance(value, np.ndarray) or value != default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@contextmanager
def watched(model: Module, watch: Callable[[Module, Any], Any]) -> Iterator[None]:
    """`Module.evaluating`, and what is called inside goes through ``watch(module, x)``,
    which calls ``module.forward(x)``."""
    before = _watch.set(watch)
    try:
        with model.evaluating():
            yield
    finally:
        _watch.reset(before)


def is_watched() -> bool:
    """Whether somebody wants to see what comes out of each module that is called here."""
    return _watch.get() is not None


def _paths(module: Module, prefix: str = "") -> list[tuple[str, Module]]:
    """A module and all inside it under every name that leads there."""
    paths = [(prefix, module)]
    for name, child in module.named_children():
        paths += _paths(child, f"{prefix}.{name}" if prefix else name)
    return paths


def _entries(model: Module, prefix: str = "") -> list[tuple[str, Parameter | Buffer]]:
    """What a state dict holds, under every name that leads there."""
    entries: list[tuple[str, Parameter | Buffer]] = []
    for path, module in _paths(model, prefix):
        dot = f"{path}." if path else ""
        entries += [(dot + name, parameter) for name, parameter in held(vars(module).items(), Parameter)]
        entries += [(dot + name, Buffer(module, name)) for name in module._buffer_names]
    return entries


def float_dtype(dtype: DTypeLike) -> Literal["float32", "float64"]:
    """The name of a parameter dtype: "float32" or "float64"."""
    return "float32" if checks.float_dtype(dtype, "dtype") == np.float32 else "float64"
