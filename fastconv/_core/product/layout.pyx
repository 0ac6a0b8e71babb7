"""How the matrix product cuts a convolution, forward and for the weight gradient, and where everything lies in a
thread's scratch.

The split of every sum follows from the sizes alone, never from the number of threads.
"""

from cython cimport floating

from fastconv._core.problem.band cimport Band, axis, layout
from fastconv._core.problem.blocks cimport block_pixels
from fastconv._core.problem.convolution cimport record_of
from fastconv._core.problem.filters cimport lie_in_order
from fastconv._core.problem.problem cimport ceildiv, flatten, rounded
from fastconv._core.runtime.isa cimport tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_SUM_ROWS

cdef enum:
    BAND_BYTES = 384 << 10   # one block's band
    # Forward
    STAGE_BYTES = 4 << 20    # packed weights held at a time
    DEPTH_BYTES = 3072       # of one packed filter: the depth of a tile
    FEW_FILTERS = 12         # so few of one tap do not pay for packing pixels
    PIXELS = 1024            # output pixels of a block
    GROUP_BYTES = 64 << 10   # of the panels of pixels that are packed together
    # Weight gradient
    GRADIENT_PIXELS = 512    # of grad_output in a block
    PARTIAL_BYTES = 4 << 20  # chunks' sums, together
    MOST_CHUNKS = 16
    PACKED_BYTES = 2 << 20   # packed grad_output of one block of pixels


cdef double work(const Problem *p) noexcept nogil:
    return 2.0 * p.n * p.groups * p.k * p.oh * p.ow * p.c * p.r * p.s / 50


cdef Band band_of(const Problem *p, Py_ssize_t rows, Py_ssize_t cols, int lanes) noexcept nogil:
    """The band of a block of so many rows and columns of outputs, but for where it starts."""
    cdef Band band
    band.row_stride, band.col_stride, band.padding = p.xh, p.xw, p.padding
    band.rows = axis(p.h, rows, p.r, p.stride_h, p.dilation_h)
    band.cols = axis(p.w, cols, p.s, p.stride_w, p.dilation_w)
    layout(&band, lanes)
    return band


cdef void cut_filters(const Problem *p, ProductLayout *l, const floating *unused) noexcept:
    """What packed filters depend on: as many panels of a group as tiles need, all but equal ones."""
    l.panels = ceildiv(p.k, tile_rows(unused))
    l.panel_size = rounded(p.c * p.r * p.s * ceildiv(p.k, l.panels))


cdef ProductLayout lay_out(const Problem *p, int team, bint prepared, const floating *unused) noexcept:
    """A forward pass by so many threads. Blocks: enough for all threads, small enough for the band of a useful number
    of channels to stay in L2. So few pixels that they are packed together, in one block, do not pay for packing
    filters."""
    cdef ProductLayout l
    cdef int lanes = vector_length(unused), mr = tile_rows(unused)
    cdef Py_ssize_t taps = p.r * p.s, depth = DEPTH_BYTES // sizeof(floating)
    cdef Py_ssize_t plane, total = p.n * p.oh * p.ow
    cdef Band band
    l.team = team
    l.channels = min(p.c, max(1, depth // taps))
    l.channels = ceildiv(p.c, ceildiv(p.c, l.channels))
    l.taps_at_once = ceildiv(taps, ceildiv(taps, depth))
    l.in_rows = p.in_place and taps == 1 and p.yw == 1 and p.k <= FEW_FILTERS and p.c == l.channels
    # The blocks of one thread decide how the sum over channels is cut, for any number: the order of a sum must not
    # change.
    l.blocking = block_pixels(p, PIXELS)
    band = band_of(p, l.blocking.rows, l.blocking.cols, lanes)
    l.in_band_rows = (taps > 1 or not p.in_place) and p.yw == 1 and p.k <= FC_SUM_ROWS and p.ow >= lanes
    if not p.in_place:
        plane = band.channel_pitch * l.blocking.images * sizeof(floating)
        if plane * l.channels > BAND_BYTES:
            l.channels = max(min(l.channels, 8), BAND_BYTES // plane)
            l.channels = ceildiv(p.c, ceildiv(p.c, l.channels))
    # Where filters are added to what is there, a bias has its place between the two, which packed ones keep.
    l.as_written = (not (prepared or l.in_band_rows) and total <= MOST_PANELS * FC_MAX_NV * lanes
                    and l.blocking.count == 1 and lie_in_order(p) and p.own == p.c
                    and not (p.accumulate and p.bias != NULL))
    if team > 1 and not l.as_written:
        l.blocking = block_pixels(p, max(4 * lanes, min(PIXELS, total // (4 * team))))
        band = band_of(p, l.blocking.rows, l.blocking.cols, lanes)
    cut_filters(p, &l, unused)
    l.stage = min(max(1, STAGE_BYTES // <Py_ssize_t>(l.panel_size * sizeof(floating))), p.groups * l.panels)
    l.panel_elements = rounded(min(p.c * taps, max(l.channels * l.taps_at_once, 1)) * FC_MAX_NV * lanes)
    l.group = max(1, min(MOST_PANELS, GROUP_BYTES // <Py_ssize_t>(l.panel_elements * sizeof(floating))))
    if l.as_written:
        l.group, l.stage = ceildiv(total, FC_MAX_NV * lanes), p.groups * l.panels
    l.terms_at = 2 * rounded(taps)
    l.band_at = l.terms_at + (2 * rounded(l.channels * l.taps_at_once) if l.in_band_rows else 0)
    l.pixels_at = l.band_at + (0 if p.in_place else rounded(band.channel_pitch * l.channels * l.blocking.images))
    l.tile_at = l.pixels_at + l.group * l.panel_elements
    l.filters_at = l.tile_at + rounded(mr * FC_MAX_NV * lanes)
    l.filter_pitch = rounded(l.channels * l.taps_at_once)
    l.scratch_size = l.filters_at + (mr * l.filter_pitch if l.as_written else 0)
    l.packed_size = 0 if l.as_written else ceildiv(l.stage * l.panel_size * sizeof(floating), 64) * 64
    return l


def laid_out(problem):
    """How a ConvProblem's forward pass is cut on one thread, for cost.py:
    the layout, and the band of a block where rows of x do not serve in place."""
    cdef Problem p = record_of(problem)
    flatten(&p)
    return (laid_out_of(&p, <const float *>NULL) if problem.itemsize == sizeof(float)
            else laid_out_of(&p, <const double *>NULL))


cdef tuple laid_out_of(const Problem *p, const floating *unused):
    cdef ProductLayout l = lay_out(p, 1, False, unused)
    return l, None if p.in_place else band_of(p, l.blocking.rows, l.blocking.cols, vector_length(unused))


cdef GradientLayout lay_out_gradient(const Problem *p, const floating *unused) noexcept:
    cdef GradientLayout l
    cdef int lanes = vector_length(unused), mr = tile_rows(unused)
    cdef Py_ssize_t taps = p.r * p.s, all_lanes = p.c * taps, width = FC_MAX_NV * lanes, size = sizeof(floating)
    cdef Py_ssize_t plane, most, total, band_size = 0
    l.in_place = p.in_place and taps == 1
    l.blocking = block_pixels(p, min(GRADIENT_PIXELS, max(4 * lanes, PACKED_BYTES // (p.k * size))))
    cdef Band band = band_of(p, l.blocking.rows, l.blocking.cols, lanes)
    plane = band.channel_pitch * l.blocking.images * size
    l.lanes_at_once = max(taps, BAND_BYTES // plane * taps) // width * width
    l.lanes_at_once = min(max(l.lanes_at_once, width), ceildiv(all_lanes, width) * width)
    most = l.blocking.images * l.blocking.rows * l.blocking.cols
    if not l.in_place:
        band_size = rounded(min(p.c, (l.lanes_at_once - 1) // taps + 2) * band.channel_pitch * l.blocking.images)
    l.panels = ceildiv(p.k, mr)
    l.panel_size, l.row_size = rounded(most * ceildiv(p.k, l.panels)), rounded(most + lanes)
    l.runs_at = 2 * rounded(taps)
    l.rows_at = l.runs_at + 6 * l.row_size
    l.packed_at = l.rows_at + mr * l.row_size
    l.band_at = l.packed_at + l.panels * l.panel_size
    l.lanes_at = l.band_at + band_size
    l.tile_at = l.lanes_at + width * l.row_size
    l.scratch_size = l.tile_at + rounded(mr * width)
    total = p.groups * p.k * all_lanes
    l.chunks = min(l.blocking.count, max(1, min(MOST_CHUNKS, PARTIAL_BYTES // (total * size))))
    l.partial_size = l.chunks * total * (size + <Py_ssize_t>sizeof(double)) if l.chunks > 1 else 0
    return l
