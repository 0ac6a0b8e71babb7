"""The maxima and averages of aten, of images and volumes, and their gradients.

Those of signals are images of one row to PyTorch, and arrive here as such.
"""

from __future__ import annotations

from typing import Any

from fastconv import functional
from fastconv.adapters.torch.host import array, channels_before, channels_behind, is_channels_last, torch

_NAMES = {2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
_MAX = {2: (functional.max_pool2d, functional.max_pool2d_backward),
        3: (functional.max_pool3d, functional.max_pool3d_backward)}
_AVG = {2: (functional.avg_pool2d, functional.avg_pool2d_backward),
        3: (functional.avg_pool3d, functional.avg_pool3d_backward)}


def refusal(axes: int, x: Any, *others: Any) -> str | None:
    """Why PyTorch itself must compute this pooling, or its gradient, if so."""
    for tensor in (x, *others):
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.dtype != x.dtype:
            return f"tensors of {str(tensor.dtype).removeprefix('torch.')}"
    if x.dim() not in (axes + 1, axes + 2):
        return "a number of axes that is none of an image or a volume, or a batch of such"
    if 0 in x.shape:
        return "a tensor without elements"
    return None


def max_refusal(axes, x, kernel_size, stride=(), padding=(0,), *rest):
    """As `refusal`; of volumes PyTorch holds the padding to half a window, however far its pixels are apart."""
    if axes == 3 and any(2 * pad > taps for pad, taps in zip(_each(padding, axes), _each(kernel_size, axes))):
        return "a padding that PyTorch refuses for volumes"
    return refusal(axes, x)


def avg_refusal(axes, x, kernel_size, *rest):
    """As `refusal`; volumes must be as large as a window to PyTorch, whatever their padding."""
    if axes == 3 and any(size < taps for size, taps in zip(x.shape[-axes:], _each(kernel_size, axes))):
        return "a window that PyTorch refuses for volumes so small"
    return refusal(axes, x)


def max_pool(axes, x, kernel_size, stride=(), padding=(0,), dilation=(1,), ceil_mode=False):
    last, options = _options(axes, x, stride, padding, ceil_mode)
    y, indices = _MAX[axes][0](_seen(x, last), _each(kernel_size, axes), dilation=_each(dilation, axes),
                               return_indices=True, **options)
    return _returned(y, last), _returned(indices, last)


def max_pool_backward(axes, grad_output, x, kernel_size, stride, padding, dilation, ceil_mode, indices):
    last, options = _options(axes, x, stride, padding, ceil_mode)
    shape = tuple(channels_behind(x).shape if last else x.shape)
    grad_x = _MAX[axes][1](_seen(grad_output, last), _seen(indices, last), shape, _each(kernel_size, axes),
                           dilation=_each(dilation, axes), **options)
    return _returned(grad_x, last)


def avg_pool(axes, x, kernel_size, stride=(), padding=(0,), ceil_mode=False, count_include_pad=True,
             divisor_override=None):
    last, options = _options(axes, x, stride, padding, ceil_mode, axes == 2)  # of volumes PyTorch puts channels first
    return _returned(_AVG[axes][0](_seen(x, last), _each(kernel_size, axes), count_include_pad=count_include_pad,
                                   divisor_override=divisor_override, **options), last)


def avg_pool_backward(axes, grad_output, x, kernel_size, stride, padding, ceil_mode, count_include_pad,
                      divisor_override):
    last, options = _options(axes, x, stride, padding, ceil_mode, axes == 2)  # of volumes PyTorch puts channels first
    shape = tuple(channels_behind(x).shape if last else x.shape)
    return _returned(_AVG[axes][1](_seen(grad_output, last), shape, _each(kernel_size, axes),
                                   count_include_pad=count_include_pad, divisor_override=divisor_override,
                                   **options), last)


def _options(axes, x, stride, padding, ceil_mode, keeps_order=True):
    last = keeps_order and x.dim() == axes + 2 and is_channels_last(x)
    return last, {"stride": _each(stride, axes) or None, "padding": _each(padding, axes), "ceil_mode": ceil_mode,
                  "data_format": _NAMES[axes][last]}


def _seen(tensor, last):
    return array(channels_behind(tensor) if last else tensor)


def _returned(result, last):
    tensor = torch.from_numpy(result)
    return channels_before(tensor) if last else tensor


def _each(values, axes):
    """One number for each axis, where one may stand for all."""
    values = (values,) if isinstance(values, int) else tuple(values)
    return values * axes if len(values) == 1 else values
