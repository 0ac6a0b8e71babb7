"""Settings of optimisers and schedules: numbers that are checked whenever they are set, by whoever sets them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from fastconv.functional import checks

T = TypeVar("T")


class Setting(Generic[T]):
    """An attribute that goes through a check ``(value, name) -> value`` whenever it is set.

    So the constructor, a schedule, `load_state_dict` and the user's own assignment are refused alike, and a step never
    meets a setting that it cannot use.
    """

    def __init__(self, check: Callable[[Any, str], T]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        try:
            value: T = instance.__dict__[self.name]
        except KeyError:
            raise AttributeError(f"{type(instance).__name__} has no {self.name} yet") from None
        return value

    def __set__(self, instance: object, value: T) -> None:
        instance.__dict__[self.name] = self.check(value, self.name)


def finite(value: float, name: str) -> float:
    number: float = checks.number(value, name)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return number


def at_least_zero(value: float, name: str) -> float:
    number: float = checks.number(value, name)
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {value!r}")
    return number


def above_zero(value: float, name: str) -> float:
    number = at_least_zero(value, name)
    if number == 0:
        raise ValueError(f"{name} must be above 0, got {value!r}")
    return number
