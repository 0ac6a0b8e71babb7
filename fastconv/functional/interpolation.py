"""Images at another size, forward and backward: the nearest pixel, or bilinear interpolation.

A call is: check the arguments, find the size of the result and how far apart its pixels lie in the image, run the loops
of the compiled core, which take an (N, C, H, W) view with any strides.
"""

from __future__ import annotations

from fastconv._core.interpolation import backward, forward
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.resizing import places
from fastconv.functional.typing import Array, ArrayLike, DataFormat, InterpolationMode, Pair


def interpolate(x: ArrayLike, size: Pair | None = None, scale_factor: float | tuple[float, float] | None = None,
                mode: InterpolationMode = "nearest", align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                out: Array | None = None) -> Array:
    """Images at another size, larger or smaller.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    size : int or (int, int)
        Rows and columns of the result.
    scale_factor : float or (float, float)
        In place of size: the result has ``floor(H * scale_factor)`` rows.
    mode : {"nearest", "bilinear"}
        Output i of n shows the pixel ``floor(i H / n)``, or lies between two rows and two columns and takes of each as
        much as it is near to it.
    align_corners : bool
        Of "bilinear": whether the first and the last output are the first and the last pixel, so that output i lies at
        ``i (H - 1) / (n - 1)``. Else pixels are squares, output i lies at ``(i + 1/2) H / n - 1/2``, and what lies
        before the centre of the first pixel or behind that of the last is that pixel.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the result.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from x.

    Returns
    -------
    array (N, C, OH, OW) or (C, OH, OW), or the same with the channels last
        Of the dtype of x.

    Raises
    ------
    TypeError, ValueError, MemoryError
        A dtype, shape or option that is impossible; the message names it.

    Notes
    -----
    As PyTorch's function of this name, where with a scale factor H / n stands for its reciprocal (not where n is H, nor
    with "nearest" where it is 2 H). An output that lies on a pixel has its value, whatever the others are: no infinity
    or NaN spreads where its weight is 0. Where the image is made smaller, pixels are left out and not averaged:
    `adaptive_avg_pool2d` does that.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[1.0, 2.0]]])
    >>> fc.interpolate(x, scale_factor=2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]])
    >>> fc.interpolate(x, (1, 3), mode="bilinear", align_corners=True)
    array([[[1. , 1.5, 2. ]]])
    """
    x = checks.array(x, "x")
    view, batched = checks.images(x, data_format)
    rule, outputs, scales = places(view.shape[2:], size, scale_factor, mode, align_corners)
    shape = checks.result_shape((*view.shape[:2], *outputs), data_format, batched)
    checks.fits_memory(shape, x.dtype)
    y = memory.empty(shape, x.dtype) if checks.out(out, shape, x.dtype, x) is None else out
    if y.size:
        forward.resize(view, checks.nchw(y, data_format), rule, *scales)
    return y


def interpolate_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], size: Pair | None = None,
                         scale_factor: float | tuple[float, float] | None = None, mode: InterpolationMode = "nearest",
                         align_corners: bool = False, *, data_format: DataFormat = "NCHW",
                         out: Array | None = None) -> Array:
    """Gradient of `interpolate`: each pixel gets what the outputs that show it have, by their weights.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    input_shape : tuple of int
        The shape of x.
    size, scale_factor, mode, align_corners, data_format
        Those of the forward call.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from grad_output.

    Returns
    -------
    array of shape input_shape
        Gradient with respect to x; 0 for a pixel that no output shows.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As in the forward call.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.interpolate_backward(np.array([[[1.0, 2.0, 3.0, 4.0]]]), (1, 1, 2), (1, 4))
    array([[[3., 7.]]])
    """
    grad_output = checks.array(grad_output, "grad_output")
    shape, batched = checks.image_shape(input_shape, data_format, "input_shape")
    checks.fits_memory(shape, grad_output.dtype, "grad_x")
    rule, outputs, scales = places(shape[2:], size, scale_factor, mode, align_corners)
    checks.shape(grad_output, "grad_output", checks.result_shape((*shape[:2], *outputs), data_format, batched),
                 "(that of the result)")
    result = checks.result_shape(shape, data_format, batched)
    checks.out(out, result, grad_output.dtype, grad_output)
    grad_x = memory.empty(result, grad_output.dtype) if out is None else out
    if grad_x.size:
        backward.resize_backward(checks.nchw(grad_output, data_format), checks.nchw(grad_x, data_format), rule, *scales)
    return grad_x
