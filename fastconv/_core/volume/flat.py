"""Convolutions of volumes that are one convolution of images, where the strides of their arrays let axes join:

    PIXELS        1 x 1 x 1 on all of a volume: one row of all its pixels
    DEPTH         T x 1 x 1, with all of each plane: depth as rows, a plane as a row
    ONE_PLANE     one output plane that meets all planes: planes as channels
    NO_DEPTH      volumes of one plane, filters of one tap along it
"""

from typing import NamedTuple

from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.problem.simpler import joined

PIXELS, DEPTH, ONE_PLANE, NO_DEPTH = "pixels", "depth", "one plane", "no depth"


class Flat(NamedTuple):
    """A convolution of images that does the same, and how the arrays are seen."""

    problem: ConvProblem
    shape: str

    def views(self, x, w, y):
        """The arrays as those of the problem, or None where their strides do not allow it."""
        if self.shape == NO_DEPTH:
            return x[:, :, 0], w[:, :, 0], y[:, :, 0]
        if self.shape == PIXELS:
            x, w, y = joined(x, 2, 4), w[:, :, 0], joined(y, 2, 4)
            return None if x is None or y is None else (x[:, :, None], w, y[:, :, None])
        if self.shape == DEPTH:
            x, y = joined(x, 3, 4), joined(y, 3, 4)
            return None if x is None or y is None else (x, w[..., 0], y)
        x, w = joined(x, 1, 2), joined(w, 1, 2)
        return None if x is None or w is None else (x, w, y[:, :, 0])


def flat(problem):
    """The form of a problem as images, or None."""
    n, c, d, h, w = problem.x_shape
    k, own, t, r, s = problem.weight_shape
    (front, back), rows, columns = problem.pads
    od = problem.output_size[0]
    no_padding = ((0, 0), (0, 0))
    if any((length + before + after - distance * (count - 1) - 1) // step + 1 != outputs
           for length, (before, after), distance, count, step, outputs in zip(
               problem.size, problem.pads, problem.dilation, problem.taps, problem.stride, problem.output_size)):
        return None    # of a transposed convolution, whose output padding is a stride or more
    whole_planes = (r == s == 1 and problem.stride[1:] == (1, 1) and (rows, columns) == no_padding
                    and problem.column_step == 1)
    in_depth = problem.stride[0] == 1 and (front, back) == (0, 0)
    if d == od == t == 1 and (front, back) == (0, 0):
        return Flat(problem.planes(n), NO_DEPTH)
    if whole_planes and t == 1 and in_depth:
        return _made(problem, (n, c, 1, d * h * w), (k, own, 1, 1), (1, 1), no_padding, (1, 1), PIXELS,
                     (1, d * h * w))
    if whole_planes and t > 1:
        return _made(problem, (n, c, d, h * w), (k, own, t, 1), (problem.stride[0], 1), ((front, back), (0, 0)),
                     (problem.dilation[0], 1), DEPTH, (od, h * w))
    in_planes = not problem.channels_last or c == 1
    if od == 1 and t == d and (t == 1 or problem.dilation[0] == 1) and front == 0 and problem.groups == 1 and in_planes:
        planes = problem.planes(n, c * t)
        return Flat(planes, ONE_PLANE)
    return None


def _made(problem, x_shape, weight_shape, stride, pads, dilation, shape, output_size):
    return Flat(ConvProblem(x_shape, weight_shape, stride, pads, dilation, problem.groups, output_size,
                            problem.itemsize, problem.channels_last, problem.padding_mode), shape)
