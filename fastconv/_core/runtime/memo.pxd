"""Where in a table of fixed size a memo keeps what belongs to a key."""
from libc.stdint cimport uint64_t


cdef inline size_t slot_of(const Py_ssize_t *words, Py_ssize_t n, int bits) noexcept nogil:
    """A slot from 0 to 2^bits - 1, by Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4)."""
    cdef uint64_t mix = 0
    cdef Py_ssize_t i
    for i in range(n):
        mix = (mix ^ <uint64_t>words[i]) * <uint64_t>0x9E3779B97F4A7C15
        mix ^= mix >> 32
    return <size_t>(mix >> (64 - bits))
