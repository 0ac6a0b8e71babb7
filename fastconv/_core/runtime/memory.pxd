cimport numpy as cnp


cdef class Block:
    cdef char *data          # 64-byte aligned
    cdef readonly size_t size
    cdef size_t asked        # where it is scratch: what `take` was asked for

cdef Block take(size_t size)  # uninitialised; goes back to the pool when its last reference does

cdef cnp.ndarray new_array(int ndim, const cnp.npy_intp *sizes, int typenum)    # what memory.empty returns
