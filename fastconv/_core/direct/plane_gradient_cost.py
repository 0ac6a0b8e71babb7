"""What the weight gradient of planes under 1 x 1 filters costs:
plane_gradient.pyx has the loop nest that is counted here."""

import math

from fastconv._core.problem.sizes import block_pixels, ceildiv, inside

ROW_PIXELS = 512           # as in plane_gradient.pyx: pixels of a block,
SHORTEST = 96              # of a row that is not copied,
FAR_BYTES = 4096
RUN = 128                  # that are added one after the other,
PANEL_BYTES = 256 << 10    # of a panel's sums,
PANEL_LANE_BYTES = 512     # and of its lanes
TRANSPOSED = 10            # products of a vector that take as long as to transpose it


def refuses(problem):
    """Why it must not be taken, or None."""
    if problem.taps != (1, 1) or problem.channels_last:
        return "it serves 1 x 1 filters of planes"
    if problem.channels == 1:
        return "a group has one channel: there is no sum over channels"
    return None if inside(problem) else "a tap meets padding"


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, groups, channels, filters = problem.images, problem.groups, problem.channels, problem.filters
    (oh, ow), size = problem.output_size, problem.itemsize
    pixels = images * oh * ow
    if (oh, ow) == problem.size:    # a plane is one long row
        oh, ow = 1, oh * ow
    with_x, with_y = (pixels * ceildiv(one, lanes) * (other + TRANSPOSED)
                      for one, other in ((channels, filters), (filters, channels)))
    of_x = with_x <= with_y + TRANSPOSED * filters * channels
    in_lanes, in_rows = (channels, filters) if of_x else (filters, channels)
    block = block_pixels(images, oh, ow, ROW_PIXELS if ow <= ROW_PIXELS else ROW_PIXELS // 2)
    vectors, tiles = ceildiv(in_lanes, lanes), ceildiv(in_rows, tile_rows)
    width = min(vectors * lanes, PANEL_LANE_BYTES // size)
    lane_panels = ceildiv(in_lanes, width)
    row_panels = ceildiv(tiles, max(1, PANEL_BYTES // (tile_rows * width * size)))
    pieces = groups * images * oh * ceildiv(ow, block.columns)    # of a channel
    runs = block.blocks * groups * ceildiv(block.images * block.rows * block.columns, RUN)
    pairs = ceildiv(vectors, 2)
    copied = (problem.stride[1] > 1 and not of_x) or block.columns < SHORTEST or math.prod(
        problem.output_size if of_x else problem.size) * size % FAR_BYTES == 0
    of_x_copied = in_lanes * row_panels if of_x else in_rows * lane_panels
    if not copied:
        runs = pieces * ceildiv(block.columns, RUN)
    return {
        "multiply": groups * pixels * in_rows * vectors,
        "load": groups * pixels * tiles * pairs,
        "pack": groups * pixels * vectors * row_panels,
        "copy": groups * pixels * in_rows * lane_panels if copied else 0,
        "read": groups * pixels * in_rows * lane_panels,
        "copy_in_steps": groups * pixels * of_x_copied if problem.stride[1] > 1 else 0,
        "piece": pieces * (in_rows * lane_panels * copied + in_lanes * row_panels),
        "tile": runs * tiles * pairs,
        "sum": groups * filters * channels,
        "sum_across": 0 if of_x else groups * filters * channels,
        "block": block.blocks * groups * lane_panels * row_panels,
        "call": 1,
    }
