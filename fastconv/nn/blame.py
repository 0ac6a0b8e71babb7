"""Errors inside a model say in which layer they arose, and what it was given."""

from __future__ import annotations

from typing import Any, NamedTuple

from fastconv.functional.foreign import shown

#: The kinds of errors that wrong shapes and dtypes raise, here and in NumPy: others pass as they are.
NAMED = (ValueError, TypeError, IndexError, RuntimeError, MemoryError, AssertionError)

_LONGEST = 100


class _Failure(NamedTuple):
    """The innermost layer that an error came through, what it was given, and what the error said there."""

    layer: Any
    given: str
    message: str

    def __reduce__(self) -> tuple[Any, ...]:
        """An error that is sent to another process leaves the model behind."""
        return _Failure, (None, self.given, self.message)


def name_layer(error: Exception, model: Any, layer: Any, argument: str, value: Any) -> None:
    """Put the layer of `model` in which an error arose before
    its message: ``layer 2.conv, Conv2d(3, 8, 3), given ...``.

    The error, which keeps its type, comes by here in each module on its way out, from the inside to the outside:
    `layer` is the one that it just left, `model` itself or directly inside it. The first is the one to name;
    its dotted name is that in the outermost model that has it, so the message is written anew each time.
    """
    failure: _Failure | None = vars(error).get("_failure")
    name = _name_in(model, failure.layer) if failure else None
    if failure is None or name is None:
        if not (len(error.args) == 1 and isinstance(error.args[0], str) and str(error) == error.args[0]):
            return  # its message is made of other things
        failure = _Failure(layer, f"{argument} {_form(value)}", failure.message if failure else error.args[0])
        vars(error)["_failure"] = failure
        name = _name_in(model, layer)
    if name:
        error.args = (f"layer {name}, {shown(failure.layer, _LONGEST)}, given {failure.given}: {failure.message}",)


def _name_in(model: Any, layer: Any) -> str | None:
    """The dotted name of a layer in a model, "" for the model itself, None where it is not inside."""
    return next((name for name, module in model.named_modules() if module is layer), None)


def _form(value: Any) -> str:
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"of shape {tuple(value.shape)} and dtype {value.dtype}"
    return f"of type {type(value).__name__}"
