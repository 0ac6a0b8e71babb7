"""PyTorch's CPU kernels exchanged for ours, and exchanged back."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

from fastconv import config
from fastconv.adapters.report import Report
from fastconv.adapters.torch import convolution, pooling
from fastconv.adapters.torch.host import torch

report = Report()
_lock = threading.Lock()
_library: Any = None  # what holds the exchange, while there is one


def _pooling(axes: int) -> dict[str, Any]:
    return {f"max_pool{axes}d_with_indices": (
                functools.partial(pooling.max_pool, axes), functools.partial(pooling.max_refusal, axes)),
            f"max_pool{axes}d_with_indices_backward": (
                functools.partial(pooling.max_pool_backward, axes),
                lambda grad, x, *rest: pooling.refusal(axes, x, grad)),
            f"avg_pool{axes}d": (
                functools.partial(pooling.avg_pool, axes), functools.partial(pooling.avg_refusal, axes)),
            f"avg_pool{axes}d_backward": (
                functools.partial(pooling.avg_pool_backward, axes),
                lambda grad, x, *rest: pooling.refusal(axes, x, grad))}


#: The operators of aten: what computes each, and what says why it cannot.
OPERATORS: dict[str, tuple[Callable[..., Any], Callable[..., str | None]]] = {
    "convolution": (convolution.convolution, lambda x, weight, bias, *rest: convolution.refusal(x, weight, bias)),
    "convolution_backward": (convolution.convolution_backward,
                             lambda grad, x, weight, *rest: convolution.refusal(x, weight, grad)),
    **_pooling(2), **_pooling(3),
}


def enable() -> None:
    """Exchange the kernels, if they are not."""
    global _library
    with _lock:
        if _library is not None:
            return
        library = torch.library.Library("aten", "IMPL")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"(?s).*Overriding a previously registered kernel")
            for name in OPERATORS:
                own = torch.library.get_kernel(f"aten::{name}", "CPU")
                library.impl(name, _kernel(name, own), "CPU", with_keyset=True, allow_override=True)
        _library = library


def disable() -> None:
    """Put PyTorch's own kernels back, if they are exchanged, and free what was kept of weights."""
    global _library
    with _lock:
        if _library is not None:
            _library._destroy()
            _library = None
    convolution.keeper.forget()


def is_enabled() -> bool:
    return _library is not None


def _kernel(name: str, own: Any) -> Callable[..., Any]:
    """Ours of an operator, with `own`, PyTorch's, for what it does not serve."""
    compute, refusal = OPERATORS[name]

    def kernel(keys: Any, *arguments: Any, **named: Any) -> Any:
        reason = refusal(*arguments)
        if reason is None:
            try:
                with config.num_threads(torch.get_num_threads()):
                    result = compute(*arguments, **named)
            except (TypeError, ValueError) as error:  # from the checks, before anything was computed
                reason = f"arguments that fastconv refuses ({type(error).__name__})"
            else:
                report.serve(name)
                return result
        report.hand_on(name, reason)
        return own.call_boxed(keys, *arguments, **named)

    return kernel
