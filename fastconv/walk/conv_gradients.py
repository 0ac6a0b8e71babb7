"""The way back through the convolution of one image: what each number of a filter's gradient is the sum of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import Padding, PaddingMode, Pair
from fastconv.walk.images import check_place, one_image, padded_image
from fastconv.walk.sizes import OutputSize, of_convolution

__all__ = ["ConvolutionBackwardWalk", "Tap", "convolution_backward"]


@dataclass(frozen=True)
class Tap:
    """What makes one number of a filter's gradient.

    The weight met one pixel at each position of its window, and each of these products went into another output: so
    its gradient is the sum of those pixels, each times the gradient of the output that it went into.

    Attributes
    ----------
    k, channel, row, column : int
        The filter, its slice, and the place in the slice.
    pixels : ndarray (OH, OW)
        The pixels that the weight met, of the padded image: itself a patch as large as the feature map.
    gradients : ndarray (OH, OW)
        The gradients of the outputs of filter `k`.
    products : ndarray (OH, OW)
    total : float
        The sum of the products, in the arrays' dtype, in the order of the picture.
    value : float
        The same by the kernel, which adds in another order.
    """

    k: int
    channel: int
    row: int
    column: int
    pixels: NDArray[Any]
    gradients: NDArray[Any]
    products: NDArray[Any]
    total: Any
    value: Any


@dataclass(frozen=True, eq=False)
class ConvolutionBackwardWalk:
    """What there is to see of the gradients of one convolution.

    Attributes
    ----------
    grad_output : ndarray (K, OH, OW)
    weight : ndarray (K, C / groups, R, S)
    groups : int
    padded : ndarray (C, H + top + bottom, W + left + right)
    rows, columns : OutputSize
        Of the way forward.
    grad_x : ndarray (C, H, W)
    grad_weight : ndarray (K, C / groups, R, S)
    grad_bias : ndarray (K,)
        What `fastconv.conv2d_backward` gives.
    """

    grad_output: NDArray[Any]
    weight: NDArray[Any]
    groups: int
    padded: NDArray[Any]
    rows: OutputSize
    columns: OutputSize
    grad_x: NDArray[Any]
    grad_weight: NDArray[Any]
    grad_bias: NDArray[Any]

    def tap(self, k: int, channel: int, row: int, column: int) -> Tap:
        """What makes one number of a filter's gradient.

        Parameters
        ----------
        k, channel, row, column : int
            Its place in `grad_weight`.

        Raises
        ------
        ValueError
            If there is no such weight.
        """
        check_place(self.grad_weight.shape, k=k, channel=channel, row=row, column=column)
        seen = k // (len(self.weight) // self.groups) * self.weight.shape[1] + channel
        rows = row * self.rows.dilation + self.rows.starts
        columns = column * self.columns.dilation + self.columns.starts
        pixels = self.padded[seen][np.ix_(rows, columns)]
        products = pixels * self.grad_output[k]
        return Tap(k, channel, row, column, pixels, self.grad_output[k], products, products.sum(),
                   self.grad_weight[k, channel, row, column])


def convolution_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1,
                         padding: Padding = 0, dilation: Pair = 1, groups: int = 1,
                         padding_mode: PaddingMode = "constant",
                         padding_value: float = 0.0) -> ConvolutionBackwardWalk:
    """Walk back through the convolution of one image.

    Parameters
    ----------
    grad_output : array (K, OH, OW)
        The gradient of the loss with respect to the feature maps.
    x : array (C, H, W)
        The image.
    weight, stride, padding, dilation, groups, padding_mode, padding_value
        As in `fastconv.conv2d_backward`.

    Returns
    -------
    ConvolutionBackwardWalk

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv2d_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import walk
    >>> image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    >>> grad_output = np.array([[[1, 0], [0, 2]]], np.float32)
    >>> seen = walk.convolution_backward(grad_output, image, np.ones((1, 1, 2, 2), np.float32))
    >>> one = seen.tap(0, 0, 0, 1)
    >>> one.pixels
    array([[1., 2.],
           [4., 5.]], dtype=float32)
    >>> one.products
    array([[ 1.,  0.],
           [ 0., 10.]], dtype=float32)
    >>> float(one.value)
    11.0
    """
    image = one_image(x)
    options: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, groups=groups,
                                   padding_mode=padding_mode)
    grad_x, grad_weight, grad_bias = F.conv2d_backward(grad_output, image, weight, padding_value=padding_value,
                                                       **options)
    gradients, filters = checks.array(grad_output, "grad_output"), checks.array(weight, "weight")
    told = F.explain(image.shape, filters.shape, dtype="float64" if image.dtype.itemsize == 8 else "float32",
                     **options)
    rows, columns = of_convolution(told)
    padded = padded_image(image, told.padding, padding_mode, padding_value)
    return ConvolutionBackwardWalk(gradients, filters, groups, padded, rows, columns, grad_x, grad_weight, grad_bias)
