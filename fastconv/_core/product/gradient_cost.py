"""What the weight gradient by an implicit matrix product costs: see weight_gradient.pyx for its loop nest."""

import math

from fastconv._core.problem.sizes import band_axis, block_pixels, ceildiv, inside, strides

GRADIENT_PIXELS = 512     # as in layout.pyx: of a block,
PACKED_BYTES = 2 << 20    # of packed grad_output of one,
MOST_CHUNKS = 16
PARTIAL_BYTES = 4 << 20   # of all chunks' sums


def refuses(problem):
    """Why the planner must not take it, or None."""
    return "a group has one channel: there is no sum over channels" if problem.channels == 1 else None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, groups, channels, filters = problem.images, problem.groups, problem.channels, problem.filters
    size = problem.itemsize
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    fits = inside(problem)
    in_rows = not problem.channels_last or channels * groups == 1
    if r * s == 1 and fits and (sh, sw) == (1, 1) and (oh, ow) == (h, w):    # a plane is one long row
        (h, w), (oh, ow) = (1, h * w), (1, oh * ow)
    in_place = fits and sw == 1 and in_rows and ow >= 16 and r * s == 1
    block = block_pixels(images, oh, ow, min(GRADIENT_PIXELS, max(4 * lanes, PACKED_BYTES // max(1, filters * size))))
    rows = math.prod(band_axis(block.rows, r, sh, problem.dilation[0]))
    pieces, length = band_axis(block.columns, s, sw, problem.dilation[1])
    pixels, terms_a_filter = groups * images * oh * ow, channels * r * s
    vectors, panels = ceildiv(terms_a_filter, lanes), ceildiv(filters, tile_rows)
    weights = groups * filters * terms_a_filter
    chunks = min(block.blocks, MOST_CHUNKS, PARTIAL_BYTES // max(1, weights * size))
    band = 0 if in_place else block.blocks * groups * block.images * channels * rows * pieces * length
    in_steps = not in_rows or sw > 1
    return {
        "multiply": pixels * vectors * filters,
        "load": pixels * ceildiv(vectors, 2) * panels,
        "pack": pixels * vectors,
        "pack_run": groups * images * oh * terms_a_filter,
        "pack_gradient": pixels * filters,
        "scatter": pixels * filters if problem.channels_last else 0,
        "tile": ceildiv(pixels, 128) * ceildiv(vectors, 2) * panels,
        "band": 0 if in_steps else band,
        "band_in_steps": band if in_steps else 0,
        "band_piece": 0 if in_place else block.blocks * groups * block.images * rows * pieces * channels,
        "sum": (chunks if chunks > 1 else 0) * weights,
        "block": block.blocks * groups,
        "call": 1,
    }
