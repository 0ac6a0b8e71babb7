"""The sizes of a convolution, worked out once: output size, and the data gradient as convolutions of stride 1.

Notation, in one dimension (rows and columns are independent): S the stride, D the dilation, P the padding before the
first pixel, w[r] the R taps, X the image x extended by the padding mode to positions u < 0 and u >= H. The forward
pass is

    y[i] = sum_r w[r] X(i S + r D - P),        OH = floor((H + padding - D (R - 1) - 1) / S) + 1.

The data gradient
-----------------
The gradient that falls on position u is the sum over all outputs i and taps r that meet it:

    G(u) = sum of g[i] w[r] over i S + r D - P = u.

Write u = a + S m with a phase 0 <= a < S. A tap r belongs to the phase where (a + P - r D) is a multiple of S. Two such
taps differ by a multiple of S / gcd(S, D), so the taps of a phase are an arithmetic progression: r = r0 + t step with
step = S / gcd(S, D), t = 0 .. T - 1, and with q = (a + P - r0 D) / S (exact) and D' = D / gcd(S, D)

    i = (u + P - r D) / S = m + q - t D',      G(a + S m) = sum_t g[m + q - t D'] w[r0 + t step].

With the taps turned around, t' = T - 1 - t, this is

    G(a + S m) = sum_t' w[r0 + (T - 1 - t') step] g[m + t' D' - ((T - 1) D' - q)],

a forward convolution of g (zero outside) with stride 1, dilation D' and padding (T - 1) D' - q before, which may be
negative (a crop); its weights are a strided view of w, its output a strided view of the gradient. In two dimensions
there is one such convolution for each pair of phases, with input and output channels swapped. Pixels of a phase
without taps get zero. For S = 1 there is one phase: step 1, D' = D, padding D (R - 1) - P, the textbook's "full"
convolution with the turned filter.

The same formula serves any stretch of positions starting at u0, with P + u0 in place of P. So where the padding repeats
pixels (all modes but "constant"), the gradient on the frame around the image is computed block by block and added
to the pixels that the frame repeats; see ``data_gradient``.
"""

import itertools
import math
from typing import NamedTuple

from fastconv._core.problem.band import pixel_of

# The drivers take the index (band.pxd); docs/padding.md says what others call them.
PADDING_MODES = ("constant", "reflect", "replicate", "circular", "symmetric")


class ConvProblem(NamedTuple):
    """One two-dimensional convolution, without its arrays: what the planner chooses by.

    Pairs are (rows, columns), `pads` ((top, bottom), (left, right)). channels_last says whether a pixel's channels
    follow each other in memory, in x and in y; column_step is the distance of two outputs of a row, in pixels,
    where they do not. accumulate: the sums are added to what is there. prepared: what a driver makes of the weights is
    there already. turned: the weights lie as those of the way there, with input and output channels swapped and the
    taps backwards.
    """

    x_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    stride: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    dilation: tuple[int, int]
    groups: int
    output_size: tuple[int, int]
    itemsize: int
    channels_last: bool
    padding_mode: str
    column_step: int = 1
    accumulate: bool = False
    prepared: bool = False
    turned: bool = False

    @property
    def images(self):
        return self.x_shape[0]

    @property
    def channels(self):
        """Of a group."""
        return self.weight_shape[1]

    @property
    def filters(self):
        """Of a group."""
        return self.weight_shape[0] // self.groups

    @property
    def size(self):
        """Of the image."""
        return self.x_shape[2:]

    @property
    def taps(self):
        """Of a filter, along rows and columns."""
        return self.weight_shape[2:]

    @property
    def output_shape(self):
        return (self.x_shape[0], self.weight_shape[0], *self.output_size)

    @property
    def origin(self):
        """The padding before the first row and column, as the drivers take it."""
        return (self.pads[0][0], self.pads[1][0])

    @property
    def flops(self):
        """Multiplications and additions of the direct sum."""
        return 2 * math.prod(self.output_shape) * math.prod(self.weight_shape[1:])

    @property
    def bytes(self):
        """The fewest bytes that must move: input, weights and output once each."""
        return self.itemsize * sum(map(math.prod, (self.x_shape, self.weight_shape, self.output_shape)))

    def adjoint(self):
        """The convolutions of stride 1 that compute the data gradient, those of equal shape once:
        pairs (problem, how many).

        Of the gradient on the frame around the image, which other padding modes fold back, nothing is here.
        """
        k, c, *taps = self.weight_shape
        axes = []
        for axis in range(2):
            of_axis = {}
            for phase in phases(self.size[axis], taps[axis], self.stride[axis], self.origin[axis], self.dilation[axis]):
                count = -(-(self.size[axis] - phase.first) // self.stride[axis])
                shape = -(-(taps[axis] - phase.tap) // phase.tap_step), count, phase.dilation
                padding, times = of_axis.get(shape, (phase.padding, 0))
                of_axis[shape] = padding, times + 1
            axes.append(of_axis.items())
        for (rows, (top, row_times)), (columns, (left, column_times)) in itertools.product(*axes):
            sizes, dilation, before = (rows[1], columns[1]), (rows[2], columns[2]), (top, left)
            after = [outputs + step * (n - 1) - pixels - first for outputs, step, n, pixels, first in zip(
                sizes, dilation, (rows[0], columns[0]), self.output_size, before)]
            yield ConvProblem((self.images, k, *self.output_size),
                              (c * self.groups, k // self.groups, rows[0], columns[0]), (1, 1),
                              ((top, after[0]), (left, after[1])), dilation, self.groups, sizes, self.itemsize,
                              self.channels_last, "constant", self.stride[1], turned=True), row_times * column_times


class Phase(NamedTuple):
    """One stride-1 convolution of the data gradient along one axis, in the notation above."""

    first: int  # a, the first position of the phase; the others follow at the stride
    tap: int  # r0
    tap_step: int
    dilation: int  # D'
    padding: int  # (T - 1) D' - q


def phases(size, taps, stride, padding, dilation):
    """The phases with taps among `size` positions, of which the first has `padding` positions before it.

    At most one for each tap, however large the stride.
    """
    common = math.gcd(stride, dilation)
    step = stride // common
    result = []
    for tap in range(min(step, taps)):
        first = (tap * dilation - padding) % stride
        if first < size:
            last = (taps - 1 - tap) // step
            q = (first + padding - tap * dilation) // stride
            result.append(Phase(first, tap, step, dilation // common, last * (dilation // common) - q))
    return result


def source(position, size, mode):
    """The pixel that a position inside the image is, or beyond it repeats; None for the constant."""
    pixel = pixel_of(position, size, PADDING_MODES.index(mode))
    return None if pixel < 0 else pixel


class Stretch(NamedTuple):
    """Positions before, inside or after an image, evenly spaced, of which none is a constant."""

    positions: slice    # which of those that were asked for
    turn: int           # after so many of them the pixels come again, where there are more
    runs: tuple[tuple[slice, slice], ...]    # pairs (which of the turn, their pixels), the pixels evenly spaced


def stretches(positions, size, mode):
    """Cuts a range of positions before, inside and after the image. With "constant" there is what is inside alone."""
    inside = len(range(positions.start, min(0, positions.stop), positions.step))
    after = len(range(positions.start, min(size, positions.stop), positions.step))
    if mode != "constant" and inside:
        yield _outside(positions, slice(0, inside), size, mode)
    if inside < after:
        pixels = slice(positions[inside], positions[after - 1] + 1, positions.step)
        yield Stretch(slice(inside, after), after - inside, ((slice(0, after - inside), pixels),))
    if mode != "constant" and after < len(positions):
        yield _outside(positions, slice(after, len(positions)), size, mode)


def _outside(positions, some, size, mode):
    """The stretch of these positions, before the image or after it."""
    period = {"reflect": max(1, 2 * (size - 1)), "symmetric": 2 * size, "circular": size, "replicate": 1}[mode]
    turn, count = period // math.gcd(period, positions.step), some.stop - some.start
    turn = turn if 2 * turn <= count else count
    return Stretch(some, turn, tuple(_runs(positions[some][:turn], size, mode)))


def _runs(positions, size, mode):
    """Cuts positions outside the image where their pixels turn back, or begin anew."""
    straight, first = max(1, size - 1) if mode == "reflect" else size, 0
    while first < len(positions):
        edge = (positions[first] // straight + 1) * straight
        count = len(range(positions[first], min(edge, positions.stop), positions.step))
        begin, last = (source(positions[i], size, mode) for i in (first, first + count - 1))
        step = 1 if count == 1 else (last - begin) // (count - 1)
        yield slice(first, first + count), _slice_of(range(begin, last + (1 if step > 0 else -1), step))
        first += count


def _slice_of(pixels):
    """A range of pixels, which may end before the first, as a slice."""
    return slice(pixels.start, pixels.stop if pixels.stop >= 0 else None, pixels.step)


def parts(positions, size, mode):
    """The stretches turn by turn and run by run: triples (which of the positions, their pixels, whether that is one
    pixel, which all of them repeat)."""
    for each in stretches(positions, size, mode):
        if each.turn == 1:
            yield each.positions, each.runs[0][1], True
            continue
        for begin in range(each.positions.start, each.positions.stop, each.turn):
            for some, pixels in each.runs:
                there = range(begin + some.start, min(begin + some.stop, each.positions.stop))
                if there:
                    yield (slice(there.start, there.stop), _slice_of(range(size)[pixels][:len(there)]), False)
