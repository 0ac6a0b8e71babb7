"""Scratch and output memory: 64-byte aligned blocks from one bounded pool of freed ones.

Above malloc's mmap threshold every new block costs page faults: 51 MB take 24 ms, three times the convolution that fills
them. So a block that is freed stays in the pool, up to `POOL_BYTES` in all, and serves the next request of its size class;
blocks of 2 MB and more are aligned for huge pages. A block belongs to the array (or the views of it) that holds it and goes
back when the last of them dies, so nothing is ever recycled under a living array.

`FASTCONV_POOL_MB` sets the bound in MB (256 by default; 0 switches the pool off).
"""

import math
import os

import numpy as np

cimport numpy as cnp
from libc.stddef cimport size_t
from libc.stdlib cimport free

cnp.import_array()

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #ifdef __linux__
    #include <sys/mman.h>
    #endif
    static void *fc_allocate(size_t size) {
        void *p = NULL;
        int huge = size >= (2u << 20);
        if (posix_memalign(&p, huge ? (2u << 20) : 64, size)) return NULL;
    #ifdef MADV_HUGEPAGE
        if (huge) madvise(p, size, MADV_HUGEPAGE);
    #endif
        return p;
    }
    static pthread_mutex_t fc_lock = PTHREAD_MUTEX_INITIALIZER; /* PyThread_acquire_lock looks at the clock each time: 25 ns */
    static void fc_acquire(void) { pthread_mutex_lock(&fc_lock); }
    static void fc_release(void) { pthread_mutex_unlock(&fc_lock); }
    """
    void *fc_allocate(size_t size) nogil
    void fc_acquire() nogil
    void fc_release() nogil

cdef enum:
    SLOTS = 64
    MOST_DIMENSIONS = 64    # of a NumPy array

cdef struct Freed:
    char *data
    size_t size

cdef Freed pool[SLOTS]
cdef int pooled = 0             # slots in use; the oldest comes first
cdef size_t pooled_bytes = 0
cdef size_t bound = 0

cdef size_t taken = 0           # bytes of scratch now, and the most since the last look at them
cdef size_t most_taken = 0


cdef size_t size_class(size_t size) noexcept:
    """Rounded up to an eighth of its power of two, at least 64 bytes: at most 12.5 % more than asked for."""
    cdef size_t step = 64
    while step * 16 <= size:
        step *= 2
    return (size + step - 1) // step * step if size else 64


cdef void drop(int slot) noexcept:
    """Takes a slot out of the pool, in order; the block is now the caller's."""
    global pooled, pooled_bytes
    cdef int i
    pooled_bytes -= pool[slot].size
    pooled -= 1
    for i in range(slot, pooled):
        pool[i] = pool[i + 1]


cdef char *find(size_t size) noexcept:
    """The youngest freed block of this class, or NULL: its data is the most likely to be in a cache."""
    cdef int i
    cdef char *data = NULL
    fc_acquire()
    for i in range(pooled - 1, -1, -1):
        if pool[i].size == size:
            data = pool[i].data
            drop(i)
            break
    fc_release()
    return data


cdef void give_back(char *data, size_t size) noexcept:
    """Into the pool; the oldest leave it until this one fits."""
    global pooled, pooled_bytes
    cdef char *old
    if size > bound or size != size_class(size):    # the latter was taken under a smaller bound
        free(data)
        return
    while True:
        old = NULL
        fc_acquire()
        if pooled and (pooled == SLOTS or pooled_bytes + size > bound):
            old = pool[0].data
            drop(0)
        else:
            pool[pooled].data = data
            pool[pooled].size = size
            pooled += 1
            pooled_bytes += size
        fc_release()
        if old == NULL:
            return
        free(old)


cdef class Block:
    """Owns one piece of memory."""

    def __dealloc__(self):
        global taken
        taken -= self.asked
        if self.data != NULL:
            give_back(self.data, self.size)


cdef Block find_or_allocate(size_t size):
    """A block of at least so many bytes, or None where there is no such memory."""
    cdef Block block = Block.__new__(Block)
    block.size = size_class(size)
    if block.size > bound:    # it will not be kept
        block.size = size if size else 1
    block.data = find(block.size)
    if block.data == NULL:
        block.data = <char *>fc_allocate(block.size)
    return block if block.data != NULL else None


cdef Block take(size_t size):
    cdef Block block = find_or_allocate(size) if size <= <size_t>1 << 62 else None
    global taken, most_taken
    if block is None:
        raise MemoryError(f"{size} bytes cannot be allocated")
    block.asked = size
    taken += size
    if taken > most_taken:
        most_taken = taken
    return block


def scratch(size_t size):
    """`take` for Python: so many bytes, as an array."""
    cdef Block block = take(size)
    cdef cnp.npy_intp count = size
    array = cnp.PyArray_SimpleNewFromData(1, &count, cnp.NPY_UINT8, block.data)
    cnp.set_array_base(array, block)
    return array


def scratch_taken():
    """Bytes of scratch that are taken now, and the most that were at a time since the last call; exact where calls do not overlap."""
    global most_taken
    most, most_taken = most_taken, taken
    return taken, most


cdef cnp.ndarray new_array(int ndim, const cnp.npy_intp *sizes, int typenum):
    cdef int i
    cdef size_t size = cnp.PyArray_DescrFromType(typenum).itemsize
    cdef double approximately = size
    cdef Block block = None
    for i in range(ndim):
        size *= sizes[i]
        approximately *= sizes[i]
    if approximately < 1e18:    # else size may have gone round
        block = find_or_allocate(size)
    if block is None:
        shape = tuple([sizes[i] for i in range(ndim)])
        dtype = cnp.PyArray_DescrFromType(typenum)
        raise MemoryError(f"an array of shape {shape} and type {dtype} ({dtype.itemsize * math.prod(shape)} bytes) cannot be "
                          "allocated")
    array = cnp.PyArray_SimpleNewFromData(ndim, <cnp.npy_intp *>sizes, typenum, block.data)
    cnp.set_array_base(array, block)
    return array


def empty(tuple shape, dtype):
    """An uninitialised C-contiguous array, 64-byte aligned, from the pool.

    Raises MemoryError where it does not fit into memory.
    """
    cdef cnp.dtype descr = dtype if isinstance(dtype, cnp.dtype) else np.dtype(dtype)
    cdef cnp.npy_intp sizes[MOST_DIMENSIONS]
    cdef int i
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"an array has at most {MOST_DIMENSIONS} dimensions, got {len(shape)}")
    for i in range(len(shape)):
        sizes[i] = shape[i]
    return new_array(len(shape), sizes, descr.num)


def pool_statistics():
    """Bytes and blocks that are freed and kept, and the bound in bytes."""
    return {"bytes": pooled_bytes, "blocks": pooled, "bound": bound}


def set_pool_bound(size_t size):
    """The most bytes that are kept; what is over it is freed now. Returns the bound that was."""
    global bound
    before = bound
    cdef char *old
    bound = size
    while True:
        old = NULL
        fc_acquire()
        if pooled_bytes > bound:
            old = pool[0].data
            drop(0)
        fc_release()
        if old == NULL:
            return before
        free(old)


def _bound_from_environment():
    text = os.environ.get("FASTCONV_POOL_MB", "256").strip()
    if not (text.isdecimal() and int(text) <= 1 << 20):
        raise ImportError(f"FASTCONV_POOL_MB={text!r} must be a whole number of MB, 0 or more")
    return int(text) << 20

bound = _bound_from_environment()
