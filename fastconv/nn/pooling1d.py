"""Pooling layers for rows: see those for images."""

from __future__ import annotations

from fastconv.functional import checks
from fastconv.functional.pooling_calls import check_divisor, check_norm
from fastconv.functional.typing import DataFormat1d, Padding1d, Single
from fastconv.nn.pooling import (
    AdaptivePooling,
    AveragePooling,
    MaxPooling,
    NormPooling,
    WindowPooling,
)


class MaxPool1d(MaxPooling, WindowPooling):
    """The largest value of each window; see `fastconv.max_pool1d`.

    Parameters
    ----------
    kernel_size : int
    stride : int, optional
        By default the kernel size.
    padding : int, (int,), (before, after), ((before, after),), "same" or "valid"
        At most half of the kernel; padding never wins.
    dilation : int
    ceil_mode : bool
        Round the output size up instead of down.
    data_format : {"NCL", "NLC"}
    wide_padding : bool
        Take more padding than half of the kernel.
    return_indices : bool
        Return (y, indices), as the function does: for `MaxUnpool1d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn
    >>> x = np.arange(6, dtype=np.float32).reshape(1, 1, 6)
    >>> nn.MaxPool1d(2)(x)
    array([[[1., 3., 5.]]], dtype=float32)
    """

    _operation, _axes = "max_pool1d", 1

    def __init__(self, kernel_size: Single, stride: Single | None = None, padding: Padding1d = 0, dilation: Single = 1,
                 *, ceil_mode: bool = False, data_format: DataFormat1d = "NCL", wide_padding: bool = False,
                 return_indices: bool = False) -> None:
        self._keep(kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode,
                   data_format=data_format, wide_padding=wide_padding)
        self.return_indices = checks.flag(return_indices, "return_indices")


class AvgPool1d(AveragePooling, WindowPooling):
    """The mean of each window; see `fastconv.avg_pool1d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, dilation, data_format, wide_padding
        As of `MaxPool1d`.
    count_include_pad : bool
        Whether padded zeros count in the mean.
    divisor_override : int, optional
        What sums are divided by, whatever a window holds.
    """

    _operation, _axes = "avg_pool1d", 1

    def __init__(self, kernel_size: Single, stride: Single | None = None, padding: Padding1d = 0, *,
                 ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
                 dilation: Single = 1, data_format: DataFormat1d = "NCL", wide_padding: bool = False) -> None:
        checks.flag(count_include_pad, "count_include_pad")
        check_divisor(divisor_override)
        self._keep(kernel_size=kernel_size, stride=stride, padding=padding, ceil_mode=ceil_mode,
                   count_include_pad=count_include_pad, divisor_override=divisor_override, dilation=dilation,
                   data_format=data_format, wide_padding=wide_padding)


class AdaptiveMaxPool1d(MaxPooling, AdaptivePooling):
    """Max pooling to a given output size, from windows that cover the row evenly.

    See `fastconv.adaptive_max_pool1d`.

    Parameters
    ----------
    output_size : int
        Elements of the output, for rows of any length.
    data_format : {"NCL", "NLC"}
    """

    _operation, _axes = "adaptive_max_pool1d", 1

    def __init__(self, output_size: Single, *, data_format: DataFormat1d = "NCL") -> None:
        self._keep(output_size=output_size, data_format=data_format)


class AdaptiveAvgPool1d(AveragePooling, AdaptivePooling):
    """The same with means; see `AdaptiveMaxPool1d` and `fastconv.adaptive_avg_pool1d`."""

    _operation, _axes = "adaptive_avg_pool1d", 1

    def __init__(self, output_size: Single, *, data_format: DataFormat1d = "NCL") -> None:
        self._keep(output_size=output_size, data_format=data_format)


class GlobalMaxPool1d(MaxPooling):
    """The largest value of each channel of a row, (N, C, 1), or with NLC (N, 1, C)."""

    _operation, _axes = "global_max_pool1d", 1

    def __init__(self, *, data_format: DataFormat1d = "NCL") -> None:
        self._keep(data_format=data_format)


class GlobalAvgPool1d(AveragePooling):
    """The mean of each channel of a row, (N, C, 1), or with NLC (N, 1, C)."""

    _operation, _axes = "global_avg_pool1d", 1

    def __init__(self, *, data_format: DataFormat1d = "NCL") -> None:
        self._keep(data_format=data_format)


class LPPool1d(NormPooling, WindowPooling):
    """The p-norm of each window; see `fastconv.lp_pool1d`.

    Parameters
    ----------
    norm_type : float
        The power p, above 0.
    kernel_size : int
    stride : int, optional
        By default the kernel size.
    ceil_mode : bool
        Round the output size up instead of down.
    data_format : {"NCL", "NLC"}
    """

    _operation, _axes = "lp_pool1d", 1

    def __init__(self, norm_type: float, kernel_size: Single, stride: Single | None = None, *, ceil_mode: bool = False,
                 data_format: DataFormat1d = "NCL") -> None:
        check_norm(norm_type)
        self._keep(norm_type=norm_type, kernel_size=kernel_size, stride=stride, ceil_mode=ceil_mode,
                   data_format=data_format)
