"""A matrix by the rows of another, y = x w^T + bias, from inner products of rows as they lie in memory.

    parallel for block of rows of w (BLOCK_BYTES, L1 and L2), block of rows of x:
        for a few rows of x: micro-kernel: a few outputs at a time in registers, vector lanes along the features

Nothing is packed: where x has few rows, w is read once, which is all that can be done with it. Each output is summed in one
order, however the work is cut.
"""

cimport numpy as cnp
from cython cimport floating
from cython.parallel cimport prange

from fastconv._core.problem.problem cimport ceildiv, elements
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport dot_most, dot_rows, vector_length

cnp.import_array()

cdef enum:
    BLOCK_BYTES = 128 << 10    # of w
    BLOCK_ROWS = 64            # of x
    OUTPUTS = 8                # a block of w has a multiple of this many rows: the kernels' widest tile
    MANY_ROWS = 64
    LANE_RUN = 256             # products that are added up in single precision, in each lane: see src_c/reduce.h
    MOST_ROWS = 4              # of x in a kernel


# Sizes, the distances of rows, how many rows of w are a block, and how many features a run.
cdef struct Sizes:
    Py_ssize_t rows, outputs, depth, x_row, w_row, y_row, block, run


cdef Py_ssize_t longest_run() noexcept nogil:
    """Features that are added up in single precision."""
    return LANE_RUN * vector_length(<float *>NULL)


def pays(Py_ssize_t rows, Py_ssize_t features):
    """Whether this is the product to take for so many rows of x: always, where 32 registers hold a tile of 4 x 4. With 16 it is
    1.1 to 9 times as fast as the packed one below 64 rows, and 0.8 to 1.1 times from there on, where it is taken for so many
    features that only this one, which adds them up in runs, rounds no more than for few."""
    return rows < MANY_ROWS or dot_most(<float *>NULL) == 4 or features > longest_run()


cdef void unit(const Sizes *s, const floating *x, const floating *w, const floating *bias, floating *y,
               Py_ssize_t index) noexcept nogil:
    """One block of rows of w by one of x, of which the former change later."""
    cdef Py_ssize_t row_blocks = ceildiv(s.rows, BLOCK_ROWS), first = index // row_blocks * s.block
    cdef Py_ssize_t i = index % row_blocks * BLOCK_ROWS, last = min(s.rows, i + BLOCK_ROWS), m
    cdef Py_ssize_t outputs = min(s.block, s.outputs - first), a, b, p, part
    cdef floating sums[MOST_ROWS * OUTPUTS]
    cdef double totals[MOST_ROWS * OUTPUTS]
    while i < last:
        m = min(dot_most(x), last - i)
        if s.depth <= s.run:
            dot_rows(<int>m, s.depth, x + i * s.x_row, s.x_row, w + first * s.w_row, s.w_row, outputs,
                     bias + first if bias != NULL else bias, y + i * s.y_row + first, s.y_row)
        else:    # a block is no larger than totals
            for a in range(m):
                for b in range(outputs):
                    totals[a * OUTPUTS + b] = bias[first + b] if bias != NULL else 0
            for part in range(ceildiv(s.depth, s.run)):
                p = part * s.run
                dot_rows(<int>m, min(s.run, s.depth - p), x + i * s.x_row + p, s.x_row, w + first * s.w_row + p, s.w_row, outputs,
                         <const floating *>NULL, sums, OUTPUTS)
                for a in range(m):
                    for b in range(outputs):
                        totals[a * OUTPUTS + b] += sums[a * OUTPUTS + b]
            for a in range(m):
                for b in range(outputs):
                    y[(i + a) * s.y_row + first + b] = <floating>totals[a * OUTPUTS + b]
        i += m


cdef multiply(Sizes *s, const floating *x, const floating *w, const floating *bias, floating *y):
    # About the nanoseconds: memory traffic of w, and multiplications.
    cdef int team = threads.team(s.outputs * s.depth * (0.05 * sizeof(floating) + 0.02 * s.rows))
    cdef Py_ssize_t index, most = BLOCK_BYTES // (max(1, s.depth) * <Py_ssize_t>sizeof(floating))
    s.run = longest_run()
    s.block = max(1, min(most, ceildiv(s.outputs, team)) // OUTPUTS) * OUTPUTS if s.depth <= s.run else OUTPUTS
    cdef Py_ssize_t units = ceildiv(s.outputs, s.block) * ceildiv(s.rows, BLOCK_ROWS)
    if team == 1:
        with nogil:
            for index in range(units):
                unit(s, x, w, bias, y, index)
    else:
        for index in prange(units, nogil=True, num_threads=team, schedule="static"):
            unit(s, x, w, bias, y, index)


def product(cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, cnp.ndarray y):
    """y = x w^T + bias: x (M, K), w (N, K), y (M, N), their rows contiguous and any distance apart; bias (N,) or None.

    Nothing is checked.
    """
    cdef Sizes s
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    cdef void *bias_data = NULL if bias is None else cnp.PyArray_DATA(bias)
    s.rows, s.depth, s.outputs = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(w, 0)
    s.x_row, s.w_row = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(w, 0), size)
    s.y_row = elements(cnp.PyArray_STRIDE(y, 0), size)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        multiply(&s, <const float *>cnp.PyArray_DATA(x), <const float *>cnp.PyArray_DATA(w), <const float *>bias_data,
                 <float *>cnp.PyArray_DATA(y))
    else:
        multiply(&s, <const double *>cnp.PyArray_DATA(x), <const double *>cnp.PyArray_DATA(w), <const double *>bias_data,
                 <double *>cnp.PyArray_DATA(y))
