"""Transposed convolution of images: forward, backward, and with weights that stay."""

from __future__ import annotations

from typing import Any

from fastconv.functional.prepared import ConvolutionPlan, planned_weights
from fastconv.functional.transposed import IMAGES
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat,
    Float,
    Gradients,
    Needs,
    Outs,
    Padding,
    Pair,
)

_known = IMAGES.calls.find  # as of conv2d: a small call that comes again goes no further


def conv_transpose2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1,
                     padding: Padding = 0, output_padding: Pair = 0, output_size: Pair | None = None,
                     dilation: Pair = 1, groups: int = 1, data_format: DataFormat = "NCHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array:
    """Transposed convolution of a batch of images, or of one image: each pixel adds its filter to the result.

    ``y[n, k, i*sh + r*dh - top, j*sw + s*dw - left] += weight[c, k, r, s] * x[n, c, i, j]`` for all c, i, j, r, s, from
    ``bias[k]`` on; what would lie outside of y is left out. It is the adjoint of `conv2d` with the same weight and
    options, its gradient with respect to x, and makes of maps larger ones: the decoder's step in autoencoders, GANs
    and U-Nets. Elsewhere it is called deconvolution, fractionally strided convolution or ConvTranspose.

    Parameters
    ----------
    x : array (N, C, H, W) or (C, H, W), float32 or float64
        A batch or one image; with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C). Any strides.
    weight : array (C, K/groups, R, S)
        A filter for each channel of x and of the result, in this order of axes whatever data_format says.
        Any strides.
    bias : array (K,), optional
        Added to each channel of the result.
    stride : int or (int, int)
        Rows and columns of the result from one pixel of x to the next.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns that are cut off the result, as `conv2d` would have to add them. With "same" the result has
        stride times the rows and columns of x (TensorFlow's and Keras' "same").
    output_padding : int or (int, int)
        Rows and columns that come to the result at the bottom and on the right: smaller than stride or dilation. It
        says which of the sizes is meant that `conv2d` with a stride makes the size of x of.
    output_size : int or (int, int), optional
        The rows and columns of the result instead: from those without output_padding to less than a stride more.
    dilation : int or (int, int)
        Distance between neighbouring taps of the filter.
    groups : int
        Channels of x and of the result are cut into this many groups that do not see each other.
    data_format : {"NCHW", "NHWC"}
        Order of the axes of x and of the result.
    activation : {None, "relu", "leaky_relu", "sigmoid", "tanh", "relu6"}
        Applied to the result while it is in the cache; leaky_relu has a slope of 0.01.
    algorithm : {"auto", "direct", "gemm", "winograd", "fft"}
        How the convolutions are computed that it comes to: see Notes. "auto" chooses by the shape (see `explain`).
        "winograd" serves where these have 3 x 3 or 5 x 5 taps, or fewer that are filled up, as with filters of 3 x 3
        to 5 x 5 and a stride of 1 or 2.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the result's shape and dtype, and apart from the inputs.

    Returns
    -------
    array (N, K, OH, OW) or (K, OH, OW); (N, OH, OW, K) or (OH, OW, K) with NHWC
        Of the dtype of x, with
        ``OH = (H - 1) stride - top - bottom + dilation (R - 1) + output_padding + 1``.

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
    It is computed as convolutions of x with the turned filters, one for each phase of the stride (Dumoulin and Visin,
    "A guide to convolution arithmetic for deep learning", 2016), all phases together; or as one whose outputs are put
    side by side (Shi et al., "Is the deconvolution layer the same as a convolutional layer?", 2016); or, of 3 x 3
    filters with a stride of 2, by the transpose of Winograd's algorithm. Nothing is stuffed with zeros. Errors,
    scratch and what is not finite are as with `conv2d`; a tap that is not finite reaches the pixels that it is added
    to, and no others.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[[[1, 2], [3, 4]]]], dtype=np.float32)
    >>> fc.conv_transpose2d(x, np.ones((1, 1, 2, 2), np.float32), stride=2)[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.],
           [3., 3., 4., 4.],
           [3., 3., 4., 4.]], dtype=float32)
    >>> fc.conv_transpose2d(x, np.ones((1, 8, 3, 3), np.float32), stride=2, padding="same").shape
    (1, 8, 4, 4)
    """
    call = _known(x, weight, bias, stride, padding, output_padding, output_size, dilation, groups, data_format,
                  activation, algorithm)
    if call is None:
        call, x, weight, bias = IMAGES.find_call(x, weight, bias, stride, padding, output_padding, output_size,
                                                 dilation, groups, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv_transpose2d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Pair = 1, padding: Padding = 0,
                              output_padding: Pair = 0, output_size: Pair | None = None, dilation: Pair = 1,
                              groups: int = 1, data_format: DataFormat = "NCHW",
                              needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv_transpose2d` with respect to x, weight and bias, by the chain rule.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv_transpose2d(x, weight, ...)``, and of its shape.
    x, weight : array
        The arguments of the forward call.
    stride, padding, output_padding, output_size, dilation, groups, data_format
        The options of the forward call. Its fused activation, if any, is undone before: see `relu_backward`.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of x, weight and (K,); None where not needed.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose2d`.

    Notes
    -----
    grad_x is the convolution of grad_output with weight, grad_weight that convolution's with the roles of x and
    grad_output exchanged: see `conv2d_backward`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, weight = np.ones((2, 3, 4, 4)), np.ones((3, 8, 3, 3))
    >>> y = fc.conv_transpose2d(x, weight, stride=2, padding="same")
    >>> gradients = fc.conv_transpose2d_backward(np.ones_like(y), x, weight, stride=2, padding="same")
    >>> [gradient.shape for gradient in gradients]
    [(2, 3, 4, 4), (3, 8, 3, 3), (8,)]
    """
    return IMAGES.backward(grad_output, x, weight, stride, padding, output_padding, output_size, dilation, groups,
                           data_format, needs, out)


def plan_conv_transpose2d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Pair = 1, padding: Padding = 0, output_padding: Pair = 0,
                          output_size: Pair | None = None, dilation: Pair = 1, groups: int = 1,
                          data_format: DataFormat = "NCHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose2dPlan[Any]:
    """A transposed convolution with fixed weights, for images of one shape: the weights are packed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, H, W) or (C, H, W); with ``data_format="NHWC"`` (N, H, W, C) or (H, W, C).
    weight : array (C, K/groups, R, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, output_padding, output_size, dilation, groups, data_format, activation, algorithm
        As `conv_transpose2d`.

    Returns
    -------
    ConvTranspose2dPlan
        Called with x, or with x and ``out=``, it returns what `conv_transpose2d` would, with
        that copy of the weights, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> plan = fc.plan_conv_transpose2d((1, 64, 16, 16), np.ones((64, 32, 4, 4), np.float32), stride=2, padding=1)
    >>> plan.x_shape, plan.output_shape
    ((1, 64, 16, 16), (1, 32, 32, 32))
    >>> plan(np.ones((1, 64, 16, 16), np.float32))[0, 0, 0, :3].round(3)
    array([ 64., 128., 128.], dtype=float32)
    """
    return planned_weights(ConvTranspose2dPlan, IMAGES, x_shape, weight, bias, dict(
        stride=stride, padding=padding, output_padding=output_padding, output_size=output_size, dilation=dilation,
        groups=groups, data_format=data_format, activation=activation, algorithm=algorithm))


class ConvTranspose2dPlan(ConvolutionPlan[Float]):
    """What `plan_conv_transpose2d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv_transpose2d)
