"""Threads for a call, and the loop over its units of work: see threads.pyx."""
from cython cimport floating

cdef int team(double work) noexcept    # threads for a call of so much work: see threads.pyx
cdef int limit() noexcept              # threads a call may use at most

# Which thread gets which units: each an even part of them, one after the other; or the next one whenever it is ready.
cdef enum Schedule:
    EVENLY, WHEN_READY

cdef void in_parallel(void (*unit)(const void *call, Py_ssize_t index, floating *scratch) noexcept nogil,
                      const void *call, Py_ssize_t units, int team, Schedule schedule, floating *scratch,
                      Py_ssize_t scratch_size) noexcept nogil

# Units of work for a team. Each thread starts with an even part of its own, the same one in every call, so that what it
# reads and writes there is still in its caches (to write a line that another core has written takes 100 ns); when it
# has done that, it draws units from the others' ends, so that a core that is slow or busy keeps nobody waiting.
cdef extern from *:
    """
    #include <stddef.h>
    typedef struct {
        ptrdiff_t left;        /* units that nobody has drawn, or less than none: who takes one of them off may draw one */
        ptrdiff_t first, last; /* the next one for the share's own thread, and behind the next one for others */
        char rest[64 - 3 * sizeof(ptrdiff_t)]; /* of a cache line */
    } fc_share;
    static inline void fc_deal(fc_share *shares, int team, ptrdiff_t units) {
        for (int t = 0; t < team; t++) {
            ptrdiff_t each = units / team, more = units % team;
            shares[t].first = each * t + (t < more ? t : more);
            shares[t].left = each + (t < more);
            shares[t].last = shares[t].first + shares[t].left;
        }
    }
    static inline ptrdiff_t fc_draw(fc_share *shares, int team, int thread) {
        for (int t = 0; t < team; t++) {
            fc_share *share = &shares[(thread + t) % team];
            if (__atomic_load_n(&share->left, __ATOMIC_RELAXED) > 0 && __atomic_fetch_sub(&share->left, 1, __ATOMIC_RELAXED) > 0)
                return t ? __atomic_sub_fetch(&share->last, 1, __ATOMIC_RELAXED) : share->first++;
        }
        return -1;
    }
    #define fc_mark(flag) __atomic_store_n(flag, 1, __ATOMIC_RELAXED)
    """
    ctypedef struct Share "fc_share":
        pass
    void deal "fc_deal"(Share *shares, int team, Py_ssize_t units) noexcept nogil
    Py_ssize_t draw "fc_draw"(Share *shares, int team, int thread) noexcept nogil    # -1 where none is left
    # Set a flag that several threads may set.
    void mark "fc_mark"(int *flag) noexcept nogil
    void mark_byte "fc_mark"(char *flag) noexcept nogil
