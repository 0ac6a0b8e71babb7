"""What the sum with channels in the lanes costs: see forward.pyx for the loop nest that is counted here,
layout.pyx for the sizes."""

import math

from fastconv._core.direct.layout import laid_out
from fastconv._core.problem.sizes import MOST_TERMS, ceildiv, inside, strides

FAR_BYTES = 8 << 20    # of outputs that leave the caches before their lines are whole
FAR_B_BYTES = 2 << 20  # of a panel that does not stay in L2 from tile to tile


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels == 1 and problem.groups > 1:
        return "a group has one channel: there is no sum over channels to share a vector for"
    if problem.channels == 1 and math.prod(problem.taps) > MOST_TERMS:
        return f"sums of more than {MOST_TERMS} terms of one channel are more exact as sums of sums"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    layout, together, tiles, blocks = laid_out(problem)
    far = math.prod(problem.output_shape) * problem.itemsize >= FAR_BYTES
    images, (oh, ow), (r, s) = problem.images, problem.output_size, problem.taps
    block, panels, in_planes = layout["blocking"], layout["panels"], layout["tiling"]["in_planes"]
    channels, filters, groups = problem.channels * together, problem.filters * together, problem.groups // together
    vectors, of_channels, lines = ceildiv(filters, lanes), ceildiv(channels, lanes), problem.channels * r * s
    met = tiles["time"] / (tiles["outputs"] * r * s)    # of the products: what meets nothing but padding is left out
    loads = block["count"] / blocks * tiles["tile_taps"] * groups * panels
    band_rows = 0
    if not layout["in_place"]:
        band_rows = block["count"] * groups * block["images"] * layout["band_rows"] * (channels
                                                                                       if in_planes else of_channels)
    band, of_planes = band_rows * layout["band_cols"], not problem.channels_last
    multiply, outputs = images * groups * oh * ow * vectors * lines, images * groups * oh * ow * vectors
    in_steps = r * s == 1 and max(strides(problem)) > 1 and inside(problem)    # only the pixels that are met
    return {
        "multiply": met * multiply if together == 1 else 0,
        "multiply_narrow": multiply if together > 1 else 0,
        "load": loads * problem.channels,
        "load_far": loads * problem.channels if layout["b_size"] * problem.itemsize > FAR_B_BYTES else 0,
        "tap": loads / (r * s) * layout["tiling"]["n_taps"] * ceildiv(layout["depth"], lanes),
        "filter": (1 if layout["beforehand"] else block["count"]) * groups * vectors * lines,
        "band_of_planes": band if of_planes and not (in_steps or in_planes) else 0,
        "band_in_steps": band if of_planes and in_steps else 0,
        "band_of_pixels": 0 if of_planes or in_planes else band,
        "band_of_rows": band if in_planes else 0,
        "band_row": band_rows,
        "store_planes": outputs if of_planes else 0,
        "store_planes_far": outputs if of_planes and far else 0,
        "store_rows": block["count"] * block["images"] * groups * vectors * (
            1 if block["cols"] == ow and problem.column_step == 1 else block["rows"]) if of_planes else 0,
        "store_pixels": 0 if of_planes else outputs,
        "join_pixels": images * groups * oh * ow if layout["stored"] and filters % lanes else 0,
        "scatter": outputs * lanes if of_planes and problem.column_step > 1 else 0,
        "block": block["count"] * groups * panels,
        "call": 1,
    }
