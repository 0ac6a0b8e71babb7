"""What the transposed form of Winograd's algorithm costs, and where it is not taken: see data_gradient.pyx for the
loop nest.

The problem is that of the forward pass; the constants are those of the forward driver, whose kernels do the same to
other shapes.
"""

import math

from fastconv._core.problem.sizes import ceildiv

POINTS, FILTER_POINTS = 9, 6
FEWEST_FILTERS = 8    # so few make the loudness of a pixel a matter of chance
MOST_FILTERS = 2048   # whose transformed filters, of one panel, fit into the scratch
STRIP_BYTES = 4 << 20 # of the transformed tiles of a row
FILTERS_BYTES, COPY_BYTES = 5 << 20, 1 << 20    # as in data_gradient.pyx
NEAR_BYTES, FAR_BYTES, LARGE_BYTES = 512 << 10, 1536 << 10, 6 << 20


def refuses(problem):
    """Why it cannot, or must not, compute this data gradient, or None."""
    if (problem.taps != (3, 3) or problem.stride != (2, 2) or problem.dilation != (1, 1)
            or problem.padding_mode != "constant"):
        return "it serves 3 x 3 filters with stride 2 and constant padding"
    if problem.itemsize > 4:
        return "double precision loses accuracy to no transform"
    if not FEWEST_FILTERS <= problem.filters <= MOST_FILTERS:
        return f"it serves from {FEWEST_FILTERS} to {MOST_FILTERS} filters a group"
    if POINTS**2 * ceildiv(problem.output_size[1], 4) * problem.filters * problem.itemsize > STRIP_BYTES:
        return "a row of tiles is too long"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, groups, size, depth = problem.images, problem.groups, problem.itemsize, problem.filters
    (h, w), (oh, ow) = problem.size, problem.output_size
    filters, channels, joined = depth, problem.channels, 1
    if groups > 1 and channels == filters and 2 * channels <= lanes:
        joined = min(lanes // channels, groups)
        groups, channels, filters = ceildiv(groups, joined), joined * channels, joined * filters
    of_filters, of_channels = ceildiv(filters, lanes), ceildiv(channels, lanes)
    width = min(2, of_channels)
    a_strip, strips = ceildiv(ow, 4), ceildiv(oh, 4) * images
    transformed = FILTER_POINTS**2 * depth * of_channels * lanes * size * groups
    most = LARGE_BYTES if transformed > FILTERS_BYTES else NEAR_BYTES if transformed <= COPY_BYTES else FAR_BYTES
    blocks = ceildiv(strips, max(1, most // (POINTS**2 * (of_filters + width) * lanes * size * a_strip)))
    of_block = ceildiv(strips, blocks) * a_strip
    pairs = POINTS**2 * blocks * ceildiv(of_block, tile_rows) * ceildiv(of_channels, width) * groups
    tiles = strips * a_strip
    multiply = POINTS**2 * tiles * depth * of_channels * groups
    band = 16 * tiles * of_filters * groups
    return {
        "multiply": multiply if joined == 1 else 0,
        "multiply_narrow": multiply if joined > 1 else 0,
        "load": pairs * depth,
        "tile": pairs,
        "inputs": POINTS**2 * tiles * of_filters * groups,
        "outputs": POINTS**2 * tiles * of_channels * groups,
        "band_of_planes": 0 if problem.channels_last else band,
        "band_of_pixels": band if problem.channels_last else 0,
        "store_planes": images * groups * of_channels * math.prod((h, w)),    # pixels take as long
        "filter": FILTER_POINTS**2 * depth * of_channels * groups * (2 * blocks if transformed > FILTERS_BYTES else 1),
        "call": 1,
    }
