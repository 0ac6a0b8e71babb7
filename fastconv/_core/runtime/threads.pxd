"""Threads for a call, and the loop over its units of work: see threads.pyx."""
from cython cimport floating

cdef int team(double work) noexcept    # threads for a call of so much work: see threads.pyx
cdef int limit() noexcept              # threads a call may use at most

# Which thread gets which units: each an even part of them, one after the other; or the next one whenever it is ready;
# or an even part first, and then what is left of the others': see threads.pyx.
cdef enum Schedule:
    EVENLY, WHEN_READY, OWN_FIRST

cdef void in_parallel(void (*unit)(const void *call, Py_ssize_t index, floating *scratch) noexcept nogil,
                      const void *call, Py_ssize_t units, int team, Schedule schedule, floating *scratch,
                      Py_ssize_t scratch_size) noexcept nogil

cdef extern from *:
    """
    #define fc_mark(flag) __atomic_store_n(flag, 1, __ATOMIC_RELAXED)
    """
    # Set a flag that several threads may set.
    void mark "fc_mark"(int *flag) noexcept nogil
    void mark_byte "fc_mark"(char *flag) noexcept nogil
