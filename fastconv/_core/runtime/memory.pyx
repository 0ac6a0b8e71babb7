"""Scratch and output memory: 64-byte aligned blocks from one bounded pool of freed ones.

Above malloc's mmap threshold every new block costs page faults: 51 MB take 24 ms, three times the convolution that
fills them. So a block that is freed stays in the pool, up to `POOL_BYTES` in all, and serves the next request of its
size class, or, where it is large, of one that is at least four fifths of it (386 outputs of 0.2 to 65 MB, one after the
other, took 14444 page faults, and 500 of 1000 ms); blocks of 2 MB and more are aligned for huge pages. A block goes
back when the array (or the last view of it) that lies in it dies, so nothing is ever recycled under a living array.

Arrays own their memory, as those that NumPy makes: what is to become of it stands in a NumPy memory handler (NEP 49),
whose `free` is the way into the pool. NumPy tells it how large the array is by then, which need not be how large the
block is; so the size of a block stands in front of its data.

`FASTCONV_POOL_MB` sets the bound in MB (256 by default; 0 switches the pool off).
"""

import math
import os

import numpy as np

cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_INCREF
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uintptr_t
from libc.string cimport memcpy, memset, strcpy

cnp.import_array()

cdef extern from *:
    """
    #include <pthread.h>
    #include <stdlib.h>
    #ifdef __linux__
    #include <sys/mman.h>
    #endif
    #define FC_LINE ((size_t)64)
    #define FC_PAGE ((size_t)4096)
    #define FC_HUGE ((size_t)2 << 20)
    static void *fc_take(size_t size, size_t alignment) {
        void *start;
        return posix_memalign(&start, alignment, size) ? NULL : start;
    }
    /* Large blocks are mapped and unmapped each by itself. malloc maps them too at first, but each that it gets back
       raises, up to 32 MB, the size from which it does so, and its heap comes to hold tens of MB that nobody uses. */
    #if defined(__linux__) && !defined(__SANITIZE_ADDRESS__) /* AddressSanitizer watches what malloc gives */
    /* Whole pages, of whatever size they are. */
    static size_t fc_mapped(size_t size) { return (size + 0xffff) & ~(size_t)0xffff; }
    static void *fc_take_large(size_t size) {
        size_t length = fc_mapped(size);
        char *start = (char *)mmap(NULL, length + FC_HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == (char *)MAP_FAILED) return NULL;
        size_t before = -(size_t)start & (FC_HUGE - 1);
        if (before) munmap(start, before);
        start += before;
        munmap(start + length, FC_HUGE - before);
    #ifdef MADV_HUGEPAGE
        madvise(start, length, MADV_HUGEPAGE);
    #endif
        return start;
    }
    static void fc_free_large(void *start, size_t size) { munmap(start, fc_mapped(size)); }
    #else
    static void *fc_take_large(size_t size) { return fc_take(size, FC_HUGE); }
    static void fc_free_large(void *start, size_t size) { (void)size; free(start); }
    #endif
    /* In front of the data lies its size, alone in a cache line; large data begin on a page of their own: 64 bytes into
       one, the store of an output looks to the processor like that of the pixel which is loaded next from an array of
       NumPy's, whose large data begin 16 bytes into a page (5 % of a depthwise layer). */
    static inline size_t fc_header(size_t size) { return size >= FC_HUGE ? FC_PAGE : FC_LINE; }
    static inline size_t fc_size(const char *data) { return *(const size_t *)(data - FC_LINE); }
    static char *fc_allocate(size_t size) {
        size_t header = fc_header(size);
        char *start = (char *)(size >= FC_HUGE ? fc_take_large(header + size) : fc_take(header + size, FC_LINE));
        if (start == NULL) return NULL;
        char *data = start + header;
        *(size_t *)(data - FC_LINE) = size;
        return data;
    }
    static void fc_free(char *data) {
        size_t size = fc_size(data), header = fc_header(size);
        if (size >= FC_HUGE) fc_free_large(data - header, header + size);
        else free(data - header);
    }
    /* PyThread_acquire_lock would look at the clock each time: 25 ns. */
    static pthread_mutex_t fc_lock = PTHREAD_MUTEX_INITIALIZER;
    static void fc_acquire(void) { pthread_mutex_lock(&fc_lock); }
    static void fc_release(void) { pthread_mutex_unlock(&fc_lock); }
    /* Bytes of scratch now, and the most since the last look at them. */
    static size_t fc_taken, fc_most_taken;
    static void fc_count(size_t size) {
        size_t now = __atomic_add_fetch(&fc_taken, size, __ATOMIC_RELAXED);
        size_t most = __atomic_load_n(&fc_most_taken, __ATOMIC_RELAXED);
        while (now > most
               && !__atomic_compare_exchange_n(&fc_most_taken, &most, now, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    static size_t fc_uncount(size_t size) { return __atomic_sub_fetch(&fc_taken, size, __ATOMIC_RELAXED); }
    static size_t fc_count_anew(size_t now) { return __atomic_exchange_n(&fc_most_taken, now, __ATOMIC_RELAXED); }
    /* The pool's bound, which is read before the lock is taken. */
    static size_t fc_pool_bound;
    static size_t fc_bound(void) { return __atomic_load_n(&fc_pool_bound, __ATOMIC_RELAXED); }
    static size_t fc_exchange_bound(size_t size) { return __atomic_exchange_n(&fc_pool_bound, size, __ATOMIC_RELAXED); }
    /* Whoever forks does so between two uses of the pool: parent and child go on with a pool that is whole,
       and unlocked. */
    static int fc_keep_through_forks(void) { return pthread_atfork(fc_acquire, fc_release, fc_release); }
    """
    char *fc_allocate(size_t size) nogil
    size_t fc_size(const char *data) nogil
    void fc_free(char *data) nogil
    void fc_acquire() nogil
    void fc_release() nogil
    int fc_keep_through_forks()
    void fc_count(size_t size) nogil
    size_t fc_uncount(size_t size) nogil
    size_t fc_count_anew(size_t now) nogil
    size_t fc_bound() nogil
    size_t fc_exchange_bound(size_t size) nogil

cdef extern from "numpy/arrayobject.h":
    ctypedef struct Allocator "PyDataMemAllocator":
        void *ctx
        void *(*malloc)(void *, size_t) noexcept nogil
        void *(*calloc)(void *, size_t, size_t) noexcept nogil
        void *(*realloc)(void *, void *, size_t) noexcept nogil
        void (*free)(void *, void *, size_t) noexcept nogil
    ctypedef struct Handler "PyDataMem_Handler":
        char name[127]
        uint8_t version
        Allocator allocator
    ctypedef struct Fields "PyArrayObject_fields":
        PyObject *mem_handler

cdef extern from "Python.h":
    int PyTraceMalloc_Track(unsigned int domain, uintptr_t address, size_t size)

cdef enum:
    SLOTS = 256
    MOST_DIMENSIONS = 64    # of a NumPy array
    DOMAIN = 389047         # of NumPy's arrays in tracemalloc: np.lib.tracemalloc_domain
    LARGE_BYTES = 2 << 20   # of a block that may serve a smaller request

cdef size_t MOST_BYTES = <size_t>1 << 62

cdef struct Freed:
    char *data
    size_t size

cdef Freed pool[SLOTS]
cdef int pooled = 0             # slots in use; the oldest comes first
cdef size_t pooled_bytes = 0


cdef size_t size_class(size_t size) noexcept nogil:
    """Rounded up to an eighth of its power of two, at least 64 bytes: at most 12.5 % more than asked for."""
    cdef size_t step = 64
    while step * 16 <= size:
        step *= 2
    return (size + step - 1) // step * step if size else 64


cdef size_t size_of_block(size_t size) noexcept nogil:
    """What is taken for so many bytes."""
    cdef size_t kept = size_class(size)
    if kept <= fc_bound():
        return kept
    return size if size else 1    # it will not be kept


cdef void drop(int slot) noexcept nogil:
    """Takes a slot out of the pool, in order; the block is now the caller's."""
    global pooled, pooled_bytes
    cdef int i
    pooled_bytes -= pool[slot].size
    pooled -= 1
    for i in range(slot, pooled):
        pool[i] = pool[i + 1]


cdef char *find(size_t size) noexcept nogil:
    """The youngest freed block of this class, the data of which is the most likely to be in a cache; of large ones,
    whose pages are dear, else the smallest that is at most a quarter larger; or NULL."""
    cdef size_t most = size + size // 4 if size >= LARGE_BYTES else size
    cdef int i, best = -1
    cdef char *data = NULL
    fc_acquire()
    for i in range(pooled - 1, -1, -1):
        if size <= pool[i].size <= most and (best < 0 or pool[i].size < pool[best].size):
            best = i
            if pool[i].size == size:
                break
    if best >= 0:
        data = pool[best].data
        drop(best)
    fc_release()
    return data


cdef char *find_or_allocate(size_t size) noexcept nogil:
    """The data of a block of at least so many bytes, or NULL where there is no such memory."""
    cdef char *data
    if size > MOST_BYTES:
        return NULL
    size = size_of_block(size)
    data = find(size)
    return data if data != NULL else fc_allocate(size)


cdef void give_back(char *data) noexcept nogil:
    """Into the pool; the oldest leave it until this one fits."""
    global pooled, pooled_bytes
    cdef size_t size = fc_size(data)
    cdef char *old
    if size > fc_bound() or size != size_class(size):    # the latter was taken under a smaller bound
        fc_free(data)
        return
    while True:
        old = NULL
        fc_acquire()
        if pooled and (pooled == SLOTS or pooled_bytes + size > fc_bound()):
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
        fc_free(old)


# ---------------------------------------------------------------------------------------------------------------------
# Scratch


cdef class Block:
    """Owns one piece of memory."""

    def __dealloc__(self):
        fc_uncount(self.asked)
        if self.data != NULL:
            give_back(self.data)


cdef Block take(size_t size):
    cdef Block block = Block.__new__(Block)
    block.data = find_or_allocate(size)
    if block.data == NULL:
        raise MemoryError(f"{size} bytes cannot be allocated")
    block.size, block.asked = fc_size(block.data), size
    fc_count(size)
    return block


def scratch(size_t size):
    """`take` for Python: so many bytes, as an array."""
    cdef Block block = take(size)
    cdef cnp.npy_intp count = size
    array = cnp.PyArray_SimpleNewFromData(1, &count, cnp.NPY_UINT8, block.data)
    cnp.set_array_base(array, block)
    return array


def scratch_taken():
    """Bytes of scratch that are taken now, and the most that were at a time since the last call;
    exact where calls do not overlap."""
    cdef size_t now = fc_uncount(0)
    return now, fc_count_anew(now)


# ---------------------------------------------------------------------------------------------------------------------
# Arrays. NumPy calls the handler's functions from any thread, `realloc` for `ndarray.resize`.


cdef void *handle_malloc(void *ctx, size_t size) noexcept nogil:
    return find_or_allocate(size)


cdef void *handle_calloc(void *ctx, size_t count, size_t size) noexcept nogil:
    cdef char *data
    if size and count > MOST_BYTES // size:
        return NULL
    data = find_or_allocate(count * size)
    if data != NULL:
        memset(data, 0, count * size)
    return data


cdef void *handle_realloc(void *ctx, void *old, size_t size) noexcept nogil:
    cdef char *data
    if old == NULL:
        return find_or_allocate(size)
    if fc_size(<char *>old) == size_of_block(size):
        return old
    data = find_or_allocate(size)
    if data != NULL:
        memcpy(data, old, min(size, fc_size(<char *>old)))
        give_back(<char *>old)
    return data


cdef void handle_free(void *ctx, void *data, size_t size) noexcept nogil:
    if data != NULL:
        give_back(<char *>data)


cdef Handler handler
strcpy(handler.name, b"fastconv")
handler.version = 1
handler.allocator.malloc = handle_malloc
handler.allocator.calloc = handle_calloc
handler.allocator.realloc = handle_realloc
handler.allocator.free = handle_free
cdef object handler_capsule = PyCapsule_New(&handler, "mem_handler", NULL)


cdef cnp.ndarray new_array(int ndim, const cnp.npy_intp *sizes, int typenum):
    cdef int i
    cdef size_t size = cnp.PyArray_DescrFromType(typenum).itemsize
    cdef double approximately = size
    cdef char *data = NULL
    for i in range(ndim):
        size *= sizes[i]
        approximately *= sizes[i]
    if approximately < 1e18:    # else size may have gone round
        data = find_or_allocate(size)
    if data == NULL:
        shape = tuple([sizes[i] for i in range(ndim)])
        dtype = cnp.PyArray_DescrFromType(typenum)
        raise MemoryError(f"an array of shape {shape} and type {dtype} ({dtype.itemsize * math.prod(shape)} bytes) "
                          "cannot be allocated")
    try:
        array = cnp.PyArray_SimpleNewFromData(ndim, <cnp.npy_intp *>sizes, typenum, data)
    except BaseException:
        give_back(data)
        raise
    Py_INCREF(handler_capsule)
    (<Fields *>array).mem_handler = <PyObject *>handler_capsule
    cnp.PyArray_ENABLEFLAGS(array, cnp.NPY_ARRAY_OWNDATA)
    if PyTraceMalloc_Track(DOMAIN, <uintptr_t>data, size) == -1:
        raise MemoryError("tracemalloc has no memory to keep track of an array")
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


def as_result(cnp.ndarray view):
    """A fresh result, seen through a view, as an array that is C-contiguous and owns its memory.

    The view is another form of all of the result, with other axes or without one:
    the array that owns the memory gets that form, where it is C-contiguous; else the numbers are copied.
    """
    cdef cnp.ndarray owner = view
    cdef cnp.PyArray_Dims shape
    if cnp.PyArray_CHKFLAGS(view, cnp.NPY_ARRAY_C_CONTIGUOUS):
        if cnp.PyArray_BASE(view) != NULL:
            owner = <cnp.ndarray>cnp.PyArray_BASE(view)
            shape.ptr, shape.len = cnp.PyArray_DIMS(view), cnp.PyArray_NDIM(view)
            # As large as before: this sets the shape, and moves nothing.
            cnp.PyArray_Resize(owner, &shape, 0, cnp.NPY_CORDER)
        return owner
    owner = new_array(cnp.PyArray_NDIM(view), cnp.PyArray_DIMS(view), cnp.PyArray_TYPE(view))
    cnp.PyArray_CopyInto(owner, view)
    return owner


# ---------------------------------------------------------------------------------------------------------------------
# The bound


def pool_statistics():
    """Bytes and blocks that are freed and kept, and the bound in bytes."""
    return {"bytes": pooled_bytes, "blocks": pooled, "bound": fc_bound()}


def set_pool_bound(size_t size):
    """The most bytes that are kept; what is over it is freed now. Returns the bound that was."""
    cdef size_t before = fc_exchange_bound(size)
    cdef char *old
    while True:
        old = NULL
        fc_acquire()
        if pooled_bytes > fc_bound():
            old = pool[0].data
            drop(0)
        fc_release()
        if old == NULL:
            return before
        fc_free(old)


def _bound_from_environment():
    text = os.environ.get("FASTCONV_POOL_MB", "256").strip()
    if not (text.isdecimal() and int(text) <= 1 << 20):
        raise ImportError(f"FASTCONV_POOL_MB={text!r} must be a whole number of MB, 0 or more")
    return int(text) << 20


fc_exchange_bound(_bound_from_environment())
if fc_keep_through_forks():
    raise MemoryError("handlers for forks cannot be registered")
