"""Sums of pixels times weights as SciPy forms them: in double, and where it skips weights of zero, without these.

SciPy reads pixels of any real dtype as double and casts the sums to the output's dtype. Both are done here a piece of
the array at a time, so that what lies between is in the cache.
"""

from __future__ import annotations

import functools

import numpy as np

from fastconv import functional
from fastconv.adapters.scipy.borders import Border

#: Pixels of a piece: a megabyte of doubles.
PIECE = 1 << 17

#: Filters with fewer taps are never multiplied as Fourier transforms.
_FOURIER_TAPS = 49

#: One object for all zeros beyond a border, for the same reason as `the_same`.
ZERO = 0.0


@functools.lru_cache(256)
def the_same(pads: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """One object for pads of the same numbers: checked calls are remembered for options that are the same objects."""
    return pads


class Filter:
    """A filter of two axes, and how its sums are formed.

    Parameters
    ----------
    weights : array (R, S) of float64
    padding : ((top, bottom), (left, right))
        Of each piece.
    border : Border
    exact : bool
        Sum directly, so that sums of integers are exact.
    skips_zeros : bool
        Pixels under a weight of zero do not count, even where they are NaN.
    """

    def __init__(self, weights, padding, border: Border, exact: bool, skips_zeros: bool) -> None:
        self.weights = weights[None, None]
        self.options = {"padding": the_same(padding), "padding_mode": border.mode}
        self.value = border.value or ZERO
        self.algorithm = "direct" if exact else "auto"
        self.skips_zeros = skips_zeros and not weights.all()

    def sums(self, images: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Of images (N, H, W) of float64, into `out`, which lies apart."""
        out = self._convolve(images, self.weights, self.value, out)
        if self.skips_zeros:
            with np.errstate(invalid="ignore", over="ignore"):
                total = out.sum()
            if not np.isfinite(total):
                self._spread(images, out)
        return out

    def _convolve(self, images, weights, value, out=None):
        room = None if out is None else out[:, None]
        return functional.conv2d(images[:, None], weights, padding_value=value, out=room, algorithm=self.algorithm,
                                 **self.options)[:, 0]

    def _spread(self, images, out):
        """Sums anew of pixels that are not finite: how many an output sees under weights that are not zero."""
        with np.errstate(invalid="ignore", over="ignore"):
            finite = np.where(np.isfinite(images), images, 0.0)
            self._convolve(finite, self.weights, self.value if np.isfinite(self.value) else 0.0, out)
        positive, negative = (self.weights > 0).astype(np.float64), (self.weights < 0).astype(np.float64)

        def seen(test, weights):
            return self._convolve(test(images).astype(np.float64), weights, float(test(self.value))) > 0.5

        nan = seen(np.isnan, positive + negative)
        up = seen(np.isposinf, positive) | seen(np.isneginf, negative)
        down = seen(np.isposinf, negative) | seen(np.isneginf, positive)
        out[up] = np.inf
        out[down] = -np.inf
        out[nan | (up & down)] = np.nan


def store(sums: np.ndarray, target: np.ndarray) -> None:
    """Cast doubles as C does; those that go to integers are whole numbers here."""
    if target.dtype == np.float64:
        np.copyto(target, sums)
        return
    if target.dtype.kind in "iu":
        sums = sums.astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(target, sums, casting="unsafe")


def is_integral(array: np.ndarray) -> bool:
    """Whether all entries are whole numbers."""
    if array.dtype.kind in "biu":
        return True
    some = array[tuple(slice(0, 8) for _ in array.shape)]
    with np.errstate(invalid="ignore"):
        return bool((some == np.rint(some)).all() and (array == np.rint(array)).all())


def must_be_exact(array: np.ndarray, weights: np.ndarray) -> bool:
    """Whether only a direct sum is exact: whole numbers under a filter for which transforms may be chosen."""
    return weights.size >= _FOURIER_TAPS and is_integral(weights) and is_integral(array)


def largest_sum(array: np.ndarray, weights: np.ndarray, value: float = 0.0) -> float:
    """What no sum of whole numbers, of the array and of a constant beyond its border, is above."""
    largest = 0.0
    if array.size:
        largest = max(abs(float(array.min())), abs(float(array.max())))
    return max(largest, abs(value)) * float(np.abs(weights).sum())
