"""What the implicit matrix product costs: see forward.pyx for the loop nest that is counted here."""

import math

from fastconv._core.problem.sizes import band_axis, block_pixels, ceildiv, inside, strides

PIXELS = 1024             # as in forward.pyx: outputs of a block,
DEPTH_BYTES = 3072        # of one packed filter,
BAND_BYTES = 384 << 10    # of one block's band,
STAGE_BYTES = 4 << 20     # of packed weights
FEW_FILTERS = 12          # so few do not hide what packing takes; of one tap that meets no padding they do without


def refuses(problem):
    """It serves every convolution."""


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time; each count has a constant in nanoseconds (planner/constants.py)."""
    images, groups, channels, filters, size = problem.images, problem.groups, problem.channels, problem.filters, problem.itemsize
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    lies_in_rows = not problem.channels_last or channels * groups == 1
    fits = inside(problem)
    if r * s == 1 and fits and (sh, sw) == (1, 1) and (oh, ow) == (h, w) and problem.column_step == 1:    # a plane is one long row
        (h, w), (oh, ow) = (1, h * w), (1, oh * ow)
    in_place = fits and sw == 1 and lies_in_rows and ow >= 16
    depth, panels, taps = channels * r * s, ceildiv(filters, tile_rows), r * s
    scattered = problem.channels_last or problem.column_step > 1
    if in_place and taps == 1 and filters <= FEW_FILTERS and depth <= DEPTH_BYTES // size and not scattered:
        vectors = images * groups * oh * ceildiv(ow, lanes)
        return {"row": vectors * depth, "row_of_filter": vectors * depth * filters, "call": 1}
    block = block_pixels(images, oh, ow, PIXELS)
    at_once = ceildiv(channels, ceildiv(channels, min(channels, max(1, DEPTH_BYTES // size // taps))))
    rows = math.prod(band_axis(block.rows, r, sh, problem.dilation[0]))
    pieces, length = band_axis(block.columns, s, sw, problem.dilation[1])
    if not in_place:
        plane = rows * pieces * length * block.images * size
        if plane * at_once > BAND_BYTES:
            at_once = ceildiv(channels, ceildiv(channels, max(min(at_once, 8), BAND_BYTES // plane, 1)))
    sums = ceildiv(channels, at_once) * ceildiv(taps, ceildiv(taps, ceildiv(taps, DEPTH_BYTES // size)))
    pixels = block.images * block.rows * block.columns
    whole, rest = divmod(pixels, 2 * lanes)
    vectors, tiles = 2 * whole + ceildiv(rest, lanes), whole + (rest > 0)
    blocks = block.blocks * groups
    stage = max(1, STAGE_BYTES // (depth * ceildiv(filters, panels) * size))
    stages = ceildiv(panels, stage) if stage < panels else 1
    band = 0 if in_place else blocks * block.images * channels * rows * pieces * length
    in_steps = not lies_in_rows or sw > 1
    of = "_for_few" if filters < FEW_FILTERS else ""
    return {
        "multiply": blocks * vectors * filters * depth,
        "load" + of: blocks * tiles * panels * depth,
        "tile": blocks * tiles * panels * sums,
        "store": blocks * vectors * filters * sums,
        "scatter": images * oh * ow * filters * groups * sums if scattered else 0,
        "pack" + of: blocks * vectors * depth * stages,
        "pack_run" + of: blocks * (block.images * block.rows + tiles) * depth * stages,
        "band": 0 if in_steps else band,
        "band_in_steps": band if in_steps else 0,
        "band_piece": 0 if in_place else blocks * block.images * rows * pieces,
        "band_piece_of_channel": 0 if in_place else blocks * block.images * rows * pieces * channels,
        "filter": groups * filters * depth,
        "block": blocks * sums,
        "call": 1,
    }
