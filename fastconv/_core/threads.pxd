cdef int team(double work) noexcept    # threads for a call of so much work: see threads.pyx
cdef int limit() noexcept              # threads a call may use at most
