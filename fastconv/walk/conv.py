"""One image under filters: what a convolution multiplies and adds, at every position of the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F
from fastconv.functional import checks
from fastconv.functional.typing import Activation, Padding, PaddingMode, Pair
from fastconv.walk.images import check_place, one_image, padded_image
from fastconv.walk.sizes import OutputSize, of_convolution

__all__ = ["Cell", "ConvolutionWalk", "convolution"]


@dataclass(frozen=True)
class Cell:
    """What makes one pixel of a feature map.

    Attributes
    ----------
    k, row, column : int
        The filter, and the output's place.
    top, left : int
        The first pixel of the window, in the padded image.
    rows, columns : ndarray of int64
        The rows and columns of the padded image that the taps meet.
    patch, weights, products : ndarray (C, R, S)
        The pixels under the window, the filter's slices, and their products element by element.
    channel_sums : ndarray (C,)
        The sum of each channel's products: a pixel of each channel map.
    bias : float
    total : float
        The sum of the products and the bias, in the arrays' dtype, in the order of the picture.
    sum : float
        The same by the kernel, before the activation: it adds in another order, so its last digits may differ.
    value : float
        The output: `sum` after the activation.
    """

    k: int
    row: int
    column: int
    top: int
    left: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    patch: NDArray[Any]
    weights: NDArray[Any]
    products: NDArray[Any]
    channel_sums: NDArray[Any]
    bias: Any
    total: Any
    sum: Any
    value: Any


@dataclass(frozen=True, eq=False)
class ConvolutionWalk:
    """What there is to see of one convolution.

    Attributes
    ----------
    x : ndarray (C, H, W)
    weight : ndarray (K, C / groups, R, S)
    bias : ndarray (K,)
    groups : int
    padded : ndarray (C, H + top + bottom, W + left + right)
    rows, columns : OutputSize
        The formula along either axis.
    channel_maps : ndarray (K, C / groups, OH, OW)
        What each slice of a filter gives with its channel: they add up to the filter's feature map.
    sums : ndarray (K, OH, OW)
        The channel maps and the bias, added up by the kernel.
    output : ndarray (K, OH, OW)
        `sums` after the activation: the same array where there is none.
    activation : str or None
    """

    x: NDArray[Any]
    weight: NDArray[Any]
    bias: NDArray[Any]
    groups: int
    padded: NDArray[Any]
    rows: OutputSize
    columns: OutputSize
    channel_maps: NDArray[Any]
    sums: NDArray[Any]
    output: NDArray[Any]
    activation: str | None

    @property
    def in_padding(self) -> NDArray[np.bool_]:
        """(H + top + bottom, W + left + right): which pixels of the padded image are padding."""
        inside = np.zeros(self.padded.shape[1:], bool)
        inside[self.rows.before:self.rows.before + self.rows.size,
               self.columns.before:self.columns.before + self.columns.size] = True
        return ~inside

    @property
    def uses(self) -> NDArray[np.int64]:
        """How many windows hold each pixel of the padded image."""
        return np.outer(self.rows.uses, self.columns.uses)

    def channels_of(self, k: int) -> range:
        """The input channels that filter `k` sees."""
        of_group = self.weight.shape[1]
        first = k // (len(self.weight) // self.groups) * of_group
        return range(first, first + of_group)

    def cell(self, k: int, row: int, column: int) -> Cell:
        """What makes one pixel of a feature map.

        Parameters
        ----------
        k, row, column : int
            The filter, and the output's place.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        check_place(self.output.shape, k=k, row=row, column=column)
        top, left = row * self.rows.stride, column * self.columns.stride
        rows = top + np.arange(self.rows.taps, dtype=np.int64) * self.rows.dilation
        columns = left + np.arange(self.columns.taps, dtype=np.int64) * self.columns.dilation
        patch = self.padded[np.ix_(np.array(self.channels_of(k)), rows, columns)]
        products = patch * self.weight[k]
        bias = self.bias[k]
        return Cell(k, row, column, top, left, rows, columns, patch, self.weight[k], products,
                    products.sum(axis=(1, 2)), bias, products.sum() + bias, self.sums[k, row, column],
                    self.output[k, row, column])

    def fed_by(self, row: int, column: int) -> list[tuple[int, int]]:
        """The outputs (row, column) whose windows hold a pixel of the padded image."""
        def starts(axis: OutputSize, pixel: int) -> list[int]:
            return [int(i) for i, start in enumerate(axis.starts)
                    if (pixel - start) % axis.dilation == 0 and 0 <= pixel - start < axis.extent]
        return [(i, j) for i in starts(self.rows, row) for j in starts(self.columns, column)]


def convolution(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1,
                padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                padding_value: float = 0.0, activation: Activation | None = None) -> ConvolutionWalk:
    """Walk through the convolution of one image.

    Parameters
    ----------
    x : array (C, H, W)
        One image.
    weight, bias, stride, padding, dilation, groups, padding_mode, padding_value, activation
        As in `fastconv.conv2d`.

    Returns
    -------
    ConvolutionWalk

    Raises
    ------
    TypeError, ValueError
        As `fastconv.conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import walk
    >>> image = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> one = walk.convolution(image, np.ones((1, 1, 3, 3), np.float32), padding=1)
    >>> one.rows.formula
    '(4 + 2*1 - 3)/1 + 1 = 4'
    >>> cell = one.cell(0, 0, 0)
    >>> cell.products[0]
    array([[0., 0., 0.],
           [0., 0., 1.],
           [0., 4., 5.]], dtype=float32)
    >>> float(cell.value)
    10.0
    """
    image = one_image(x)
    options: dict[str, Any] = dict(stride=stride, padding=padding, dilation=dilation, padding_mode=padding_mode,
                                   padding_value=padding_value)
    sums = F.conv2d(image, weight, bias, groups=groups, algorithm="direct", **options)
    output = sums if activation is None else F.conv2d(image, weight, bias, groups=groups, algorithm="direct",
                                                      activation=activation, **options)
    filters = checks.array(weight, "weight")
    of_group, filters_of_group = filters.shape[1], len(filters) // groups
    # A filter's slices as filters of their own: those of one input channel in all the groups that see it.
    slices = filters.reshape(groups, filters_of_group, of_group, *filters.shape[2:]).swapaxes(1, 2)
    maps = F.conv2d(image, slices.reshape(-1, 1, *filters.shape[2:]), groups=len(image), algorithm="direct", **options)
    maps = maps.reshape(groups, of_group, filters_of_group, *maps.shape[1:]).swapaxes(1, 2)
    told = F.explain(image.shape, filters.shape, stride=stride, padding=padding, dilation=dilation, groups=groups,
                     padding_mode=padding_mode, dtype="float64" if image.dtype.itemsize == 8 else "float32")
    padded = padded_image(image, told.padding, padding_mode, padding_value)
    rows, columns = of_convolution(told)
    biases = np.zeros(len(filters), image.dtype) if bias is None else checks.array(bias, "bias")
    return ConvolutionWalk(image, filters, biases, groups, padded, rows, columns,
                           maps.reshape(len(filters), of_group, *maps.shape[3:]), sums, output, activation)
