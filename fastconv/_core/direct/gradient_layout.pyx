"""How the weight gradient with filters in the lanes cuts a convolution into blocks, panels and chunks, and where
everything lies.

The split of every sum follows from the sizes alone, never from the number of threads.
"""

from cython cimport floating

from fastconv._core.problem.blocks cimport block_pixels
from fastconv._core.problem.lanes cimport fits_closely, position_count
from fastconv._core.problem.problem cimport ceildiv, rounded
from fastconv._core.runtime.isa cimport tile_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_MAX_NV

cdef enum:
    BLOCK_BYTES = 512 << 10   # of x and grad_output of a block: they stay in L2
    FEWEST_PIXELS = 256       # of a block,
    MOST_PIXELS = 4096        # at most
    PARTIAL_BYTES = 4 << 20   # chunks' sums, together
    MOST_CHUNKS = 16          # and groups
    CHUNK_PIXELS = 2048


cdef WeightLayout lay_out_weights(const Problem *p, const floating *unused) noexcept nogil:
    cdef WeightLayout l
    cdef Py_ssize_t size = sizeof(floating), a_pixel, numbers = sizeof(Py_ssize_t) // sizeof(floating)
    cdef Py_ssize_t sums, most
    l.lanes, l.mr = vector_length(unused), tile_rows(unused)
    l.width = l.lanes if p.k <= l.lanes else FC_MAX_NV * l.lanes
    l.panels = ceildiv(p.k, l.width)
    l.pixel = p.c if fits_closely(p, l.lanes) else l.lanes
    l.vectors = ceildiv(p.c, l.lanes)
    a_pixel = (l.panels * l.width + l.vectors * l.pixel * p.stride_h * p.stride_w) * size
    if p.xc == 1:    # groups lie side by side in a pixel, share cache lines: they meet a block while L2 has it
        a_pixel *= p.groups
    l.blocking = block_pixels(p, max(FEWEST_PIXELS, min(MOST_PIXELS, BLOCK_BYTES // a_pixel)))
    l.pixels = l.blocking.images * l.blocking.rows * l.blocking.cols
    l.band_rows = (l.blocking.rows - 1) * p.stride_h + (p.r - 1) * p.dilation_h + 1
    l.band_cols = (l.blocking.cols - 1) * p.stride_w + (p.s - 1) * p.dilation_w + 1
    l.image_pitch = l.band_rows * l.band_cols * l.pixel
    l.channel_pitch = l.blocking.images * l.image_pitch + 2 * l.lanes
    l.row_step = p.stride_h * l.band_cols * l.pixel
    l.rows = p.c * p.r * p.s
    l.panel_sums = rounded(l.rows * l.width)
    # chunks of the blocks, as many as threads may want and each of them pays, and when their sums go to the totals
    sums = p.groups * l.panels * l.panel_sums
    most = ceildiv(MOST_CHUNKS, p.groups)
    if p.xc == 1 and p.groups > 1:    # and a chunk
        most = max(most, p.n * p.groups * (p.c * p.h * p.w + p.k * p.oh * p.ow) * size // BLOCK_BYTES)
    l.chunks = min(l.blocking.count, most)
    l.chunks = max(1, min(l.chunks, min(ceildiv(p.n * p.oh * p.ow, CHUNK_PIXELS), PARTIAL_BYTES // (sums * size))))
    l.blocks_a_run = max(1, RUN * RUN // l.pixels)
    l.long_sums = l.chunks > 1 or l.blocking.count > l.blocks_a_run
    l.totals_size = l.chunks * sums if l.long_sums else 0
    # a thread's scratch: where each RUN of pixels begins among the runs, the runs, X and then a tile, a packed panel,
    # sums
    l.x_at = numbers * rounded(ceildiv(l.pixels, RUN) + 1
                               + 3 * (l.blocking.images * l.blocking.rows + ceildiv(l.pixels, RUN)))
    l.packed_at = l.x_at + rounded(max(l.vectors * l.channel_pitch, l.width * FC_MAX_NV * l.lanes))
    l.sums_at = l.packed_at + rounded(l.pixels * l.width)
    l.at_size = rounded(position_count(p, l.band_rows, l.band_cols))
    l.tables_size = l.at_size + 2 * rounded(l.pixels)
    return l
