"""What Winograd's algorithm costs, and where it is not taken: see forward.pyx for the loop nest that is counted here,
layout.pyx for the sizes."""

import math

from fastconv._core.problem.sizes import ceildiv
from fastconv._core.winograd.layout import laid_out

# (taps, stride): of patches, of filters, and pixels of a step.
POINTS = {(3, 1): (6, 6, 4), (5, 1): (8, 8, 4), (3, 2): (9, 5, 8), (2, 1): (5, 5, 4)}
TAPS_OF_LINES = (2, 3, 5)    # of one row or one column
HELD_BYTES = 4 << 20    # as in forward.pyx
# By taps, how many times as long a sum must be expected to take: patches of 8 x 8 pixels, of maps behind a ReLU or of
# gradients, often have such a contrast that their outputs are computed again, which no shape tells (LeNet-5's second
# layer in training, 64 images with AVX2: 0.9 to 2.3 ms in place of 0.4).
WORTH = {(5, 5): 1.15}


def serves(problem):
    """Why it cannot compute such a convolution, or None."""
    (r, s), (sh, sw) = problem.taps, problem.stride
    of_lines = min(r, s) == 1 and max(r, s) in TAPS_OF_LINES and (sh, sw) == (1, 1)
    if (of_lines or (r == s and sh == sw and (r, sh) in POINTS)) and (
            problem.dilation == (1, 1) or ((sh, sw) == (1, 1) and problem.padding_mode == "constant")):
        return None
    return ("it serves 3 x 3 filters with stride 1 or 2, 2 x 2 and 5 x 5 filters and rows or columns of 2, 3 or 5 taps "
            f"with stride 1, dilation with stride 1 and constant padding; here they are {r} x {s} with stride "
            f"{problem.stride}, dilation {problem.dilation} and {problem.padding_mode} padding")


def refuses(problem):
    """Why it cannot, or must not, be chosen: float64 never gives accuracy away, and the rounding error of its products
    would be there where a tap meets nothing but padding."""
    if (reason := serves(problem)) is not None:
        return reason
    if problem.itemsize > 4:
        return "double precision loses accuracy to no transform"
    if problem.channels == 1 and problem.groups > 1:
        return "a group has one channel: there is no sum over channels to share a transform"
    if problem.padding_mode == "constant" and not _taps_meet_pixels(problem):
        return "some tap meets padding in more than half of the outputs"
    return None


def _taps_meet_pixels(problem):
    """Whether, along rows and along columns, each tap meets a pixel and not the padding in at
    least half of the outputs."""
    for pixels, count, taps, step, distance, padding in zip(problem.size, problem.output_size, problem.taps,
                                                            problem.stride, problem.dilation, problem.origin):
        for offset in (-padding, (taps - 1) * distance - padding):  # of the outer taps, which meet fewest
            first, last = max(0, -(offset // step)), min(count - 1, (pixels - 1 - offset) // step)
            if 2 * (last - first + 1) < count:
                return False
    return True


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time; with dilation there is such a convolution for each
    phase of rows and columns."""
    images, depth, dilation = problem.images, problem.channels, problem.dilation
    layout = laid_out(problem)
    n_points, groups, vectors, passes = layout["n_points"], layout["groups"], layout["vectors"], layout["passes"]
    of_filters = ceildiv(problem.filters * layout["joined"], lanes)
    oh, ow = (ceildiv(outputs, step) for outputs, step in zip(problem.output_size, dilation))
    phases = math.prod(min(step, outputs) for step, outputs in zip(dilation, problem.output_size))
    if problem.taps[0] == problem.size[0] == problem.output_size[0] == 1 and phases > 1:
        # a dilated signal is an image with rows of that length
        oh, ow, phases, dilation = ceildiv(problem.output_size[1], dilation[1]), dilation[1], 1, (1, 1)
    tiles = images * layout["tile_rows"] * layout["tiles"] * layout["col_blocks"]
    of_block = ceildiv(layout["block_tiles"], tile_rows)
    pairs = n_points * layout["blocks"] * of_block * layout["panels"] * groups * passes
    multiply = n_points * tiles * depth * of_filters * groups
    rows = layout["step_high"] * (layout["tile_rows"] - 1) + layout["patch_high"]
    columns = layout["step_wide"] * (ceildiv(ow, layout["tile_wide"]) - 1) + layout["patch_wide"]
    band = images * groups * vectors * passes * rows * columns
    of = "_of_phases" if phases > 1 else "_of_lines" if 1 in problem.taps else ""
    of_phases = {
        "multiply": multiply if layout["joined"] == 1 else 0,
        "multiply_narrow": multiply if layout["joined"] > 1 else 0,
        "load": pairs * depth,
        "tile": pairs,
        "inputs" + of: n_points * tiles * vectors * groups * passes,    # of one dimension it is one pass
        "outputs" + of: n_points * tiles * of_filters * groups,
        "band_of_planes": 0 if problem.channels_last else band,
        "band_of_pixels": band if problem.channels_last else 0,
        "band_in_steps": band if dilation[1] > 1 and not problem.channels_last else 0,
        "store_planes": images * groups * of_filters * oh * ow * ((not problem.channels_last) + problem.accumulate),
        "scatter": images * groups * of_filters * oh * ow * lanes
        if not problem.channels_last and (dilation[1] > 1 or problem.column_step > 1) else 0,
        "phase": 1,
    }
    filters = layout["n_filter_points"] * depth * of_filters * groups
    held = n_points * depth * of_filters * lanes * groups * problem.itemsize <= HELD_BYTES
    of_phases["filter"] = filters * layout["transforms"] / (phases if held else 1)    # or once for all phases
    return {**{name: count * phases for name, count in of_phases.items()}, "call": 1}
