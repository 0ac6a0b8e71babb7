"""One convolution of volumes, described once, and its data gradient as convolutions of stride 1.

Triples are (planes, rows, columns). The data gradient is that of ``problem/geometry.py`` along each axis by itself: for
each triple of phases one convolution of stride 1 of grad_output, with taps that are slices of the filters and outputs
that are slices of grad_x.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np

from fastconv._core.data_gradient.passes import ALL, along, by_phase, by_tap
from fastconv._core.problem.convolution import PLAIN, Epilogue, Window
from fastconv._core.problem.geometry import PADDING_MODES, ConvProblem


class VolumeProblem(NamedTuple):
    """One convolution of volumes (N, C, D, H, W), without its arrays; as geometry.ConvProblem, with triples."""

    x_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    stride: tuple[int, int, int]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, int, int]
    groups: int
    output_size: tuple[int, int, int]
    itemsize: int
    channels_last: bool
    padding_mode: str
    column_step: int = 1
    turned: bool = False    # whether filters are read backwards, as a data gradient's

    @property
    def output_shape(self):
        return (self.x_shape[0], self.weight_shape[0], *self.output_size)

    @property
    def size(self):
        """Of the volume."""
        return self.x_shape[2:]

    @property
    def taps(self):
        """Of a filter, along planes, rows and columns."""
        return self.weight_shape[2:]

    @property
    def origin(self):
        """The padding before the first plane, row and column."""
        return tuple(before for before, _ in self.pads)

    @property
    def is_empty(self):
        return 0 in self.x_shape or 0 in self.weight_shape or 0 in self.output_size

    @property
    def flops(self):
        """Multiplications and additions of the direct sum."""
        return 2 * math.prod(self.output_shape) * math.prod(self.weight_shape[1:])

    @property
    def bytes(self):
        """The fewest bytes that must move: input, weights and output once each."""
        return self.itemsize * sum(map(math.prod, (self.x_shape, self.weight_shape, self.output_shape)))

    def planes(self, images, channels=None, accumulate=False):
        """The convolution of so many images that are planes, of all channels of a filter or of so many, with one tap
        along the depth."""
        n, c, _, *size = self.x_shape
        k, own, _, *taps = self.weight_shape
        if channels is not None:
            c, own = channels, channels
        return ConvProblem((images, c, *size), (k, own, *taps), self.stride[1:], self.pads[1:], self.dilation[1:],
                           self.groups, self.output_size[1:], self.itemsize, self.channels_last, self.padding_mode,
                           self.column_step, accumulate)


class VolumeWindow(NamedTuple):
    """How filters lie on a volume; as Window, but the padding mode is a name. planes: the window of each plane."""

    origin: tuple[int, int, int]
    padding_mode: str
    padding_value: float
    planes: Window


def window_of(problem, padding_value=0.0):
    """That of a problem."""
    return VolumeWindow(problem.origin, problem.padding_mode, padding_value,
                        Window(problem.stride[1:], problem.dilation[1:], problem.origin[1:],
                               PADDING_MODES.index(problem.padding_mode), padding_value))


class Volumes(NamedTuple):
    """One convolution of arrays with any strides: x (N, C, D, H, W), w (K, C / groups, T, R, S), y (N, K, OD, OH, OW),
    and a contiguous bias or None; as Convolution. For a weight gradient y is grad_output and w is grad_weight."""

    x: np.ndarray
    w: np.ndarray
    bias: np.ndarray | None
    y: np.ndarray
    window: VolumeWindow
    epilogue: Epilogue = PLAIN


class VolumePass(NamedTuple):
    """A convolution of stride 1 that computes the gradient on some positions, evenly spaced; they may lie in the
    padding."""

    problem: VolumeProblem      # of grad_output
    taps: tuple[slice, ...]     # of filters whose channels are swapped
    positions: tuple[range, ...]
    pixels: tuple[slice, ...]   # the positions, of grad_x, where they lie in the volume


def passes_inside(problem):
    """The passes that compute the gradient on the volume."""
    for each in itertools.product(*(by_phase(problem, axis, range(problem.size[axis])) for axis in range(3))):
        yield _pass(problem, *zip(*each))


def passes_around(problem):
    """Those that compute it on the frame around the volume, as far as a tap meets it, each position once: planes before
    and behind of the full extended height and width, rows above and below of the volume's planes, columns beside it."""
    axes = [along(problem, axis) for axis in range(3)]
    for axis, (before, _, behind, _) in enumerate(axes):
        inside, whole = [of_axis[1] for of_axis in axes[:axis]], [of_axis[3] for of_axis in axes[axis + 1:]]
        for each in itertools.product(*inside, before + behind, *whole):
            yield _pass(problem, *zip(*each))


def single_taps(problem):
    """A pass for each tap: the positions that it meets, in the volume and its padding."""
    for each in itertools.product(*(by_tap(problem, axis) for axis in range(3))):
        yield _pass(problem, *zip(*each))


def _pass(problem, taps, positions, dilation, padding):
    k, own = problem.weight_shape[:2]
    counts = tuple(len(range(*some.indices(of_axis))) for some, of_axis in zip(taps, problem.taps))
    size = tuple(map(len, positions))
    after = (outputs + distance * (count - 1) - length - before for outputs, distance, count, length, before
             in zip(size, dilation, counts, problem.output_size, padding))
    turned = VolumeProblem((problem.x_shape[0], k, *problem.output_size), (problem.x_shape[1], k // problem.groups,
                                                                           *counts), (1, 1, 1),
                           tuple(zip(padding, after)), dilation, problem.groups, size, problem.itemsize,
                           problem.channels_last, "constant", problem.stride[2], True)
    pixels = (slice(max(0, of_axis.start), None, of_axis.step) for of_axis in positions)
    return VolumePass(turned, (ALL, ALL, *taps), positions, (ALL, ALL, *pixels))

