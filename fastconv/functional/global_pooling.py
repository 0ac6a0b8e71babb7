"""Pooling of whole planes: adaptive pooling to one pixel."""

from __future__ import annotations

from typing import Any

from fastconv.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
)
from fastconv.functional.typing import Array, ArrayLike, DataFormat


def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", return_indices: bool = False,
                      out: Any = None) -> Any:
    """The maximum of each plane: `adaptive_max_pool2d` to 1 x 1.

    Parameters
    ----------
    x, data_format, return_indices, out
        As in `adaptive_max_pool2d`.

    Returns
    -------
    y : array (N, C, 1, 1) or (C, 1, 1), or the same with the channels last
        Of the dtype of x.
    indices : int64 array of the shape of y
        Only with ``return_indices=True``.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_max_pool2d(np.arange(6.0).reshape(1, 2, 3))
    array([[[5.]]])
    """
    return adaptive_max_pool2d(x, 1, data_format=data_format, return_indices=return_indices, out=out)


def global_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW", out: Any = None) -> Array:
    """Gradient of `global_max_pool2d`.

    Parameters
    ----------
    grad_output, indices, input_shape, data_format, out
        As in `adaptive_max_pool2d_backward`.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> y, indices = fc.global_max_pool2d(np.arange(6.0).reshape(1, 2, 3), return_indices=True)
    >>> fc.global_max_pool2d_backward(y, indices, (1, 2, 3))
    array([[[0., 0., 0.],
            [0., 0., 5.]]])
    """
    return adaptive_max_pool2d_backward(grad_output, indices, input_shape, 1, data_format=data_format, out=out)


def global_avg_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", out: Any = None) -> Array:
    """The average of each plane: `adaptive_avg_pool2d` to 1 x 1.

    Parameters
    ----------
    x, data_format, out
        As in `adaptive_avg_pool2d`.

    Returns
    -------
    array (N, C, 1, 1) or (C, 1, 1), or the same with the channels last
        Of the dtype of x.

    Notes
    -----
    M. Lin, Q. Chen and S. Yan, "Network in network", 2014.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_avg_pool2d(np.arange(6.0).reshape(1, 2, 3))
    array([[[2.5]]])
    """
    return adaptive_avg_pool2d(x, 1, data_format=data_format, out=out)


def global_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW", out: Any = None) -> Array:
    """Gradient of `global_avg_pool2d`.

    Parameters
    ----------
    grad_output, input_shape, data_format, out
        As in `adaptive_avg_pool2d_backward`.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.global_avg_pool2d_backward(np.array([[[6.0]]]), (1, 2, 3))
    array([[[1., 1., 1.],
            [1., 1., 1.]]])
    """
    return adaptive_avg_pool2d_backward(grad_output, input_shape, 1, data_format=data_format, out=out)
