"""What the drivers made of weights that stay, kept for inference.

A layer in inference meets the same weights again and again. Nobody says when they change: `tensor.data` writes past the
version counter, and NumPy past everything. So each call compares the weights with a copy, byte by byte, which takes a
small part of the time of a convolution (`fastconv.functional.prepared`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from fastconv.functional.prepared import KeptWeights

#: Bytes of the weights that are kept; what is made of them is up to seven times as large, mostly four times.
MOST_BYTES = 1 << 27


class Keeper:
    """Bounded: the weights that were not used for longest are forgotten first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, tuple[KeptWeights, int]] = OrderedDict()
        self._seen: OrderedDict[Any, None] = OrderedDict()
        self._bytes = 0

    def convolve(self, convolutions: Any, x: np.ndarray, weight: np.ndarray, bias: Any,
                 options: tuple[Any, ...]) -> Any:
        """The convolution of arrays; the options in the order of `conv2d`. Weights are kept when they come again."""
        key = weight.__array_interface__["data"][0], weight.shape, weight.strides, weight.dtype.char, options
        keeps = self._find(key, convolutions, weight, options)
        if keeps is None:
            call, x, weight, bias = convolutions.find_call(x, weight, bias, *options)
            return call.run(x, weight, bias, None)
        return keeps.convolve(x, weight, bias)

    def forget(self) -> None:
        """Frees the memory."""
        with self._lock:
            self._kept.clear()
            self._seen.clear()
            self._bytes = 0

    def _find(self, key, convolutions, weight, options):
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found[0]
            if weight.nbytes > MOST_BYTES or key not in self._seen:
                self._seen[key] = None
                if len(self._seen) > 1024:
                    self._seen.popitem(last=False)
                return None
            keeps = KeptWeights(convolutions, *options)
            self._kept[key] = keeps, weight.nbytes
            self._bytes += weight.nbytes
            while self._bytes > MOST_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1][1]
            return keeps
