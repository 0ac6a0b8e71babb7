from cython cimport floating

cdef int team(double work) noexcept    # threads for a call of so much work: see threads.pyx
cdef int limit() noexcept              # threads a call may use at most

# One unit of a job; what the job is stands behind the pointer, and scratch belongs to the thread.
ctypedef void (*Work)(const void *job, Py_ssize_t unit, floating *scratch) noexcept nogil

cdef void share_out(Work work, const void *job, Py_ssize_t units, int team, floating *scratch, Py_ssize_t scratch_size) noexcept nogil

# Units of work for a team. Each thread starts with an even part of its own, the same one in every call, so that what it reads
# and writes there is still in its caches (to write a line that another core has written takes 100 ns); when it has done that, it
# draws units from the others' ends, so that a core that is slow or busy keeps nobody waiting.
cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    typedef struct {
        uint64_t range; /* the first unit left, and in the upper half the one behind the last */
        char rest[56];  /* of a cache line */
    } fc_share;
    static inline void fc_deal(fc_share *shares, int team, ptrdiff_t units) {
        for (int t = 0; t < team; t++)
            shares[t].range = (uint64_t)(units * (t + 1) / team) << 32 | (uint64_t)(units * t / team);
    }
    static inline ptrdiff_t fc_draw(fc_share *shares, int team, int thread) {
        for (int t = 0; t < team; t++) {
            fc_share *share = &shares[(thread + t) % team];
            uint64_t range = __atomic_load_n(&share->range, __ATOMIC_RELAXED);
            while ((uint32_t)range < range >> 32) {
                uint64_t less = t ? range - ((uint64_t)1 << 32) : range + 1;
                if (__atomic_compare_exchange_n(&share->range, &range, less, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                    return t ? (ptrdiff_t)(less >> 32) : (ptrdiff_t)(uint32_t)range;
            }
        }
        return -1;
    }
    """
    ctypedef struct Share "fc_share":
        pass
    void deal "fc_deal"(Share *shares, int team, Py_ssize_t units) noexcept nogil
    Py_ssize_t draw "fc_draw"(Share *shares, int team, int thread) noexcept nogil    # -1 where none is left
