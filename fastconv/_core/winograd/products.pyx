"""The products of Winograd's algorithm: M[point][tile][vectors of a panel], the sums over all channels of V U, for
forward.pyx and data_gradient.pyx.

    for point: for MR tiles: micro-kernel over all channels, MR x panel in registers, V and U from L2

Of narrow groups, which share a vector, U of a point stays in registers, and the tiles of a block are one run.
"""

from cython cimport floating

from fastconv._core.problem.problem cimport beyond, ceildiv, part
from fastconv._core.runtime.isa cimport channel_tile, group_products
from fastconv._core.runtime.kernels cimport FC_IDENTITY, fc_pixels
from fastconv._core.winograd.layout cimport WinogradLayout


cdef inline Py_ssize_t filter_point(const WinogradLayout *l, Py_ssize_t point) noexcept nogil:
    return min(point // l.points, l.filter_points - 1) * l.filter_points + min(point % l.points, l.filter_points - 1)


cdef void multiply(const WinogradLayout *l, Py_ssize_t n_tiles, Py_ssize_t channels, const floating *v,
                   const floating *u, floating *m, const floating *next_weights) noexcept nogil:
    """M of one block and one panel, at u. While they are computed, tiles prefetch a vector for each channel: U of the
    next point (after the last one, of the next panel) or, towards the end, next_weights, those of one panel, if it is
    not NULL."""
    cdef Py_ssize_t points = l.n_points, blocks = ceildiv(n_tiles, l.mr), zero = 0, point, b, t, later
    cdef int vectors = <int>(l.width // l.lanes)
    cdef const floating *no_bias = NULL
    cdef const floating *up
    cdef const floating *next_up = u
    cdef const floating *ahead
    cdef fc_pixels pixels
    pixels.channels, pixels.block_stride, pixels.taps, pixels.n_taps = channels, l.v_vector, &zero, 1
    pixels.step, pixels.ldc, pixels.b_panel = l.v_tile, l.width, 0
    pixels.activation.kind, pixels.accumulate, pixels.rows, pixels.numbers = FC_IDENTITY, False, NULL, NULL
    for point in range(points):
        up = next_up
        next_up = u + (filter_point(l, point + 1) * l.u_point if point + 1 < points else l.u_panel)
        if l.joined > 1:
            group_products(<int>l.depth, n_tiles, v + point * l.v_point, up, m + point * l.m_point, next_up)
            continue
        for b in range(blocks):
            t = part(n_tiles, blocks, b)
            later = (points - 1 - point) * blocks + blocks - 1 - b
            ahead = beyond(next_up, min(blocks - 1 - b, vectors - 1) * channels * l.lanes)
            if next_weights != NULL and later < vectors * l.n_taps:
                ahead = beyond(next_weights, later * channels * l.lanes)
            channel_tile(vectors, <int>(part(n_tiles, blocks, b + 1) - t), &pixels,
                         v + point * l.v_point + b * l.v_tiles, up, m + point * l.m_point + t * l.width, no_bias, ahead)
