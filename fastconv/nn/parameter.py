"""An array that is learnt, and its gradient; and how one knows that nobody can have changed it.

A layer in evaluation mode keeps what it made of its weights. To compare them with a copy at each call takes as long as
to read both, which for large filters and few pixels is much of the call. So a `Parameter` has a seal, which breaks when
its array is given out, and the array counts who holds it: with the seal whole, and nobody else there, it is as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv._core.runtime import arrays
from fastconv.functional import checks

# Other threads count references for themselves where there is no lock over all of them: their sum is not sure then.
_COUNTS = getattr(sys, "_is_gil_enabled", lambda: True)

#: Who is told of each gradient that a parameter is given here, while the backward pass goes on.
_told: ContextVar[Callable[[Parameter], None] | None] = ContextVar("told", default=None)


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

    __slots__ = ("_array", "_seal", "grad", "name")

    _array: NDArray[Any]
    _seal: object | None

    def __init__(self, data: Any, name: str = "") -> None:
        self.data = np.ascontiguousarray(checks.array(data, "data"))
        self.grad: NDArray[Any] | None = None
        self.name = name

    # In both, the array first: a thread that seals it meanwhile finds it held, or sees the new one, or its seal broken.

    @property
    def data(self) -> NDArray[Any]:
        array = self._array
        self._seal = None
        return array

    @data.setter
    def data(self, array: NDArray[Any]) -> None:
        self._array = array
        self._seal = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape

    def add_grad(self, grad: NDArray[Any]) -> None:
        """Add to the gradient. The first array since `zero_grad` is kept, not copied, and added to later."""
        if self.grad is None:
            self.grad = grad
        else:
            self.grad += grad
        tell = _told.get()
        if tell is not None:
            tell(self)

    def zero_grad(self) -> None:
        """Forget the gradient: None, as in PyTorch, costs no pass over memory."""
        self.grad = None

    def seal(self) -> object | None:
        """What `is_sealed` takes for as long as the array is what it is now; None where somebody holds the array,
        and so may change it at any time."""
        seal = self._seal
        if seal is None:
            seal = self._seal = object()
        return seal if self.is_sealed(seal) else None

    def is_sealed(self, seal: object) -> bool:
        """Whether the array is what it was when it was sealed: it was not given to anybody since."""
        return are_sealed(((self, seal),))

    def __repr__(self) -> str:
        name = f"{self.name!r}, " if self.name else ""
        return f"Parameter({name}shape={self.shape}, dtype={self._array.dtype})"


@contextmanager
def telling(tell: Callable[[Parameter], None]) -> Iterator[None]:
    """Inside, ``tell(parameter)`` is called after each `Parameter.add_grad` of this thread."""
    before = _told.set(tell)
    try:
        yield
    finally:
        _told.reset(before)


def are_sealed(seals: tuple[tuple[Parameter, object | None], ...]) -> bool:
    """`Parameter.is_sealed` of many parameters."""
    return _COUNTS() and arrays.are_sealed(seals)
