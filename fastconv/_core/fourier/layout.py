"""The sizes of a convolution by Fourier transforms (see ``fourier.forward``): tiles, what is held at a time, and about
how long it takes.

Everything follows from the shapes, never from the number of threads.
"""

import functools
import itertools
import math
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from fastconv._core.problem.parts import FORWARD_BYTES

FILTERS_BYTES = 8 << 20   # spectra of filters held at a time
IMAGES_BYTES = 3 << 20    # spectra of the tiles of a job, and
OUTPUTS_BYTES = 3 << 19   # of the outputs that it makes at a time, where channels are summed by matrix products
BLOCK_BYTES = 1 << 20     # spectra of what goes through one transform, or product of planes: it stays in L2
FEW_CHANNELS = 4          # up to so many are summed plane by plane
CACHE_LINE = 64
ROOM = (1, 1 / 2, 1 / 4)  # the parts of these that are tried in turn, until a layout fits
AT_ONCE = 32              # tiles and filters of a matrix product, at most

# About the nanoseconds of a number on one thread, for float32 and float64 (Zen 4, NumPy 2.4 with OpenBLAS 0.3.31).
GATHERED = (0.4, 0.7)       # a sample moved; three times that where samples are apart
REAL = (1.2, 1.7)           # a sample of a transform along a row
COMPLEX = (2.1, 3.0)        # of one along a column of frequencies
MULTIPLIED = (0.8, 1.5)     # a frequency of a channel and a filter, plane by plane
SUMMED = (0.12, 0.4)        # by matrix products,
READ = (0.4, 0.8)           # its filter, once a block of tiles,
WRITTEN = (1.0, 2.0)        # and the sum
LINE = (5, 65)              # besides, a transform of a row or column, where spectra lie plane by plane, and where not
PRODUCT, CALL, JOB, CONSTANT = 60, 10e3, 60e3, 60e3   # a matrix product, some calls of NumPy's, a job, a call

# NumPy 1 transforms in double precision only, and into arrays of its own: all takes up to twice as long, and three
# times the scratch.
NUMPY_1 = int(np.__version__.partition(".")[0]) < 2


def apart(size):
    """Bytes from one to the next of what has this size: an odd number of cache lines, so that what a transform writes
    to one after the other does not meet in a few sets of a cache (4096 spectra of 30 x 30: 3.0 us each, so 1.0)."""
    return (-(-size // CACHE_LINE) | 1) * CACHE_LINE


class FourierSizes(NamedTuple):
    """What the layout of a convolution follows from; none is 0. Pairs are (rows, columns)."""

    images: int
    groups: int
    channels: int  # of a group
    filters: int   # of a group
    taps: tuple[int, int]
    outputs: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    itemsize: int


class FourierAxis(SimpleNamespace):
    """Rows or columns. In one dimension, with stride S, dilation D, padding P and g = gcd(S, D), output i = a + (D/g) m
    and tap r = b + (S/g) q meet at the position

        i S + r D - P = (a S + b D - P) + (m + q) L,      L = S D / g.

    So for each output phase a < D/g there is a sum over tap phases b < S/g of convolutions with stride 1, each of every
    L-th position. A tile of T samples gives the T - Q + 1 outputs whose Q taps lie inside it.
    """

    stride: int
    dilation: int
    outputs: int
    output_step: int  # D/g
    taps: int
    tap_step: int     # S/g
    step: int         # L
    length: int = 0   # T

    @functools.cached_property
    def tap_phases(self):
        return min(self.taps, self.tap_step)

    @functools.cached_property
    def window(self):
        """Q, of the longest tap phase."""
        return self.taps_of(0)

    @functools.cached_property
    def fresh(self):
        """Outputs of a tile."""
        return self.length - self.window + 1

    def taps_of(self, phase):
        return -(-(self.taps - phase) // self.tap_step)

    def outputs_of(self, phase):
        return -(-(self.outputs - phase) // self.output_step)

    @functools.cached_property
    def phases(self):
        """Of the outputs."""
        return range(min(self.outputs, self.output_step))

    @functools.cached_property
    def tile_count(self):
        longer = self.outputs % len(self.phases)    # phases, by an output than the others
        return sum(count * -(-self.outputs_of(phase) // self.fresh)
                   for phase, count in ((0, longer), (longer, len(self.phases) - longer)))

    def tiles(self):
        """The tiles of all output phases: (first output, number of outputs)."""
        for phase in self.phases:
            for first in range(0, self.outputs_of(phase), self.fresh):
                yield phase + self.output_step * first, min(self.fresh, self.outputs_of(phase) - first)


class FourierLayout(SimpleNamespace):
    """How a call is cut up, and the nanoseconds that it takes on one thread, about."""

    sizes: FourierSizes
    swapped: bool  # rows and columns
    rows: FourierAxis
    columns: FourierAxis
    groups_at_once: int = 1
    tiles_at_once: int = 1
    filters_at_once: int = 1
    filters_of_job: int = 1   # that share the spectra of tiles
    groups_of_part: int = 1   # whose spectra of filters are held at a time
    filters_of_part: int = 1

    @functools.cached_property
    def tiles(self):
        return self.sizes.images * self.rows.tile_count * self.columns.tile_count

    @functools.cached_property
    def blocks(self):
        """Of tiles."""
        return -(-self.tiles // self.tiles_at_once)

    @functools.cached_property
    def summed(self):
        """Channels and tap phases."""
        return self.sizes.channels * self.rows.tap_phases * self.columns.tap_phases

    @functools.cached_property
    def matrices(self):
        """Whether these are summed by matrix products."""
        return self.summed > FEW_CHANNELS

    @functools.cached_property
    def rows_transformed(self):
        """A filter of one row scales each row by itself."""
        return self.rows.window > 1

    @functools.cached_property
    def frequencies(self):
        return self.columns.length // 2 + 1

    @functools.cached_property
    def number_bytes(self):
        """Of a complex number."""
        return 2 * self.sizes.itemsize

    @functools.cached_property
    def plane_bytes(self):
        return self.number_bytes * self.frequencies * self.rows.length

    @functools.cached_property
    def filter_rows(self):
        """Of the spectrum of a filter."""
        return self.rows.length if self.rows_transformed else 1

    @functools.cached_property
    def planes_at_once(self):
        return max(1, BLOCK_BYTES // self.plane_bytes)

    @functools.cached_property
    def channels_at_once(self):
        """Of the tiles that go through one transform, and images_at_once."""
        return min(self.sizes.channels, max(1, self.planes_at_once // self.groups_at_once))

    @functools.cached_property
    def images_at_once(self):
        return min(self.tiles_at_once, max(1, self.planes_at_once // (self.groups_at_once * self.sizes.channels)))

    @functools.cached_property
    def jobs(self):
        """That can run at the same time: of the tiles, or of the filters."""
        tile_jobs = (self.blocks * -(-self.groups_of_part // self.groups_at_once)
                     * -(-self.filters_of_part // self.filters_of_job))
        return max(tile_jobs, self.groups_of_part * self.filters_of_part * self.sizes.channels // self.planes_at_once)

    def spectra_bytes(self, planes, rows):
        """Of the spectra of so many planes."""
        if self.matrices:
            return self.frequencies * rows * apart(planes * self.number_bytes)
        return planes * self.frequencies * rows * self.number_bytes

    def half_bytes(self, planes):
        """Of planes whose rows alone are transformed."""
        if not self.rows_transformed:
            return 0
        if self.matrices:
            return self.frequencies * apart(planes * self.rows.length * self.number_bytes)
        return planes * self.frequencies * apart(self.rows.length * self.number_bytes)

    @functools.cached_property
    def part_bytes(self):
        return self.spectra_bytes(self.groups_of_part * self.summed * self.filters_of_part, self.filter_rows)

    @functools.cached_property
    def job_bytes(self):
        """Of a job's scratch: V, and either what the transform of a tile takes, or M with more products, or M half
        transformed the outputs and whether each is finite; a job of filters takes less."""
        of_block = self.tiles_at_once * self.groups_at_once
        plane = self.rows.length * self.columns.length * self.sizes.itemsize
        forward, filters = (planes * plane + self.half_bytes(planes) for planes in (
            self.images_at_once * self.groups_at_once * self.channels_at_once, self.planes_at_once))
        v, m = (self.spectra_bytes(of_block * planes, self.rows.length)
                for planes in (self.summed, self.filters_at_once))
        planes = of_block * self.filters_at_once
        outputs = self.half_bytes(planes) + planes * self.rows.fresh * self.columns.length * (self.sizes.itemsize + 1)
        return max(filters, v + max(forward, m + max(m if self.summed > 1 else 0, outputs))) + 9 * CACHE_LINE

    def scratch_bytes(self, threads):
        """Of a call with so many threads."""
        return self.part_bytes + threads * self.job_bytes

    @functools.cached_property
    def cost(self):
        """About the nanoseconds of a call on one thread."""
        of = 0 if self.sizes.itemsize == 4 else 1
        rows, columns, summed, filters, tiles = self.rows, self.columns, self.summed, self.sizes.filters, self.tiles
        height, width, spectrum = rows.length, columns.length, self.frequencies * rows.length
        once, moved = LINE[self.matrices], width * GATHERED[of]
        line, gathered = width * REAL[of] + once, 3 * moved if columns.step > 1 else moved
        in_columns = self.frequencies * (height * COMPLEX[of] + once) if self.rows_transformed else 0
        of_image = height * (line + gathered) + in_columns
        of_filter = rows.window * (line + gathered) + in_columns
        of_output = rows.fresh * (line + 2 * moved) + in_columns
        passes = -(-filters // self.filters_of_part) * -(-min(filters, self.filters_of_part) // self.filters_of_job)
        products = self.blocks * -(-filters // self.filters_at_once)
        if self.matrices:
            product = spectrum * (filters * summed * (tiles * SUMMED[of] + self.blocks * READ[of])
                                  + tiles * filters * WRITTEN[of] + products * PRODUCT)
        else:
            product = tiles * filters * summed * spectrum * MULTIPLIED[of]
        jobs = self.blocks * passes / self.groups_at_once
        calls = passes * tiles / min(self.tiles_at_once, self.sizes.images) / self.groups_at_once + products
        return CONSTANT + (2 if NUMPY_1 else 1) * self.sizes.groups * (
            tiles * summed * passes * of_image + filters * summed * of_filter + tiles * filters * of_output
            + product + jobs * JOB + calls * CALL)

    def tap_phases(self):
        """Pairs of a phase of rows and one of columns."""
        return itertools.product(range(self.rows.tap_phases), range(self.columns.tap_phases))

    def parts(self):
        """The parts of the filters whose spectra are held together: ranges of groups and of filters."""
        for group in range(0, self.sizes.groups, self.groups_of_part):
            for first in range(0, self.sizes.filters, self.filters_of_part):
                yield (range(group, min(group + self.groups_of_part, self.sizes.groups)),
                       range(first, min(first + self.filters_of_part, self.sizes.filters)))


@functools.lru_cache(maxsize=256)    # of 3 kB each
def lay_out(sizes):
    """The fastest layout, with tiles of any size."""
    taps = sizes.taps
    swapped = taps[1] == 1 < taps[0]  # transforms along columns can be left out, those along rows are the real ones
    axes = list(zip(taps, sizes.outputs, sizes.stride, sizes.dilation))
    of_rows, of_columns = axes[::-1] if swapped else axes
    row_axes, column_axes = list(_axes(*of_rows, rows=True)), list(_axes(*of_columns, rows=False))
    pairs = sorted(itertools.product(row_axes, column_axes),
                   key=lambda pair: pair[0].length * (pair[1].length // 2 + 1))
    summed = sizes.channels * row_axes[0].tap_phases * column_axes[0].tap_phases
    able = [(rows, columns) for rows, columns in pairs    # to hold a tile's spectra
            if summed * 2 * sizes.itemsize * rows.length * (columns.length // 2 + 1) <= FORWARD_BYTES]
    for room in ROOM if able else ROOM[-1:]:
        layouts = [_cut(FourierLayout(sizes=sizes, swapped=swapped, rows=rows, columns=columns), room)
                   for rows, columns in able or pairs[:1]]
        # Many jobs are preferred, so that there is work for more threads.
        layouts.sort(key=lambda layout: layout.cost * (1 + 1 / (8 * layout.jobs)))
        for layout in layouts:
            if layout.scratch_bytes(1) <= FORWARD_BYTES:
                return layout
    return min(layouts, key=lambda layout: layout.scratch_bytes(1))


def expected_time(sizes):
    """About the nanoseconds of a call on one thread; of halves of the filters, where that is too much for the
    scratch."""
    layout, (rows, columns) = lay_out(sizes), sizes.taps
    if layout.scratch_bytes(1) <= FORWARD_BYTES:
        return layout.cost
    if max(sizes.taps) <= sizes.channels:
        half = sizes._replace(channels=-(-sizes.channels // 2))
    elif rows >= columns:
        half = sizes._replace(taps=(-(-rows // 2), columns))
    else:
        half = sizes._replace(taps=(rows, -(-columns // 2)))
    return 2 * expected_time(half)


def _axes(taps, outputs, stride, dilation, rows):
    """An axis with one tile for each output phase, with two, ... down to tiles that are hardly longer than the
    window."""
    if outputs == 1:
        stride = 1
    if taps == 1:
        dilation = 1
    common = math.gcd(stride, dilation)
    sizes = {"stride": stride, "dilation": dilation, "outputs": outputs, "output_step": dilation // common,
             "taps": taps, "tap_step": stride // common, "step": stride * dilation // common}
    axis = FourierAxis(**sizes)
    most, window = axis.outputs_of(0), axis.window
    longest = FORWARD_BYTES // 4    # samples, whose spectrum alone would fill the scratch
    before, tiles = 0, -(-most // longest)
    while True:
        length = -(-most // tiles) + window - 1
        if window > 1 or not rows:
            length = _fast_length(length)
        if before and (4 * (length - window + 1) < window or length < 16 or tiles > most):
            return
        if length != before:
            yield FourierAxis(**sizes, length=length)
        before, tiles = length, max(tiles + 1, 3 * tiles // 2)


@functools.lru_cache(maxsize=256)
def _fast_length(least):
    """The next even product of 2, 3 and 5: NumPy takes half as long again for those of 7."""
    fives = [5**power for power in range(least.bit_length() // 2 + 1)]
    odd = (five * 3**power for five in fives for power in range(least.bit_length() * 2 // 3 + 1))
    return min(max(2, factor << (-(-least // factor) - 1).bit_length()) for factor in odd if factor <= least)


def _cut(layout, room):
    """The layout with parts that fill so much of the usual memory for spectra."""
    of_filters, of_images, of_outputs, of_block = (
        int(room * size) for size in (FILTERS_BYTES, IMAGES_BYTES, OUTPUTS_BYTES, BLOCK_BYTES))
    groups, filters = layout.sizes.groups, layout.sizes.filters
    plane, summed, tiles = layout.plane_bytes, layout.summed, layout.tiles
    of_filter = summed * layout.number_bytes * layout.frequencies * layout.filter_rows
    if layout.matrices:
        groups_at_once = 1
        tiles_at_once = min(of_images // (summed * plane), of_outputs // (8 * plane), AT_ONCE)
        tiles_at_once = _even(tiles, max(1, tiles_at_once))
        filters_at_once = min(of_outputs // (tiles_at_once * plane), of_filters // of_filter, AT_ONCE)
        filters_at_once = _even(filters, max(1, filters_at_once))
    else:
        filters_at_once = _even(filters, max(1, of_block // plane - summed))
        room = of_block // (plane * (summed + filters_at_once))
        groups_at_once = _even(groups, max(1, room)) if filters_at_once == filters else 1
        tiles_at_once = _even(tiles, max(1, room // groups_at_once))
    filters_of_job = min(filters, max(1, 4 * summed // filters_at_once) * filters_at_once)
    groups_of_part = min(groups, of_filters // (filters * of_filter) // groups_at_once * groups_at_once)
    filters_of_part = filters
    if not groups_of_part:
        groups_of_part = groups_at_once
        filters_of_part = of_filters // (groups_at_once * of_filter) // filters_at_once * filters_at_once
        filters_of_part = min(filters, max(filters_of_part, filters_at_once))
    return FourierLayout(sizes=layout.sizes, swapped=layout.swapped, rows=layout.rows, columns=layout.columns,
                         groups_at_once=groups_at_once, tiles_at_once=tiles_at_once, filters_at_once=filters_at_once,
                         filters_of_job=filters_of_job, groups_of_part=groups_of_part, filters_of_part=filters_of_part)


def _even(total, most):
    """The size of even parts of a total, each at most so large."""
    return -(-total // -(-total // most))
