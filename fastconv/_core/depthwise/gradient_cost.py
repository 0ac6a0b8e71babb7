"""What the weight gradient of a depthwise convolution costs, and of narrow groups, channel by channel."""

from fastconv._core.depthwise.layout import planes_pay
from fastconv._core.problem.sizes import ceildiv, strides

MOST_CHANNELS = 4    # of a narrow group


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels > MOST_CHANNELS or (problem.channels > 1 and (problem.groups == 1 or problem.channels_last)):
        return "the channels of a group are too many to take one after the other"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, channels, filters = problem.images, problem.channels, problem.weight_shape[0]
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    outputs, vectors, of_x = images * oh * ow, ceildiv(filters, lanes), ceildiv(problem.groups, lanes)
    if planes_pay(problem) or (problem.channels_last and problem.groups > 1):
        kind = "pixels" if problem.channels_last else "planes"
        return {f"{kind}_multiply": channels * outputs * vectors * r * s,
                f"{kind}_output": channels * outputs * vectors,
                f"{kind}_input": channels * images * h * w * of_x, f"{kind}_row": channels * images * oh * vectors,
                f"{kind}_call": channels}
    square = r == s and s in (3, 5, 7) and problem.dilation == (1, 1) and sh == sw and sh <= 2
    multiply = channels * images * filters * oh * ceildiv(ow, lanes) * r * s
    band = channels * problem.groups * images * ((oh - 1) * sh + r) * ((ow - 1) * sw + s)
    return {
        "multiply_square": multiply if square else 0,
        "multiply": 0 if square else multiply,
        "output": channels * images * filters * oh * ceildiv(ow, lanes),
        "plane": channels * images * filters,
        "band": band if sw == 1 else 0,
        "band_in_steps": band if sw > 1 else 0,
        "band_row": channels * problem.groups * images * ((oh - 1) * sh + r),
        "scatter": channels * outputs * filters if problem.channels_last else 0,
        "sum": channels * filters * r * s,
        "call": channels,
    }
