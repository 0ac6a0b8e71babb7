"""What filters of one row on one channel cost: see rows.pyx for the loop nest that is counted here."""

from fastconv._core.problem.sizes import MOST_TERMS, ceildiv, strides

COLUMNS = 2048    # as in rows.pyx
FAR_BYTES = 24 << 20


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.channels > 1 or problem.taps[0] > 1 or problem.filters == 1 or strides(problem)[1] > 1:
        return "it serves several filters of one row on one channel, with stride 1"
    if problem.channels_last and problem.filters * problem.groups > 1:
        return "it serves planes"
    if problem.taps[1] > MOST_TERMS:
        return f"sums of more than {MOST_TERMS} terms of one channel are more exact as sums of sums"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    (oh, ow), taps, filters = problem.output_size, problem.taps[1], problem.filters
    lines = problem.images * problem.groups * oh
    vectors, panels = lines * ceildiv(ow, lanes), ceildiv(filters, tile_rows)
    far = lines * filters * ow * problem.itemsize >= FAR_BYTES
    return {
        "multiply": vectors * filters * taps,
        "load": vectors * panels * taps,
        "tile": ceildiv(vectors, 2) * panels,
        "store": 0 if far else vectors * filters,
        "store_far": vectors * filters if far else 0,
        "scatter": lines * filters * ow if problem.column_step > 1 else 0,
        "row": lines,
        "call": 1,
    }
