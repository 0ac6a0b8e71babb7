"""What the weight gradient with filters in the lanes costs: weight_gradient.pyx has the loop nest that is counted here,
gradient_layout.pyx the sizes."""


from fastconv._core.problem.sizes import block_pixels, ceildiv, inside, strides

RUN = 128                  # as in gradient_layout.pyx: pixels that are added in registers,
BLOCK_BYTES = 512 << 10    # of a block,
FEWEST_PIXELS = 256
MOST_PIXELS = 4096
MOST_CHUNKS = 16           # and groups
CHUNK_PIXELS = 2048
PARTIAL_BYTES = 4 << 20    # of all chunks' sums
MOST_LINES = 3             # of a tile


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels == 1 and problem.groups > 1:
        return "a group has one channel: there is no sum over channels to share a vector for"
    return None


def tiles_of(scalars, rows, tile_rows):
    """Of lines of so many scalars, and so many rows of taps."""
    pieces = ceildiv(scalars, tile_rows)
    lines = max(1, min(MOST_LINES, tile_rows // ceildiv(scalars, pieces)))
    return pieces * ceildiv(rows, lines)


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, groups, channels, filters = problem.images, problem.groups, problem.channels, problem.filters
    (h, w), (oh, ow), (r, s), (sh, sw) = problem.size, problem.output_size, problem.taps, strides(problem)
    size = problem.itemsize
    of_planes = not problem.channels_last and channels * groups > 1
    in_steps = False
    if r * s == 1 and inside(problem):    # it takes only the pixels that it meets
        in_steps, sh, sw = of_planes and sw > 1, 1, 1
        if (oh, ow) == (h, w):
            oh, ow = 1, oh * ow
    width = lanes if filters <= lanes else 2 * lanes
    panels, vectors, of_x = ceildiv(filters, width), ceildiv(filters, lanes), ceildiv(channels, lanes)
    pixel = channels if channels < lanes and (problem.channels_last or problem.padding_mode == "constant") else lanes
    a_pixel = (panels * width + of_x * pixel * sh * sw) * size
    if problem.channels_last:
        a_pixel *= groups
    block = block_pixels(images, oh, ow, max(FEWEST_PIXELS, min(MOST_PIXELS, BLOCK_BYTES // a_pixel)))
    pixels, rows = groups * images * oh * ow, channels * r * s
    close = pixel == channels or channels % lanes == 0
    together = problem.dilation[1] == 1 and close
    if together:    # taps of a row, in tiles of as many scalars as there can be
        tiles = of_x * tiles_of(s * min(channels, lanes), r, tile_rows)
    else:
        tiles = s * (channels // lanes * tiles_of(lanes, r, tile_rows)
                     + (tiles_of(channels % lanes, r, tile_rows) if channels % lanes else 0))
    band_rows = (block.rows - 1) * sh + (r - 1) * problem.dilation[0] + 1
    band_rows *= block.blocks * groups * block.images * of_x
    band = band_rows * ((block.columns - 1) * sw + (s - 1) * problem.dilation[1] + 1)
    partial = PARTIAL_BYTES // max(1, groups * panels * rows * width * size)
    most = ceildiv(MOST_CHUNKS, groups)
    if problem.channels_last and groups > 1:
        most = max(most, images * groups * (channels * h * w + filters * oh * ow) * size // BLOCK_BYTES)
    chunks = min(most, partial, ceildiv(images * oh * ow, CHUNK_PIXELS), block.blocks)
    return {
        "multiply": pixels * rows * vectors if together and s > 1 else 0,
        "multiply_taps": 0 if together and s > 1 else pixels * rows * vectors,    # each by itself
        "load": pixels * tiles * panels,
        "scalar": pixels * rows * panels,
        "tile": ceildiv(pixels, RUN) * tiles * panels,
        "run": groups * images * oh * tiles * panels,
        "band_in_steps": band if in_steps else 0,
        "band_of_planes": band if of_planes and not in_steps else 0,
        "band_of_pixels": 0 if of_planes else band,
        "band_row": band_rows,
        "pack_planes": 0 if problem.channels_last else pixels * vectors,
        "pack_pixels": pixels * vectors if problem.channels_last else 0,
        "sum": (chunks if chunks > 1 else 0) * groups * rows * vectors,
        "store": groups * rows * vectors,
        "block": block.blocks * groups * panels,
        "call": 1,
    }
