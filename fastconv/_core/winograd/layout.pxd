"""How Winograd's driver cuts a convolution into blocks, and where everything lies: see layout.pyx."""
from fastconv._core.problem.convolution cimport Convolution
from fastconv._core.problem.problem cimport Problem, ceildiv, rounded
from fastconv._core.runtime.kernels cimport fc_contrast_blocks

cdef enum:
    CHANNELS_AT_ONCE = 64    # of filters, transposed for their transform

# Where the transformed filters are.
cdef enum Place:
    IN_PANELS     # each thread's scratch, a panel just before its use
    IN_COPIES     # each thread's scratch, all of them
    IN_ONE_PLACE

# What is the same for all blocks of a call. Sizes in elements.
cdef struct WinogradLayout:
    int scheme, points, filter_points, taps, step, lanes, team
    # of patches, filters, steps and tiles: 1 where they are of one dimension, the other one
    int patch_high, patch_wide, taps_high, taps_wide, step_high, step_wide, tile_high, tile_wide
    Py_ssize_t n_points, n_filter_points, n_taps      # in all
    Py_ssize_t size                          # of an element, in bytes
    Py_ssize_t mr                            # tiles that a product takes at most
    bint private                             # blocks are spread over the threads, not what is in them
    bint prepared                            # the transformed filters are the caller's
    Place place
    bint pixels                              # of x: a pixel's channels follow each other
    bint of_gradient                         # its patches are tiles of grad_output: see weight_gradient.pyx
    Py_ssize_t groups, channels, filters     # after groups were joined, of all but the last
    Py_ssize_t joined                        # groups in one vector
    Py_ssize_t depth                         # channels that a filter sees
    Py_ssize_t groups_at_once                # of a private block; 1 of a shared one
    Py_ssize_t vectors                       # of input channels
    Py_ssize_t panels, width                 # of output channels; output channels of one
    Py_ssize_t tiles, col_blocks, tile_rows  # tiles of a strip; strips side by side; rows of tiles of an image
    Py_ssize_t strips, blocks
    Py_ssize_t piece_strips, pieces          # strips of one band at most, bands one under the other
    Py_ssize_t vectors_at_once               # that are filled together
    Py_ssize_t rows, band_vector             # of a band; from one channel vector's to the next one's
    Py_ssize_t u_point, u_panel              # from one point, one panel of U to the next
    Py_ssize_t v_point, v_tiles              # from one point, one block of mr tiles of V to the next,
    Py_ssize_t v_tile, v_vector              # and within such a block from one tile, one vector of channels
    Py_ssize_t m_point
    # where the arrays of a thread's scratch begin, after its table of tiles, and the sizes of all that is shared
    Py_ssize_t band_at, weights_at, u_at, v_at, m_at, strip_at, thread_size
    Py_ssize_t table_size, u_size, v_size, shared_size
    double contrast    # of energies, above which a row of tiles is computed again; 0 for any
    fc_contrast_blocks blocks_of_contrast        # of a strip, but for `below`: 0, or from pixel to pixel
    int contrast_step                            # pixels from block to block
    Py_ssize_t places_at, inputs_size            # where their places begin in inputs_at, which has so many entries
    # the arrays of a call, which its driver takes
    const Py_ssize_t *inputs_at    # the table of transform_inputs
    const Py_ssize_t *taps_at      # the table of transform_panels
    void *bias                     # with zeros up to whole panels, or NULL
    void *u                        # all transformed filters, where they are in one place
    char *again                    # of each row of tiles of each image: whether it must be computed again

# What is being worked on: strips first .. last - 1 of all, and one group of channels.
cdef struct WinogradBlock:
    Py_ssize_t first, last, group
    Py_ssize_t *tile_at    # where in V each tile is
    void *v


cdef inline Py_ssize_t channels_of(const WinogradLayout *l, const Problem *g, Py_ssize_t group) noexcept nogil:
    return min(l.channels, g.groups * g.c - group * l.channels) if l.joined > 1 else l.channels


cdef inline Py_ssize_t filters_of(const WinogradLayout *l, const Problem *g, Py_ssize_t group) noexcept nogil:
    return min(l.filters, g.groups * g.k - group * l.filters) if l.joined > 1 else l.filters


cdef inline Py_ssize_t weights_size(const WinogradLayout *l) noexcept nogil:
    return rounded((CHANNELS_AT_ONCE * l.n_taps + 1) * l.lanes)


cdef inline Py_ssize_t taps_table_size(const WinogradLayout *l) noexcept nogil:
    return (CHANNELS_AT_ONCE + 1) * l.n_taps + l.lanes


cdef inline Py_ssize_t band_size(const WinogradLayout *l) noexcept nogil:
    """Elements of the bands that are filled together, and of the energies of a strip's blocks behind them."""
    return l.vectors_at_once * l.band_vector + rounded(l.blocks_of_contrast.rows * l.blocks_of_contrast.count + l.lanes)


cdef inline int tile_height(const Problem *g) noexcept nogil:
    """Rows of outputs of a tile: filters of one row, or one column, are filtered in one dimension."""
    return 1 if g.r == 1 else 4


cdef inline int tile_width(const Problem *g) noexcept nogil:
    return 1 if g.s == 1 else 4


cdef inline bint is_signal(const Problem *g) noexcept nogil:
    return g.r == 1 and g.h == 1 and g.oh == 1


cdef inline void fold(Problem *g) noexcept nogil:
    """A dilated signal as an image with rows as long as the dilation, the last of which may be too long."""
    g.h, g.w, g.oh, g.ow = ceildiv(g.w, g.dilation_w), g.dilation_w, ceildiv(g.ow, g.dilation_w), g.dilation_w
    g.r, g.s, g.dilation_w, g.xh, g.yh = g.s, 1, 1, g.w * g.xw, g.ow * g.yw


cdef inline Py_ssize_t tiles_of(const Problem *g) noexcept nogil:
    """Of all images."""
    return g.n * ceildiv(g.oh, tile_height(g)) * ceildiv(g.ow, tile_width(g))


cdef Problem problem_with_stride(Convolution conv) noexcept
cdef void lay_out_filters(WinogradLayout *l, const Problem *g, Py_ssize_t size) noexcept nogil
cdef void place_v(WinogradLayout *l, Py_ssize_t block_tiles) noexcept nogil
cdef void lay_out_bands(WinogradLayout *l, const Problem *g, Py_ssize_t block_strips) noexcept nogil
cdef Py_ssize_t filters_at_once(const Problem *g, Py_ssize_t size, int team) noexcept nogil
cdef WinogradLayout lay_out(const Problem *g, Py_ssize_t size, bint prepared, Py_ssize_t held, int team) noexcept nogil
