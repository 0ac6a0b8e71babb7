"""PyTorch's convolutions and poolings on CPUs, computed by fastconv.

One line, and every model uses fastconv, forward and backward, in training and inference::

    fastconv.adapters.torch.enable()

The CPU kernels of PyTorch's operators are exchanged: convolution and its gradient (of one to three axes, plain and
transposed, with groups), maxima and averages of two and three axes and their gradients, in float32 and float64, with
the channels first or last. Autograd, modules, optimisers and hooks are PyTorch's own, and see tensors that share memory
with fastconv's results. Other dtypes, and what PyTorch refuses, go to PyTorch's own kernels; `report` says how often,
and why.

`conv2d` is an operator of its own, which `torch.compile` takes into its graphs (`fastconv.adapters.torch.operator`).
fastconv uses as many threads as `torch.get_num_threads()` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from fastconv.adapters.report import Report

__all__ = ["conv2d", "disable", "enable", "enabled", "report"]


def enable() -> None:
    """PyTorch's convolutions and poolings of float tensors on CPUs are computed by fastconv, until `disable`.

    Raises
    ------
    ImportError
        PyTorch is not installed.

    Examples
    --------
    >>> import torch
    >>> import fastconv.adapters.torch
    >>> fastconv.adapters.torch.enable()
    >>> torch.nn.functional.conv2d(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))[0, 0, 0]
    tensor([4., 4.])
    >>> fastconv.adapters.torch.disable()
    """
    _part("override").enable()


def disable() -> None:
    """PyTorch computes with its own kernels again, and the memory of weights that were kept is freed.

    Examples
    --------
    >>> import fastconv.adapters.torch
    >>> fastconv.adapters.torch.disable()    # nothing, where nothing was enabled
    """
    _part("override").disable()


@contextmanager
def enabled() -> Iterator[Report]:
    """`enable` for a block, after which all is as it was before.

    Yields
    ------
    Report
        The one of `report`.

    Examples
    --------
    >>> import torch
    >>> from fastconv.adapters.torch import enabled
    >>> with enabled() as report:
    ...     report.reset()
    ...     y = torch.nn.Conv2d(3, 8, 3)(torch.ones(1, 3, 8, 8))
    >>> report
    convolution: 1 served
    """
    override = _part("override")
    before = override.is_enabled()
    override.enable()
    try:
        yield override.report
    finally:
        if not before:
            override.disable()


def report() -> Report:
    """How many calls were served, by PyTorch's operators, and which were handed on to PyTorch's kernels, and why.

    Returns
    -------
    Report
        Of all calls since the import, or since its `reset`.

    Examples
    --------
    >>> from fastconv.adapters.torch import report
    >>> report().reset()
    >>> report()
    no calls yet
    """
    return _part("override").report


def __getattr__(name: str) -> Any:
    if name == "conv2d":  # found here, and not in a function, where torch.compile would meet the import
        function = globals()[name] = _part("operator").conv2d
        return function
    raise AttributeError(f"module 'fastconv.adapters.torch' has no attribute {name!r}")


def _part(name: str) -> Any:
    """A module that needs PyTorch, imported when it is first used."""
    return import_module(f"fastconv.adapters.torch.{name}")
