"""The filters of a data gradient: input and output channels swapped."""

import math

from fastconv._core.problem.parts import unbacked

WEIGHT_BYTES = 1 << 20    # that are copied at a time


def swap_channels(weight, groups):
    """(K, C/groups, R, S) -> (C, K/groups, R, S): a view, or a copy where groups do not lie evenly in memory;
    so are filters of volumes, with any axes behind the channels."""
    k, c, *taps = weight.shape
    return weight.reshape(groups, k // groups, c, *taps).swapaxes(1, 2).reshape(groups * c, k // groups, *taps)


def unbacked_swapped(weight, groups):
    """What looks like `swap_channels` of weights whose elements are not there."""
    k, c, *taps = weight.shape
    return unbacked((groups * c, k // groups, *taps), weight.dtype)


def copied(problem):
    """How many weights `in_groups` copies: filters of one channel, and groups of one filter, lie evenly."""
    return 0 if problem.groups == 1 or 1 in (problem.channels, problem.filters) else math.prod(problem.weight_shape)


def in_groups(grad_output, weight, grad_x, bias=None, swap=swap_channels):
    """These arrays in parts of so many groups that few weights are copied at a time, the weights of each with their
    channels swapped; bias: a number for each channel of grad_x, or None. swap: what swaps them; with None they come in
    one part, the weights as they lie, (C/groups, K, R, S), which a driver must know how to read."""
    c = weight.shape[1]
    groups = grad_x.shape[1] // c
    if groups == 1 or swap is None:
        yield grad_output, weight.swapaxes(0, 1), grad_x, bias
        return
    k = weight.shape[0] // groups
    is_view = c == 1 or (k == 1 and weight.strides[0] == c * weight.strides[1])
    at_once = groups if is_view else max(1, WEIGHT_BYTES * groups // weight.nbytes)
    for first in range(0, groups, at_once):
        some, last = slice(first * k, (first + at_once) * k), min(first + at_once, groups)
        of_x = slice(first * c, last * c)
        yield (grad_output[:, some], swap(weight[some], last - first), grad_x[:, of_x],
               None if bias is None else bias[of_x])
