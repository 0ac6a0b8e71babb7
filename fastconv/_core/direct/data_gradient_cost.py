"""What the data gradient with channels in the lanes costs, all phases in one call: see data_gradient.pyx for the loop
nest that is counted here. The problem is that of the forward pass; the constants are those of the forward driver,
whose kernels do the same."""

from fastconv._core.problem.geometry import phases
from fastconv._core.problem.sizes import block_pixels, ceildiv

PIXELS = 1024                # as in phased_layout.pyx
INPUT_BYTES = 4 << 20
COPIES_BYTES = 512 << 10
FILTERS_BYTES = 512 << 10
OUTPUT_BYTES = 512 << 10
MOST_BYTES = 4 << 20         # of the packed weights of one panel, and of what is computed at a time
PANEL_BYTES = 128            # of the channels of a panel, at most


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.padding_mode != "constant":
        return "it serves constant padding"
    if problem.stride == (1, 1) and problem.groups == 1:
        return "there is one phase, which the forward driver computes"
    sh = problem.stride[0]
    size, rows, columns = problem.itemsize, PhaseSizes(problem, 0), PhaseSizes(problem, 1)
    if ((1 + rows.halo) * (columns.most + columns.halo) * (problem.filters + 16) * size > INPUT_BYTES
            or columns.most > PIXELS):
        return "rows are too long"
    weights = (problem.filters * rows.taps * columns.taps + 16) * PANEL_BYTES
    if max(weights, sh * (columns.most + columns.halo) * problem.stride[1] * PANEL_BYTES) > MOST_BYTES:
        return "it would take too much scratch"
    return None


class PhaseSizes:
    """The phases along one axis, as in phased_layout.pyx."""

    def __init__(self, problem, axis):
        size, taps, stride, dilation = (of_axes[axis]
                                        for of_axes in (problem.size, problem.taps, problem.stride, problem.dilation))
        found = phases(size, taps, stride, problem.origin[axis], dilation)
        self.most = ceildiv(size, stride)
        self.phases = [(ceildiv(size - each.first, stride), ceildiv(taps - each.tap, each.tap_step)) for each in found]
        self.taps = sum(count for _, count in self.phases)
        before = max((each.padding for each in found), default=0)
        after = max((outputs - self.most + (count - 1) * each.dilation - each.padding
                     for each, (outputs, count) in zip(found, self.phases)), default=0)
        self.halo = before + after


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    images, depth, channels, size = problem.images, problem.filters, problem.channels, problem.itemsize
    (h, w), (r, s) = problem.size, problem.taps
    rows, columns = PhaseSizes(problem, 0), PhaseSizes(problem, 1)
    width = lanes if channels <= lanes else 2 * lanes
    panels, vectors, of_filters = ceildiv(channels, width), ceildiv(channels, lanes), ceildiv(depth, lanes)
    length = columns.most + columns.halo
    at_once = max(1, INPUT_BYTES // (length * of_filters * lanes * size) - rows.halo)
    beforehand = problem.groups * (depth * rows.taps * columns.taps + lanes) * width * panels * size <= FILTERS_BYTES
    if problem.channels_last and beforehand:
        at_once = max(1, min(at_once, OUTPUT_BYTES // (problem.stride[0] * w * problem.groups * channels * size)))
    block = block_pixels(images, rows.most, columns.most, max(columns.most, min(PIXELS, at_once * columns.most)))
    copies, pitch, goes_on = 1, length, False
    if columns.most < tile_rows:
        separate, of_copies = block.rows * ceildiv(columns.most, tile_rows), (columns.halo + 1) * columns.most
        if (block.images * (block.rows + rows.halo) * of_copies * of_filters * lanes * size <= COPIES_BYTES
                and 4 * ceildiv(block.rows * columns.most, tile_rows) <= 3 * separate):
            copies, pitch = columns.halo + 1, columns.most
        goes_on = 4 * ceildiv(block.rows * pitch, tile_rows) <= 3 * separate
    multiply = loads = taps = 0
    for down, of_down in rows.phases:
        for across, of_across in columns.phases:
            of_row = pitch if goes_on else across
            tiles = ceildiv(down * of_row, tile_rows) if goes_on else down * ceildiv(across, tile_rows)
            multiply += down * of_row * of_down * of_across
            loads += tiles * of_down * of_across
            taps += tiles * of_down * of_across
    band = images * ceildiv(rows.most, block.rows) * (block.rows + rows.halo) * of_filters * copies
    times = {
        "multiply": images * multiply * depth * vectors,
        "load": images * loads * depth * panels,
        "tap": images * taps * of_filters * panels,
        "filter": (1 if beforehand else block.blocks) * vectors * depth * r * s,
        "band_of_planes": 0 if problem.channels_last else band * pitch,
        "band_of_pixels": band * pitch if problem.channels_last else 0,
        "band_row": band,
        "store_planes": 0 if problem.channels_last else images * h * w * vectors,
        "store_rows": 0 if problem.channels_last else images * h * vectors,
        "store_pixels": images * h * w * vectors if problem.channels_last else 0,
        "block": block.blocks * panels,
    }
    return {"call": 1, **{name: problem.groups * count for name, count in times.items()}}
