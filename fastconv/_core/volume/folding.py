"""Shares of the gradient that are computed on positions of the padding, or tap by tap, and added to the pixels that
these repeat: as ``data_gradient/folding.py``, over planes, rows and columns.

They go through a scratch of about ``BLOCK_BYTES``, block by block, pass by pass.
"""

import itertools
import math

import numpy as np

from fastconv._core.problem.geometry import parts
from fastconv._core.runtime import memory
from fastconv._core.volume.geometry import Volumes, passes_around, single_taps, window_of

BLOCK_BYTES = 2 << 20


def fold_frame(convolve, grad_output, turned, grad_x, problem):
    """Adds the gradient on the frame around the volume. convolve(problem, volumes) computes y of volumes."""
    for each in passes_around(problem):
        _fold_pass(convolve, grad_output, turned, grad_x, each, problem.padding_mode)


def tap_by_tap(convolve, grad_output, turned, grad_x, problem):
    """grad_x of filters that are not finite, each tap on what it meets: beside the zeros around grad_output they would
    make NaN."""
    grad_x.fill(0)
    for each in single_taps(problem):
        _fold_pass(convolve, grad_output, turned, grad_x, each, problem.padding_mode)


def _fold_pass(convolve, grad_output, turned, grad_x, each, mode):
    """Computes one pass on the frame, block by block, and adds it to the pixels that its positions repeat."""
    n, channels = grad_x.shape[:2]
    groups = grad_output.shape[1] // turned.shape[1]
    of_group, k = channels // groups, turned.shape[1]
    at_once = max(1, BLOCK_BYTES // grad_x.itemsize)    # numbers of a block
    blocks = [range(of_group)[first:first + at_once] for first in range(0, of_group, at_once)]
    for image, group, some in itertools.product(range(n), range(groups), blocks):
        first, last = group * of_group + some.start, group * of_group + some.stop
        most = max(1, at_once // len(some))
        for of_axes in _blocks(each.positions, most):
            received = grad_output[image:image + 1, group * k:(group + 1) * k]
            _fold_block(convolve, received, turned[first:last][each.taps], grad_x[image:image + 1, first:last], each,
                        of_axes, mode)


def _blocks(positions, most):
    """Ranges of planes, rows and columns, of at most so many positions in all."""
    planes, rows, columns = map(len, positions)
    columns = max(1, min(columns, most))
    rows = max(1, min(rows, most // columns))
    planes = max(1, min(planes, most // (columns * rows)))
    return itertools.product(*([slice(first, min(first + at_once, len(of_axis)))
                                for first in range(0, len(of_axis), at_once)]
                               for of_axis, at_once in zip(positions, (planes, rows, columns))))


def _fold_block(convolve, grad_output, taps, grad_x, each, block, mode):
    """One item, some channels of a group, and a block of the positions of a pass."""
    problem, size = each.problem, tuple(part.stop - part.start for part in block)
    origin = tuple(before - part.start for before, part in zip(problem.origin, block))
    after = (outputs + distance * (count - 1) - length - before for outputs, distance, count, length, before
             in zip(size, problem.dilation, problem.taps, problem.size, origin))
    part = problem._replace(x_shape=(1, *grad_output.shape[1:]), weight_shape=taps.shape, groups=1, output_size=size,
                            pads=tuple(zip(origin, after)), column_step=1, channels_last=False)
    shape = (1, len(taps), *size)
    y = memory.scratch(math.prod(shape) * grad_x.itemsize).view(grad_x.dtype).reshape(shape)
    convolve(part, Volumes(grad_output, taps, None, y, window_of(part)))
    axes = [list(parts(positions[some], length, mode))
            for positions, some, length in zip(each.positions, block, grad_x.shape[2:])]
    with np.errstate(invalid="ignore", over="ignore"):
        for of_axes in itertools.product(*axes):
            share = y[(slice(None), slice(None), *(of_block for of_block, _, _ in of_axes))]
            for axis, (_, _, one) in enumerate(of_axes, 2):
                if one:
                    share = share.sum(axis=axis, keepdims=True)
            grad_x[(slice(None), slice(None), *(pixels for _, pixels, _ in of_axes))] += share
