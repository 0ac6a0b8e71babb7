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
    blocks, of_pixels = block["count"] * groups, problem.channels_last and channels * groups > 1
    pixels = math.prod(problem.x_shape)
    of_input = {**_band(problem, band, blocks * block["images"], of_pixels),
                "input_far": pixels / lanes if pixels * problem.itemsize >= FAR_BYTES else 0}
    rows = images * groups * problem.output_size[0]
    if layout["in_band_rows"]:
        lines = rows * ceildiv(problem.output_size[1], lanes) * depth
        return {"band_row": lines, "band_row_of_filter": lines * filters, "row_of_outputs": rows * sums, **of_input,
                "filter": groups * filters * depth, "block": blocks * sums, "call": 1}
    whole, rest = divmod(block["images"] * block["rows"] * block["cols"], 2 * lanes)
    vectors, tiles = 2 * whole + ceildiv(rest, lanes), whole + (rest > 0)
    stages = ceildiv(panels, stage) if stage < panels else 1
    of = "_for_few" if filters < FEW_FILTERS else ""
    stored = rows * filters * problem.output_size[1] * sums
    return {
        "multiply": blocks * vectors * filters * depth,
        "load" + of: blocks * tiles * panels * depth,
        "tile": blocks * tiles * panels * sums,
        "store": blocks * vectors * filters * sums,
        "store_far": blocks * vectors * filters * sums if stored * problem.itemsize >= FAR_BYTES else 0,
        "scatter" + (of if of_pixels else ""): stored if problem.channels_last or problem.column_step > 1 else 0,
        "pack" + of: blocks * vectors * depth * stages,
        "pack_run" + of: blocks * (block["images"] * block["rows"] + tiles) * depth * stages,
        **of_input,
        "filter_as_written" if layout["as_written"] else "filter": groups * filters * depth,
        "block": blocks * sums,
        "call": 1,
    }


def _band(problem, band, images, of_pixels):
    """Filling the bands, of so many images of blocks, if there are any."""
    pieces = length = 0
    if band is not None:
        pieces = images * band["rows"]["pieces"] * band["rows"]["length"] * band["cols"]["pieces"]
        length = band["cols"]["length"]
    in_steps = problem.stride[1] > 1 and problem.output_size[1] > 1
    how = "band_of_pixels" if of_pixels else "band_in_steps" if in_steps else "band"
    return {how: pieces * problem.channels * length, "band_piece": pieces,
            "band_piece_of_channel": pieces * problem.channels}
