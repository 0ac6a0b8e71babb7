"""Shares of the gradient that are computed on positions of the padding, or tap by tap,
and added to the pixels that these repeat.

They go through a scratch of about ``BLOCK_BYTES``, block by block, pass by pass:
only positions that a tap meets are computed.
"""

import math

import numpy as np

from fastconv._core.data_gradient.passes import passes_on, single_taps
from fastconv._core.problem.convolution import Convolution
from fastconv._core.problem.geometry import parts
from fastconv._core.product import forward as product
from fastconv._core.runtime import memory

BLOCK_BYTES = 4 << 20


def fold_frame(forward, grad_output, turned, grad_x, problem):
    """Adds the gradient on the frame around the image: rows above and below over the full extended width,
    columns left and right of the image."""
    for rows, columns in _frame(problem):
        for each in passes_on(problem, rows, columns):
            _fold_pass(forward, grad_output, turned, grad_x, each, problem.padding_mode)


def tap_by_tap(grad_output, turned, grad_x, problem):
    """grad_x of filters that are not finite, each tap on what it meets:
    beside the zeros around grad_output they would make NaN."""
    grad_x.fill(0)
    for each in single_taps(problem):
        _fold_pass(product.conv2d, grad_output, turned, grad_x, each, problem.padding_mode)


def _frame(problem):
    """The positions around the image that a tap may meet: pairs of ranges (rows, columns) that do not overlap."""
    (top, _), (left, _) = problem.pads
    h, w = problem.x_shape[2:]
    bottom, right = (
        max((outputs - 1) * step + distance * (taps - 1) + 1 - before, length)
        for outputs, step, distance, taps, before, length in zip(
            problem.output_size, problem.stride, problem.dilation, problem.weight_shape[2:], problem.origin, (h, w)))
    yield range(-top, 0), range(-left, right)
    yield range(h, bottom), range(-left, right)
    yield range(h), range(-left, 0)
    yield range(h), range(w, right)


def _channels(grad_output, taps, grad_x):
    """These arrays in parts of so few channels of grad_x that those of a pixel fit into a block."""
    c, groups = grad_x.shape[1], grad_output.shape[1] // taps.shape[1]
    most = BLOCK_BYTES // grad_x.itemsize
    if c <= most:
        yield grad_output, taps, grad_x
        return
    k, of_group = taps.shape[1], c // groups
    for group in range(groups):
        for first in range(group * of_group, (group + 1) * of_group, most):
            some = slice(first, min(first + most, (group + 1) * of_group))
            yield grad_output[:, group * k:(group + 1) * k], taps[some], grad_x[:, some]


def _fold_pass(forward, grad_output, turned, grad_x, each, mode):
    """Computes one pass on the frame, block by block, and adds it to the pixels that its positions repeat."""
    for of_output, taps, of_x in _channels(grad_output, turned[each.taps], grad_x):
        _fold_channels(forward, of_output, taps, of_x, each, mode)


def _fold_channels(forward, grad_output, taps, grad_x, each, mode):
    n, c = grad_x.shape[:2]
    budget = max(1, BLOCK_BYTES // (c * grad_x.itemsize))  # positions of one image, or of several
    most_columns = max(1, min(len(each.columns), budget))
    most_rows = max(1, min(len(each.rows), budget // most_columns))
    most_images = max(1, budget // (most_columns * most_rows))
    for image in range(0, n, most_images):
        images = slice(image, min(image + most_images, n))
        for row in range(0, len(each.rows), most_rows):
            rows = each.rows[row:row + most_rows]
            for column in range(0, len(each.columns), most_columns):
                columns = each.columns[column:column + most_columns]
                shape = images.stop - image, c, len(rows), len(columns)
                block = memory.scratch(math.prod(shape) * grad_x.itemsize).view(grad_x.dtype).reshape(shape)
                forward(Convolution(grad_output[images], taps, None, block,
                                    each.window.with_origin((each.window.origin[0] - row,
                                                             each.window.origin[1] - column))))
                _fold(block, rows, columns, grad_x[images], mode)


def _fold(block, rows, columns, grad_x, mode):
    """Adds the gradient on these positions to the pixels that they repeat."""
    h, w = grad_x.shape[2:]
    with np.errstate(invalid="ignore", over="ignore"):
        for from_rows, to_rows, one_row in parts(rows, h, mode):
            part = block[:, :, from_rows]
            if one_row:
                part = part.sum(axis=2, keepdims=True)
            for from_columns, to_columns, one_column in parts(columns, w, mode):
                share = part[..., from_columns]
                grad_x[:, :, to_rows, to_columns] += share.sum(axis=3, keepdims=True) if one_column else share
