"""The passes of a data gradient: the convolutions of stride 1 that ``problem/geometry.py`` derives,
as slices of its arrays."""

import itertools
import math
from typing import NamedTuple

from fastconv._core.problem.convolution import PLAIN, Convolution, Window
from fastconv._core.problem.geometry import phases

ALL = slice(None)
FAR = 1 << 16    # positions between taps that no tap meets, from which on each tap is a pass of its own


class Pass(NamedTuple):
    """A convolution of stride 1 that computes the gradient on some positions, evenly spaced;
    they may lie in the padding."""

    taps: tuple[slice, ...]     # of filters whose channels are swapped
    rows: range
    columns: range
    pixels: tuple[slice, ...]   # the positions, of grad_x, where they lie in the image
    window: Window

    def on(self, grad_output, turned, grad_x, bias=None, epilogue=PLAIN):
        """The convolution of these arrays, the filters with their channels swapped, on the pixels of grad_x."""
        return Convolution(grad_output, turned[self.taps], bias, grad_x[self.pixels], self.window, epilogue)


class AxisPass(NamedTuple):
    """That along one axis."""

    taps: slice
    positions: range
    dilation: int = 1
    padding: int = 0


def passes_on(problem, rows, columns):
    """The passes that compute the gradient on these rows and columns: one for each pair of phases with taps."""
    for of_rows, of_columns in itertools.product(by_phase(problem, 0, rows), by_phase(problem, 1, columns)):
        yield _pass(of_rows, of_columns)


def passes_around(problem):
    """Those that compute it on the frame around the image, as far as a tap meets it, each position once: rows above and
    below over the full extended width, columns left and right of the image."""
    (above, rows, below, _), (left, _, right, columns) = (along(problem, axis) for axis in range(2))
    for of_rows, of_columns in (*itertools.product(above + below, columns), *itertools.product(rows, left + right)):
        yield _pass(of_rows, of_columns)


def single_taps(problem):
    """A pass for each tap: the positions that it meets, in the image and its padding."""
    for of_rows, of_columns in itertools.product(*(by_tap(problem, axis) for axis in range(2))):
        yield _pass(of_rows, of_columns)


def along(problem, axis):
    """The passes before the image, on it, behind it, and on all of that, as lists, along one axis of it or of a
    volume. Where most positions are met by no tap there is one for each tap, so that none is walked over."""
    size, taps, outputs = problem.size[axis], problem.taps[axis], problem.output_size[axis]
    step, distance, before = problem.stride[axis], problem.dilation[axis], problem.origin[axis]
    end = max((outputs - 1) * step + distance * (taps - 1) + 1 - before, size)
    of_phases = min(step // math.gcd(step, distance), taps)
    if (end + before) // step * of_phases > 2 * outputs * taps + FAR:
        everywhere = list(by_tap(problem, axis))
        parts = [[part for each in everywhere if (part := _within(each, *bounds)).positions]
                 for bounds in ((-before, 0), (0, size), (size, end))]
        return *parts, everywhere
    return [list(by_phase(problem, axis, positions))
            for positions in (range(-before, 0), range(size), range(size, end), range(-before, end))]


def by_phase(problem, axis, positions):
    """The passes on these positions."""
    taps, stride = problem.taps[axis], problem.stride[axis]
    for phase in phases(len(positions), taps, stride, problem.origin[axis] + positions.start, problem.dilation[axis]):
        yield AxisPass(backwards(phase, taps), positions[phase.first::stride], phase.dilation, phase.padding)


def by_tap(problem, axis):
    """A pass for each tap: the positions that it meets."""
    stride = problem.stride[axis]
    for tap in range(problem.taps[axis]):
        first = tap * problem.dilation[axis] - problem.origin[axis]
        yield AxisPass(slice(tap, tap + 1), range(first, first + stride * problem.output_size[axis], stride))


def _within(each, start, stop):
    """The part of a tap's pass whose positions lie there."""
    positions = each.positions
    first, last = (len(range(positions.start, min(end, positions.stop), positions.step)) for end in (start, stop))
    return each._replace(positions=positions[first:last], padding=-first)


def _pass(rows, columns):
    pixels = (slice(max(0, each.positions.start), None, each.positions.step) for each in (rows, columns))
    return Pass((ALL, ALL, rows.taps, columns.taps), rows.positions, columns.positions, (ALL, ALL, *pixels),
                Window((1, 1), (rows.dilation, columns.dilation), (rows.padding, columns.padding)))


def backwards(phase, taps):
    """The taps of a phase, the last one first."""
    last = phase.tap + (taps - 1 - phase.tap) // phase.tap_step * phase.tap_step
    return slice(last, phase.tap - 1 if phase.tap else None, -phase.tap_step)
