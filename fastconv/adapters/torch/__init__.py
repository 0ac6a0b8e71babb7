"""PyTorch's convolutions and poolings on CPUs, computed by fastconv.

One line, and every model uses fastconv, forward and backward, in training and inference::

    fastconv.adapters.torch.enable()

The CPU kernels of PyTorch's operators are exchanged: convolution and its gradient (of one to three axes, plain and
transposed, with groups), maxima and averages of two and three axes and their gradients, in float32 and float64, with the
channels first or last. Autograd, modules, optimisers and hooks are PyTorch's own, and see tensors that share memory with
fastconv's results. Other dtypes, and what PyTorch refuses, go to PyTorch's own kernels; `report` says how often, and why.

`conv2d` is an operator of its own, which `torch.compile` takes into its graphs. fastconv uses as many threads as
`torch.get_num_threads()` says.
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


def conv2d(x: Any, weight: Any, bias: Any = None, stride: int | tuple[int, int] = 1,
           padding: int | tuple[int, int] = 0, dilation: int | tuple[int, int] = 1, groups: int = 1) -> Any:
    """`torch.nn.functional.conv2d` as the operator ``fastconv::conv2d``, whether PyTorch's own is exchanged or not.

    Parameters
    ----------
    x : tensor (N, C, H, W) of float32 or float64, on the CPU
    weight : tensor (K, C/groups, R, S)
    bias : tensor (K,), optional
    stride, padding, dilation : int or (int, int)
    groups : int

    Returns
    -------
    tensor (N, K, OH, OW)
        With gradients of any order. Its channels lie last in memory where those of x or weight do.

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv2d`.

    Examples
    --------
    >>> import torch
    >>> from fastconv.adapters.torch import conv2d
    >>> weight = torch.ones(1, 1, 2, 2, requires_grad=True)
    >>> conv2d(torch.ones(1, 1, 3, 3), weight).sum().backward()
    >>> weight.grad[0, 0]
    tensor([[4., 4.],
            [4., 4.]])
    """
    pairs = ([value, value] if isinstance(value, int) else list(value) for value in (stride, padding, dilation))
    return _part("operator").conv2d(x, weight, bias, *pairs, groups)


def _part(name: str) -> Any:
    """A module that needs PyTorch, imported when it is first used."""
    return import_module(f"fastconv.adapters.torch.{name}")
