"""Any window, from a padded band: of planes, or of pixels whose channels are neighbours in memory (NHWC).

    parallel for image, block of channels, block of rows, block of columns:
        fill the padded band (problem/band.pyx; the stride's phases apart)
        across: band -> best (or sum) of the first few columns of a window and which it was, buffers of the band's size;
                widened, with a comparison (an addition) for every doubling, to all S columns
        down:   the same widened to a part of the R rows;
                for row of outputs: best (or sum) of the few parts that make R rows -> y

So the cost of a window grows with the logarithm of its sides, where its taps follow each other in the band. Maxima of
windows that overlap are joined; sums of windows that touch are, so nothing is ever taken off a sum: each is as right as
one of log2 S + log2 R terms, and what is not finite stays where it is seen. M. van Herk, "A fast algorithm for local
minimum and maximum filters on rectangular and octagonal kernels", 1992, needs three comparisons a pixel whatever the
size, but one after the other along a row, where the lanes are.

A pixel of the band is one element of a plane, or the elements of a unit's channels: the loops below are the same, all
distances being multiplied by so many `lanes`. The band and its two copies hold about FLAT elements each and stay in L1,
for tall windows about DEEP, in L2: a block is to be four times as high as the rows that it shares with the next. Where
one row of outputs needs more, its columns are cut into blocks too. The padding of maxima is -inf, which wins nothing:
an output whose window holds nothing but -inf gets the index of its first pixel afterwards.

The gradient of an average with stride 1 is a sum over such windows too, of the shares: the gradients over what each
window counts.
"""

from cython cimport floating
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t

from fastconv._core.problem.band cimport CONSTANT, Band, axis, fill, fill_pixels, layout, tap_offsets
from fastconv._core.problem.problem cimport ceildiv
from fastconv._core.runtime.isa cimport (
    max_across, max_down, max_widen, mean_down, spread_row, sum_across, sum_widen,
)
from fastconv._core.runtime.kernels cimport FC_MAX_LANES, fc_down
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team
from fastconv._core.pooling.problem cimport PoolProblem
from fastconv._core.pooling.windows cimport span

cdef enum:
    FLAT = 4096                # elements of a band; more only where one row of outputs, or its window's rows, need more
    DEEP = 32768               # of such a band; more only where a window has a large part of its columns
    MOST = 1 << 18             # of any band: three buffers of doubles stay under 8 MB
    PIXEL = 64                 # channels of a pixel of the band; fewer where a window's rows need much
    SLACK = 2 * FC_MAX_LANES   # elements behind a buffer that whole vectors may touch
    NARROW = 64                # columns of x that a block has at least, unless even one row of outputs needs too much
    FEW = 4                    # taps, or rows, that are compared or added without widening

cdef Py_ssize_t POSITIONS = 1 << 31    # of a window, that 32 bits can tell apart

# About the nanoseconds of an element of x, for the thread policy.
cdef double COST = 0.4

# What the units of a call share.
cdef struct BandCall:
    const PoolProblem *g
    const BandLayout *l

# One unit: `planes` channels, `rows` rows of outputs from i on, `cols` columns from j on; and where its tables and
# buffers are. A pixel of the band has `lanes` elements, a row of it `pitch`, and taps of a row that are a period apart
# are `step` elements apart; 0 where taps share nothing.
cdef struct BandUnit:
    Py_ssize_t planes, i, rows, j, cols, lanes, pitch, step, band_rows
    Py_ssize_t *taps         # of the band's columns
    Py_ssize_t *down         # of its rows: which make an output, and how many positions behind the first they are
    Py_ssize_t *positions
    void *columns            # of a maximum: the outputs' positions; of an average: what they count
    void *band
    void *best
    void *tap                # NULL where no index is wanted


cdef pool_from_bands(const PoolProblem *g, const BandLayout *l, floating *unused):
    cdef int threads = team(COST * g.n * g.c * g.rows.size * g.cols.size)
    cdef Block scratch = take(threads * l.scratch_size * sizeof(floating))
    cdef BandCall call
    call.g, call.l = g, l
    with nogil:
        in_parallel(band_unit[floating], &call, l.units, threads, EVENLY, <floating *>scratch.data, l.scratch_size)


# ---------------------------------------------------------------------------------------------------------------------
# Blocks


cdef void band_of(const PoolProblem *g, Py_ssize_t rows, Py_ssize_t cols, Band *band) noexcept nogil:
    """The band of so many rows and columns of outputs, but for its pitches."""
    band.rows = axis(g.rows.size, rows, g.rows.kernel_size, g.rows.stride, g.rows.dilation)
    band.cols = axis(g.cols.size, cols, g.cols.kernel_size, g.cols.stride, g.cols.dilation)
    band.row_stride, band.col_stride = g.xh, g.xw
    band.padding = CONSTANT


cdef double pixels_of(const PoolProblem *g, Py_ssize_t rows, Py_ssize_t cols) noexcept:
    """Of the band of so many rows and columns of outputs."""
    cdef Band band
    band_of(g, rows, cols, &band)
    return <double>band.rows.pieces * band.rows.length * band.cols.pieces * band.cols.length


cdef bint lay_out_band(const PoolProblem *g, BandLayout *l, Py_ssize_t size) noexcept:
    """size is that of an element."""
    cdef Band band
    cdef double tall = <double>(g.rows.kernel_size - 1) * g.rows.dilation
    cdef double wide = <double>(g.cols.kernel_size - 1) * g.cols.dilation
    cdef Py_ssize_t lanes = min(g.c, PIXEL) if l.lanes else 1, deep
    l.rows, l.cols, l.planes = g.rows.outputs, g.cols.outputs, lanes
    if not l.average and tall * g.cols.size + wide + <double>FC_MAX_LANES * g.cols.stride >= POSITIONS:
        return False
    if pixels_of(g, l.rows, l.cols) * lanes > FLAT:
        deep = <Py_ssize_t>max(1, min(<double>l.rows, 4 * tall / g.rows.stride))
        while lanes > FC_MAX_LANES and pixels_of(g, deep, l.cols) * lanes > DEEP:
            lanes = (lanes // 2 + 15) // 16 * 16
        while l.cols * g.cols.stride > max(4 * wide, NARROW) and pixels_of(g, deep, l.cols) * lanes > DEEP:
            l.cols = (l.cols + 1) // 2
        while l.rows > deep and pixels_of(g, l.rows, l.cols) * lanes > FLAT:
            l.rows = max(deep, (l.rows + 1) // 2)
        while l.rows > 1 and pixels_of(g, l.rows, l.cols) * lanes > DEEP:
            l.rows = (l.rows + 1) // 2
        while l.cols > 1 and pixels_of(g, l.rows, l.cols) * lanes > (DEEP if l.cols * g.cols.stride > 4 * wide
                                                                     else MOST):
            l.cols = (l.cols + 1) // 2
        if pixels_of(g, l.rows, l.cols) * lanes > MOST:
            return False
    if l.lanes and g.c > lanes:    # blocks of channels of about one size
        lanes = min(lanes, (ceildiv(g.c, ceildiv(g.c, lanes)) + 15) // 16 * 16)
    l.planes = lanes
    band_of(g, l.rows, l.cols, &band)
    layout(&band, SLACK)
    if not l.lanes and l.rows == g.rows.outputs and l.cols == g.cols.outputs:
        l.planes = min(g.c, max(1, FLAT // band.channel_pitch))
    l.row_blocks, l.col_blocks = ceildiv(g.rows.outputs, l.rows), ceildiv(g.cols.outputs, l.cols)
    l.groups = ceildiv(g.c, l.planes)
    l.units = g.n * l.groups * l.row_blocks * l.col_blocks
    l.columns_at = ((g.cols.kernel_size + 2 * g.rows.kernel_size) * 8 // 64 * 64 + 64) // size
    l.band_at = l.columns_at + (l.cols * lanes + SLACK + 15) // 16 * 16
    l.buffer = l.planes * band.channel_pitch + band.pitch * lanes + SLACK
    l.buffer = (l.buffer * size // 64 * 64 + 64) // size
    l.scratch_size = l.band_at + 3 * l.buffer
    return True


cdef void band_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    cdef const PoolProblem *g = (<const BandCall *>data).g
    cdef const BandLayout *l = (<const BandCall *>data).l
    cdef Py_ssize_t block = index // l.col_blocks, plane = block // l.row_blocks
    cdef Py_ssize_t n = plane // l.groups, c = plane % l.groups * l.planes, at, p
    cdef Band band
    cdef BandUnit u
    cdef floating *band_data = scratch + l.band_at
    u.j, u.i = index % l.col_blocks * l.cols, block % l.row_blocks * l.rows
    u.planes = min(l.planes, g.c - c)
    u.rows, u.cols = min(l.rows, g.rows.outputs - u.i), min(l.cols, g.cols.outputs - u.j)
    u.lanes = u.planes if l.lanes else 1
    u.taps = <Py_ssize_t *>scratch
    u.down = u.taps + g.cols.kernel_size
    u.positions = u.down + g.rows.kernel_size
    u.columns, u.best = scratch + l.columns_at, band_data + l.buffer
    u.tap = band_data + 2 * l.buffer if g.index != NULL else NULL
    band_of(g, u.rows, u.cols, &band)
    band.rows.start, band.cols.start = g.rows.start + u.i * g.rows.stride, g.cols.start + u.j * g.cols.stride
    layout(&band, SLACK)
    u.band_rows, u.pitch = band.rows.pieces * band.rows.length, band.pitch * u.lanes
    u.step = band.cols.period * band.cols.dilation // band.cols.stride * u.lanes
    set_tables(g, l, &u, &band, scratch)
    if l.lanes:
        fill_pixels(&band, <const floating *>g.x + n * g.xn + c * g.xc, u.lanes,
                    <floating>(0 if l.average else -INFINITY), band_data)
    else:
        fill(&band, <const floating *>g.x + n * g.xn + c * g.xc, g.xc, u.planes,
             <floating>(0 if l.average else -INFINITY), band_data)
    if l.shares != NULL:
        share_out(l, &u, &band, band_data)
    for p in range(1 if l.lanes else u.planes):
        u.band = band_data + p * band.channel_pitch
        at = n * g.yn + (c + p) * g.yc + u.i * g.yh + u.j * g.yw
        if l.average:
            average_of_block(g, l, &u, &band, <floating *>g.y + at)
        else:
            maximum_of_block(g, &u, &band, <floating *>g.y + at, g.index + at if g.index != NULL else NULL)


cdef void set_tables(const PoolProblem *g, const BandLayout *l, BandUnit *u, const Band *band,
                     floating *unused) noexcept nogil:
    """The taps along a row and along a column; of each output its position behind the first one's, or the columns that
    it counts, which the last vector reads past the end."""
    cdef Band one = band[0]
    cdef Py_ssize_t i, c
    one.rows.taps = 1
    tap_offsets(&one, u.taps)
    one.rows.taps, one.cols.taps = band.rows.taps, 1
    tap_offsets(&one, u.down)
    for i in range(g.cols.kernel_size):
        u.taps[i] *= u.lanes
    for i in range(g.rows.kernel_size):
        u.down[i] *= u.lanes
        u.positions[i] = i * g.rows.dilation * g.cols.size
    for i in range(u.cols):
        for c in range(u.lanes):
            if l.average:
                (<floating *>u.columns)[i * u.lanes + c] = <floating>(span(&g.cols, u.j + i).count)
            elif floating is float:
                (<int32_t *>u.columns)[i * u.lanes + c] = <int32_t>(i * g.cols.stride)
            else:
                (<int64_t *>u.columns)[i * u.lanes + c] = i * g.cols.stride
    for i in range(u.cols * u.lanes, u.cols * u.lanes + SLACK):
        (<floating *>u.columns)[i] = 1


cdef inline Py_ssize_t row_length(const PoolProblem *g, const BandUnit *u, Py_ssize_t *count) noexcept nogil:
    """A row of y is `count` pieces of neighbours in memory, yw apart: this many elements each."""
    if u.lanes == g.yw:
        count[0] = 1
        return u.cols * u.lanes
    count[0] = u.cols
    return u.lanes


# ---------------------------------------------------------------------------------------------------------------------
# Maxima


cdef void maximum_of_block(const PoolProblem *g, const BandUnit *u, const Band *band, floating *y,
                           int64_t *index) noexcept nogil:
    """One plane, or pixel plane, of a unit."""
    cdef Py_ssize_t row, i, q, count, at, n = u.cols * u.lanes
    cdef Py_ssize_t length = row_length(g, u, &count)
    cdef int64_t base
    cdef fc_down down
    cdef floating *x = <floating *>u.band
    cdef floating *best = <floating *>u.best
    cdef floating *tap = <floating *>u.tap    # integers of the same size
    if band.cols.pieces == 1:
        best_across(u, band, x, best, tap, u.band_rows * u.pitch - (band.cols.taps - 1) * u.step)
    else:
        for row in range(u.band_rows):
            best_across(u, band, x + row * u.pitch, best + row * u.pitch, tap + row * u.pitch if tap != NULL else NULL,
                        n)
    down.n_rows = best_down(u, band, best, tap, g.rows.dilation * g.cols.size)
    down.rows, down.positions = u.down, u.positions
    for i in range(u.rows):
        base = (band.rows.start + i * g.rows.stride) * g.cols.size + band.cols.start
        for q in range(count):
            down.columns = <const floating *>u.columns + q * length
            at = i * u.pitch + q * length
            max_down(&down, best + at, tap + at if tap != NULL else NULL, y + i * g.yh + q * g.yw,
                     index + i * g.yh + q * g.yw if index != NULL else index, base, length)
        if index != NULL:
            set_first_pixels(g, u, u.i + i, base, index + i * g.yh)


cdef void best_across(const BandUnit *u, const Band *band, const floating *x, floating *best, floating *tap,
                      Py_ssize_t n) noexcept nogil:
    """n elements. A window of `width` taps and one that begins a number of periods later, no later than the first ends,
    make a wider one."""
    cdef Py_ssize_t widths[64]
    cdef Py_ssize_t width = band.cols.taps, period = band.cols.period, shift
    cdef int count = 0
    if period:
        while width > FEW and width // 2 >= period:
            widths[count] = width
            count += 1
            width -= width // 2 // period * period
        if count:
            n += (band.cols.taps - width) // period * u.step
    max_across(x, u.taps, <int>width, band.cols.dilation, best, <void *>tap, n)
    while count:
        count -= 1
        shift = (widths[count] - width) // period * u.step
        n -= shift
        max_widen(best, <void *>tap, shift, (widths[count] - width) * band.cols.dilation, n)
        width = widths[count]


cdef int best_down(const BandUnit *u, const Band *band, floating *best, floating *tap,
                   Py_ssize_t row_step) noexcept nogil:
    """Leaves in u.down and u.positions the rows that make an output, and returns how many."""
    cdef Py_ssize_t taps = band.rows.taps, width = 1, valid = u.band_rows, i, t, row
    if band.rows.period != 1 or taps <= FEW or u.rows * taps <= 4 * u.band_rows:
        return <int>taps
    row = band.rows.dilation // band.rows.stride
    while ceildiv(taps, width) > FEW:
        valid -= width * row
        max_widen(best, <void *>tap, width * row * u.pitch, width * row_step, valid * u.pitch)
        width *= 2
    for i in range(ceildiv(taps, width)):
        t = min(i * width, taps - width)
        u.down[i], u.positions[i] = t * row * u.pitch, t * row_step
    return <int>ceildiv(taps, width)


cdef void set_first_pixels(const PoolProblem *g, const BandUnit *u, Py_ssize_t i, int64_t base,
                           int64_t *index) noexcept nogil:
    """Outputs of row i whose index is their window's first tap although that lies in the padding: all was -inf."""
    cdef Py_ssize_t j, c, row = span(&g.rows, i).first * g.cols.size, first
    for j in range(u.cols):
        first = row + span(&g.cols, u.j + j).first
        if first == base + j * g.cols.stride:
            return    # neither this window nor a later one starts in the padding
        for c in range(u.lanes):
            if index[j * g.yw + c] == base + j * g.cols.stride:
                index[j * g.yw + c] = first


# ---------------------------------------------------------------------------------------------------------------------
# Sums


cdef void average_of_block(const PoolProblem *g, const BandLayout *l, const BandUnit *u, const Band *band,
                           floating *y) noexcept nogil:
    cdef Py_ssize_t row, i, q, count, n = u.cols * u.lanes
    cdef Py_ssize_t length = row_length(g, u, &count)
    cdef floating *x = <floating *>u.band
    cdef floating *sum = <floating *>u.best
    cdef const floating *counts
    cdef int parts
    if band.cols.pieces == 1:
        sum_of_columns(u, band, x, sum, u.band_rows * u.pitch - (band.cols.taps - 1) * u.step)
    else:
        for row in range(u.band_rows):
            sum_of_columns(u, band, x + row * u.pitch, sum + row * u.pitch, n)
    parts = sum_of_rows(u, band, sum, x)    # what was the band is free
    for i in range(u.rows):
        for q in range(count):
            counts = <const floating *>u.columns + q * length if l.shares == NULL else NULL
            mean_down(sum + i * u.pitch + q * length, u.down, parts,
                      <floating>span(&g.rows, u.i + i).count if l.shares == NULL else 1, counts,
                      y + i * g.yh + q * g.yw, length)


cdef void sum_of_columns(const BandUnit *u, const Band *band, const floating *x, floating *sum,
                         Py_ssize_t n) noexcept nogil:
    """n elements. Two sums of `width` taps, and one tap more where their number is odd, make one of twice the width."""
    cdef Py_ssize_t width = band.cols.taps
    cdef int doublings = 0
    if band.cols.period == 1:
        while width > 2 * FEW:
            width //= 2
            doublings += 1
        n += (band.cols.taps - width) * u.step
    sum_across(x, u.taps, <int>width, sum, n)
    while doublings:
        doublings -= 1
        n -= ((band.cols.taps >> doublings) - width) * u.step
        sum_widen(sum, x if band.cols.taps >> doublings & 1 else NULL, width * u.step, sum, n)
        width = band.cols.taps >> doublings


cdef int sum_of_rows(const BandUnit *u, const Band *band, const floating *sum, floating *wider) noexcept nogil:
    """Leaves in u.down the rows, seen from `sum`, whose sum is an output's, and returns how many. `wider` is a buffer
    for sums of more rows than one."""
    cdef Py_ssize_t taps = band.rows.taps, width = 1, row, next_width
    cdef int doublings = 0
    if band.rows.period != 1 or taps <= FEW or u.rows * taps <= 4 * u.band_rows:
        return <int>taps
    row = band.rows.dilation // band.rows.stride * u.pitch
    while taps >> doublings > 1:
        doublings += 1
    while doublings > 1:    # the last one is made with the outputs
        doublings -= 1
        next_width = taps >> doublings
        sum_widen(sum if width == 1 else wider, sum if next_width & 1 else NULL, width * row, wider,
                  u.band_rows * u.pitch - (next_width - 1) * row)
        width = next_width
    u.down[0] = wider - sum
    u.down[1] = wider - sum + width * row
    u.down[2] = 2 * width * row
    return 3 if taps & 1 else 2


cdef void share_out(const BandLayout *l, const BandUnit *u, const Band *band, floating *x) noexcept nogil:
    """Divides the gradients in the band, rows and columns of which are outputs of the average, by what these count."""
    cdef const PoolProblem *shares = l.shares
    cdef floating *counts = <floating *>u.best    # before any sum is there
    cdef Py_ssize_t i, j, c, _plane
    for j in range(band.pitch):
        i = band.cols.start + j
        for c in range(u.lanes):
            counts[j * u.lanes + c] = <floating>(span(&shares.cols, i).count if 0 <= i < shares.cols.outputs else 1)
    for _plane in range(1 if l.lanes else u.planes):
        for j in range(u.band_rows):
            i = band.rows.start + j
            if 0 <= i < shares.rows.outputs:
                spread_row(x + j * u.pitch, 1, <floating>span(&shares.rows, i).count, counts, x + j * u.pitch, 1,
                           u.pitch)
        x = x + band.channel_pitch
