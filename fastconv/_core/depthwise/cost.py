"""What depthwise convolution costs, by each of its three ways: columns in the lanes, channels in the lanes,
and planes transposed to that (forward.pyx, channels.pyx, planes.pyx)."""

import math

from fastconv._core.depthwise.layout import planes_pay
from fastconv._core.problem.sizes import MOST_TERMS, ceildiv, strides

TILE_ROWS = 7           # of a kernel that has columns in the lanes
SLIDING = 3, 5, 7       # taps of squares, for which there are kernels
FEWEST_CHANNELS = 16    # a vector, of any instruction set
MOST_SCATTERED = 4      # filters of a single channel whose outputs lie side by side


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels > 1:
        return "a group has more than one channel"
    scattered = problem.channels_last and problem.groups == 1 and problem.filters > MOST_SCATTERED
    if scattered and math.prod(problem.taps) <= MOST_TERMS:    # beyond that its sums of sums are the only ones
        return "the outputs of a pixel lie side by side, and it has a plane for each"
    return None


def slides(problem):
    """Whether channels lie in the lanes of kernels that slide: in them an output is summed up in one order, wherever it
    lies."""
    return (problem.channels_last and problem.groups >= FEWEST_CHANNELS and problem.taps in ((n, n) for n in SLIDING)
            and problem.stride in ((1, 1), (2, 2)))


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, channels, all_filters = problem.images, problem.groups, problem.weight_shape[0]
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    vectors, outputs = ceildiv(all_filters, lanes), images * oh * ow
    if planes_pay(problem):
        return {"planes_multiply": outputs * vectors * r * s, "planes_output": outputs * vectors,
                "planes_input": images * h * w * ceildiv(channels, lanes), "planes_row": images * oh * vectors,
                "planes_call": 1}
    if problem.channels_last and (channels > 1 or ow == 1):
        multiply = outputs * vectors * r * s
        return {"pixels_multiply": multiply if channels > 1 else 0, "pixels_spread": 0 if channels > 1 else multiply,
                "pixels_output": outputs * vectors, "pixels_input": images * h * w * ceildiv(channels, lanes),
                "pixels_row": images * oh * vectors, "pixels_call": 1}
    square = r == s and s in SLIDING and problem.dilation == (1, 1)
    multiply = images * all_filters * oh * ceildiv(ow, lanes) * r * s
    band = images * channels * ((oh - 1) * sh + r) * ((ow - 1) * sw + s)
    return {
        "multiply_square": multiply if square and (sh, sw) == (1, 1) else 0,
        "multiply_square_2": multiply if square and (sh, sw) == (2, 2) else 0,
        "multiply": 0 if square and (sh, sw) in ((1, 1), (2, 2)) else multiply,
        "tap": images * all_filters * ceildiv(oh, TILE_ROWS) * ceildiv(ow, lanes) * r * s,
        "output": images * all_filters * oh * ceildiv(ow, lanes),
        "band": band if sw == 1 else 0,
        "band_in_steps": band if sw == 2 else 0,
        "band_in_wide_steps": band if sw > 2 else 0,
        "plane": images * all_filters,
        "row": images * all_filters * oh,
        "band_row": images * channels * ((oh - 1) * sh + r),
        "scatter": outputs * all_filters if problem.channels_last or problem.column_step > 1 else 0,
        "call": 1,
    }
