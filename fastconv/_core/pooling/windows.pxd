"""The windows of a pooling along rows and columns: see windows.pyx."""

cdef struct PoolAxis:
    Py_ssize_t size, outputs
    Py_ssize_t kernel_size    # 0 where the windows differ in size (adaptive pooling)
    Py_ssize_t stride         # adaptive: size // outputs
    Py_ssize_t rest           # adaptive: size % outputs
    Py_ssize_t dilation
    Py_ssize_t start          # of output 0's window; negative in the padding
    Py_ssize_t end            # of what an average counts; 0 where it counts pixels alone

# The window of one output: its first tap inside the image, taps inside the image, and what an average divides by.
cdef struct Span:
    Py_ssize_t first, taps, count

cdef enum Method:
    PAIRS, BAND, RUNS            # see windows.pyx
    WHOLE, LANES, CHANNELS       # what memory makes of them: see forward.pyx

cdef class Windows:
    cdef PoolAxis rows, cols
    cdef Method method


cdef inline Span span(const PoolAxis *a, Py_ssize_t i) noexcept nogil:
    """The window of output i. The products stay within 64 bits: positions are those of an array, and i rest <
    outputs^2."""
    cdef Span s
    cdef Py_ssize_t start = a.start + i * a.stride, last, skipped
    s.first, s.taps = start, a.kernel_size
    if a.kernel_size == 0:
        last = start + a.stride
        if a.rest:
            s.first += i * a.rest // a.outputs
            last += ((i + 1) * a.rest + a.outputs - 1) // a.outputs
        s.taps = s.count = last - s.first
        return s
    if start < 0:
        skipped = (a.dilation - 1 - start) // a.dilation
        s.first += skipped * a.dilation
        s.taps -= skipped
    if start + (a.kernel_size - 1) * a.dilation >= a.size:
        s.taps = (a.size - 1 - s.first) // a.dilation + 1
    s.count = min(start + a.kernel_size, a.end) - start if a.end else s.taps
    return s


cdef inline Py_ssize_t first_reaching(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """The first output whose window ends behind a position of the image; `outputs` where there is none."""
    cdef Py_ssize_t low = 0, high = a.outputs, middle
    cdef Span s
    while low < high:
        middle = low + (high - low) // 2
        s = span(a, middle)
        if s.first + (s.taps - 1) * a.dilation >= position:
            high = middle
        else:
            low = middle + 1
    return low


cdef inline double overlap(const PoolAxis *a) noexcept nogil:
    """The most windows that share a pixel."""
    if a.kernel_size == 0:
        return a.outputs // a.size + 2
    return min(a.outputs, min(a.kernel_size, (a.kernel_size - 1) * a.dilation // a.stride + 1))


cdef inline Py_ssize_t longest(const PoolAxis *a) noexcept nogil:
    """Taps of the longest window, or one more."""
    return a.kernel_size if a.kernel_size else a.stride + 2


cdef inline bint whole(const PoolAxis *rows, const PoolAxis *cols) noexcept nogil:
    """Whether there is one window, all of the plane and nothing else."""
    if rows.outputs != 1 or cols.outputs != 1:
        return False
    cdef Span r = span(rows, 0), c = span(cols, 0)
    return r.first == 0 == c.first and r.taps == r.count == rows.size and c.taps == c.count == cols.size


cdef inline bint overlapping(const PoolAxis *rows, const PoolAxis *cols) noexcept nogil:
    """Whether windows share so many pixels that rows, then columns, are cheaper than each window by itself: a band
    costs about two steps a pixel, and each of its steps, which go through buffers, as much as two in registers."""
    cdef double r = rows.kernel_size, s = cols.kernel_size
    return r * s > 2 * (rows.stride * s + r + 2 * rows.stride * cols.stride)


cdef inline bint covered(const PoolAxis *a) noexcept nogil:
    """Whether each pixel is in a window."""
    if a.kernel_size == 0:
        return True
    return (a.start <= 0 and (a.stride <= a.kernel_size or a.outputs == 1) and a.dilation == 1
            and a.start + (a.outputs - 1) * a.stride + (a.kernel_size - 1) * a.dilation + 1 >= a.size)
