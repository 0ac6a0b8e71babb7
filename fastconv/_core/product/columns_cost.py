"""What the data gradient of few pixels costs, from filters as they lie: see columns.pyx for the loop nest. The problem
is that of the forward pass; the constants are those of the implicit matrix product."""

import math

from fastconv._core.problem.sizes import ceildiv

FEWEST_FILTERS = 16       # so few do not hide what it takes to add columns up
MOST_PIXELS = 32          # of grad_output; where filters meet more it pays to pack them
WHOLE = 16                # columns of the weights are a multiple of this: whole vectors of any instruction set
MOST_BYTES = 1 << 20      # of grad_output, and of what a block of channels takes


def refuses(problem):
    """Why the planner must not take it, or None."""
    taps = math.prod(problem.taps)
    pixels = problem.images * math.prod(problem.output_size)
    if problem.groups > 1 or problem.padding_mode != "constant":
        return "it serves constant padding, without groups"
    if problem.output_size == (1, 1) or problem.filters < FEWEST_FILTERS:
        return f"filters have one output, or are fewer than {FEWEST_FILTERS}"
    if pixels > MOST_PIXELS:
        return f"filters that meet more than {MOST_PIXELS} pixels are better packed"
    if problem.channels * taps % WHOLE:
        return f"the weights of a filter are no multiple of {WHOLE}"
    if pixels * max(problem.filters, WHOLE * taps) * problem.itemsize > MOST_BYTES:
        return "filters are too many or too large"
    return None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    columns, pixels = problem.channels * math.prod(problem.taps), problem.images * math.prod(problem.output_size)
    return {
        "multiply": pixels * problem.filters * columns // lanes,
        "tile": ceildiv(pixels, tile_rows) * ceildiv(columns, 2 * lanes),
        "filter_as_written": problem.filters * columns,
        "scatter": pixels * columns,
        "call": 1,
    }
