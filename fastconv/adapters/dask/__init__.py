"""Convolution and pooling of Dask's arrays, chunk by chunk, on all the threads, processes or machines that Dask has.

::

    from fastconv.adapters.dask import conv2d
    y = conv2d(x, weight, padding="same", padding_mode="reflect")    # x a dask.array; nothing is computed yet
    y.compute()

A call makes a graph of pieces, each of which gets the chunks that it lies in and, of those around them, the edges that
its windows see. Strides need not divide the chunks, and all padding modes are those of the whole image.
A task computes one piece on one thread without the GIL: Dask has as many tasks at a time as there are threads or
workers. `predict` sends images through a model. Needs Dask: ``pip install fastconv[dask]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import functional as F
from fastconv.adapters.dask.chunks import Chunks, output_chunks
from fastconv.adapters.dask.graph import piecewise
from fastconv.adapters.dask.host import is_dask_array
from fastconv.adapters.dask.images import predict as _predict
from fastconv.adapters.report import Report
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.pieces import windowed
from fastconv.functional.typing import Activation, Algorithm, ArrayLike, DataFormat, Padding, PaddingMode, Pair

__all__ = ["avg_pool2d", "conv2d", "correlate", "max_pool2d", "predict", "report"]

_report = Report()

# What SciPy calls the borders.
_BORDERS = {"reflect": "symmetric", "grid-mirror": "symmetric", "mirror": "reflect", "nearest": "replicate",
            "wrap": "circular", "grid-wrap": "circular", "constant": "constant", "grid-constant": "constant"}


def report() -> Report:
    """The calls that were made a graph of."""
    return _report


def conv2d(x: Any, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1, padding: Padding = 0,
           dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant", padding_value: float = 0.0,
           data_format: DataFormat = "NCHW", activation: Activation | None = None, algorithm: Algorithm = "auto",
           chunks: Chunks = None) -> Any:
    """`fastconv.conv2d` of an array in chunks, as an array in chunks.

    Parameters
    ----------
    x : dask.array.Array
        (N, C, H, W), (C, H, W), or the same with the channels last; float32 or float64. Channels become one chunk.
    weight, bias, stride, padding, dilation, groups, padding_mode, padding_value, data_format, activation, algorithm
        As in `fastconv.conv2d`: plain arrays and numbers, which are checked now.
    chunks : (int, int), optional
        Rows and columns of the chunks of the result. By default those whose tasks are expected to take the shortest
        time, where many small ones cost Dask more than they compute, and large ones too much memory.

    Returns
    -------
    dask.array.Array
        Nothing is computed yet.

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv2d`, and for what is no array of Dask's, or of unknown size.

    Notes
    -----
    Results are those of the pieces. With ``algorithm="gemm"`` they are the bits of the whole image, whatever the chunks
    are, if it has more than one row and column of outputs; with "auto" where the planner takes the same driver for the
    piece. Winograd's tiles lie as in the whole image (unless `chunks` says otherwise), those of Fourier transforms do
    not.

    Examples
    --------
    >>> import numpy as np, dask.array as da
    >>> from fastconv.adapters.dask import conv2d
    >>> x = da.arange(16, dtype=np.float32).reshape(1, 4, 4).rechunk((1, 3, 2))
    >>> edge = np.array([[[[-1, 1]]]], np.float32)
    >>> conv2d(x, edge, padding="same", padding_mode="replicate")[0, 0].compute()
    array([1., 1., 1., 0.], dtype=float32)
    """
    return _piecewise(F.conv2d, x, (weight, bias), chunks, stride=stride, padding=padding, dilation=dilation,
                      groups=groups, padding_mode=padding_mode, padding_value=padding_value, data_format=data_format,
                      activation=activation, algorithm=algorithm)


def max_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", wide_padding: bool = False,
               chunks: Chunks = None) -> Any:
    """`fastconv.max_pool2d` of an array in chunks: the same bits. See `conv2d`.

    Examples
    --------
    >>> import numpy as np, dask.array as da
    >>> from fastconv.adapters.dask import max_pool2d
    >>> max_pool2d(da.arange(16.0).reshape(1, 4, 4).rechunk((1, 3, 2)), 2).compute()
    array([[[ 5.,  7.],
            [13., 15.]]])
    """
    return _piecewise(F.max_pool2d, x, (kernel_size,), chunks, stride=stride, padding=padding, dilation=dilation,
                      ceil_mode=ceil_mode, data_format=data_format, wide_padding=wide_padding)


def avg_pool2d(x: Any, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
               count_include_pad: bool = True, divisor_override: int | None = None, dilation: Pair = 1,
               data_format: DataFormat = "NCHW", wide_padding: bool = False, chunks: Chunks = None) -> Any:
    """`fastconv.avg_pool2d` of an array in chunks. See `conv2d`.

    Examples
    --------
    >>> import numpy as np, dask.array as da
    >>> from fastconv.adapters.dask import avg_pool2d
    >>> avg_pool2d(da.arange(16.0).reshape(1, 4, 4).rechunk((1, 3, 2)), 2).compute()
    array([[[ 2.5,  4.5],
            [10.5, 12.5]]])
    """
    return _piecewise(F.avg_pool2d, x, (kernel_size,), chunks, stride=stride, padding=padding, ceil_mode=ceil_mode,
                      count_include_pad=count_include_pad, divisor_override=divisor_override, dilation=dilation,
                      data_format=data_format, wide_padding=wide_padding)


def correlate(x: Any, weights: ArrayLike, *, mode: str = "reflect", cval: float = 0.0, algorithm: Algorithm = "auto",
              chunks: Chunks = None) -> Any:
    """`scipy.ndimage.correlate` of a plain image in chunks: a result of the size of the image.

    Parameters
    ----------
    x : dask.array.Array (H, W)
        float32 or float64, in which sums are computed too.
    weights : array (R, S)
        One filter.
    mode : {"reflect", "mirror", "nearest", "wrap", "constant"}
        The border, as SciPy calls it; also its "grid-" modes.
    cval : float
        What stands there with "constant".
    algorithm, chunks
        As in `conv2d`.

    Returns
    -------
    dask.array.Array (H, W)

    Examples
    --------
    >>> import numpy as np, dask.array as da
    >>> from fastconv.adapters.dask import correlate
    >>> correlate(da.from_array(np.arange(6.0).reshape(2, 3), (2, 2)), [[-1, 0, 1.0]]).compute()
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    weights = checks.array(weights, "weights")
    if weights.ndim != 2:
        raise ValueError(f"weights must have shape (R, S), got {weights.shape}")
    checks.choice(mode, "mode", tuple(_BORDERS))
    _check(x)
    if x.ndim != 2:
        raise ValueError(f"x must be a plain image (H, W), got shape {x.shape}")
    border = _BORDERS[mode]
    sides = tuple((size // 2, size - 1 - size // 2) for size in weights.shape)
    value = checks.number(cval, "cval") if border == "constant" else 0.0
    return _piecewise(F.conv2d, x, (weights[None, None],), chunks, "correlate", padding=sides, padding_mode=border,
                      padding_value=value, algorithm=algorithm)[0]


def predict(model: Any, x: Any) -> Any:
    """The outputs of a model for images in chunks, in evaluation mode.

    Parameters
    ----------
    model : fastconv.nn.Module, or a function
        From images to an array with as many outputs. It is copied now, and each worker gets it once.
    x : dask.array.Array (N, ...)
        Images. Each chunk goes through the model at once; those that cut images are joined.

    Returns
    -------
    dask.array.Array (N, ...)
        In the chunks of the images.

    Examples
    --------
    >>> import numpy as np, dask.array as da
    >>> from fastconv import nn
    >>> from fastconv.adapters.dask import predict
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
    >>> predict(model, da.zeros((100, 1, 8, 8), dtype=np.float32, chunks=(30, 1, 8, 8)))
    dask.array<fastconv-predict, shape=(100, 10), dtype=float32, chunksize=(30, 10), chunktype=numpy.ndarray>
    """
    _check(x)
    result = _predict(model, x)
    _report.serve("predict")
    return result


def _piecewise(function: Any, x: Any, arguments: Sequence[Any], chunks: Chunks, name: str = "", **options: Any) -> Any:
    _check(x)
    if x.dtype.newbyteorder("=") not in (np.float32, np.float64):
        raise TypeError(f"x must be float32 or float64, got {x.dtype}: pass x.astype(np.float32)")
    known = windowed(function, x.shape, x.dtype.newbyteorder("="), arguments, options)
    if known.channel is not None:
        x = x[None] if known.channel == 0 else x[..., None]
    name = name or function.__name__
    result = piecewise(known, x, output_chunks(known, x, chunks), f"fastconv-{name}")
    _report.serve(name)
    return result


def _check(x: Any) -> None:
    if not is_dask_array(x):
        raise TypeError(f"x must be a dask.array.Array, got {shown(x)} ({type(x).__name__}): "
                        "make one with dask.array.from_array")
    if any(size != size for size in x.shape):
        raise ValueError(f"x must have a known size, got shape {x.shape}: call its compute_chunk_sizes() first")

