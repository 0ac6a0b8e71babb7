"""Where the outputs of a pooling look, worked out once for a geometry; and which driver loop serves it.

An axis of windows says for each output which taps lie inside the image (the first of them and how many) and by how many an
average divides. The padding of a pooling never holds a value, so nothing else is needed for a border.
"""

import dataclasses
import functools

import numpy as np

SLACK = 16  # elements behind a table that a kernel may read in whole vectors
FAR = 16    # columns between windows from which on a padded band, with one row a phase of the stride, does not pay
LARGE = 65536    # taps from which on the tables of a band do not pay


@dataclasses.dataclass(frozen=True, eq=False)
class Axis:
    """The windows along rows or columns."""

    size: int           # of the image
    outputs: int
    kernel_size: int    # 0 where the windows differ in size (adaptive pooling)
    stride: int
    dilation: int
    start: int          # where output 0's window starts; negative in the padding
    first: np.ndarray   # int64 (outputs,): the first tap inside the image
    taps: np.ndarray    # int64 (outputs,): taps inside the image
    counts: np.ndarray  # float (outputs + SLACK,): what an average divides by; ones behind the end


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a pooling and the loop for planes (of pixels that are neighbours in memory along a row):

    "2x2"   straight from pairs of rows; "band": from a padded copy, a few rows at a time; "runs": each window by itself, for
    windows that are large, or far apart, or of different sizes.
    """

    rows: Axis
    cols: Axis
    method: str

    @property
    def output_size(self):
        return self.rows.outputs, self.cols.outputs


def _counts(values, dtype):
    counts = np.ones(len(values) + SLACK, dtype)
    counts[: len(values)] = values
    return counts


def _axis(size, kernel_size, stride, before_after, dilation, outputs, count_include_pad, dtype):
    before, after = before_after
    starts = np.arange(outputs, dtype=np.int64) * stride - before
    first = np.where(starts < 0, starts + -(starts // dilation) * dilation, starts)
    last = np.minimum(starts + (kernel_size - 1) * dilation, size - 1)
    taps = (last - first) // dilation + 1
    # A window of ceil_mode may reach beyond the padding: that part never counts.
    counts = np.minimum(starts + kernel_size, size + after) - starts if count_include_pad else taps
    return Axis(size, outputs, kernel_size, stride, dilation, -before, first, taps, _counts(counts, dtype))


@functools.lru_cache(maxsize=256)
def sliding_windows(size, kernel_size, stride, pads, dilation, outputs, count_include_pad, dtype):
    """The windows of max_pool2d and avg_pool2d; all arguments are pairs, pads of pairs."""
    rows, cols = (_axis(*of_axis, count_include_pad, dtype)
                  for of_axis in zip(size, kernel_size, stride, pads, dilation, outputs))
    inside = all(a.start == 0 and (a.outputs - 1) * a.stride + a.kernel_size <= a.size for a in (rows, cols))
    if inside and kernel_size == stride == (2, 2) and dilation == (1, 1):
        method = "2x2"
    elif dilation == (1, 1) and (cols.outputs == 1 or cols.stride >= FAR or kernel_size[0] * kernel_size[1] > LARGE):
        method = "runs"
    else:
        method = "band"
    return Windows(rows, cols, method)


def _adaptive_axis(size, outputs, dtype):
    i = np.arange(outputs, dtype=np.int64)
    first = i * size // outputs
    taps = -((i + 1) * -size // outputs) - first
    return Axis(size, outputs, 0, 0, 1, 0, first, taps, _counts(taps, dtype))


@functools.lru_cache(maxsize=256)
def adaptive_windows(size, outputs, dtype):
    """The windows of adaptive and global pooling: output i sees floor(i size / outputs) to ceil((i + 1) size / outputs)."""
    rows, cols = (_adaptive_axis(*of_axis, dtype) for of_axis in zip(size, outputs))
    return Windows(rows, cols, "runs")
