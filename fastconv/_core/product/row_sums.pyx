"""A product of matrices from sums of rows, y = a b, where to pack them would take longer than to multiply them.

    parallel for block of columns, block of rows of y:
        for run of depth, for slice of it:
            for few rows of y: micro-kernel: a few vectors of columns at a time in registers

Nothing is packed: b is read along its rows, a block of its columns (L1, L2) again for each few rows of y. Where y has
few rows itself, b is read once, and in slices of SLICE rows, so that few streams come from memory, and y, in L1, is
added to. What is longer than a run is added up in double precision, run by run: the sums are the same, however the work
is cut.
"""

cimport numpy as cnp
from cython cimport floating

from fastconv._core.problem.problem cimport ceildiv, elements
from fastconv._core.runtime cimport threads
from fastconv._core.runtime.isa cimport sum_rows
from fastconv._core.runtime.kernels cimport FC_SUM_ROWS, fc_row_sums
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel

cnp.import_array()

cdef enum:
    BLOCK_BYTES = 32 << 10    # of a block of b, as long as a run
    WIDEST = 1024             # columns of a block, for few rows of y
    LEAST = 64                # columns of a block: the widest tile of the kernels
    BLOCK_ROWS = 48           # of y: a multiple of the kernels' rows
    FEW_ROWS = 4              # of y, for which b is read in slices
    SLICE = 8
    SMALL = 1 << 20           # products in all
    RUN = 128                 # products that are added up in single precision


# y = a b of so many rows, columns and products; in blocks of columns, and with runs that are added up or one.
cdef struct RowsCall:
    const void *a
    const void *b
    void *y
    Py_ssize_t rows, columns, depth, block
    fc_row_sums strides


cdef void run_of_rows(const RowsCall *call, const fc_row_sums *strides, Py_ssize_t depth, const floating *a,
                      const floating *b, Py_ssize_t rows, Py_ssize_t columns, floating *y) noexcept nogil:
    """One run of some rows and columns of y."""
    cdef Py_ssize_t at_once = SLICE if call.rows < FEW_ROWS else RUN, i, p = 0, m
    while p < depth:
        i = 0
        while i < rows:
            m = min(FC_SUM_ROWS, rows - i)
            sum_rows(<int>m, strides, min(at_once, depth - p), a + i * strides.a_row + p * strides.a_step,
                     b + p * strides.b, columns, <const floating *>NULL, y + i * strides.c, p > 0)
            i += m
        p += at_once


cdef void rows_unit(const void *data, Py_ssize_t index, floating *scratch) noexcept nogil:
    """A block of rows and columns of y; scratch: the sums of a run and, in double precision, the totals."""
    cdef const RowsCall *call = <const RowsCall *>data
    cdef Py_ssize_t row_blocks = ceildiv(call.rows, BLOCK_ROWS), column = index // row_blocks * call.block
    cdef Py_ssize_t row = index % row_blocks * BLOCK_ROWS, rows = min(BLOCK_ROWS, call.rows - row), i, j, p = 0
    cdef Py_ssize_t columns = min(call.block, call.columns - column), depth
    cdef const floating *a = <const floating *>call.a + row * call.strides.a_row
    cdef const floating *b = <const floating *>call.b + column
    cdef floating *y = <floating *>call.y + row * call.strides.c + column
    cdef double *totals = <double *>scratch
    cdef floating *sums = <floating *>(totals + BLOCK_ROWS * call.block)
    cdef fc_row_sums strides = call.strides
    if call.depth <= RUN:
        run_of_rows(call, &strides, call.depth, a, b, rows, columns, y)
        return
    strides.c = call.block
    while p < call.depth:
        depth = min(RUN, call.depth - p)
        run_of_rows(call, &strides, depth, a + p * strides.a_step, b + p * strides.b, rows, columns, sums)
        for i in range(rows):
            for j in range(i * call.block, i * call.block + columns):
                totals[j] = sums[j] + (totals[j] if p else 0)
        p += depth
    for i in range(rows):
        for j in range(columns):
            y[i * call.strides.c + j] = <floating>totals[i * call.block + j]


cdef multiply(RowsCall *call, const floating *unused):
    cdef Py_ssize_t size = sizeof(floating)
    # About the nanoseconds: memory traffic, and multiplications.
    cdef int team = threads.team(call.columns * (0.05 * size * (call.depth + call.rows)
                                                 + 0.03 * call.rows * call.depth))
    call.block = WIDEST
    if call.rows >= FEW_ROWS:
        call.block = max(LEAST, BLOCK_BYTES // (size * min(RUN, call.depth)) // LEAST * LEAST)
    call.block = min(call.block, WIDEST)
    cdef Py_ssize_t scratch = 0
    if call.depth > RUN:
        scratch = BLOCK_ROWS * call.block * (size + <Py_ssize_t>sizeof(double)) // size
    cdef Block memory = take(team * scratch * size)
    with nogil:
        in_parallel(rows_unit[floating], call, ceildiv(call.columns, call.block) * ceildiv(call.rows, BLOCK_ROWS), team,
                    EVENLY, <floating *>memory.data, scratch)


def pays(cnp.ndarray a, cnp.ndarray b):
    """Whether this is the way to multiply a (M, K) and b (K, N): where the rows of b are contiguous, and y has few
    rows, or they have few terms, or the product is small."""
    cdef Py_ssize_t rows = cnp.PyArray_DIM(a, 0), depth = cnp.PyArray_DIM(a, 1), columns = cnp.PyArray_DIM(b, 1)
    if cnp.PyArray_STRIDE(b, 1) != cnp.PyArray_ITEMSIZE(b) and columns > 1:
        return False
    return rows <= FC_SUM_ROWS or depth <= SLICE or rows * depth * columns <= SMALL


def product(cnp.ndarray a, cnp.ndarray b, cnp.ndarray y):
    """y = a b: a (M, K) with any strides, b (K, N) and y (M, N) with contiguous rows any distance apart.

    Nothing is checked; no size is 0.
    """
    cdef RowsCall call
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(a)
    call.a, call.b, call.y = cnp.PyArray_DATA(a), cnp.PyArray_DATA(b), cnp.PyArray_DATA(y)
    call.rows, call.depth, call.columns = cnp.PyArray_DIM(a, 0), cnp.PyArray_DIM(a, 1), cnp.PyArray_DIM(b, 1)
    call.strides.a_row = elements(cnp.PyArray_STRIDE(a, 0), size)
    call.strides.a_step = elements(cnp.PyArray_STRIDE(a, 1), size)
    call.strides.terms = NULL
    call.strides.b, call.strides.c = elements(cnp.PyArray_STRIDE(b, 0), size), elements(cnp.PyArray_STRIDE(y, 0), size)
    if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        multiply[float](&call, NULL)
    else:
        multiply[double](&call, NULL)
