"""The passes of a data gradient: the convolutions of stride 1 that ``problem/geometry.py`` derives,
as slices of its arrays."""

from typing import NamedTuple

from fastconv._core.problem.convolution import PLAIN, Convolution, Window
from fastconv._core.problem.geometry import phases

ALL = slice(None)


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


def passes_on(problem, rows, columns):
    """The passes that compute the gradient on these rows and columns: one for each pair of phases with taps."""
    taps_h, taps_w = problem.weight_shape[2:]
    (sh, sw), (dh, dw), (top, left) = problem.stride, problem.dilation, problem.origin
    for i in phases(len(rows), taps_h, sh, top + rows.start, dh):
        for j in phases(len(columns), taps_w, sw, left + columns.start, dw):
            yield _pass((_backwards(i, taps_h), _backwards(j, taps_w)), rows[i.first::sh], columns[j.first::sw],
                        Window((1, 1), (i.dilation, j.dilation), (i.padding, j.padding)))


def single_taps(problem):
    """A pass for each tap: the positions that it meets, in the image and its padding."""
    rows, columns = ([range(first, first + step * outputs, step)
                      for first in range(-before, distance * taps - before, distance)]
                     for taps, outputs, step, distance, before in zip(problem.weight_shape[2:], problem.output_size,
                                                                      problem.stride, problem.dilation, problem.origin))
    for r, of_rows in enumerate(rows):
        for s, of_columns in enumerate(columns):
            yield _pass((slice(r, r + 1), slice(s, s + 1)), of_rows, of_columns, Window())


def _pass(taps, rows, columns, window):
    pixels = (slice(max(0, of_axis.start), None, of_axis.step) for of_axis in (rows, columns))
    return Pass((ALL, ALL, *taps), rows, columns, (ALL, ALL, *pixels), window)


def _backwards(phase, taps):
    """The taps of a phase, the last one first."""
    last = phase.tap + (taps - 1 - phase.tap) // phase.tap_step * phase.tap_step
    return slice(last, phase.tap - 1 if phase.tap else None, -phase.tap_step)
