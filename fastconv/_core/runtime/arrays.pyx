"""Questions about arrays that are asked on every call, answered in some ten nanoseconds.

A yes is sure, a no is not: it sends the caller on to `fastconv.functional.checks`, which looks closely, converts what
can be converted and says what is wrong with the rest. So nothing is decided here that is not decided there.
"""

cimport numpy as cnp
from cpython.dict cimport PyDict_Next, PyDict_Size
from cpython.object cimport PyObject
from cpython.ref cimport Py_REFCNT
from libc.math cimport isfinite
from libc.string cimport memcmp

cdef extern from "Python.h":
    PyObject *PyTuple_GET_ITEM(object, Py_ssize_t)    # borrowed

cdef extern from "numpy/arrayobject.h":
    ctypedef struct PyArrayFields "PyArrayObject_fields":
        PyObject *weakreflist

cnp.import_array()

cdef enum:
    FEW_BYTES = 1 << 14

_float32, _float64 = cnp.PyArray_DescrFromType(cnp.NPY_FLOAT), cnp.PyArray_DescrFromType(cnp.NPY_DOUBLE)
float32, float64 = <PyObject *>_float32, <PyObject *>_float64
_int64 = cnp.PyArray_DescrFromType(cnp.NPY_INT64)
cdef PyObject *int64 = <PyObject *>_int64


def is_plain(value):
    """Whether the drivers take `value` as it is: an ndarray of native, aligned float32 or float64."""
    return plain(value)


cdef bint has_shape(cnp.ndarray array, tuple shape) except -1:
    cdef int i
    if cnp.PyArray_NDIM(array) != len(shape):
        return False
    for i in range(len(shape)):
        if cnp.PyArray_DIM(array, i) != <Py_ssize_t>shape[i]:
            return False
    return True


def is_like(value, tuple shape, dtype):
    """Whether `value` is plain and has this shape and dtype."""
    return (plain(value) and <PyObject *>cnp.PyArray_DESCR(<cnp.ndarray>value) == <PyObject *>dtype
            and has_shape(value, shape))


def are_labelled(scores, target):
    """Whether `scores` is plain, (N, classes) with at least one class, and `target` an ndarray of N native int64 that
    follow each other in memory, whatever their values."""
    if not (plain(scores) and cnp.PyArray_CheckExact(target) and cnp.PyArray_NDIM(<cnp.ndarray>scores) == 2
            and cnp.PyArray_NDIM(<cnp.ndarray>target) == 1):
        return False
    return (cnp.PyArray_DIM(<cnp.ndarray>scores, 1) > 0
            and cnp.PyArray_DIM(<cnp.ndarray>target, 0) == cnp.PyArray_DIM(<cnp.ndarray>scores, 0)
            and <PyObject *>cnp.PyArray_DESCR(<cnp.ndarray>target) == int64
            and cnp.PyArray_CHKFLAGS(<cnp.ndarray>target, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_ALIGNED))


cdef void extent(cnp.ndarray array, char **first, char **last) noexcept:
    """The first byte of an array, and the first behind it; the same where it is empty."""
    cdef int i
    cdef Py_ssize_t reach
    first[0] = cnp.PyArray_BYTES(array)
    last[0] = first[0] + cnp.PyArray_ITEMSIZE(array)
    for i in range(cnp.PyArray_NDIM(array)):
        if cnp.PyArray_DIM(array, i) == 0:
            last[0] = first[0] = cnp.PyArray_BYTES(array)
            return
        reach = (cnp.PyArray_DIM(array, i) - 1) * cnp.PyArray_STRIDE(array, i)
        if reach < 0:
            first[0] += reach
        else:
            last[0] += reach


def is_room(value, tuple shape, dtype, tuple inputs):
    """Whether `value` is like that, C-contiguous, writable, and lies before or behind each of the
    inputs (arrays or None)."""
    cdef char *first
    cdef char *last
    cdef char *input_first
    cdef char *input_last
    if not (is_like(value, shape, dtype)
            and cnp.PyArray_CHKFLAGS(<cnp.ndarray>value, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_WRITEABLE)):
        return False
    extent(value, &first, &last)
    for given in inputs:
        if given is not None:
            extent(given, &input_first, &input_last)
            if first < input_last and input_first < last:
                return False
    return True


cpdef bint is_copy(value, cnp.ndarray original):
    """Whether `value` is plain and C-contiguous, as `original` is, with the same shape, dtype and bytes:
    0.0 is not -0.0 here, and a NaN is itself."""
    cdef bint same = plain(value) and cnp.PyArray_SAMESHAPE(<cnp.ndarray>value, original) and (
        cnp.PyArray_TYPE(<cnp.ndarray>value) == cnp.PyArray_TYPE(original)) and (
        cnp.PyArray_CHKFLAGS(<cnp.ndarray>value, cnp.NPY_ARRAY_C_CONTIGUOUS))
    cdef const void *data
    cdef size_t size
    if same:
        data, size = cnp.PyArray_DATA(<cnp.ndarray>value), cnp.PyArray_NBYTES(original)
        if size <= FEW_BYTES:    # sooner compared than the lock is given back
            return memcmp(data, cnp.PyArray_DATA(original), size) == 0
        with nogil:
            same = memcmp(data, cnp.PyArray_DATA(original), size) == 0
    return same


def are_same(tuple values, tuple originals):
    """Whether there are as many values as originals, arrays that are copies of theirs, numbers that are equal, and
    otherwise the same objects."""
    cdef Py_ssize_t i
    if len(values) != len(originals):
        return False
    for i in range(len(values)):
        value, original = values[i], originals[i]
        if isinstance(original, cnp.ndarray):
            if not is_copy(value, original):
                return False
        elif value is not original and not (isinstance(value, float) and value == original):
            return False
    return True


def are_held(tuple records):
    """Whether dicts, and objects with attributes, hold what they held: (owner, its type, keys, values), which are the
    same objects in the same order."""
    cdef object there    # a dict, or of a class of dicts
    cdef tuple keys, values
    cdef Py_ssize_t position, i
    cdef PyObject *key
    cdef PyObject *value
    for owner, kind, keys, values in records:
        if type(owner) is not kind:
            return False
        there = owner if isinstance(owner, dict) else owner.__dict__
        if PyDict_Size(there) != len(keys):
            return False
        position = i = 0
        while PyDict_Next(there, &position, &key, &value):
            if key != PyTuple_GET_ITEM(keys, i) or value != PyTuple_GET_ITEM(values, i):
                return False
            i += 1
    return True


def are_sealed(tuple seals):
    """Whether objects have their seals, as `_seal`, and nobody else has what they hold as `_array`, or a part of it, or
    looks at it: then nobody can have changed it since. seals: (object, seal)."""
    cdef object array
    for holder, seal in seals:
        if holder._seal is not seal:
            return False
        array = holder._array    # the holder's reference, and this one
        if not (cnp.PyArray_CheckExact(array) and Py_REFCNT(array) == 2 and cnp.PyArray_BASE(array) == NULL
                and (<PyArrayFields *>array).weakreflist == NULL):
            return False
    return True


def turned(cnp.ndarray weight):
    """Filters (K, C, R, S), which are plain, as those of the way back: a view (C, K, R, S), the last taps first."""
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp strides[4]
    cdef int i
    for i in range(4):
        shape[i], strides[i] = cnp.PyArray_DIM(weight, i ^ 1 if i < 2 else i), cnp.PyArray_STRIDE(weight, i ^ 1)
    strides[2], strides[3] = -cnp.PyArray_STRIDE(weight, 2), -cnp.PyArray_STRIDE(weight, 3)
    cdef char *last = cnp.PyArray_BYTES(weight) - (shape[2] - 1) * strides[2] - (shape[3] - 1) * strides[3]
    cdef cnp.ndarray view = cnp.PyArray_SimpleNewFromData(4, shape, cnp.PyArray_TYPE(weight), last)
    for i in range(4):
        (<cnp.npy_intp *>cnp.PyArray_STRIDES(view))[i] = strides[i]
    cnp.set_array_base(view, weight)
    cnp.PyArray_CLEARFLAGS(view, cnp.NPY_ARRAY_WRITEABLE)
    cnp.PyArray_UpdateFlags(view, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)
    return view


def begins_finite(cnp.ndarray images, Py_ssize_t rows, Py_ssize_t columns):
    """Whether the first rows and columns of the first of images (N, C, H, W), which are plain,
    hold nothing but finite numbers."""
    return corner_is_finite(images, 0, 0, min(rows, cnp.PyArray_DIM(images, 2)),
                            min(columns, cnp.PyArray_DIM(images, 3)))


def has_finite_corners(cnp.ndarray images, Py_ssize_t rows, Py_ssize_t columns):
    """The same of the first and the last rows, where they cross the first and the last columns."""
    cdef Py_ssize_t below, right
    rows, columns = min(rows, cnp.PyArray_DIM(images, 2)), min(columns, cnp.PyArray_DIM(images, 3))
    below, right = cnp.PyArray_DIM(images, 2) - rows, cnp.PyArray_DIM(images, 3) - columns
    return (corner_is_finite(images, 0, 0, rows, columns) and corner_is_finite(images, 0, right, rows, columns)
            and corner_is_finite(images, below, 0, rows, columns)
            and corner_is_finite(images, below, right, rows, columns))


cdef bint corner_is_finite(cnp.ndarray images, Py_ssize_t first, Py_ssize_t left, Py_ssize_t rows,
                           Py_ssize_t columns) noexcept:
    """Whether so many rows and columns of the first image, from there on, hold nothing but finite numbers."""
    cdef Py_ssize_t c, i, _
    cdef bint single = cnp.PyArray_TYPE(images) == cnp.NPY_FLOAT
    cdef const char *row
    for c in range(cnp.PyArray_DIM(images, 1)):
        for i in range(first, first + rows):
            row = (cnp.PyArray_BYTES(images) + c * cnp.PyArray_STRIDE(images, 1) + i * cnp.PyArray_STRIDE(images, 2)
                   + left * cnp.PyArray_STRIDE(images, 3))
            for _ in range(columns):
                if not isfinite((<const float *>row)[0] if single else (<const double *>row)[0]):
                    return False
                row += cnp.PyArray_STRIDE(images, 3)
    return True


def as_rows(cnp.ndarray signals, bint channels_last):
    """Signals (N, C, L), or with channels last (N, L, C), or one of them without N, which are plain, as images of one
    row: a view (N, C, 1, L)."""
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp strides[4]
    cdef int i, batched = cnp.PyArray_NDIM(signals) - 2, channels = batched + channels_last
    cdef int samples = batched + (not channels_last)
    shape[0] = cnp.PyArray_DIM(signals, 0) if batched else 1
    shape[1], shape[2], shape[3] = cnp.PyArray_DIM(signals, channels), 1, cnp.PyArray_DIM(signals, samples)
    strides[1], strides[3] = cnp.PyArray_STRIDE(signals, channels), cnp.PyArray_STRIDE(signals, samples)
    strides[2] = shape[3] * strides[3]
    strides[0] = cnp.PyArray_STRIDE(signals, 0) if batched else shape[1] * strides[1]
    cdef cnp.ndarray rows = cnp.PyArray_SimpleNewFromData(4, shape, cnp.PyArray_TYPE(signals),
                                                          cnp.PyArray_DATA(signals))
    for i in range(4):
        (<cnp.npy_intp *>cnp.PyArray_STRIDES(rows))[i] = strides[i]
    cnp.set_array_base(rows, signals)
    if not cnp.PyArray_CHKFLAGS(signals, cnp.NPY_ARRAY_WRITEABLE):
        cnp.PyArray_CLEARFLAGS(rows, cnp.NPY_ARRAY_WRITEABLE)
    cnp.PyArray_UpdateFlags(rows, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)
    return rows
