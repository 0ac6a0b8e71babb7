"""What the depthwise weight gradient costs: see weight_gradient.pyx. It is taken wherever a group has one channel."""

import math


def refuses(problem):
    """Why the planner must not take it, or None."""
    return "a group has more than one channel" if problem.channels > 1 else None


def terms(problem, lanes, tile_rows):
    """How often the loops do what takes time."""
    return {"multiply": math.prod(problem.output_shape) * math.prod(problem.taps) / lanes, "call": 1}
