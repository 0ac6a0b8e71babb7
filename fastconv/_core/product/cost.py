"""What the implicit matrix product costs: see forward.pyx for the loop nest that is counted here,
layout.pyx for the sizes."""

import math

from fastconv._core.problem.sizes import ceildiv
from fastconv._core.product.layout import laid_out

FEW_FILTERS = 12        # so few do not hide what packing takes
FAR_BYTES = 24 << 20    # of outputs that leave the caches before all are written, and of inputs that come from memory


def refuses(problem):
    """It serves every convolution."""


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time; each count has a constant in nanoseconds (planner/constants.py)."""
    images, groups, channels, filters, taps = (problem.images, problem.groups, problem.channels,
                                               problem.filters, problem.taps)
    layout, band = laid_out(problem)
    block, panels, stage = layout["blocking"], layout["panels"], layout["stage"]
    taps = taps[0] * taps[1]
    depth = channels * taps
    if layout["in_rows"]:
        lines = images * groups * ceildiv(problem.output_size[0] * problem.output_size[1], lanes) * depth
        return {"row": lines, "row_of_filter": lines * filters, "call": 1}
    sums = ceildiv(channels, layout["channels"]) * ceildiv(taps, layout["taps_at_once"])
    whole, rest = divmod(block["images"] * block["rows"] * block["cols"], 2 * lanes)
    vectors, tiles = 2 * whole + ceildiv(rest, lanes), whole + (rest > 0)
    blocks = block["count"] * groups
    stages = ceildiv(panels, stage) if stage < panels else 1
    pieces = length = 0
    if band is not None:
        pieces = blocks * block["images"] * band["rows"]["pieces"] * band["rows"]["length"] * band["cols"]["pieces"]
        length = band["cols"]["length"]
    of_pixels = problem.channels_last and channels * groups > 1
    in_steps = problem.stride[1] > 1 and problem.output_size[1] > 1
    of = "_for_few" if filters < FEW_FILTERS else ""
    pixels = math.prod(problem.x_shape)
    stored = images * groups * filters * problem.output_size[0] * problem.output_size[1] * sums
    return {
        "multiply": blocks * vectors * filters * depth,
        "load" + of: blocks * tiles * panels * depth,
        "tile": blocks * tiles * panels * sums,
        "store": blocks * vectors * filters * sums,
        "store_far": blocks * vectors * filters * sums if stored * problem.itemsize >= FAR_BYTES else 0,
        "scatter" + (of if of_pixels else ""): stored if problem.channels_last or problem.column_step > 1 else 0,
        "pack" + of: blocks * vectors * depth * stages,
        "pack_run" + of: blocks * (block["images"] * block["rows"] + tiles) * depth * stages,
        "band": 0 if in_steps or of_pixels else pieces * channels * length,
        "band_in_steps": pieces * channels * length if in_steps and not of_pixels else 0,
        "band_of_pixels": pieces * channels * length if of_pixels else 0,
        "input_far": pixels / lanes if pixels * problem.itemsize >= FAR_BYTES else 0,
        "band_piece": pieces,
        "band_piece_of_channel": pieces * channels,
        "filter_as_written" if layout["as_written"] else "filter": groups * filters * depth,
        "block": blocks * sums,
        "call": 1,
    }
