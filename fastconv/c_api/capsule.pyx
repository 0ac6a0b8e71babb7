"""The functions behind ``fastconv._C_API``: see include/fastconv.h, which is their contract.

A handle is a `Plan`, a Python object that its caller owns. What comes with a call goes through one door, `perform`:

    the interpreter runs? -> take the GIL, put a pending exception aside -> the plan's `run` -> code and message

`run` sees pointers as arrays, without a copy, and calls what `fastconv.functional` calls; drivers let go of the GIL
around their loops.
"""

cimport numpy as cnp
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution, Epilogue, Window
from fastconv._core.runtime cimport threads as limits
from fastconv.c_api.declarations cimport (
    FASTCONV_API_VERSION, FASTCONV_FAILED, FASTCONV_INTERRUPTED, FASTCONV_INVALID, FASTCONV_NO_MEMORY,
    FASTCONV_NO_PYTHON, FASTCONV_OK, fastconv_api, fastconv_conv2d, fastconv_error, fastconv_plan, fastconv_pool2d,
)

import numpy as np

from fastconv import config
from fastconv._core.pooling import planes
from fastconv._core.runtime import threads
from fastconv.c_api import problems
from fastconv.functional import checks, pooling_calls
from fastconv.functional.conv import IMAGES

cnp.import_array()

cdef extern from "Python.h":
    bint Py_IsInitialized() nogil
    void PyErr_Fetch(PyObject **type, PyObject **value, PyObject **traceback)
    void PyErr_Restore(PyObject *type, PyObject *value, PyObject *traceback)
    void PyErr_SetInterrupt()

cdef enum Kind:
    CONV2D, CONV2D_BACKWARD, MAX_POOL2D, MAX_POOL2D_BACKWARD, AVG_POOL2D, AVG_POOL2D_BACKWARD, OUTPUT_SHAPE

NAMES = ("conv2d", "conv2d_backward", "max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward")
FLOATS = {4: np.float32, 8: np.float64}

# The pointers of a call, in the order of its function in fastconv.h.
cdef struct Pointers:
    const void *read[3]
    void *written[3]

# How an array lies around the pointer to its first element: its bytes begin `before` it and end `behind` it.
cdef struct Memory:
    int axes, type
    cnp.npy_intp[4] shape, strides
    Py_ssize_t itemsize, before, behind
    bint empty


cdef Memory memory_of(form, dtype) except *:
    """A problems.Form as the loops see it."""
    cdef Memory m
    cdef Py_ssize_t reach
    cdef int i
    m.axes, m.type = len(form.shape), np.dtype(dtype).num
    m.itemsize, m.before, m.behind, m.empty = form.itemsize, 0, form.itemsize, 0 in form.shape
    for i in range(m.axes):
        m.shape[i], m.strides[i] = form.shape[i], 0 if m.empty else form.strides[i]
        reach = (m.shape[i] - 1) * m.strides[i]
        if reach < 0:
            m.before += reach
        else:
            m.behind += reach
    return m


cdef cnp.ndarray array_at(const Memory *m, const void *data, str name):
    """The array at a pointer, after the checks of that; None for NULL is not among them."""
    cdef cnp.npy_intp[4] shape
    cdef cnp.ndarray array
    memcpy(shape, m.shape, sizeof(shape))
    if m.empty:    # NumPy looks at no pointer then
        return cnp.PyArray_EMPTY(m.axes, shape, m.type, False)
    if data == NULL:
        raise ValueError(f"{name} must point to an array of shape {tuple(shape[i] for i in range(m.axes))}, got NULL")
    if <uintptr_t>data % m.itemsize:
        raise ValueError(f"{name} must be aligned to the {m.itemsize} bytes of an element, got {<uintptr_t>data:#x}")
    array = cnp.PyArray_SimpleNewFromData(m.axes, shape, m.type, <void *>data)
    memcpy(cnp.PyArray_STRIDES(array), m.strides, m.axes * sizeof(cnp.npy_intp))
    cnp.PyArray_UpdateFlags(array, cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_F_CONTIGUOUS)
    return array


cdef apart(const Memory *written, cnp.ndarray result, str name, const Memory *other, cnp.ndarray array,
           str other_name):
    """Refuses a result that shares an element with another array of the call, if that is there."""
    if array is None or written.empty or other.empty:
        return
    cdef char *begin = cnp.PyArray_BYTES(result)
    cdef char *begin_other = cnp.PyArray_BYTES(array)
    if begin + written.before >= begin_other + other.behind or begin_other + other.before >= begin + written.behind:
        return
    if checks.overlap(result, array):
        raise ValueError(f"{name} must not overlap {other_name}: pass memory of its own")


# ---------------------------------------------------------------------------------------------------------------------
# Plans


cdef class Plan:
    """What a handle points to."""

    cdef Kind kind
    cdef Memory y    # or grad_y

    cdef run(self, const Pointers *p):
        raise NotImplementedError


cdef class ConvolutionPlan(Plan):
    cdef Memory x, weight, bias
    cdef object convolve
    cdef Window window
    cdef Epilogue epilogue

    def __init__(self, parts, dtype):
        self.kind = CONV2D
        self.x, self.weight, self.bias, self.y = (memory_of(parts.x, dtype), memory_of(parts.weight, dtype),
                                                  memory_of(parts.bias, dtype), memory_of(parts.y, dtype))
        self.convolve, self.window, self.epilogue = parts.plan.convolve, parts.window, parts.epilogue

    cdef run(self, const Pointers *p):
        cdef cnp.ndarray x = array_at(&self.x, p.read[0], "x")
        cdef cnp.ndarray weight = array_at(&self.weight, p.read[1], "weight")
        cdef cnp.ndarray bias = array_at(&self.bias, p.read[2], "bias") if p.read[2] != NULL else None
        cdef cnp.ndarray y = array_at(&self.y, p.written[0], "y")
        apart(&self.y, y, "y", &self.x, x, "x")
        apart(&self.y, y, "y", &self.weight, weight, "weight")
        apart(&self.y, y, "y", &self.bias, bias, "bias")
        if not self.y.empty:
            self.convolve(Convolution(x, weight, bias, y, self.window, self.epilogue))


cdef class ConvolutionGradients(Plan):
    cdef Memory x, weight, grad_x, grad_weight, bias
    cdef object plan
    cdef Window window

    def __init__(self, parts, dtype):
        self.kind = CONV2D_BACKWARD
        self.x, self.weight, self.y = (memory_of(parts.x, dtype), memory_of(parts.weight, dtype),
                                       memory_of(parts.y, dtype))
        self.grad_x, self.grad_weight, self.bias = (memory_of(parts.grad_x, dtype),
                                                    memory_of(parts.grad_weight, dtype), memory_of(parts.bias, dtype))
        self.plan, self.window = parts.plan, parts.window

    cdef run(self, const Pointers *p):
        cdef const Memory *given[3]
        cdef const Memory *wanted[3]
        cdef int i, j
        cdef bint of_x = p.written[0] != NULL, of_weight = p.written[1] != NULL
        needed = of_x or of_weight or p.written[2] != NULL, of_weight, of_x
        given[0], given[1], given[2] = &self.y, &self.x, &self.weight
        wanted[0], wanted[1], wanted[2] = &self.grad_x, &self.grad_weight, &self.bias
        arrays = [None, None, None]
        gradients = [None, None, None]
        for i in range(3):
            if needed[i]:
                arrays[i] = array_at(given[i], p.read[i], GIVEN[i])
        for i in range(3):
            if p.written[i] == NULL:
                continue
            gradients[i] = array_at(wanted[i], p.written[i], WANTED[i])
            for j in range(3):
                apart(wanted[i], gradients[i], WANTED[i], given[j], arrays[j], GIVEN[j])
            for j in range(i):
                apart(wanted[i], gradients[i], WANTED[i], wanted[j], gradients[j], WANTED[j])
        if needed[0]:
            IMAGES.fill_gradients(self.plan, self.window, arrays, gradients)


GIVEN, WANTED = ("grad_y", "x", "weight"), ("grad_x", "grad_weight", "grad_bias")


cdef class PoolingPlan(Plan):
    """Of a pooling, or of its gradient, where x is grad_x, and y grad_y."""

    cdef Memory x, indices
    cdef object windows, size
    cdef bint channels_last

    def __init__(self, Kind kind, parts, dtype):
        self.kind = kind
        self.x, self.y = memory_of(parts.x, dtype), memory_of(parts.y, dtype)
        self.indices = memory_of(parts.indices, np.int64)
        self.windows, self.size, self.channels_last = parts.windows, parts.x.shape[2:], parts.channels_last

    cdef run(self, const Pointers *p):
        if self.kind == MAX_POOL2D or self.kind == AVG_POOL2D:
            self.forward(p)
        else:
            self.backward(p)

    cdef forward(self, const Pointers *p):
        cdef cnp.ndarray x = array_at(&self.x, p.read[0], "x")
        cdef cnp.ndarray y = array_at(&self.y, p.written[0], "y")
        cdef cnp.ndarray indices = array_at(&self.indices, p.written[1], "indices") if p.written[1] != NULL else None
        apart(&self.y, y, "y", &self.x, x, "x")
        apart(&self.indices, indices, "indices", &self.x, x, "x")
        apart(&self.y, y, "y", &self.indices, indices, "indices")
        planes.pool(x, self.windows, self.kind == AVG_POOL2D, y, indices)

    cdef backward(self, const Pointers *p):
        cdef cnp.ndarray grad_y = array_at(&self.y, p.read[0], "grad_y")
        cdef cnp.ndarray grad_x = array_at(&self.x, p.written[0], "grad_x")
        cdef cnp.ndarray indices
        apart(&self.x, grad_x, "grad_x", &self.y, grad_y, "grad_y")
        if self.kind == AVG_POOL2D_BACKWARD:
            planes.average_backward(grad_y, grad_x, self.windows, self.channels_last)
            return
        indices = array_at(&self.indices, p.read[1], "indices")
        apart(&self.x, grad_x, "grad_x", &self.indices, indices, "indices")
        pooling_calls.check_positions(indices, self.size)    # before anything is written
        planes.max_backward(grad_y, indices, grad_x, self.windows, self.channels_last)


cdef Plan planned(Kind kind, const void *problem):
    cdef fastconv_conv2d conv
    cdef fastconv_pool2d pool
    cdef size_t size
    if problem == NULL:
        raise ValueError("problem must point to a struct, got NULL")
    size = (<const size_t *>problem)[0]    # the first field of both
    if kind <= CONV2D_BACKWARD:
        check_size(size, sizeof(conv), "fastconv_conv2d")
        conv = (<const fastconv_conv2d *>problem)[0]
        parts = problems.conv2d(conv, kind == CONV2D_BACKWARD)
        dtype = FLOATS[parts.x.itemsize]
        return ConvolutionPlan(parts, dtype) if kind == CONV2D else ConvolutionGradients(parts, dtype)
    check_size(size, sizeof(pool), "fastconv_pool2d")
    pool = (<const fastconv_pool2d *>problem)[0]
    average, backward = kind >= AVG_POOL2D, kind in (MAX_POOL2D_BACKWARD, AVG_POOL2D_BACKWARD)
    parts = problems.pool2d(pool, average, backward)
    return PoolingPlan(kind, parts, FLOATS[parts.x.itemsize])


cdef check_size(size_t size, size_t expected, str name):
    if size != expected:
        raise ValueError(f"size must be {expected}, that of {name} in this fastconv, got {size}: begin with "
                         f"{name}_defaults()")


# ---------------------------------------------------------------------------------------------------------------------
# Errors, and the GIL


cdef int succeed(fastconv_error *error) noexcept nogil:
    if error != NULL:
        error.code, error.message[0] = FASTCONV_OK, 0
    return FASTCONV_OK


cdef int without_python(fastconv_error *error) noexcept nogil:
    cdef const char *message = "Python does not run, or is about to end: nothing can be computed any more"
    cdef int i = 0
    if error != NULL:
        error.code = FASTCONV_NO_PYTHON
        while message[i] != 0:
            error.message[i] = message[i]
            i += 1
        error.message[i] = 0
    return FASTCONV_NO_PYTHON


cdef int fail(exception, fastconv_error *error):
    """The code for an exception, with its message in the struct."""
    cdef int code = FASTCONV_FAILED
    cdef bytes text
    if isinstance(exception, (ValueError, TypeError)):
        code = FASTCONV_INVALID
    elif isinstance(exception, MemoryError):
        code = FASTCONV_NO_MEMORY
    elif isinstance(exception, KeyboardInterrupt):
        code = FASTCONV_INTERRUPTED
    if error == NULL:
        return code
    words = str(exception) or type(exception).__name__
    if code in (FASTCONV_FAILED, FASTCONV_INTERRUPTED):
        words = f"{type(exception).__name__}: {exception}"
    text = words.encode("utf-8", "replace")[:sizeof(error.message) - 1]
    text = text.decode("utf-8", "ignore").encode("utf-8")    # no part of a character at the end
    error.code = code
    memcpy(error.message, <const char *>text, len(text))
    error.message[len(text)] = 0
    return code


cdef int answer(exception, fastconv_error *error) noexcept:
    """As `fail`, where there may be no memory for words either. Ctrl-C is left to Python's next look at signals."""
    cdef int code = FASTCONV_FAILED
    cdef bint interrupted = isinstance(exception, KeyboardInterrupt)
    try:
        code = fail(exception, error)
    except BaseException as another:
        interrupted = interrupted or isinstance(another, KeyboardInterrupt)
        if error != NULL:
            error.code, error.message[0] = code, 0
    if interrupted:    # at the very end: what comes next would be interrupted by it
        PyErr_SetInterrupt()
    return code


cdef int make(Kind kind, const void *problem, fastconv_plan **plan, fastconv_error *error) noexcept nogil:
    if plan != NULL:
        plan[0] = NULL
    return make_with_gil(kind, problem, plan, error) if Py_IsInitialized() else without_python(error)


cdef int make_with_gil(Kind kind, const void *problem, fastconv_plan **plan, fastconv_error *error) noexcept with gil:
    cdef PyObject *pending[3]
    cdef int code
    PyErr_Fetch(&pending[0], &pending[1], &pending[2])
    try:
        if plan == NULL:
            raise ValueError("plan must point to where the plan shall go, got NULL")
        made = planned(kind, problem)
        Py_INCREF(made)
        plan[0] = <fastconv_plan *><PyObject *>made
        code = succeed(error)
    except BaseException as exception:
        code = answer(exception, error)
    PyErr_Restore(pending[0], pending[1], pending[2])
    return code


cdef int perform(Kind kind, const fastconv_plan *plan, const Pointers *p, fastconv_error *error) noexcept nogil:
    return perform_with_gil(kind, plan, p, error) if Py_IsInitialized() else without_python(error)


cdef int perform_with_gil(Kind kind, const fastconv_plan *plan, const Pointers *p,
                          fastconv_error *error) noexcept with gil:
    cdef PyObject *pending[3]
    cdef int code
    PyErr_Fetch(&pending[0], &pending[1], &pending[2])
    try:
        run(kind, plan, p)
        code = succeed(error)
    except BaseException as exception:
        code = answer(exception, error)
    PyErr_Restore(pending[0], pending[1], pending[2])
    return code


cdef run(Kind kind, const fastconv_plan *handle, const Pointers *p):
    if handle == NULL:
        raise ValueError("plan must be a plan, got NULL")
    cdef Plan plan = <Plan><PyObject *>handle
    cdef int i
    if kind == OUTPUT_SHAPE:
        if p.written[0] == NULL:
            raise ValueError("shape must point to four numbers, got NULL")
        for i in range(4):
            (<int64_t *>p.written[0])[i] = plan.y.shape[i]
        return
    if plan.kind != kind:
        raise ValueError(f"plan must be one of plan_{NAMES[<int>kind]}, got one of plan_{NAMES[<int>plan.kind]}")
    plan.run(p)


# ---------------------------------------------------------------------------------------------------------------------
# The functions of the struct


cdef int plan_conv2d(const fastconv_conv2d *problem, fastconv_plan **plan, fastconv_error *error) noexcept nogil:
    return make(CONV2D, problem, plan, error)


cdef int plan_conv2d_backward(const fastconv_conv2d *problem, fastconv_plan **plan,
                              fastconv_error *error) noexcept nogil:
    return make(CONV2D_BACKWARD, problem, plan, error)


cdef int plan_max_pool2d(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error) noexcept nogil:
    return make(MAX_POOL2D, problem, plan, error)


cdef int plan_max_pool2d_backward(const fastconv_pool2d *problem, fastconv_plan **plan,
                                  fastconv_error *error) noexcept nogil:
    return make(MAX_POOL2D_BACKWARD, problem, plan, error)


cdef int plan_avg_pool2d(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error) noexcept nogil:
    return make(AVG_POOL2D, problem, plan, error)


cdef int plan_avg_pool2d_backward(const fastconv_pool2d *problem, fastconv_plan **plan,
                                  fastconv_error *error) noexcept nogil:
    return make(AVG_POOL2D_BACKWARD, problem, plan, error)


cdef void free_plan(fastconv_plan *plan) noexcept nogil:
    if plan != NULL and Py_IsInitialized():
        free_with_gil(plan)


cdef void free_with_gil(fastconv_plan *plan) noexcept with gil:
    cdef PyObject *pending[3]
    PyErr_Fetch(&pending[0], &pending[1], &pending[2])
    Py_DECREF(<Plan><PyObject *>plan)
    PyErr_Restore(pending[0], pending[1], pending[2])


cdef int output_shape(const fastconv_plan *plan, int64_t *shape, fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.written[0] = shape
    return perform(OUTPUT_SHAPE, plan, &p, error)


cdef int conv2d(const fastconv_plan *plan, const void *x, const void *weight, const void *bias, void *y,
                fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.read[1], p.read[2], p.written[0] = x, weight, bias, y
    return perform(CONV2D, plan, &p, error)


cdef int max_pool2d(const fastconv_plan *plan, const void *x, void *y, int64_t *indices,
                    fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.written[0], p.written[1] = x, y, indices
    return perform(MAX_POOL2D, plan, &p, error)


cdef int avg_pool2d(const fastconv_plan *plan, const void *x, void *y, fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.written[0], p.written[1] = x, y, NULL
    return perform(AVG_POOL2D, plan, &p, error)


cdef int conv2d_backward(const fastconv_plan *plan, const void *grad_y, const void *x, const void *weight,
                         void *grad_x, void *grad_weight, void *grad_bias, fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.read[1], p.read[2] = grad_y, x, weight
    p.written[0], p.written[1], p.written[2] = grad_x, grad_weight, grad_bias
    return perform(CONV2D_BACKWARD, plan, &p, error)


cdef int max_pool2d_backward(const fastconv_plan *plan, const void *grad_y, const int64_t *indices, void *grad_x,
                             fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.read[1], p.written[0] = grad_y, indices, grad_x
    return perform(MAX_POOL2D_BACKWARD, plan, &p, error)


cdef int avg_pool2d_backward(const fastconv_plan *plan, const void *grad_y, void *grad_x,
                             fastconv_error *error) noexcept nogil:
    cdef Pointers p
    p.read[0], p.written[0] = grad_y, grad_x
    return perform(AVG_POOL2D_BACKWARD, plan, &p, error)


cdef int set_limit(int n, bint here, fastconv_error *error) noexcept with gil:
    cdef PyObject *pending[3]
    cdef int code
    PyErr_Fetch(&pending[0], &pending[1], &pending[2])
    try:
        if not here:
            config.set_num_threads(n)
        elif 0 <= n <= threads.MOST:
            threads.set_override(n)
        else:
            raise ValueError(f"n must be from 1 to {threads.MOST} threads, or 0 for no limit, got {n}")
        code = succeed(error)
    except BaseException as exception:
        code = answer(exception, error)
    PyErr_Restore(pending[0], pending[1], pending[2])
    return code


cdef int set_num_threads(int n, fastconv_error *error) noexcept nogil:
    return set_limit(n, False, error) if Py_IsInitialized() else without_python(error)


cdef int set_thread_limit(int n, fastconv_error *error) noexcept nogil:
    return set_limit(n, True, error) if Py_IsInitialized() else without_python(error)


cdef int limit_with_gil() noexcept with gil:
    return limits.limit()


cdef int get_num_threads() noexcept nogil:
    return limit_with_gil() if Py_IsInitialized() else 0


cdef bytes version = config.__version__.encode()
cdef fastconv_api api
api.size, api.version, api.package = sizeof(api), FASTCONV_API_VERSION, version
api.plan_conv2d, api.plan_conv2d_backward = plan_conv2d, plan_conv2d_backward
api.plan_max_pool2d, api.plan_max_pool2d_backward = plan_max_pool2d, plan_max_pool2d_backward
api.plan_avg_pool2d, api.plan_avg_pool2d_backward = plan_avg_pool2d, plan_avg_pool2d_backward
api.free_plan, api.output_shape = free_plan, output_shape
api.conv2d, api.max_pool2d, api.avg_pool2d = conv2d, max_pool2d, avg_pool2d
api.conv2d_backward = conv2d_backward
api.max_pool2d_backward, api.avg_pool2d_backward = max_pool2d_backward, avg_pool2d_backward
api.set_num_threads, api.set_thread_limit = set_num_threads, set_thread_limit
api.get_num_threads = get_num_threads

C_API = PyCapsule_New(&api, "fastconv._C_API", NULL)
