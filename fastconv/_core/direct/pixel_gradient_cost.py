"""What the weight gradient with channels in the lanes costs:
see pixel_gradient.pyx for the loop nest that is counted here."""

from fastconv._core.problem.sizes import ceildiv, inside

RUN = 128           # pixels of a run at most, as in pixel_gradient.pyx
FAR_BYTES = 2048    # pixels that lie so far apart, or twice as far and so on, meet in few sets of the L1 cache


def refuses(problem):
    """Why it must not be taken, or None."""
    if problem.taps != (1, 1) or not problem.channels_last:
        return "it serves 1 x 1 filters of pixels whose channels follow each other"
    if problem.channels == 1:
        return "a group has one channel: the depthwise sums are at least as fast"
    return None if inside(problem) else "a tap meets padding"


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    groups, (oh, ow) = problem.groups, problem.output_size
    vectors, panels = ceildiv(problem.channels, lanes), ceildiv(problem.filters, tile_rows)
    pixels = problem.images * oh * ow * groups
    whole = max(problem.stride) == 1
    far = max(problem.channels, problem.filters) * groups * problem.itemsize % FAR_BYTES == 0
    runs = ceildiv(problem.images * oh * ow, RUN) if whole else problem.images * oh * ceildiv(ow, RUN)
    return {
        "multiply": pixels * problem.filters * vectors,
        "load": pixels * panels * ceildiv(vectors, 2),
        "load_far": pixels * panels * ceildiv(vectors, 2) if far else 0,
        "tile": runs * groups * problem.filters * vectors,
        "split": pixels if problem.channels % lanes else 0,
        "call": 1,
    }
