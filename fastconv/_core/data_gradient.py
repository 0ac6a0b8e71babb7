"""grad_x of a convolution: forward convolutions of grad_output, and the padding's share folded back.

The derivation stands in ``geometry``. Each phase of the stride calls the forward driver on strided views of grad_output, weight and
grad_x, so nothing but the weights of a grouped convolution is copied, some groups at a time; or all phases are one convolution, whose
outputs are put side by side afterwards (``subpixel``); or 3 x 3 filters with a stride of 2 go by Winograd's algorithm, transposed
(``winograd/data_gradient.pyx``): what is expected to take the least time. Where the padding repeats pixels, the
frame around the image (rows above and below over the full extended width, columns left and right of the image) goes through a scratch
of about ``BLOCK_BYTES``, block by block, phase by phase: only positions that a tap meets are computed.
A weight that is not finite would make a NaN of the zeros around grad_output; such filters are taken tap by tap, each on what it meets.
Depthwise with a stride of 2 computes both phases of columns in one call: by itself, each of them would move all of grad_x.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from fastconv._core import subpixel
from fastconv._core.depthwise import forward as depthwise, pair
from fastconv._core.planner.drivers import FORWARD, WINOGRAD
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import parts, phases
from fastconv._core.problem.simpler import simpler
from fastconv._core.product import forward as gemm, one_output, one_output_cost
from fastconv._core.runtime import memory
from fastconv._core.winograd import data_gradient as winograd, data_gradient_cost

BLOCK_BYTES = 4 << 20
WEIGHT_BYTES = 1 << 20  # that are copied at a time
CALL_NANOSECONDS = 5e3  # of a pass, beside what the driver does
STEP_NANOSECONDS = 2.0, 0.3  # of an element of grad_x, where a pass writes every S-th column: of planes, of pixels
MOST_KEPT = 16  # passes of a problem that are remembered
TRANSPOSED = WINOGRAD._replace(module=winograd, costs=data_gradient_cost)


class Pass(NamedTuple):
    """A convolution of stride 1 that computes the gradient on some positions, evenly spaced; they may lie in the padding."""

    taps: tuple[slice, slice]
    rows: range
    columns: range
    window: Window


class Plan(NamedTuple):
    """What is the same for all calls of a problem."""

    passes: tuple[Pass, ...] | None      # over the image, unless these are too many to be kept
    transposed: bool                     # whether Winograd's algorithm, transposed, takes less time than the passes
    patches: subpixel.Patches | None     # which take less time than both


@functools.lru_cache(maxsize=512)    # of at most some 10 kB each
def _plan(forward, problem):
    nanoseconds, transposed, patches = _expected(forward, problem), False, None
    if nanoseconds is not None:
        if TRANSPOSED.refuses(problem) is None and (least := TRANSPOSED.cost(problem) + 4 * CALL_NANOSECONDS) < nanoseconds:
            nanoseconds, transposed = least, True
        patches = subpixel.plan(problem, nanoseconds)
    few = math.prod(map(min, problem.stride, problem.taps)) <= MOST_KEPT
    return Plan(tuple(_passes(problem, *map(range, problem.size))) if few else None, transposed and patches is None, patches)


def _expected(forward, problem):
    """The nanoseconds of all passes; None where nothing else will do: other padding folds the frame back by passes."""
    driver = next((each for each in FORWARD if each.conv2d is forward), None)
    if driver is None or problem.padding_mode != "constant":
        return None
    of_step = STEP_NANOSECONDS[problem.channels_last] if problem.stride[1] > 1 else 0
    return sum(count * (driver.cost(each) + CALL_NANOSECONDS + of_step * math.prod(each.output_shape))
               for each, count in problem.adjoint())


def data_gradient(forward, grad_output, weight, grad_x, problem):
    """Fills grad_x (N, C, H, W), a view with any strides, through the driver's `forward` convolution, which is that of the plan,
    or faster."""
    if one_output_cost.refuses(problem) is None and weight.flags.c_contiguous:
        one_output.data_gradient(grad_output, weight, grad_x, Window(problem.stride, problem.dilation, problem.origin))
        return
    simple = simpler(problem)
    if simple is not None:    # taps that meet only padding have no part in it
        views = simple.views(grad_x, weight, grad_output)
        if views is None:
            forward = gemm.conv2d
        else:
            if not simple.meets_all:
                grad_x.fill(0)
            (grad_x, weight, grad_output), problem = views, simple.problem
    plan = _plan(forward, problem)
    size = problem.stride if plan.patches is None else plan.patches.step
    if plan.transposed:
        _transposed(forward, plan, grad_output, weight, grad_x, problem)
    elif plan.patches is None or not subpixel.data_gradient(plan.patches, grad_output, weight, grad_x):
        for part in _in_groups(grad_output, weight, grad_x):
            _by_phases(forward, plan, *part, problem)
    # The first pixel of each phase has met all of its taps, be it on the padding.
    if not np.isfinite(grad_x[0, :, :size[0], :size[1]]).all() and not np.isfinite(weight).all():
        for of_output, filters, of_x, groups in _in_groups(grad_output, weight, grad_x):
            if not np.isfinite(filters).all():
                _tap_by_tap(of_output, _swap_channels(filters, groups), of_x, problem)


def _transposed(forward, plan, grad_output, weight, grad_x, problem):
    """By Winograd's algorithm; images to which its rounding errors, or what is not finite, may have spread by phases."""
    for of_output, filters, of_x, groups in _in_groups(grad_output, weight, grad_x):
        again = winograd.data_gradient(Convolution(of_output, _swap_channels(filters, groups), None, of_x,
                                                   Window(problem.stride, problem.dilation, problem.origin)))
        for image in again:
            one = slice(image, image + 1)
            _by_phases(forward, plan, of_output[one], filters, of_x[one], groups, problem)


def _in_groups(grad_output, weight, grad_x):
    """These arrays in parts of so many groups that few weights are copied at a time, and how many groups that are."""
    groups, c = grad_x.shape[1] // weight.shape[1], weight.shape[1]
    k = weight.shape[0] // groups
    is_view = c == 1 or (k == 1 and weight.strides[0] == c * weight.strides[1])
    at_once = groups if is_view else max(1, WEIGHT_BYTES * groups // weight.nbytes)
    for first in range(0, groups, at_once):
        some = slice(first * k, (first + at_once) * k)
        yield grad_output[:, some], weight[some], grad_x[:, first * c:(first + at_once) * c], min(at_once, groups - first)


def _by_phases(forward, plan, grad_output, weight, grad_x, groups, problem):
    turned = _swap_channels(weight, groups)
    (h, w), (sh, sw) = problem.size, problem.stride
    passes = plan.passes if plan.passes is not None else tuple(_passes(problem, range(h), range(w)))
    if len(passes) < min(sh, h) * min(sw, w):
        grad_x.fill(0)  # some pixels are met by no tap
    convolutions = [Convolution(grad_output, turned[:, :, each.taps[0], each.taps[1]], None,
                                grad_x[:, :, each.rows.start::sh, each.columns.start::sw], each.window) for each in passes]
    if forward is depthwise.conv2d and sw == 2 and grad_x.strides[3] == grad_x.itemsize and _in_column_pairs(passes):
        for i in range(0, len(passes), 2):
            even, odd = sorted((i, i + 1), key=lambda index: passes[index].columns.start)
            pair.conv2d_pair(convolutions[even], convolutions[odd])
    else:
        for each in convolutions:
            forward(each)
    if problem.padding_mode != "constant":
        for rows, columns in _frame(problem):
            for each in _passes(problem, rows, columns):
                _fold_pass(forward, grad_output, turned, grad_x, each, problem.padding_mode)


def _tap_by_tap(grad_output, turned, grad_x, problem):
    grad_x.fill(0)
    for each in _single_taps(problem):
        _fold_pass(gemm.conv2d, grad_output, turned, grad_x, each, problem.padding_mode)


def _swap_channels(weight, groups):
    """(K, C/groups, R, S) -> (C, K/groups, R, S): a view, or a copy where groups do not lie evenly in memory."""
    k, c, r, s = weight.shape
    return weight.reshape(groups, k // groups, c, r, s).swapaxes(1, 2).reshape(groups * c, k // groups, r, s)


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


def _passes(problem, rows, columns):
    """The passes that compute the gradient on these rows and columns: one for each pair of phases with taps."""
    taps_h, taps_w = problem.weight_shape[2:]
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, problem.origin
    for i in phases(len(rows), taps_h, sh, top + rows.start, dh):
        for j in phases(len(columns), taps_w, sw, left + columns.start, dw):
            yield Pass((_backwards(i, taps_h), _backwards(j, taps_w)), rows[i.first::sh], columns[j.first::sw],
                       Window((1, 1), (i.dilation, j.dilation), (i.padding, j.padding)))


def _backwards(phase, taps):
    """The taps of a phase, the last one first."""
    last = phase.tap + (taps - 1 - phase.tap) // phase.tap_step * phase.tap_step
    return slice(last, phase.tap - 1 if phase.tap else None, -phase.tap_step)


def _single_taps(problem):
    """A pass for each tap: the positions that it meets, in the image and its padding."""
    rows, columns = ([range(first, first + step * outputs, step) for first in range(-before, distance * taps - before, distance)]
                     for taps, outputs, step, distance, before in zip(problem.weight_shape[2:], problem.output_size,
                                                                      problem.stride, problem.dilation, problem.origin))
    for r, of_rows in enumerate(rows):
        for s, of_columns in enumerate(columns):
            yield Pass((slice(r, r + 1), slice(s, s + 1)), of_rows, of_columns, Window())


def _in_column_pairs(passes):
    """Whether the even and the odd columns of the same rows follow each other, each with neighbouring taps."""
    return all(even.rows == odd.rows and even.window.dilation[1] == odd.window.dilation[1] == 1
               for even, odd in zip(passes[::2], passes[1::2])) and len(passes) % 2 == 0


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


def _fold_pass(forward, grad_output, turned, grad_x, each, mode):
    """Computes one pass on the frame, block by block, and adds it to the pixels that its positions repeat."""
    for of_output, taps, of_x in _channels(grad_output, turned[:, :, each.taps[0], each.taps[1]], grad_x):
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
                                    each.window.with_origin((each.window.origin[0] - row, each.window.origin[1] - column))))
                _fold(block, rows, columns, grad_x[images], mode)


def _fold(block, rows, columns, grad_x, mode):
    """Adds the gradient on these positions to the pixels that they repeat."""
    h, w = grad_x.shape[2:]
    for from_rows, to_rows, one_row in parts(rows, h, mode):
        part = block[:, :, from_rows]
        if one_row:
            part = part.sum(axis=2, keepdims=True)
        for from_columns, to_columns, one_column in parts(columns, w, mode):
            share = part[..., from_columns]
            grad_x[:, :, to_rows, to_columns] += share.sum(axis=3, keepdims=True) if one_column else share
