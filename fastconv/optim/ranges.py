"""Numbers in the ranges that the settings of optimisers and schedules have."""

from __future__ import annotations

import math

from fastconv.functional import checks


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


def below_one(value: float, name: str) -> float:
    number: float = checks.number(value, name)
    if not 0 <= number < 1:
        raise ValueError(f"{name} must be at least 0 and less than 1, got {value!r}")
    return number
