"""What the sum with channels in the lanes costs: see forward.pyx for the loop nest that is counted here, layout.pyx for the sizes."""

import math

from fastconv._core.problem.sizes import MOST_TERMS, block_pixels, ceildiv, inside, strides

PIXELS = 1024             # as in layout.pyx: outputs of a block,
TILES = 7                 # of a block of 1 x 1 filters,
INPUT_BYTES = 4 << 20     # of X,
FILTERS_BYTES = 512 << 10 # of packed filters that stay from block to block,
SMALL_BYTES = 256 << 10   # and of X beside them,
FAR_BYTES = 2 << 20       # of those that come from L3,
LARGE_BYTES = 1 << 20     # where X would be as large,
TABLE = 2048              # weights of a filter, of few channels,
FEWEST_COLUMNS = 3        # and its columns, where planes are read as they are,
MOST_CHANNELS = 3         # and the channels for each of these
SAVED = 2                 # times as many tiles of pixels, where tiles take images instead


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels == 1 and problem.groups > 1:
        return "a group has one channel: there is no sum over channels to share a vector for"
    if problem.channels == 1 and math.prod(problem.taps) > MOST_TERMS:
        return f"sums of more than {MOST_TERMS} terms of one channel are more exact as sums of sums"
    return None


def side_by_side(problem, lanes):
    """How many narrow groups share a vector."""
    c, k, groups = problem.channels, problem.filters, problem.groups
    if c != k or c == 0 or lanes * problem.itemsize <= 16:
        return 1
    pointwise = problem.taps == (1, 1)
    return next((count for count in range(min(lanes // c, groups), 1, -1)
                 if groups % count == 0 and (not pointwise or count * c == lanes)), 1)


def _reads_planes(problem, lanes):
    """As reads_planes in layout.pyx."""
    (r, s), c = problem.taps, problem.channels
    in_planes = not problem.channels_last or c * problem.groups == 1
    if not in_planes or c >= lanes or s < FEWEST_COLUMNS or problem.dilation[1] > 1 or c * r * s > TABLE:
        return False
    return c == 1 or lanes / s < c <= s or (c <= MOST_CHANNELS * s and inside(problem))


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, size, own = problem.images, problem.itemsize, problem.channels
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    first_pixel = problem.pads[0][0] == problem.pads[1][0] == 0
    in_steps = r * s == 1 and first_pixel and (oh - 1) * sh < h and (ow - 1) * sw < w and max(sh, sw) > 1
    if r * s == 1 and first_pixel and (oh - 1) * sh < h and (ow - 1) * sw < w:    # it takes only the pixels that it meets
        h, w, sh, sw = oh, ow, 1, 1
    together = side_by_side(problem, lanes)
    channels, filters, groups = own * together, problem.filters * together, problem.groups // together
    in_planes = together == 1 and _reads_planes(problem, lanes)
    one_by_one = problem.channels_last or own * problem.groups == 1
    width = lanes if filters <= lanes else 2 * lanes
    panels, vectors, lines = ceildiv(filters, width), ceildiv(filters, lanes), own * r * s
    pointwise = r * s == 1 and first_pixel and (oh, ow) == (h, w)
    in_place = pointwise and one_by_one
    pixel = channels if channels < lanes and together == 1 else lanes
    taps = r if pixel < lanes and channels * s <= lanes and problem.dilation[1] == 1 else r * s
    if in_planes:
        taps = channels * r * ceildiv(s, lanes)
    row_pixels = sh * (ow * sw + (s - 1) * problem.dilation[1])
    row_bytes = row_pixels * (channels if in_planes else ceildiv(channels, lanes) * pixel) * size
    packed_bytes = groups * panels * lines * width * size
    far = (not in_place and FILTERS_BYTES < packed_bytes <= FAR_BYTES
           and min(PIXELS, images * oh * ow) * row_bytes // ow > LARGE_BYTES)
    beforehand = far or packed_bytes <= FILTERS_BYTES
    rows_at_once = max(1, (SMALL_BYTES if beforehand else INPUT_BYTES) // max(1, row_bytes))
    block = block_pixels(images, oh, ow, TILES * tile_rows if in_place and beforehand else min(PIXELS, rows_at_once * ow))
    if pointwise:
        tiles = block.blocks * ceildiv(block.images * block.rows * block.columns, tile_rows)
    else:
        tiles = block.images * ceildiv(block.columns, tile_rows)
        across = block.columns * ceildiv(block.images, tile_rows)    # tiles of one pixel of several images
        tiles = block.blocks * block.rows * (across if tiles > SAVED * across else tiles)
    band_rows = 0 if in_place or (in_planes and inside(problem)) else (
        block.blocks * groups * block.images * ((block.rows - 1) * sh + (r - 1) * problem.dilation[0] + 1)
        * (channels if in_planes else ceildiv(channels, lanes)))
    band = band_rows * ((block.columns - 1) * sw + (s - 1) * problem.dilation[1] + 1)
    multiply, outputs = images * groups * oh * ow * vectors * lines, images * groups * oh * ow * vectors
    of_planes = not problem.channels_last
    return {
        "multiply": multiply if together == 1 else 0,
        "multiply_narrow": multiply if together > 1 else 0,
        "load": tiles * groups * panels * lines,
        "tap": tiles * groups * panels * taps * ceildiv(channels, lanes),
        "filter": (1 if beforehand and block.blocks > 1 else block.blocks) * groups * vectors * lines,
        "band_of_planes": band if of_planes and not (in_steps or in_planes) else 0,
        "band_in_steps": band if of_planes and in_steps else 0,
        "band_of_pixels": 0 if of_planes or in_planes else band,
        "band_of_rows": band if in_planes else 0,
        "band_row": band_rows,
        "store_planes": outputs if of_planes else 0,
        "store_rows": block.blocks * block.images * groups * vectors * (1 if block.columns == ow and problem.column_step == 1
                                                                       else block.rows) if of_planes else 0,
        "store_pixels": 0 if of_planes else outputs,
        "scatter": outputs * lanes if of_planes and problem.column_step > 1 else 0,
        "block": block.blocks * groups * panels,
        "call": 1,
    }
