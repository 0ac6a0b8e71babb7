"""The windows of a pooling along rows and columns: see windows.pyx."""

cdef struct PoolAxis:
    Py_ssize_t size, outputs
    Py_ssize_t kernel_size    # 0 where the windows differ in size (adaptive pooling)
    Py_ssize_t stride         # adaptive: size // outputs
    Py_ssize_t rest           # adaptive: size % outputs
    Py_ssize_t total          # adaptive: the outputs of the whole axis, of which these are those from `skipped` on
    Py_ssize_t skipped
    Py_ssize_t dilation
    Py_ssize_t start          # of output 0's window; negative in the padding
    Py_ssize_t end            # of what an average counts; 0 where it counts pixels alone
    Py_ssize_t divisor        # what an average divides by, whatever a window holds; 0 where it counts

# The window of one output: its first tap inside the image, taps inside the image, and what an average divides by.
cdef struct Span:
    Py_ssize_t first, taps, count

cdef enum Method:
    PAIRS, BAND, RUNS            # see windows.pyx
    WHOLE, ROWS, LANES, CHANNELS  # what memory makes of them: see forward.pyx

cdef class Windows:
    cdef PoolAxis rows, cols
    cdef Method method

cdef class VolumeWindows:
    cdef PoolAxis depth
    cdef Windows plane

cdef Windows part_of(const PoolAxis *rows, const PoolAxis *cols)


cdef inline Span span(const PoolAxis *a, Py_ssize_t i) noexcept nogil:
    """The window of output i. The products stay within 64 bits: positions are those of an array, and i rest <
    outputs^2."""
    cdef Span s
    cdef Py_ssize_t start = a.start + i * a.stride, last, skipped
    s.first, s.taps = start, a.kernel_size
    if a.kernel_size == 0:
        last = start + a.stride
        if a.rest:
            i += a.skipped
            s.first += i * a.rest // a.total
            last += ((i + 1) * a.rest + a.total - 1) // a.total
        s.count = a.divisor if a.divisor else last - s.first
        s.first = max(s.first, 0)    # of a part of an axis
        s.taps = min(last, a.size) - s.first
        return s
    if start < 0:
        skipped = (a.dilation - 1 - start) // a.dilation
        s.first += skipped * a.dilation
        s.taps -= skipped
    if start + (a.kernel_size - 1) * a.dilation >= a.size:
        s.taps = (a.size - 1 - s.first) // a.dilation + 1
    s.count = s.taps
    if a.divisor:
        s.count = a.divisor
    elif a.end:
        s.count = a.kernel_size
        if start + (a.kernel_size - 1) * a.dilation >= a.end:
            s.count = (a.end - 1 - start) // a.dilation + 1
    return s


cdef inline Py_ssize_t first_reaching(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """The first output whose window ends at a position of the image or behind it; `outputs` where there is none.
    Windows are not dilated, here and below: those that are step over a position, and a later one need not."""
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


cdef inline Py_ssize_t first_behind(const PoolAxis *a, Py_ssize_t position) noexcept nogil:
    """The first output whose window begins there or behind; `outputs` where there is none."""
    cdef Py_ssize_t low = 0, high = a.outputs, middle
    while low < high:
        middle = low + (high - low) // 2
        if span(a, middle).first >= position:
            high = middle
        else:
            low = middle + 1
    return low


cdef inline PoolAxis outputs_of(const PoolAxis *a, Py_ssize_t first, Py_ssize_t until) noexcept nogil:
    """The windows of some of the outputs, on the same image."""
    cdef PoolAxis b = a[0]
    b.start, b.outputs, b.skipped = a.start + first * a.stride, until - first, a.skipped + first
    return b


cdef inline PoolAxis pixels_of_axis(const PoolAxis *a, Py_ssize_t first, Py_ssize_t until) noexcept nogil:
    """The windows that reach some of the pixels, and of these windows what lies in there; what averages count is
    left open."""
    cdef PoolAxis b = a[0]
    if first > 0 or until < a.size:
        b = outputs_of(a, first_reaching(a, first), first_behind(a, until))
    b.start, b.size, b.end, b.divisor = b.start - first, until - first, 0, 1
    return b


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


cdef inline bint overlapping(const PoolAxis *rows, const PoolAxis *cols, double tap=1) noexcept nogil:
    """Whether windows share so many pixels that rows, then columns, are cheaper than each window by itself: a band
    costs about two steps a pixel, and each of its steps, which go through buffers, as much as two in registers, a tap
    of the window."""
    cdef double r = rows.kernel_size, s = cols.kernel_size
    return tap * r * s > 2 * (rows.stride * s + r + 2 * rows.stride * cols.stride)


cdef inline bint side_by_side(const PoolAxis *a) noexcept nogil:
    """Whether windows of one size follow each other from the first pixel on, and end in the image."""
    return (a.kernel_size == a.stride > 0 and a.dilation == 1 and a.start == 0
            and a.outputs <= a.size // a.kernel_size)


cdef inline bint covered(const PoolAxis *a) noexcept nogil:
    """Whether each pixel is in a window."""
    if a.kernel_size == 0:
        return True
    return (a.start <= 0 and (a.stride <= a.kernel_size or a.outputs == 1) and a.dilation == 1
            and a.start + (a.outputs - 1) * a.stride + (a.kernel_size - 1) * a.dilation + 1 >= a.size)
