"""How the driver with channels in the lanes cuts a convolution, and where everything lies: see layout.pyx."""
from cython cimport floating

from fastconv._core.direct.tiles cimport Tiling
from fastconv._core.problem.blocks cimport Blocking
from fastconv._core.problem.problem cimport Problem

# What is the same for all blocks of a call; sizes in elements.
cdef struct DirectLayout:
    Blocking blocking
    Tiling tiling
    int lanes, vectors                 # vectors of a panel
    int tall                           # outputs of a tile of one vector, at most
    bint narrow                        # the last one is of one vector
    Py_ssize_t chunk                   # channels of filters that are transposed at a time
    bint private                       # blocks are spread over the threads, not what is in them
    bint stored                        # tiles go straight to y
    bint beforehand                    # filters are packed before the first block,
    bint far                           # although they do not stay in L2
    bint in_place                      # there is no X: tiles are read from x,
    bint each_tile                     # and each by all panels, one after the other
    Py_ssize_t pixel                   # of X: from one to the next
    Py_ssize_t depth                   # of the product: where pixels of X lie close, a row of taps counts as one
    Py_ssize_t cut                     # of the depth, that all tiles meet before the next: its B stays in L1
    Py_ssize_t band_rows, band_cols
    # From channel to channel, and row to row, of planes that are read as they are.
    Py_ssize_t plane_pitch, line_pitch
    Py_ssize_t image_pitch, channel_pitch, part_pitch   # of X; the last from one cut to the next
    Py_ssize_t row_step, pixel_step    # from output to output, where tiles are read
    Py_ssize_t tap_row, tap_column     # from tap to tap there
    Py_ssize_t panels, width           # of a group; filters of one
    Py_ssize_t pairs, steps            # pairs of panels that share tiles come first; these and the others are steps
    Py_ssize_t x_size, at_size, b_size, y_size
    Py_ssize_t filters_size            # B of all panels of all groups
    Py_ssize_t taps_at, bias_at        # of a rectangle, in the scratch of a thread
    Py_ssize_t x_at, filters_at        # X, and such a B, in the scratch of a thread or in what is shared
    Py_ssize_t scratch_size, shared_size, tables_size    # of a thread; of all; numbers of the tables, of all


cdef inline Py_ssize_t panel_of(const DirectLayout *l, Py_ssize_t step) noexcept nogil:
    """The first panel of a step."""
    return step + min(step, l.pairs)


cdef Problem only_met(Problem p) noexcept nogil
cdef Problem with_groups_joined(Problem p, int lanes) noexcept nogil
cdef DirectLayout lay_out(const Problem *p, int team, const floating *unused) noexcept nogil
cdef void leave_out_filters(DirectLayout *l) noexcept nogil
cdef double work(const Problem *p) noexcept nogil    # about the nanoseconds on one thread


cdef inline Py_ssize_t total_bytes(const DirectLayout *l, int team, Py_ssize_t size) noexcept nogil:
    """Of scratch, for elements of so many."""
    return l.tables_size * <Py_ssize_t>sizeof(Py_ssize_t) + (l.shared_size + team * l.scratch_size) * size
