"""How Winograd's weight gradient is cut into blocks and panels, and where everything lies: see gradient_layout.pyx."""
from fastconv._core.problem.problem cimport Problem
from fastconv._core.winograd.layout cimport WinogradLayout

cdef enum:
    RUN_TILES = 128    # that a product adds one after the other: see src_c/reduce.h

# What is the same for all blocks of a call. Sizes in elements.
cdef struct WinogradGradientLayout:
    WinogradLayout x, y                       # how patches of x become V, and tiles of grad_output Z
    int team
    bint private                              # chunks are spread over the threads, not what is in them
    bint kept                                 # sums stay from block to block
    Py_ssize_t mr                             # filters of a tile of a product, at most
    Py_ssize_t chunks, block_strips, blocks   # blocks of a chunk, the longest
    Py_ssize_t blocks_at_once                 # whose sums are added one after the other, before they go to the totals
    Py_ssize_t filter_panels, channel_panels
    Py_ssize_t vectors                        # of channels of a panel
    Py_ssize_t u_row, u_point, u_size         # of a panel's sums: from one filter, one point, one panel to the next
    Py_ssize_t u_at, row_at, v_at, z_at, thread_size
    Py_ssize_t v_size, z_size, shared_size
    Py_ssize_t totals                         # of a chunk, or 0 where sums go straight to the gradient

cdef Problem gradient_as_image(const Problem *g) noexcept nogil
cdef WinogradGradientLayout lay_out_gradient(const Problem *g, const Problem *y, Py_ssize_t size,
                                             int team) noexcept nogil
cdef Py_ssize_t tables_size(const WinogradGradientLayout *l) noexcept nogil
cdef Py_ssize_t gradient_bytes(const WinogradGradientLayout *l) noexcept nogil
