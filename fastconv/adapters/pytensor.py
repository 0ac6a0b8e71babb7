"""PyTensor's `pytensor.tensor.signal.convolve2d`, computed by fastconv.

::

    import fastconv.adapters.pytensor
    fastconv.adapters.pytensor.enable()

Every function that is compiled from then on and convolves in two dimensions takes it, its gradients too, which are
convolutions themselves. Numbers other than float32 and float64, and arrays without elements, are left to SciPy, as
PyTensor has it; `report` counts. Needs PyTensor 3: ``pip install fastconv[pytensor]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.adapters.exchange import Exchange

try:
    from pytensor.tensor.signal.conv import Convolve2d  # type: ignore[import-untyped, import-not-found]
except ImportError as error:
    raise ImportError("fastconv.adapters.pytensor needs PyTensor 3: pip install fastconv[pytensor]",
                      name=error.name) from error

__all__ = ["disable", "enable", "enabled", "report"]

_exchange = Exchange(lambda: {Convolve2d: {"perform": _perform}})
enable, disable, enabled, report = _exchange.enable, _exchange.disable, _exchange.enabled, _exchange.report


def _perform(self: Any, node: Any, inputs: Any, outputs: Any) -> None:
    image, kernel, full = inputs
    reason = _reason(image, kernel, full)
    if reason:
        report().hand_on("convolve2d", reason)
        _exchange.own(Convolve2d, "perform")(self, node, inputs, outputs)
        return
    report().serve("convolve2d")
    dtype = np.result_type(image, kernel)
    if any(have < take for have, take in zip(image.shape, kernel.shape)):
        image, kernel = kernel, image  # a convolution is the same either way
    image, kernel = (array.astype(dtype, copy=False) for array in (image, kernel))
    r, s = kernel.shape
    padding = ((r - 1, r - 1), (s - 1, s - 1)) if full else 0
    outputs[0][0] = F.conv2d(image[None], kernel[None, None, ::-1, ::-1], padding=padding)[0]


def _reason(image: Any, kernel: Any, full: Any) -> str:
    """Why SciPy must answer; nothing where fastconv does."""
    if np.result_type(image, kernel) not in (np.float32, np.float64):
        return f"numbers of type {np.result_type(image, kernel)}"
    if image.size == 0 or kernel.size == 0:
        return "no elements"
    sizes = list(zip(image.shape, kernel.shape))
    if not full and any(a < b for a, b in sizes) and any(a > b for a, b in sizes):
        return "neither array is the larger one along both axes"
    return ""
