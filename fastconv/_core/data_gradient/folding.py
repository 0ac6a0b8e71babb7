"""Shares of the gradient that are computed on positions of the padding, or tap by tap,
and added to the pixels that these repeat.

They go through a scratch of about ``BLOCK_BYTES``, block by block, pass by pass.
"""

import functools
import math

import numpy as np

from fastconv._core.data_gradient.passes import passes_around, single_taps
from fastconv._core.problem.convolution import Convolution
from fastconv._core.problem.geometry import stretches
from fastconv._core.product import forward as product
from fastconv._core.runtime import memory

BLOCK_BYTES = 4 << 20

# Up to which the passes of a problem, and what its positions repeat, are remembered.
MOST_PHASES, MOST_TAPS, MOST_POSITIONS = 16, 64, 4096


def fold_frame(forward, grad_output, turned, grad_x, problem):
    """Adds the gradient on the frame around the image."""
    few = math.prod(map(min, problem.stride, problem.taps)) <= MOST_PHASES and max(problem.taps) <= MOST_TAPS
    for each in _kept_passes(problem) if few else passes_around(problem):
        _fold_pass(forward, grad_output, turned, grad_x, each, problem.padding_mode)


@functools.lru_cache(maxsize=16)
def _kept_passes(problem):
    return tuple(passes_around(problem))


@functools.lru_cache(maxsize=256)    # a few small tuples each
def _kept_stretches(positions, size, mode):
    return tuple(stretches(positions, size, mode))


def _stretches(positions, size, mode):
    """Those of some positions, which are mostly the same in each call."""
    return (_kept_stretches if len(positions) <= MOST_POSITIONS else stretches)(positions, size, mode)


def tap_by_tap(grad_output, turned, grad_x, problem):
    """grad_x of filters that are not finite, each tap on what it meets:
    beside the zeros around grad_output they would make NaN."""
    grad_x.fill(0)
    for each in single_taps(problem):
        _fold_pass(product.conv2d, grad_output, turned, grad_x, each, problem.padding_mode)


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
    of_columns = tuple(_stretches(columns, w, mode))
    with np.errstate(invalid="ignore", over="ignore"):
        for high in _stretches(rows, h, mode):
            part = _turns_added(block[:, :, high.positions], 2, high.turn)
            for wide in of_columns:
                share = _turns_added(part[..., wide.positions], 3, wide.turn)
                for from_rows, to_rows in high.runs:
                    for from_columns, to_columns in wide.runs:
                        grad_x[:, :, to_rows, to_columns] += share[:, :, from_rows, from_columns]


def _turns_added(share, axis, turn):
    """What lies whole turns further on along an axis falls on the same pixels: the sum of it,
    in double precision where there is more than one turn."""
    count = share.shape[axis]
    if count == turn:
        return share
    share = np.moveaxis(share, axis, 0)
    whole = count // turn * turn
    total = share[:whole].reshape(-1, turn, *share.shape[1:]).sum(axis=0, dtype=np.float64)
    total[:count - whole] += share[whole:]
    return np.moveaxis(total, 0, axis)
