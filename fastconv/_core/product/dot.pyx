"""A matrix by the rows of another, y = x w^T + bias, from inner products of rows as they lie in memory.

    parallel for block of rows of w (BLOCK_BYTES, L1 and L2), block of rows of x:
        for a few rows of x: micro-kernel: a few outputs at a time in registers, vector lanes along the features

Nothing is packed: where x has few rows, w is read once, which is all that can be done with it. Each output is summed in
one order, however the work is cut.
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.runtime cimport threads
from fastconv._core.runtime.threads cimport EVENLY, in_parallel
from fastconv._core.runtime.isa cimport dot_most, dot_rows, vector_length
from fastconv._core.runtime.kernels cimport FC_DOT_ROWS, fc_row_strides
from fastconv._core.problem.problem cimport ceildiv, elements

cnp.import_array()

cdef enum:
    BLOCK_BYTES = 128 << 10    # of w
    BLOCK_ROWS = 64            # of x
    OUTPUTS = 8                # a block of w has a multiple of this many rows: the kernels' widest tile
    MANY_ROWS = 64
    LANE_RUN = 256             # products that are added up in single precision, in each lane: see src_c/reduce.h
    SUMS = FC_DOT_ROWS * OUTPUTS


# y = x w^T + bias: sizes, how far rows lie apart (a of x, b of w, c of y), how many rows of w are a
# block, and how many features a run.
cdef struct DotCall:
    const void *x
    const void *w
    const void *bias    # or NULL
    void *y
    Py_ssize_t rows, outputs, depth, block, run
    fc_row_strides strides


cdef Py_ssize_t longest_run() noexcept nogil:
    """Features that are added up in single precision."""
    return LANE_RUN * vector_length(<float *>NULL)


def pays(Py_ssize_t rows, Py_ssize_t features):
    """Whether this is the product to take for so many rows of x: always, where 32 registers hold a tile of 4 x 4.
    With 16 it is 1.1 to 9 times as fast as the packed one below 64 rows, and 0.8 to 1.1 times from there on, where
    it is taken for so many features that only this one, which adds them up in runs, rounds no more than for few."""
    return rows < MANY_ROWS or dot_most(<float *>NULL) == 4 or features > longest_run()


cdef void add_runs(const DotCall *call, Py_ssize_t m, Py_ssize_t i, Py_ssize_t first, Py_ssize_t outputs,
                   const floating *unused) noexcept nogil:
    """A few rows of x, from i on, by a few of w, from `first` on: sums of runs of features, added up in double
    precision."""
    cdef const floating *x = <const floating *>call.x + i * call.strides.a
    cdef const floating *w = <const floating *>call.w + first * call.strides.b
    cdef const floating *bias = <const floating *>call.bias
    cdef floating *y = <floating *>call.y + i * call.strides.c + first
    cdef floating sums[SUMS]
    cdef double totals[SUMS]
    cdef fc_row_strides strides = call.strides
    cdef Py_ssize_t a, b, p, run
    strides.c = OUTPUTS
    for a in range(m):
        for b in range(outputs):
            totals[a * OUTPUTS + b] = bias[first + b] if bias != NULL else 0
    for run in range(ceildiv(call.depth, call.run)):
        p = run * call.run
        dot_rows(<int>m, &strides, min(call.run, call.depth - p), x + p, w + p, outputs, <const floating *>NULL, sums)
        for a in range(m):
            for b in range(outputs):
                totals[a * OUTPUTS + b] += sums[a * OUTPUTS + b]
    for a in range(m):
        for b in range(outputs):
            y[a * call.strides.c + b] = <floating>totals[a * OUTPUTS + b]


cdef void dot_unit(const void *data, Py_ssize_t index, floating *unused) noexcept nogil:
    """One block of rows of w by one of x, of which the former change later."""
    cdef const DotCall *call = <const DotCall *>data
    cdef const floating *x = <const floating *>call.x
    cdef const floating *w = <const floating *>call.w
    cdef const floating *bias = <const floating *>call.bias
    cdef floating *y = <floating *>call.y
    cdef Py_ssize_t row_blocks = ceildiv(call.rows, BLOCK_ROWS), first = index // row_blocks * call.block
    cdef Py_ssize_t i = index % row_blocks * BLOCK_ROWS, last = min(call.rows, i + BLOCK_ROWS), m
    cdef Py_ssize_t outputs = min(call.block, call.outputs - first)
    while i < last:
        m = min(dot_most(x), last - i)
        if call.depth <= call.run:
            dot_rows(<int>m, &call.strides, call.depth, x + i * call.strides.a, w + first * call.strides.b, outputs,
                     bias + first if bias != NULL else bias, y + i * call.strides.c + first)
        else:    # a block has no more than OUTPUTS rows
            add_runs(call, m, i, first, outputs, x)
        i += m


cdef multiply(DotCall *call, floating *unused):
    # About the nanoseconds: memory traffic of w, and multiplications.
    cdef int team = threads.team(call.outputs * call.depth * (0.05 * sizeof(floating) + 0.02 * call.rows))
    cdef Py_ssize_t most = BLOCK_BYTES // (max(1, call.depth) * <Py_ssize_t>sizeof(floating))
    call.run, call.block = longest_run(), OUTPUTS
    if call.depth <= call.run:
        call.block = max(1, min(most, ceildiv(call.outputs, team)) // OUTPUTS) * OUTPUTS
    with nogil:
        in_parallel(dot_unit[floating], call, ceildiv(call.outputs, call.block) * ceildiv(call.rows, BLOCK_ROWS), team,
                    EVENLY, unused, 0)


def product(cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, cnp.ndarray y):
    """y = x w^T + bias: x (M, K), w (N, K), y (M, N), their rows contiguous and any distance apart; bias (N,) or None.

    Nothing is checked.
    """
    cdef DotCall call
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(x)
    call.x, call.w, call.y = cnp.PyArray_DATA(x), cnp.PyArray_DATA(w), cnp.PyArray_DATA(y)
    call.bias = NULL if bias is None else cnp.PyArray_DATA(bias)
    call.rows, call.depth, call.outputs = cnp.PyArray_DIM(x, 0), cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(w, 0)
    call.strides.a, call.strides.b = elements(cnp.PyArray_STRIDE(x, 0), size), elements(cnp.PyArray_STRIDE(w, 0), size)
    call.strides.c = elements(cnp.PyArray_STRIDE(y, 0), size)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        multiply[float](&call, NULL)
    else:
        multiply[double](&call, NULL)
