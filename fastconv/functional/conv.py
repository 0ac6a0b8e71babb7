"""Convolution in two dimensions, forward and backward."""

from __future__ import annotations

from typing import Any, Literal, overload

from fastconv.functional import checks
from fastconv.functional.convolution import Convolutions
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat,
    Gradients,
    Needs,
    Outs,
    Padding,
    PaddingMode,
    Pair,
)


class Images(Convolutions):
    """Those of images (N, C, H, W)."""

    def __reduce__(self):
        return "IMAGES"


IMAGES = Images()
_known = IMAGES.calls.find  # asked first: a small call that comes again goes no further


def conv2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1, padding: Padding = 0,
           dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant", padding_value: float = 0.0,
           data_format: DataFormat = "NCHW", activation: Activation | None = None, algorithm: Algorithm = "auto",
           out: Array | None = None) -> Array:
    """Convolution (cross-correlation: the filters are not turned) of a batch of images, or of one image.

    ``y[n, k, i, j] = bias[k] + sum over c, r, s of weight[k, c, r, s] * X[n, c, a, b]`` with ``a = i*sh + r*dh - top``
    and ``b = j*sw + s*dw - left``, where X is x continued beyond its border by the padding.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides. There may be no image,
        and no channel, where the result is the bias.
    weight : array (K, C/groups, R, S)
        K filters, in this order of axes whatever data_format says. Any strides.
    bias : array (K,), optional
        Added to each output channel.
    stride : int or (int, int)
        Step of the filter in rows and columns.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns added around the image. "same" gives ceil(size / stride) outputs, with the odd row or column
        at the end; "valid" is no padding.
    dilation : int or (int, int)
        Distance between neighbouring taps of the filter.
    groups : int
        Input and output channels are cut into this many groups that do not see each other; C gives a depthwise
        convolution.
    padding_mode : {"constant", "reflect", "symmetric", "replicate", "circular"}
        What stands in the padding: padding_value, or the image mirrored without its edge pixel or with it, its edge
        pixel repeated, or the image repeated; beyond that it is mirrored, or repeated, again, as `numpy.pad` does.
    padding_value : float
        The constant of ``padding_mode="constant"``.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the result.
    activation : {None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6"}
        Applied to the result while it is in the cache; leaky_relu has a slope of 0.01.
    algorithm : {"auto", "direct", "gemm", "winograd", "fft"}
        "auto" chooses by the shape (see `explain`). "winograd" serves 3 x 3 filters with stride 1 or 2,
        and with stride 1 those of 2 x 2 and 5 x 5 and rows or columns of 2, 3 or 5 taps; dilation with stride 1 and
        constant padding. "direct", "gemm" and "fft", for large filters, serve all.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

    Returns
    -------
    array (N, K, OH, OW) or (K, OH, OW); (N, OH, OW, K) or (OH, OW, K) with NHWC
        Of the dtype of x, with ``OH = floor((H + top + bottom - dilation (R - 1) - 1) / stride) + 1``.

    Raises
    ------
    TypeError
        Wrong dtype (anything but float32 or float64, or two of them mixed) or kind of option.
    ValueError
        A shape or option that is impossible; the message names it.
    MemoryError
        A result that does not fit into memory.

    Notes
    -----
    Besides the output a call takes at most 8 MB of scratch a thread, never a copy of an input, nor a matrix of image
    patches but where filters have up to eight outputs in all: those are in at most 1 MB. The result is the same bits
    for any number of threads. The layout of loops follows Goto and van de Geijn, "Anatomy of High-Performance Matrix
    Multiplication", 2008.

    Winograd's algorithm (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016) is chosen
    for float32 only. Its relative L2 error is about twice that of the direct float32 sum for 3 x 3 filters
    (8e-7 with 64 channels, 2e-6 with 512), 3e-6 for 5 x 5 ones, and never above 2e-5; ``algorithm="gemm"`` has
    the error of the direct sum.

    Large filters go by fast Fourier transforms, tile by tile (Mathieu, Henaff and LeCun, "Fast Training
    of Convolutional Networks through FFTs", 2014), in either dtype. The relative L2 error is that of the direct sum:
    1e-7 to 4e-7 in float32, 2e-16 to 9e-16 in float64, and below 1e-6 and 2e-15. But it is spread over a tile:
    where the sum would be exactly zero it need not be.

    The error of a transform is relative to the loudest pixel that goes into it, that of a sum to the pixels that
    an output sees. So "auto" looks at the magnitudes of the image while it reads it (blocks of four pixels and up to 16
    channels; exact zeros do not count). Where they differ by a factor of more than 256 within a tile (Winograd), or of
    more than 16 times the terms of the sum (Fourier), these rows of tiles or this tile are computed as the direct sum.
    Either each element is then within 16 times the rounding bound of the direct sum, n eps sum |x| |weight| with
    its n terms, or the whole result within the L2 error above. The magnitudes of the filters are not looked at:
    where taps that are louder than the others by such factors meet nothing but zeros or padding, in all of the image,
    the error is relative to them. Transforms asked for by name are used whatever the data.

    Where a result is not finite, its rows of tiles (with Winograd's algorithm) or its tile (with Fourier transforms)
    are computed again as a direct sum, so NaN and infinity go where that sends them.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    >>> edge = np.array([[[[-1, 1]]]], dtype=np.float32)
    >>> fc.conv2d(x, edge).shape
    (1, 1, 4, 3)
    >>> fc.conv2d(x, edge, padding="same", padding_mode="replicate")[0, 0, 0]
    array([1., 1., 1., 0.], dtype=float32)
    """
    call = _known(x, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value, data_format,
                  activation, algorithm)
    if call is None:
        call, x, weight, bias = IMAGES.find_call(x, weight, bias, stride, padding, dilation, groups, padding_mode,
                                                 padding_value, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv2d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Pair = 1, padding: Padding = 0,
                    dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                    needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv2d` with respect to x, weight and bias, by the chain rule.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv2d(x, weight, ...)``, and of its shape.
    x, weight : array
        The arguments of the forward call.
    stride, padding, dilation, groups, padding_mode, padding_value, data_format
        The options of the forward call. Its fused activation, if any, is undone before: see `relu_backward`.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, each as `out` of `conv2d`, and apart from the others; where there is None
        a new array is made. One of a gradient that is not wanted must be None.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of x, weight and (K,); None where not needed.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Notes
    -----
    grad_x is computed as convolutions of grad_output with the turned filters, one for each phase of the stride
    (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016), all phases together;
    with a stride also, where that is expected to be faster, as one convolution whose outputs are put side by side (Shi
    et al., "Is the deconvolution layer the same as a convolutional layer?", 2016), or, of 3 x 3 filters in float32,
    by the transpose of Winograd's algorithm. At most 16 MB of scratch a thread are used.

    In float32, grad_weight of 3 x 3 filters with stride 1 or 2 and of 5 x 5 ones with stride 1 is computed by the
    transpose of Winograd's algorithm where that is expected to be faster. Its relative L2 error is about 1e-6 (5 x 5:
    4e-6) however many pixels are summed. Rows of tiles in which the magnitudes of x or of grad_output (measured as in
    `conv2d`) differ by a factor of more than the number of pixels that are summed (of more than a quarter of it with
    a stride and for 5 x 5), but at least 32 and at most 65536, are summed directly, and all of it is where the result
    is not finite. Either each element is then within 16 times the rounding bound of the direct sum, n eps sum |x|
    |grad_output| with its n terms, or the whole gradient within a relative L2 error of 1e-5.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, weight = np.ones((2, 3, 8, 8)), np.ones((4, 3, 3, 3))
    >>> y = fc.conv2d(x, weight, padding=1)
    >>> grad_x, grad_weight, grad_bias = fc.conv2d_backward(np.ones_like(y), x, weight, padding=1)
    >>> grad_x.shape, grad_weight.shape, grad_bias
    ((2, 3, 8, 8), (4, 3, 3, 3), array([128., 128., 128., 128.]))
    """
    return IMAGES.backward(grad_output, x, weight, stride, padding, dilation, groups, padding_mode, padding_value,
                           data_format, needs, out)


@overload
def conv_output_size(size: int, kernel_size: int, stride: int = 1, padding: Literal["same", "valid"] | Pair = 0,
                     dilation: int = 1) -> int: ...
@overload
def conv_output_size(size: tuple[int, ...], kernel_size: int | tuple[int, ...], stride: int | tuple[int, ...] = 1,
                     padding: Literal["same", "valid"] | int | tuple[int, ...] | tuple[tuple[int, int], ...] = 0,
                     dilation: int | tuple[int, ...] = 1) -> tuple[int, ...]: ...
def conv_output_size(size: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Any:
    """How many positions a filter takes: ``floor((H + 2P - dilation (FH - 1) - 1) / S) + 1``.

    Without dilation this is the formula OH = (H + 2P - FH) / S + 1.

    Parameters
    ----------
    size : int or tuple of int
        Pixels of the input along one axis, or along each of several.
    kernel_size, stride, dilation : int or tuple of int
        Of the filter; one for all axes or one for each.
    padding : int, "same", "valid", one int an axis or one pair (before, after) an axis
        As in `conv2d`; for a single axis also (before, after).

    Returns
    -------
    int or tuple of int
        As `size` is given.

    Raises
    ------
    TypeError, ValueError
        For sizes that are not positive integers, or a filter larger than the padded input.

    Examples
    --------
    >>> import fastconv as fc
    >>> fc.conv_output_size(224, 7, stride=2, padding=3)
    112
    >>> fc.conv_output_size((28, 28), 5, padding=((0, 1), (2, 2)))
    (25, 28)
    """
    return checks.output_sizes(size, kernel_size, stride, padding, dilation)

