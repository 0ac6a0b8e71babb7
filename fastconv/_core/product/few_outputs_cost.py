"""What few outputs a filter cost: see few_outputs.py."""

import math

from fastconv._core.problem.sizes import ceildiv, inside

MOST_OUTPUTS = 32       # of a filter; with more it pays to pack the filters
MOST_BYTES = 1 << 20    # of patches that are laid out as filters are
FAR_BYTES = 1 << 20     # of filters that come from L3 or memory,
HIDING = 8              # for which products of so many outputs do not wait


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.groups > 1:
        return "filters of groups see few channels"
    outputs = problem.images * math.prod(problem.output_size)
    if outputs > MOST_OUTPUTS:
        return f"filters that have more than {MOST_OUTPUTS} outputs are better packed"
    if problem.padding_mode != "constant" and not inside(problem):
        return "the padding is none of constants"
    if outputs * math.prod(problem.weight_shape[1:]) * problem.itemsize > MOST_BYTES:
        return "filters are too large"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    depth, outputs = math.prod(problem.weight_shape[1:]), problem.images * math.prod(problem.output_size)
    vectors = problem.filters * ceildiv(depth, lanes)
    several = problem.output_size != (1, 1)
    far = math.prod(problem.weight_shape) * problem.itemsize >= FAR_BYTES
    return {"load": vectors, "load_far": vectors * max(0, 1 - outputs / HIDING) if far else 0,
            "multiply": outputs * vectors, "call": 1,
            "patches": 1 if several else 0, "move": outputs * (depth + problem.filters) if several else 0}
