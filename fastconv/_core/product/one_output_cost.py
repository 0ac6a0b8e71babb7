"""What the data gradient of one output a filter costs, of few images: see one_output.py."""

import math

from fastconv._core.problem.sizes import ceildiv, inside

MOST_IMAGES = 8         # with more it pays to pack the filters
MOST_BYTES = 1 << 20    # of images that are laid out as filters are


def refuses(problem):
    """Why the planner must not take it, or None."""
    if problem.output_size != (1, 1) or problem.groups > 1:
        return "filters have more than one output, or groups"
    if problem.images > MOST_IMAGES:
        return f"filters that meet more than {MOST_IMAGES} images are better packed"
    if problem.padding_mode != "constant" and not inside(problem):
        return "the padding is none of constants"
    if problem.images * math.prod(problem.weight_shape[1:]) * problem.itemsize > MOST_BYTES:
        return "filters are too large"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    vectors = problem.weight_shape[0] * ceildiv(math.prod(problem.weight_shape[1:]), lanes)
    return {"load": vectors, "multiply": problem.images * vectors, "call": 1}
