"""What Winograd's weight gradient costs, and where it is not taken:
see weight_gradient.pyx for the loop nest that is counted here."""

import math

from fastconv._core.problem.sizes import ceildiv
from fastconv._core.winograd import cost

RUN_TILES, CHUNK_TILES, MOST_CHUNKS = 128, 256, 8    # as in gradient_layout.pyx
TOTALS_BYTES, CHUNK_BYTES, KEPT_BYTES, FAR_BYTES = 4 << 20, 1280 << 10, 2560 << 10, 7 << 20


def refuses(problem):
    """Why it cannot, or must not, be chosen: what is true of the forward pass is true of its transpose."""
    if problem.taps[0] != problem.taps[1]:
        return "it serves squares"
    if problem.channels == 1:
        return "a group has one channel: there are no others to share the transform of grad_output"
    return cost.refuses(problem)


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time; with dilation there is such a gradient for each
    phase of rows and columns."""
    images, size, groups = problem.images, problem.itemsize, problem.groups
    channels, filters = problem.channels, problem.filters
    phases = math.prod(min(step, outputs) for step, outputs in zip(problem.dilation, problem.output_size))
    oh, ow = (ceildiv(outputs, step) for outputs, step in zip(problem.output_size, problem.dilation))
    points, filter_points, step = cost.POINTS[problem.taps[0], problem.stride[0]]
    weights = math.prod(problem.weight_shape)
    if groups > 1 and channels == filters and 2 * channels <= lanes:
        joined = min(lanes // channels, groups)
        groups, channels, filters = ceildiv(groups, joined), joined * channels, joined * filters
    vectors, of_filters = ceildiv(channels, lanes), ceildiv(filters, lanes)
    tiles = ceildiv(oh, 4) * ceildiv(ow, 4) * images
    sums = filter_points**2 * filters * vectors * lanes * size
    chunks = max(1, min(MOST_CHUNKS, tiles // CHUNK_TILES, TOTALS_BYTES // (8 * weights)))
    finished = 1    # times that sums are transformed
    if sums <= CHUNK_BYTES and chunks * groups >= 4:
        finished = chunks
    elif sums > KEPT_BYTES:
        finished = ceildiv(points**2 * tiles * (vectors + of_filters) * lanes * size, FAR_BYTES)
    products = points**2 * tiles * groups
    band = (ceildiv(oh, 4) * step + points - step) * (ceildiv(ow, 4) * step + points - step)
    pixels = images * groups * (vectors * band + of_filters * oh * ow)
    counts = {
        "multiply": products * filters * vectors,
        "load": products * ceildiv(filters, tile_rows) * ceildiv(vectors, 2),
        "tile": points**2 * groups * ceildiv(tiles, RUN_TILES) * filters * vectors,
        "patches": products * (vectors + of_filters),
        "band_of_planes": 0 if problem.channels_last else pixels,
        "band_of_pixels": pixels if problem.channels_last else 0,
        "band_in_steps": pixels if problem.dilation[1] > 1 and not problem.channels_last else 0,
        "weight": filter_points**2 * filters * vectors * groups * finished,
        "total": weights * finished if finished > 1 else 0,
        "phase": 1,
    }
    return {name: count * phases for name, count in counts.items()}
