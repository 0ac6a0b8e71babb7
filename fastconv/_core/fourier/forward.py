"""Convolution by fast Fourier transforms, for large filters. The transforms are NumPy's; the data gradient is this
driver on views.

A circular convolution is a product in frequencies. Outputs are cut into tiles (overlap-save), of samples that are
gathered with their padding; channels are summed in frequencies, so that one inverse transform serves all of them:

    for part of the filters, so many that their spectra U fit into FILTERS_BYTES:
        parallel for some filters: turn, scale, transform rows, then columns -> U        (unless `prepared` beforehand)
        parallel for groups, filters, block of tiles (of one image or several):
            for tile: gather, transform rows, then columns -> V                          (L2, as all that follows)
            for filters_at_once filters:
                M = sum over channels of V U, at each frequency
                M -> transform back, columns, then the rows that are kept -> bias, activation -> y

Up to FEW_CHANNELS channels (depthwise, a gray image) are summed as products of whole planes: spectra lie as
[plane][frequency]. More are summed by a matrix product a frequency, tiles x channels by channels x filters: they lie as
[frequency][plane], where the last transform writes them. ``fourier.layout`` has the sizes, and what becomes of strides
and dilation.

All sizes follow from the shapes alone. Matrix products go to NumPy's BLAS in pieces so small (ALONE) that OpenBLAS
keeps them on the thread that asks. So the bits do not depend on the threads, and no more of them run than may.

A transform spreads a value that is not finite over its tile, and the rounding error of a sample that is louder than
others by far (src_c/contrast.h). So a tile that came out with one, or has such a contrast, is computed directly.

Sources: Stockham, "High-speed convolution and correlation" (1966), for overlap-save; Mathieu, Henaff, LeCun, "Fast
training of convolutional networks through FFTs" (2014), for the sum over channels.
"""

import functools
import itertools
import math
import sys
import threading
from typing import NamedTuple

import numpy as np
import numpy.fft

from fastconv._core.depthwise import forward as depthwise
from fastconv._core.fourier import contrast
from fastconv._core.fourier.layout import CACHE_LINE, NUMPY_1, FourierSizes, apart, lay_out
from fastconv._core.pointwise import elementwise
from fastconv._core.problem import parts
from fastconv._core.problem.convolution import Convolution, Window
from fastconv._core.problem.geometry import PADDING_MODES, stretches
from fastconv._core.product import forward as gemm
from fastconv._core.runtime import memory, threads

PREPARED_BYTES = 64 << 20  # spectra of prepared filters, at most
# Multiplications of a matrix product that OpenBLAS does not spread over threads; 4095 with a vector.
ALONE = 32768
# Nanoseconds of work for which a thread is started: in calls under 8 ms two gain a fifth at best, and cost half where
# another program has the second CPU.
SMALL = 4e6
CONTRAST = 16              # times the terms of a sum: the most that samples of a tile may differ in magnitude


def conv2d(conv, prepared=None, any_contrast=False):
    """As product's, for all convolutions. With any_contrast no tile is computed directly for the contrast of its
    samples."""
    if conv.y.size == 0:
        return
    layout = _layout_of(conv)
    if layout.scratch_bytes(1) > parts.FORWARD_BYTES:
        parts.convolve(functools.partial(conv2d, any_contrast=any_contrast), workspace, conv)
        return
    call = _Call(layout, conv, any_contrast)
    held = None if prepared else _Scratch(layout.part_bytes)
    count = _threads(layout)
    run = functools.partial(_in_team, count) if count > 1 else _in_order
    for index, (groups, filters) in enumerate(layout.parts()):
        u = prepared[index] if prepared else _filter_spectra(layout, conv.w, groups, filters, held, run)
        run(call.convolve, call.jobs(u, groups, filters))


def prepare(conv):
    """The filters' spectra for conv2d's `prepared`, or None where they are too large to be kept; of x and y the shapes
    are enough."""
    layout = _layout_of(conv)
    planes = layout.sizes.groups * layout.summed * layout.sizes.filters
    if layout.spectra_bytes(planes, layout.filter_rows) > PREPARED_BYTES:
        return None
    return [_filter_spectra(layout, conv.w, groups, filters, _Scratch(layout.part_bytes), _in_order)
            for groups, filters in layout.parts()]


def workspace(conv, alone):
    """As product's."""
    layout = _layout_of(conv)
    return layout.scratch_bytes(1 if alone else _threads(layout))


def _layout_of(conv):
    channels, window = conv.w.shape[1], conv.window
    groups = conv.x.shape[1] // channels
    return lay_out(FourierSizes(conv.x.shape[0] or 1, groups, channels, conv.w.shape[0] // groups, conv.w.shape[2:],
                         conv.y.shape[2:], window.stride, window.dilation, conv.x.itemsize))


def _threads(layout):
    return max(1, min(threads.get_num_threads(), layout.jobs, int(layout.cost / SMALL)))


def _in_team(count, function, jobs):
    """Calls `function` for each job, on so many threads, of which this is one.

    Python starts no thread where the system has none left or the interpreter is about to end: then fewer do the work.
    """
    jobs, lock, errors, others = iter(jobs), threading.Lock(), [], []

    def draw():
        with lock:
            return None if errors else next(jobs, None)

    def work():
        before = threads.set_override(1)
        try:
            while (job := draw()) is not None:
                function(job)
        except BaseException as error:
            errors.append(error)
        finally:
            threads.set_override(before)

    try:
        while len(others) < count - 1 and not sys.is_finalizing():
            other = threading.Thread(target=work)
            other.start()
            others.append(other)
    except RuntimeError:
        pass
    except BaseException as error:
        errors.append(error)
    work()
    for other in others:
        other.join()
    if errors:
        raise errors.pop(0)


def _in_order(function, jobs):
    for job in jobs:
        function(job)


def _seen_as(y, *shape):
    """A result in another shape, so that what is written there is written to it.
    The layout takes several groups together only with all their filters, so that there is such a view."""
    view = y.reshape(shape)
    if not np.may_share_memory(view, y):
        raise AssertionError(f"no view of strides {y.strides} has the shape {shape}")
    return view


def _cuts(whole, at_once):
    """A range in slices of so many."""
    for first in range(whole.start, whole.stop, at_once):
        yield slice(first, min(first + at_once, whole.stop))


# ---------------------------------------------------------------------------------------------------------------------
# Transforms


class _Scratch:
    """A block of memory for arrays that come and go as on a stack: those taken in a `with` block of it are given back
    behind it."""

    def __init__(self, size):
        self._memory, self._used, self._marks = memory.scratch(size), 0, []

    def __enter__(self):
        self._marks.append(self._used)

    def __exit__(self, *_):
        self._used = self._marks.pop()

    def take(self, first, rest, dtype, size):
        """An array (*first, *rest), with `size` bytes from each of `rest` to the next."""
        strides, offset = [], self._used
        for length in reversed(first):
            strides.insert(0, size)
            size *= length
        of_rest = dtype.itemsize
        for length in reversed(rest):
            strides.insert(len(first), of_rest)
            of_rest *= length
        self._used += -(-size // CACHE_LINE) * CACHE_LINE
        return np.ndarray((*first, *rest), dtype, self._memory, offset, strides)


def _real(scratch, shape, dtype):
    return scratch.take((), shape, dtype, math.prod(shape) * dtype.itemsize)


def _spectra(scratch, layout, planes, rows, dtype):
    """Room for spectra, as (*planes, columns, rows); the last two are frequencies."""
    if layout.matrices:
        size = apart(math.prod(planes) * dtype.itemsize)
        return np.moveaxis(scratch.take((layout.frequencies, rows), planes, dtype, size), (0, 1), (-2, -1))
    return scratch.take((*planes, layout.frequencies), (rows,), dtype, rows * dtype.itemsize)


def _half_spectra(scratch, layout, planes, dtype):
    """Room for planes whose rows alone are transformed. What is to be transformed next is last in memory."""
    rows = layout.rows.length
    if layout.matrices:
        size = apart(math.prod(planes) * rows * dtype.itemsize)
        return np.moveaxis(scratch.take((layout.frequencies,), (*planes, rows), dtype, size), 0, -2)
    return scratch.take((*planes, layout.frequencies), (rows,), dtype, apart(rows * dtype.itemsize))


def _transform(function, samples, length, out):
    """One of NumPy's transforms along the last axis. With a norm other than "ortho" NumPy 2 computes in double
    precision."""
    if NUMPY_1:
        out[...] = function(samples, length, axis=-1, norm="ortho")
    else:
        function(samples, length, axis=-1, norm="ortho", out=out)


def _forward(scratch, layout, samples, spectra):
    """Planes (..., rows, columns) -> spectra (..., columns, rows); rows that are missing at the end are zeros.

    The zeros are written: NumPy takes half as long again where it has to add them.
    """
    rows, half = samples.shape[-2], spectra
    if layout.rows_transformed:
        half = _half_spectra(scratch, layout, samples.shape[:-2], spectra.dtype)
    half[..., rows:] = 0
    _transform(np.fft.rfft, samples, layout.columns.length, half[..., :rows].swapaxes(-1, -2))
    if layout.rows_transformed:
        _transform(np.fft.fft, half, layout.rows.length, spectra)


def _backward(scratch, layout, spectra, dtype):
    """Spectra -> the rows of their planes that have all taps inside, of which the last columns have."""
    if layout.rows_transformed:
        half = _half_spectra(scratch, layout, spectra.shape[:-2], spectra.dtype)
        _transform(np.fft.ifft, spectra, layout.rows.length, half)
        spectra = half[..., layout.rows.window - 1:]
    planes = _real(scratch, (*spectra.shape[:-2], layout.rows.fresh, layout.columns.length), dtype)
    _transform(np.fft.irfft, spectra.swapaxes(-1, -2), layout.columns.length, planes)
    return planes


# ---------------------------------------------------------------------------------------------------------------------
# Filters


def _filter_spectra(layout, w, groups, filters, held, run):
    """U of a part of the filters: (group, channel of a tap phase, filter, columns, rows)."""
    w = w.swapaxes(2, 3) if layout.swapped else w
    with held:
        spectra = _spectra(held, layout, (len(groups), layout.summed, len(filters)), layout.filter_rows,
                           np.result_type(w.dtype, np.complex64))
    w = w.reshape(layout.sizes.groups, layout.sizes.filters, *w.shape[1:])
    w = w[groups.start:groups.stop, filters.start:filters.stop].swapaxes(1, 2)
    at_once, room = [], layout.planes_at_once
    for size in w.shape[2::-1]:  # filters first: they are neighbours in memory
        at_once.insert(0, max(1, min(size, room)))
        room //= at_once[0]
    run(lambda job: _transform_filters(layout, w, spectra, *job),
        itertools.product(*(_cuts(range(size), some) for size, some in zip(w.shape, at_once))))
    return spectra


def _transform_filters(layout, w, spectra, groups, channels, filters):
    rows, columns, scratch = layout.rows, layout.columns, _Scratch(layout.job_bytes)
    # The inverse of what three "ortho" transforms leave of a product.
    scale = w.dtype.type((layout.filter_rows * columns.length) ** 0.5)
    for phase, (row, column) in enumerate(layout.tap_phases()):
        turned = w[groups, channels, filters, row::rows.tap_step, column::columns.tap_step][..., ::-1, ::-1]
        first = phase * layout.sizes.channels
        with scratch, np.errstate(all="ignore"):
            taps = _real(scratch, (*turned.shape[:3], rows.window, columns.length), w.dtype)
            taps.fill(0)
            np.multiply(turned, scale, out=taps[..., rows.window - turned.shape[3]:,
                                                columns.window - turned.shape[4]:columns.window])
            _forward(scratch, layout, taps, spectra[groups, first + channels.start:first + channels.stop, filters])


# ---------------------------------------------------------------------------------------------------------------------
# Images


class _Tile(NamedTuple):
    """The outputs of a tile, and the position of the sample that the first of them meets in tap phase 0."""

    rows: slice
    columns: slice
    size: tuple[int, int]
    position: tuple[int, int]


def _blocks(layout, origin):
    """The tiles of all images in lists, each of at most tiles_at_once: a tile, images, and their places in the
    block."""
    block, filled = [], 0
    for top, height in layout.rows.tiles():
        for left, width in layout.columns.tiles():
            tile = _Tile(*(slice(first, first + axis.output_step * (count - 1) + 1, axis.output_step)
                           for axis, first, count in ((layout.rows, top, height), (layout.columns, left, width))),
                         (height, width),
                         (top * layout.rows.stride - origin[0], left * layout.columns.stride - origin[1]))
            image = 0
            while image < layout.sizes.images:
                count = min(layout.sizes.images - image, layout.tiles_at_once - filled)
                block.append((tile, slice(image, image + count), slice(filled, filled + count)))
                image, filled = image + count, filled + count
                if filled == layout.tiles_at_once:
                    yield block
                    block, filled = [], 0
    if block:
        yield block


class _Call:
    """The arrays and options of one call of conv2d, and the jobs that it consists of."""

    def __init__(self, layout, conv, any_contrast):
        x, w, y, origin = conv.x, conv.w, conv.y, conv.window.origin
        if layout.swapped:
            x, w, y, origin = x.swapaxes(2, 3), w.swapaxes(2, 3), y.swapaxes(2, 3), origin[::-1]
        self.layout = layout
        self.x = x.reshape(layout.sizes.images, layout.sizes.groups, layout.sizes.channels, *x.shape[2:])
        self.w = w.reshape(layout.sizes.groups, layout.sizes.filters, *w.shape[1:])
        self.y = _seen_as(y, layout.sizes.images, layout.sizes.groups, layout.sizes.filters, *y.shape[2:])
        self.bias = None if conv.bias is None else conv.bias.reshape(layout.sizes.groups, layout.sizes.filters)
        self.padding_mode, self.padding_value = PADDING_MODES[conv.window.padding_mode], conv.window.padding_value
        self.epilogue, self.origin = conv.epilogue, origin
        self.most_contrast = math.inf if any_contrast else CONTRAST * math.prod(w.shape[1:])

    def jobs(self, u, groups, filters):
        """For convolve: spectra of filters, which groups and filters these are, a block of tiles."""
        for some_groups in _cuts(groups, self.layout.groups_at_once):
            for some_filters in _cuts(filters, self.layout.filters_of_job):
                spectra = u[some_groups.start - groups.start:some_groups.stop - groups.start, :,
                            some_filters.start - filters.start:some_filters.stop - filters.start]
                for block in _blocks(self.layout, self.origin):
                    yield spectra, some_groups, some_filters, block

    def convolve(self, job):
        u, groups, filters, block = job
        layout, tiles, scratch = self.layout, block[-1][2].stop, _Scratch(self.layout.job_bytes)
        directly = np.zeros(tiles, np.bool_)
        with np.errstate(all="ignore"):
            v = _spectra(scratch, layout, (tiles, len(u), layout.summed), layout.rows.length, u.dtype)
            for tile, images, places in block:
                self._transform_tile(scratch, tile, images, groups, v[places], directly[places])
            for some in _cuts(range(u.shape[2]), layout.filters_at_once):
                with scratch:
                    m = _spectra(scratch, layout, (tiles, len(u), some.stop - some.start), layout.rows.length, u.dtype)
                    (_matrix_products if layout.matrices else _plane_products)(scratch, v, u[:, :, some], m)
                    planes = _backward(scratch, layout, m, self.y.dtype)
                    stored = slice(filters.start + some.start, filters.start + some.stop)
                    self._store(scratch, planes, block, groups, stored, directly)

    def _transform_tile(self, scratch, tile, images, groups, v, directly):
        """V of one tile of some images; marks those whose contrast is too great."""
        layout, c = self.layout, self.layout.sizes.channels
        x = self.x[images, groups]
        for phase, (row, column) in enumerate(layout.tap_phases()):
            rows, columns = (
                range(position + tap * axis.dilation, position + tap * axis.dilation + axis.step * count, axis.step)
                for axis, position, tap, count in zip(
                    (layout.rows, layout.columns), tile.position, (row, column),
                    (tile.size[0] + layout.rows.taps_of(row) - 1, tile.size[1] + layout.columns.taps_of(column) - 1)))
            for some in _cuts(range(len(x)), layout.images_at_once):
                for of in _cuts(range(c), layout.channels_at_once):
                    with scratch:
                        samples = self._gather(scratch, x[some, :, of], rows, columns)
                        if self.most_contrast < math.inf:
                            directly[some] |= self._has_contrast(samples)
                        _forward(scratch, layout, samples, v[some, :, phase * c + of.start:phase * c + of.stop])

    def _has_contrast(self, samples):
        """Which images (first axis) have more contrast than a transform of their planes may have."""
        down = self.layout.rows.window >= self.layout.columns.window
        planes = samples.reshape(len(samples), -1, *samples.shape[-2:])
        return contrast.images_exceeding(planes, down, self.most_contrast)

    def _gather(self, scratch, x, rows, columns):
        """The samples (..., H, W) -> (..., rows, columns) at these positions, which may lie in the padding."""
        samples = _real(scratch, (*x.shape[:-2], len(rows), self.layout.columns.length), x.dtype)
        samples[..., len(columns):] = 0
        of_rows, of_columns = (tuple(stretches(positions, size, self.padding_mode))
                               for positions, size in ((rows, x.shape[-2]), (columns, x.shape[-1])))
        # what is a constant is left out
        if sum(each.positions.stop - each.positions.start for each in of_rows + of_columns) < len(rows) + len(columns):
            samples[..., :len(columns)] = self.padding_value
        for high in of_rows:
            for wide in of_columns:
                part = samples[..., high.positions, wide.positions]
                for to_rows, from_rows in high.runs:
                    for to_columns, from_columns in wide.runs:
                        part[..., to_rows, to_columns] = x[..., from_rows, from_columns]
                _repeat(part[..., :high.turn, :], wide.turn)
                _repeat(part.swapaxes(-1, -2), high.turn)
        return samples

    def _store(self, scratch, planes, block, groups, filters, directly):
        """Planes of outputs (tile, group, filter, row, column) to y; the first columns are no outputs."""
        finite = np.isfinite(planes, out=_real(scratch, planes.shape, np.dtype(np.bool_))).all(axis=(1, 2, 3, 4))
        directly = directly | ~finite
        if self.bias is not None:
            planes += self.bias[groups, filters, None, None]
        if self.epilogue.activation:
            elementwise.activate_in_place(planes, self.epilogue.activation, self.epilogue.negative_slope)
        outputs = planes[..., self.layout.columns.window - 1:]
        for tile, images, places in block:
            height, width = tile.size
            self.y[images, groups, filters, tile.rows, tile.columns] = outputs[places, :, :, :height, :width]
            for image in np.flatnonzero(directly[places]):
                self._directly(tile, images.start + image, groups, filters)

    def _directly(self, tile, image, groups, filters):
        """The same outputs of one image by the sum as it stands."""
        rows, columns = self.layout.rows, self.layout.columns
        x, y = self.x[image:image + 1, groups], self.y[image:image + 1, groups, filters, tile.rows, tile.columns]
        w, bias = self.w[groups, filters], self.bias
        driver = depthwise if self.layout.sizes.channels == 1 else gemm
        window = Window((rows.stride * rows.output_step, columns.stride * columns.output_step),
                        (rows.dilation, columns.dilation), (-tile.position[0], -tile.position[1]),
                        PADDING_MODES.index(self.padding_mode), self.padding_value)
        driver.conv2d(Convolution(x.reshape(1, -1, *x.shape[3:]), w.reshape(-1, *w.shape[2:]),
                                  None if bias is None else bias[groups, filters].reshape(-1),
                                  _seen_as(y, 1, -1, *y.shape[3:]), window, self.epilogue))


def _repeat(samples, turn):
    """Copies the first `turn` of the last axis over the rest of it, again and again."""
    while turn < samples.shape[-1]:
        more = min(turn, samples.shape[-1] - turn)
        samples[..., turn:turn + more] = samples[..., :more]
        turn += more


# ---------------------------------------------------------------------------------------------------------------------
# Products, at each frequency: m[tile, group, filter] = the sum over channels of v[tile, group, channel] u[group,
# channel, filter]


def _plane_products(scratch, v, u, m):
    np.multiply(v[:, :, 0, None], u[:, 0], out=m)
    if v.shape[2] > 1:
        with scratch:
            more = scratch.take((), m.shape, m.dtype, m.nbytes)
            for c in range(1, v.shape[2]):
                np.multiply(v[:, :, c, None], u[:, c], out=more)
                np.add(m, more, out=m)


def _matrix_products(scratch, v, u, m):
    v, u, m = (np.moveaxis(array, (-2, -1), (0, 1)) for array in (v[:, 0], u[0], m[:, 0]))
    at_once = ALONE // (max(9, m.shape[2]) * max(9, m.shape[3]))
    np.matmul(v[..., :at_once], u[:, :, :at_once], out=m)
    if v.shape[3] > at_once:
        with scratch:
            more = scratch.take((), m.shape, m.dtype, m.nbytes)
            for some in _cuts(range(at_once, v.shape[3]), at_once):
                np.matmul(v[..., some], u[:, :, some], out=more)
                np.add(m, more, out=m)
