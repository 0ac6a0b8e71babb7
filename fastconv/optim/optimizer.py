"""What all optimisers share: a step whose every check and every array comes before its first write, and the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise import update
from fastconv._core.runtime import arrays
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.optim.ranges import at_least_zero

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Parameter(Protocol):
    """What an optimiser needs of a parameter; `fastconv.nn.Parameter` has it."""

    data: NDArray
    grad: NDArray | None
    name: str


class Optimizer:
    """What all optimisers share. A subclass defines `settings`, `kinds`, `buffers`, `counts`, `_new_state`
    and `_update`.

    Attributes
    ----------
    params : list of Parameter
    lr : float
        The learning rate of the next step; may be set at any time, as the other settings.
    """

    #: Names of the attributes that state_dict holds beside the buffers and counts.
    settings: tuple[str, ...] = ("lr",)
    #: Names of the arrays kept for each parameter, in its shape.
    buffers: tuple[str, ...] = ()
    #: Those of them that are only there where the settings need them.
    optional: tuple[str, ...] = ()
    #: Those of them that are never below zero.
    squares: tuple[str, ...] = ()
    #: Names of the whole numbers kept for each parameter.
    counts: tuple[str, ...] = ()

    #: What a setting must be: a check ``(value, name) -> value`` that it goes through whenever it is set, by the
    #: constructor, a schedule, `load_state_dict` or the user. So a step never meets a setting that it cannot use.
    kinds: Mapping[str, Callable[[Any, str], Any]] = {"lr": at_least_zero, "weight_decay": at_least_zero}

    lr: float
    weight_decay: float

    def __init__(self, params: Iterable[Parameter], lr: float, weight_decay: float) -> None:
        if not isinstance(params, Iterable):
            raise TypeError(f"params must be a list of parameters, as model.parameters() gives, got {shown(params)}")
        self.params = list(params)
        for parameter in self.params:
            if not (hasattr(parameter, "data") and hasattr(parameter, "grad")):
                raise TypeError("params must be parameters, as model.parameters() gives them, got "
                                f"{type(parameter).__name__}")
        if not self.params:
            raise ValueError("params must hold at least one parameter, got none")
        if len({id(parameter) for parameter in self.params}) < len(self.params):
            raise ValueError("params must be different parameters, got one of them twice")
        self.lr = lr
        self.weight_decay = weight_decay
        #: For each parameter its buffers and counts by name; empty before its first step.
        self.state: list[dict[str, Any]] = [{} for _ in self.params]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, self.checked_settings({name: value})[name] if name in self.kinds else value)

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        A gradient of another dtype than its parameter is converted. One that lies in the memory of a
        parameter counts as it was before the step.

        Raises
        ------
        TypeError, ValueError
            If an array cannot be updated in place (it is read-only, or no longer C-contiguous), if a gradient has
            another shape, or if a parameter's array was replaced by one that its state does not fit. No parameter, no
            state has changed then.
        MemoryError
            If there is no room for the state; again nothing has changed.
        """
        moving = [index for index, parameter in enumerate(self.params) if parameter.grad is not None]
        params = [self.params[index].data for index in moving]
        grads: list[Any] = [self.params[index].grad for index in moving]
        before = [self.state[index] for index in moving]
        if not update.fit(params, grads, before, self.buffers):
            grads = self._checked(moving)
        states = [state or self._new_state(param) for state, param in zip(before, params)]
        # Everything is there, and fits: once the first parameter changes, nothing can fail.
        self._update(params, grads, states, [state is not old for state, old in zip(states, before)])
        for index, state in zip(moving, states):
            self.state[index] = state

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.params:
            parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Everything a later step depends on besides parameters and gradients.

        Returns
        -------
        dict
            The settings by name, and "state": for each parameter its buffers (the arrays themselves, not copies) and
            counts by name.
        """
        return {name: getattr(self, name) for name in self.settings} | {"state": [dict(entry) for entry in self.state]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned, for the same parameters in the same order.

        Arrays are copied, and converted to the dtype of their parameter.

        Raises
        ------
        TypeError, ValueError
            If it is of another optimiser or other parameters, or an entry is not of its kind; nothing is changed.
        """
        self.prepare_load(state)()

    def prepare_load(self, state: Mapping[str, Any]) -> Callable[[], None]:
        """Everything of `load_state_dict` that can fail, without changing anything;
        the function returned does the rest.

        For who loads several things, and wants all of them or none.
        """
        expected = {*self.settings, "state"}
        if not isinstance(state, Mapping) or set(state) != expected:
            got = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"state must be what {type(self).__name__}.state_dict returned, with {sorted(expected)}, "
                             f"got {got}")
        settings = self.checked_settings({name: state[name] for name in self.settings}, "state: ")
        entries = state["state"]
        if not isinstance(entries, (list, tuple)):
            raise TypeError("state: state must be a list with an entry for each parameter, "
                            f"got {type(entries).__name__}")
        if len(entries) != len(self.params):
            raise ValueError(f"state must be for {len(self.params)} parameters, got {len(entries)}")
        copied = [self._checked_entry(entry, index) for index, entry in enumerate(entries)]

        def load() -> None:
            for name, value in settings.items():
                object.__setattr__(self, name, value)  # they fit together, not each with those that are replaced next
            self.state = copied

        return load

    def checked_settings(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Values for some of the settings, after the checks that setting them would make; nothing is set.

        A subclass whose settings do not all go together checks that here,
        the values beside those of the other settings.
        """
        return {name: self.kinds[name](value, prefix + name) if name in self.kinds else value
                for name, value in values.items()}

    def _checked_entry(self, entry: Any, index: int) -> dict[str, Any]:
        """What a state holds for one parameter: all of its buffers and counts, or nothing before its first step."""
        expected = {*self.buffers, *self.counts}
        if not isinstance(entry, Mapping):
            raise TypeError(f"state of parameter {index} must map names to arrays, got {type(entry).__name__}")
        if entry and set(entry) | set(self.optional) != expected:
            raise ValueError(f"state of parameter {index} must have {sorted(expected)} or nothing, got "
                             f"{sorted(map(str, entry))}")
        data, checked = self.params[index].data, {}
        for name, value in entry.items():
            if name in self.counts:
                checked[name] = checks.integer(value, f"state: {name} of parameter {index}", 0)
                continue
            _check_unmasked(value, f"state: {name} of parameter {index}")
            array = np.asarray(value)
            if array.dtype.kind not in "fiu":
                raise TypeError(f"state: {name} of parameter {index} must be real numbers, got {array.dtype}")
            if array.shape != data.shape:
                raise ValueError(f"state: {name} of parameter {index} has shape {array.shape}, must have {data.shape}")
            with np.errstate(over="ignore"):  # what is too large for the parameter's dtype becomes infinite
                checked[name] = np.array(array, data.dtype, order="C")
            if not np.isfinite(checked[name]).all():
                raise ValueError(f"state: {name} of parameter {index} must be finite in {data.dtype}, "
                                 "it holds NaN or infinity or what becomes one")
            if name in self.squares and (checked[name] < 0).any():
                raise ValueError(f"state: {name} of parameter {index} must be at least 0, got {checked[name].min()}")
        return checked

    def _checked(self, moving: list[int]) -> list[NDArray[Any]]:
        """The gradients of these parameters as `_update` takes them, after a close look at all arrays of the step."""
        grads = [self._gradient(index) for index in moving]
        apart = True
        for index, grad in zip(moving, grads):
            apart = arrays.is_room(self.params[index].data, grad.shape, grad.dtype, tuple(grads)) and apart
            for name in self.buffers:
                if (name in self.state[index]
                        and not arrays.is_room(self.state[index][name], grad.shape, grad.dtype, ())):
                    self._check_buffer(index, name)
        if not apart:
            for index in moving:
                _check_updatable(self.params[index].data, self._called(index))
            grads = [grad.copy() for grad in grads]
        return grads

    def _gradient(self, index: int) -> NDArray[Any]:
        """The gradient of a parameter in its shape and dtype, C-contiguous."""
        data, grad = self.params[index].data, self.params[index].grad
        if (type(data) is np.ndarray and arrays.is_like(grad, data.shape, data.dtype)
                and grad.flags.c_contiguous):  # type: ignore[union-attr]
            return grad  # type: ignore[return-value]
        called = self._called(index)
        _check_updatable(data, called)
        _check_unmasked(grad, f"the gradient of {called}")
        if not isinstance(grad, np.ndarray) or grad.dtype.kind not in "fiu":
            kind = grad.dtype if isinstance(grad, np.ndarray) else type(grad).__name__
            raise TypeError(f"the gradient of {called} must be an array of real numbers, got {kind}")
        if grad.shape != data.shape:
            raise ValueError(f"the gradient of {called} must have its shape {data.shape}, got {grad.shape}")
        return np.array(grad, data.dtype, order="C")

    def _check_buffer(self, index: int, name: str) -> None:
        data, buffer, called = self.params[index].data, self.state[index][name], self._called(index)
        _check_updatable(buffer, f"the {name} of {called}")
        if buffer.shape != data.shape or buffer.dtype != data.dtype:
            raise ValueError(
                f"{called} is {data.dtype} of shape {data.shape}, but its {name} in the optimizer's state is "
                f"{buffer.dtype} of shape {buffer.shape}: make a new optimizer where a parameter's array was "
                "replaced")

    def _called(self, index: int) -> str:
        """A parameter in a message."""
        name = getattr(self.params[index], "name", "")
        return f"parameter {name!r}" if name else f"parameter {index}"

    def _new_state(self, param: NDArray) -> dict[str, Any]:
        """The state before the first step of a parameter: `buffers` in its shape and dtype, `counts`."""
        raise NotImplementedError

    def _update(self, params: list[NDArray], grads: list[NDArray], states: list[dict[str, Any]],
                first: list[bool]) -> None:
        """One step of some parameters, all arrays C-contiguous; parameters and states change in place.

        What can fail, as for want of memory, comes before the first change.
        `first` says of each state whether it is what `_new_state` made.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({len(self.params)} parameters, {settings})"


def _check_updatable(array: Any, called: str) -> None:
    """Whether an update can be written to an array in place."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{called} must be an array, got {type(array).__name__}")
    _check_unmasked(array, called)
    if array.dtype not in _FLOATS:
        raise TypeError(f"{called} must be float32 or float64, got {array.dtype}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{called} must be C-contiguous to be updated in place, got strides {array.strides} for shape "
                         f"{array.shape}")
    if not array.flags.aligned:
        raise ValueError(f"{called} must be aligned to its dtype to be updated in place")
    if not array.flags.writeable:
        raise ValueError(f"{called} must be writable to be updated in place, its array is read-only")


def _check_unmasked(array: Any, called: str) -> None:
    if isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{called} is a masked array, whose mask would be lost: "
                        "fill it, for example with array.filled(0)")
