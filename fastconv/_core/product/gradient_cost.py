"""What the matrix product costs for a weight gradient: see weight_gradient.pyx for the loop nest that is counted here."""

import math

from fastconv._core.problem.sizes import band_axis, block_pixels, ceildiv, strides

PIXELS, PACKED_BYTES = 512, 2 << 20    # of grad_output in a block, as in layout.pyx


def refuses(problem):
    """Why the planner must not take it, or None: it could compute every gradient."""
    return "a group has one channel: the depthwise sums are at least as fast" if problem.channels == 1 else None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, groups, filters, taps = problem.images, problem.groups, problem.filters, math.prod(problem.taps)
    (oh, ow), width = problem.output_size, problem.channels * taps    # of a filter
    vectors, panels, pixels = ceildiv(width, lanes), ceildiv(filters, tile_rows), images * oh * ow * groups
    block = block_pixels(images, oh, ow, min(PIXELS, max(4 * lanes, PACKED_BYTES // (filters * problem.itemsize))))
    stride = strides(problem)
    rows, columns = (math.prod(band_axis(outputs, n, step, distance)) for outputs, n, step, distance in zip(
        (block.rows, block.columns), problem.taps, stride, problem.dilation))
    band = block.blocks * groups * block.images * problem.channels * rows * columns
    in_steps = problem.channels_last or stride[1] > 1
    return {
        "multiply": pixels * filters * vectors,
        "load": pixels * panels * ceildiv(width, 2 * lanes),
        "pack": pixels * vectors,
        "pack_run": images * oh * groups * vectors,
        "filters_of_planes": 0 if problem.channels_last else pixels * ceildiv(filters, lanes),
        "filters_of_pixels": pixels * filters if problem.channels_last else 0,
        "band": 0 if in_steps else band,
        "band_in_steps": band if in_steps else 0,
        "tile": block.blocks * groups * filters * vectors,
        "block": block.blocks * groups,
        "call": 1,
    }
