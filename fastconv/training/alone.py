"""A loss for an evaluation, apart from the one that a training uses meanwhile: whatever a loss remembers of a call, in
itself, in a loss inside it or in an array, is not shared."""

from __future__ import annotations

import copy
import functools
import types
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from fastconv.nn.module import Module
from fastconv.nn.parameter import Parameter

_SHARED = (Parameter, types.FunctionType, types.BuiltinFunctionType, types.ModuleType, type)


@contextmanager
def alone(loss: Any, shared: Iterable[Any]) -> Iterator[Any]:
    """A copy of a loss and of what is in it, modules there in evaluation mode; without what is shared.

    Parameters are shared too, and functions with what they close over.
    """
    memo = {id(value): (value, value) for value in shared}
    copied = _copy(loss, memo)
    with ExitStack() as modes:
        for original, value in list(memo.values()):
            if isinstance(value, Module) and value is not original:
                modes.enter_context(value.evaluating())
        yield copied


def _copy(value: Any, memo: dict[int, tuple[Any, Any]]) -> Any:
    """By identity the memo has each original, so that it lives as long, and its copy."""
    copied: Any
    if id(value) in memo:
        return memo[id(value)][1]
    if isinstance(value, tuple):
        inside = (_copy(one, memo) for one in value)
        return type(value)(*inside) if hasattr(value, "_fields") else tuple(inside)
    if isinstance(value, functools.partial):
        return functools.partial(_copy(value.func, memo), *_copy(value.args, memo), **_copy(value.keywords, memo))
    if isinstance(value, types.MethodType):
        return types.MethodType(value.__func__, _copy(value.__self__, memo))
    if isinstance(value, (np.ndarray, np.random.Generator, np.random.RandomState)):
        copied = copy.deepcopy(value)
        memo[id(value)] = value, copied
        return copied
    if not isinstance(value, (list, dict, set, deque)) and (isinstance(value, _SHARED) or _is_machinery(value)):
        return value
    try:
        copied = copy.copy(value)
    except Exception:  # whatever somebody else's class raises where it cannot be copied, as an open file
        return value
    memo[id(value)] = value, copied
    if isinstance(value, (list, deque)):
        for index, one in enumerate(value):
            copied[index] = _copy(one, memo)
    elif isinstance(value, dict):
        copied.update({key: _copy(one, memo) for key, one in value.items()})
    elif isinstance(value, set):
        copied.clear()
        copied.update({_copy(one, memo) for one in value})
    for name, one in _attributes(copied):
        object.__setattr__(copied, name, _copy(one, memo))
    return copied


def _is_machinery(value: Any) -> bool:
    """What has no attributes of its own, and what fastconv's layers keep, which is made for several threads."""
    inside = type(value).__module__.partition(".")[0] == "fastconv" and not hasattr(value, "backward")
    return inside or not any(True for _ in _attributes(value))


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Those in ``__dict__`` and in slots."""
    yield from list(getattr(value, "__dict__", {}).items())
    for owner in type(value).__mro__:
        slots = vars(owner).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            name = f"_{owner.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield name, getattr(value, name)
