"""A memo of checked calls: what was found out for arguments like these stands ready when they come again.

To check the arguments of an operation and to plan it takes microseconds, more than a small convolution.
The answer depends on the shapes and dtypes of the arrays, on whether they are C-contiguous, and on the options,
so a `Memo` keeps it for those.

Options are the same where they are the same objects: 1, True and 1.0 are equal, but only one of them is a stride;
0.0 and -0.0 are equal, and pad differently. An entry keeps its options alive and is made only for options that cannot
change, so what is found by its address has the value and the type that were checked. Tuples of integers, which shapes
and pairs are, are mostly made anew for each call: they are the same where the numbers are. Only plain arrays are looked
up (see arrays.pyx); whatever else comes in is checked again each time.
"""

cimport numpy as cnp
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_CheckExact
from libc.string cimport memcmp

from fastconv._core.runtime.arrays cimport plain

cdef enum:
    MOST_DIMENSIONS = 8
    # An entry weighs some 400 bytes beside its options and its value: a memo is 0.25 MB, and these.
    MOST_WORDS = 40


cdef struct Key:
    Py_ssize_t length
    size_t slot                     # of the newer one of the two entries that it may be
    Py_ssize_t words[MOST_WORDS]


cdef bint make_key(Key *key, tuple arguments, Memo memo) noexcept:
    """False where there is none for such arguments."""
    cdef Py_ssize_t i, n = 0, numbers
    cdef int axis
    cdef PyObject *given
    cdef cnp.ndarray array
    for i in range(len(arguments)):
        given = <PyObject *>arguments[i]
        if n + 1 + MOST_DIMENSIONS > MOST_WORDS:
            return False
        if i < memo.arrays and given != <PyObject *>None:
            if not plain(<object>given) or cnp.PyArray_NDIM(<cnp.ndarray>given) > MOST_DIMENSIONS:
                return False
            array = <cnp.ndarray>given
            key.words[n] = (cnp.PyArray_TYPE(array) + 256 * cnp.PyArray_NDIM(array)
                            + 65536 * cnp.PyArray_CHKFLAGS(array, cnp.NPY_ARRAY_C_CONTIGUOUS))
            n += 1
            for axis in range(cnp.PyArray_NDIM(array)):
                key.words[n] = cnp.PyArray_DIM(array, axis)
                n += 1
        else:
            numbers = write_numbers(<object>given, &key.words[n + 1])
            key.words[n] = <Py_ssize_t>given if numbers < 0 else ~numbers    # no address is below zero
            n += 1 + max(0, numbers)
    key.length = n
    key.slot = slot_of(key.words, n, memo.bits - 1) * 2
    return True


cdef Py_ssize_t write_numbers(object value, Py_ssize_t *words) noexcept:
    """The integers of a tuple of at most MOST_DIMENSIONS, to words;
    how many, or -1 where the value is anything else."""
    cdef Py_ssize_t i
    cdef int overflow = 0
    if not PyTuple_CheckExact(value) or len(<tuple>value) > MOST_DIMENSIONS:
        return -1
    for i in range(len(<tuple>value)):
        if not PyLong_CheckExact((<tuple>value)[i]):
            return -1
        words[i] = PyLong_AsLongAndOverflow((<tuple>value)[i], &overflow)
        if overflow:
            return -1
    return len(<tuple>value)


cdef bint cannot_change(object value):
    """A number, a string, None, or a tuple of such: not of a subclass, which may do as it likes."""
    if type(value) is tuple:
        for item in <tuple>value:
            if not cannot_change(item):
                return False
        return True
    return value is None or type(value) in (int, float, bool, str)


cdef class Entry:
    cdef Key key
    cdef tuple options
    cdef object value


cdef bint has_key(Entry entry, const Key *key) noexcept:
    return (entry is not None and entry.key.length == key.length
            and memcmp(entry.key.words, key.words, key.length * sizeof(Py_ssize_t)) == 0)


cdef class Memo:
    """A memo for calls whose first `arrays` arguments are arrays (or None) and whose others are options.
    It has 2 ** bits entries at most (bits > 1), two by two: a new one pushes the older one of its two out."""
    cdef Py_ssize_t arrays
    cdef int bits
    cdef list entries

    def __init__(self, Py_ssize_t arrays, int bits=9):
        self.arrays, self.bits = arrays, bits
        self.entries = [None] * (1 << bits)

    def find(self, *arguments):
        """What was kept for arguments like these, or None."""
        cdef Key key
        cdef Entry entry
        if not make_key(&key, arguments, self):
            return None
        entry = self.entries[key.slot]
        if has_key(entry, &key):
            return entry.value
        entry = self.entries[key.slot + 1]
        return entry.value if has_key(entry, &key) else None

    def keep(self, value, *arguments):
        """Keeps `value`, where there can be an entry for these arguments."""
        cdef Entry entry = Entry.__new__(Entry)
        entry.options = arguments[self.arrays:]
        entry.value = value
        if cannot_change(entry.options) and make_key(&entry.key, arguments, self):
            self.entries[entry.key.slot + 1] = self.entries[entry.key.slot]
            self.entries[entry.key.slot] = entry
