"""Where the outputs of a pooling look, and which driver loop serves them.

Which pixels output i sees, and by how many an average divides, follows from i in a few integer operations (`span`), so
there is nothing to keep for a geometry but its numbers. The padding of a pooling never holds a value, so nothing else
is needed for a border.

The loops for planes (of pixels that are neighbours in memory along a row) are PAIRS: 2 x 2 windows with step 2,
straight from pairs of rows; BAND: from a padded copy, a few rows at a time; RUNS: each window by itself, for windows
that are large, or far apart, or of different sizes. Where x lies otherwise in memory, or a window is the plane, the
loops forward choose another (forward.pyx).
"""

cdef enum:
    FAR = 16         # columns between windows from which on a padded band, a row for each of them, does not pay
    LARGE = 32768    # rows and columns of a window from which on the tables of a band do not pay

cdef Py_ssize_t WIDEST = 2**31 - 256    # columns of PAIRS, which keep positions in 32 bits


cdef class Windows:
    """The windows of a pooling along rows and columns."""

    @property
    def output_size(self):
        return self.rows.outputs, self.cols.outputs


cdef PoolAxis sliding(size, kernel_size, stride, pads, dilation, outputs, count_include_pad):
    cdef PoolAxis a
    before, after = pads
    a.size, a.outputs, a.kernel_size, a.stride, a.dilation = size, outputs, kernel_size, stride, dilation
    a.rest, a.start = 0, -before
    # A window of ceil_mode may reach beyond the padding: that part never counts.
    a.end = size + after if count_include_pad else 0
    return a


cdef bint inside(const PoolAxis *a) noexcept:
    return a.start == 0 and (a.outputs - 1) * a.stride + a.kernel_size <= a.size


cdef bint in_pairs(const PoolAxis *a) noexcept:
    return a.kernel_size == a.stride == 2 and a.dilation == 1 and inside(a)


def sliding_windows(size, kernel_size, stride, pads, dilation, outputs, count_include_pad):
    """The windows of max_pool2d and avg_pool2d; all arguments are pairs, pads of pairs."""
    cdef Windows w = Windows.__new__(Windows)
    w.rows = sliding(size[0], kernel_size[0], stride[0], pads[0], dilation[0], outputs[0], count_include_pad)
    w.cols = sliding(size[1], kernel_size[1], stride[1], pads[1], dilation[1], outputs[1], count_include_pad)
    if in_pairs(&w.rows) and in_pairs(&w.cols) and w.cols.size <= WIDEST:
        w.method = PAIRS
    elif (kernel_size[0] + kernel_size[1] > LARGE
          or dilation == (1, 1) and (w.cols.outputs == 1 or w.cols.stride >= FAR)):
        w.method = RUNS
    else:
        w.method = BAND
    return w


cdef PoolAxis adaptive(Py_ssize_t size, Py_ssize_t outputs):
    cdef PoolAxis a
    a.size, a.outputs, a.kernel_size, a.dilation, a.start, a.end = size, outputs, 0, 1, 0, 0
    a.stride, a.rest = size // outputs, size % outputs
    return a


def adaptive_windows(size, outputs):
    """The windows of adaptive and global pooling: output i sees floor(i size / outputs) to ceil((i + 1) size /
    outputs)."""
    cdef Windows w = Windows.__new__(Windows)
    if size[0] % outputs[0] == 0 and size[1] % outputs[1] == 0:    # all of one size
        kernel_size = size[0] // outputs[0], size[1] // outputs[1]
        return sliding_windows(size, kernel_size, kernel_size, ((0, 0), (0, 0)), (1, 1), outputs, False)
    w.rows, w.cols = adaptive(size[0], outputs[0]), adaptive(size[1], outputs[1])
    w.method = RUNS
    return w
