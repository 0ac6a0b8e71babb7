"""What the sum with images in the lanes costs: see forward.pyx for the loop nest that is counted here."""

import math

from fastconv._core.batch.forward import laid_out
from fastconv._core.problem.sizes import MOST_TERMS, ceildiv, inside

FEWEST_IMAGES = 4
MOST_TAPS = 256         # of an axis that are looked at one by one
FAR_BYTES = 24 << 20    # of x, or of y, that comes from memory, or goes there


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.images < FEWEST_IMAGES:
        return f"fewer than {FEWEST_IMAGES} images leave most lanes idle"
    if problem.padding_mode != "constant" and not inside(problem):
        return "the padding is not of zeros"
    if problem.channels * problem.filters == 1:
        return "a group has one channel and one filter: there is no sum over channels, and nothing to share pixels for"
    if problem.channels == 1 and problem.taps[0] * problem.taps[1] > MOST_TERMS:
        return f"sums of more than {MOST_TERMS} terms of one channel are more exact as sums of sums"
    return None


def met_taps(size, taps, stride, dilation, before, outputs):
    """Pairs of outputs and taps of an axis of which the tap meets the image; about so many where it has very many
    taps."""
    if taps > MOST_TAPS:
        return outputs * min(taps, ceildiv(size, dilation))
    firsts = [before - tap * dilation for tap in range(taps)]    # in pixels, where the stride is 1
    return sum(min(outputs, max(0, ceildiv(first + size, stride))) - min(outputs, max(0, ceildiv(first, stride)))
               for first in firsts)


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    layout = laid_out(problem)
    (h, w), (r, s), (oh, ow) = problem.size, problem.taps, problem.output_size
    of_rows, of_columns = (met_taps(*axis) for axis in zip(
        problem.size, problem.taps, problem.stride, problem.dilation, problem.origin, problem.output_size))
    vectors, groups, panels = ceildiv(problem.images, lanes), problem.groups, layout["panels"]
    blocks, row_blocks = layout["image_blocks"] * groups, layout["row_blocks"]
    runs = of_columns if problem.dilation[1] > 1 else ow
    rows = min(row_blocks * h, oh * problem.stride[0] + row_blocks * (r - 1) * problem.dilation[0])
    order = "planes" if not problem.channels_last else "pixels" if groups == 1 else "pixels_of_groups"
    moved_in, moved_out = vectors * groups * problem.channels * rows * w, vectors * groups * problem.filters * oh * ow
    return {
        "multiply": vectors * groups * problem.filters * problem.channels * of_rows * of_columns,
        "load": vectors * groups * panels * problem.channels * of_rows * of_columns,
        "tile": blocks * panels * of_rows * runs,
        "sum": vectors * groups * problem.filters * of_rows * runs,
        f"input_{order}": moved_in,
        f"output_{order}": moved_out,
        "input_far": moved_in if math.prod(problem.x_shape) * problem.itemsize >= FAR_BYTES else 0,
        "output_far": moved_out if math.prod(problem.output_shape) * problem.itemsize >= FAR_BYTES else 0,
        "filters_met": blocks * of_rows * problem.filters * problem.channels * s / lanes,    # from L2, where many
        "scatter": moved_out * lanes if problem.column_step > 1 else 0,
        "filter": groups * problem.filters * problem.channels * r * s,
        "block": blocks * row_blocks,
        "call": 1,
    }
