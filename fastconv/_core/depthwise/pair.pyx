"""Two depthwise convolutions, of the even and the odd columns of one array: the data gradient of a stride of 2.

    parallel for image, channel, block of output rows and pairs of columns:
        fill a padded band of the channel's plane (L1), wide enough for both
        for filter of the channel: micro-kernel, both sums in registers, whose lanes take turns in y;
            bias and activation, where there are, while that is in L1

Written as two passes over every second column it takes 8 ms instead of 2 for 4 x 96 x 112 x 112 and 3 x 3, as both
passes move all of grad_x.
"""

from fastconv._core.depthwise.forward import conv2d
from fastconv._core.problem import parts

cimport numpy as cnp
from cython cimport floating

from fastconv._core.depthwise.band cimport BandBlock, ColumnLayout, block_at, fill
from fastconv._core.depthwise.layout cimport measure_columns, most_bytes, plan_columns
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport activation, depthwise_pair
from fastconv._core.runtime.kernels cimport fc_plane_block
from fastconv._core.runtime.memory cimport Block, take

cnp.import_array()

cdef Py_ssize_t MOST = parts.FORWARD_BYTES    # of scratch


# One call: what its units of work share.
cdef struct PairJob:
    const Problem *p           # of one filter that is wide enough for both, over pairs of columns
    const ColumnLayout *l
    const Py_ssize_t *taps     # [n_taps], in the band: those of the even columns first
    const void *weights        # [filter][n_taps]
    Py_ssize_t n_even, n_taps


def conv2d_pair(Convolution even not None, Convolution odd not None):
    """Both convolutions of the same x, whose results are the even and the odd columns (one each at least) of one array
    in which columns lie side by side.

    Their windows differ in columns only: stride 1, zero padding, columns without dilation. Nothing is added to y.
    """
    cdef Py_ssize_t rest
    if cnp.PyArray_SIZE(even.y) == 0:
        return
    cdef Problem p = both(even, odd)
    cdef ColumnLayout l
    measure_columns(&p, cnp.PyArray_ITEMSIZE(even.x), &l)
    cdef Py_ssize_t n_taps = p.r * (even.problem.s + odd.problem.s)
    cdef Py_ssize_t tap_bytes = n_taps * (p.groups * p.k * l.size + <Py_ssize_t>sizeof(Py_ssize_t))
    if most_bytes(&l, tap_bytes + l.band_size * l.size) > MOST:
        conv2d(even)
        conv2d(odd)
        return
    _tables = plan_columns(&p, &l)
    if even.single:
        convolve(even, odd, &p, &l, <const float *>p.x)
    else:
        convolve(even, odd, &p, &l, <const double *>p.x)
    rest = even.problem.ow - p.ow
    if rest:
        conv2d(even.of(y=even.y[..., p.ow:], origin=(even.window.top, even.window.left - p.ow)))


cdef Problem both(Convolution even, Convolution odd):
    """The problem of one filter that covers the taps of both, in the pairs of columns."""
    cdef Problem p = even.problem
    p.left = max(even.window.left, odd.window.left)
    p.s = max(p.left - even.window.left + even.problem.s, p.left - odd.window.left + odd.problem.s)
    p.ow, p.yw = odd.problem.ow, 1
    return p


cdef convolve(Convolution even, Convolution odd, const Problem *p, const ColumnLayout *l, const floating *x):
    """All pairs of columns; x is that of p, and says the precision."""
    cdef Py_ssize_t n_even = p.r * even.problem.s, n_taps = n_even + p.r * odd.problem.s
    cdef Block packed = take(p.groups * p.k * n_taps * sizeof(floating))
    cdef Block offsets = take(n_taps * sizeof(Py_ssize_t))
    cdef Py_ssize_t *taps = <Py_ssize_t *>offsets.data
    cdef floating *weights = <floating *>packed.data
    cdef int team = threads.team(p.n * p.groups * p.k * p.oh * p.ow * (0.3 + 0.03 * n_taps))
    cdef Block scratch = take(team * l.band_size * sizeof(floating))
    cdef PairJob job = PairJob(p, l, taps, weights, n_even, n_taps)
    pack(&even.problem, l, p.left - even.window.left, n_taps, taps, weights)
    pack(&odd.problem, l, p.left - odd.window.left, n_taps, taps + n_even, weights + n_even)
    with nogil:
        in_parallel(convolve_block[floating], &job, p.n * p.groups * l.rows.blocks * l.columns.blocks, team, EVENLY,
                    <floating *>scratch.data, l.band_size)


cdef void pack(const Problem *p, const ColumnLayout *l, Py_ssize_t column, Py_ssize_t n_taps, Py_ssize_t *taps,
               floating *weights) noexcept nogil:
    """One of the two: its weights, and its taps in the band, the first in this column of the filter for both."""
    cdef const floating *w = <const floating *>p.weights
    cdef Py_ssize_t r, s, k
    for r in range(p.r):
        for s in range(p.s):
            taps[r * p.s + s] = l.tap_offsets[r * l.columns.taps + column + s]
            for k in range(p.groups * p.k):
                weights[k * n_taps + r * p.s + s] = w[k * p.wk + r * p.wr + s * p.ws]


cdef void convolve_block(const void *job, Py_ssize_t unit, floating *band) noexcept nogil:
    """One (image, channel, block), all filters of the channel."""
    cdef const PairJob *j = <const PairJob *>job
    cdef const Problem *p = j.p
    cdef BandBlock b = block_at(j.l, unit)
    cdef Py_ssize_t channel = b.plane % p.groups, image = b.plane // p.groups, k
    cdef floating *y = <floating *>p.y + image * p.yn + b.row0 * p.yh + 2 * b.col0
    cdef fc_plane_block block
    block.pitch, block.taps, block.n_taps = j.l.pitch, j.taps, j.n_taps
    block.y_row, block.rows, block.width = p.yh, b.rows, b.cols
    fill(p, j.l, &b, <const floating *>p.x + image * p.xn + channel * p.xc, band)
    for k in range(channel * p.k, (channel + 1) * p.k):
        depthwise_pair(&block, j.n_even, band, <const floating *>j.weights + k * j.n_taps, y + k * p.yk)
        finish(p, k, b.rows, 2 * b.cols, y + k * p.yk)


cdef void finish(const Problem *p, Py_ssize_t k, Py_ssize_t rows, Py_ssize_t width, floating *y) noexcept nogil:
    """The bias and the activation of rows of sums of filter k."""
    cdef Py_ssize_t i, j
    cdef floating bias
    for i in range(rows):
        if p.bias != NULL:
            bias = (<const floating *>p.bias)[k]
            for j in range(width):
                y[i * p.yh + j] += bias
        if p.activation:
            activation(p.activation, y + i * p.yh, y + i * p.yh, width, p.slope)
