"""How the data gradient of all phases cuts a convolution, and where everything lies: see phased_layout.pyx."""
from fastconv._core.problem.blocks cimport Blocking, PixelBlock
from fastconv._core.problem.convolution cimport Window
from fastconv._core.problem.lanes cimport LaneBand, lane_band
from fastconv._core.problem.problem cimport Problem, ceildiv


# One phase of rows or columns: its first position and how many there are, its first tap and how many;
# `at` is where in X the last of these meets position 0.
cdef struct AxisPhase:
    Py_ssize_t first, outputs, tap, taps, at


# The phases along one axis, of which `count` have taps; `most` positions in steps of the stride; pixels of X before the
# first, all of them, and as many more than positions as a part needs: `length` has less where far phases end early.
cdef struct PhasedAxis:
    Py_ssize_t stride, tap_step, dilation, count, most, before, length, halo
    AxisPhase *phases


# What is the same for all blocks of a call. Sizes in elements, of tables in numbers.
cdef struct PhasedLayout:
    Blocking blocking
    PhasedAxis rows, columns
    int lanes, mr
    Py_ssize_t width, panels, vectors           # channels of a panel; panels; vectors of filters
    Py_ssize_t halo                             # rows of X more than of a block
    Py_ssize_t copies                           # of the rows of X, each of which begins one column later
    Py_ssize_t pitch, column_step               # of X, in pixels: from row to row, from column to column for a tap
    Py_ssize_t band_rows, image_pitch, vector_pitch
    Py_ssize_t strip, pieces                    # rows of a strip; parts that the strips of a block are shared out in
    bint covers                                 # each pixel is met by some tap
    bint stored                                 # tiles go straight to grad_x
    bint beforehand                             # B of all panels, of all groups, is packed before the first block
    Py_ssize_t taps                             # of all phases
    Py_ssize_t y_pitch                          # of Y, in pixels
    Py_ssize_t b_size, at_size, y_size, ordered_size, x_size
    Py_ssize_t bias_at, at_at, x_at, b_at       # in a thread's scratch, behind Y: X where there are groups
    Py_ssize_t filters_at                       # B of all panels, in what threads share, behind X where there are none
    Py_ssize_t thread_size, shared_size, table_size


# What the units of a group share. `positions` is the table of fill_lanes; `offsets` where the taps of all phases
# lie in X; `places` of each tap of a filter: how many taps the phases before its own have or -1, its number
# in its own, how many that has.
cdef struct PhasedCall:
    const Problem *g         # x is grad_output, y is grad_x
    const PhasedLayout *l
    Py_ssize_t *positions
    Py_ssize_t *offsets
    Py_ssize_t *places
    PixelBlock block
    void *x
    void *b                  # of all panels of the group, or NULL


cdef inline LaneBand copy_of_rows(const Problem *g, const PhasedLayout *l, Py_ssize_t copy) noexcept nogil:
    """The band of one of the copies of X's rows."""
    return lane_band(g, copy - l.columns.before, l.pitch, l.lanes)


cdef inline Py_ssize_t width_of(const PhasedCall *call, Py_ssize_t panel) noexcept nogil:
    """The channels of a panel, filled up to whole vectors."""
    return ceildiv(min(call.l.width, call.g.k - panel * call.l.width), call.l.lanes) * call.l.lanes


cdef Problem in_steps(const Problem *g, const PhasedLayout *l) noexcept nogil
cdef PhasedLayout lay_out(const Problem *g, Window window, int team, AxisPhase *phases, Py_ssize_t size) noexcept
cdef void leave_out_filters(PhasedLayout *l) noexcept
cdef void fill_tables(PhasedCall *call, Py_ssize_t *tables) noexcept nogil
