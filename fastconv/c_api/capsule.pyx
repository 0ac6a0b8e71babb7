"""The functions behind ``fastconv._C_API``: see include/fastconv.h, which is their contract.

A handle is a `Plan`, a Python object that its caller owns. What comes with a call goes through one door, `perform`:

    the interpreter runs? -> take the GIL, put a pending exception aside -> the plan's `run` -> code and message
"""

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastconv._core.runtime cimport threads as limits
from fastconv.c_api.declarations cimport (
    FASTCONV_API_VERSION, FASTCONV_FAILED, FASTCONV_INTERRUPTED, FASTCONV_INVALID, FASTCONV_NO_MEMORY,
    FASTCONV_NO_PYTHON, FASTCONV_OK, fastconv_api, fastconv_conv2d, fastconv_error, fastconv_plan, fastconv_pool2d,
)
from fastconv.c_api.plans cimport (
    AVG_POOL2D, AVG_POOL2D_BACKWARD, CONV2D, CONV2D_BACKWARD, MAX_POOL2D, MAX_POOL2D_BACKWARD, OUTPUT_SHAPE, Kind,
    Plan, Pointers, planned,
)

from fastconv import config
from fastconv._core.runtime import threads

cdef extern from "Python.h":
    bint Py_IsInitialized() nogil
    void PyErr_Fetch(PyObject **type, PyObject **value, PyObject **traceback)
    void PyErr_Restore(PyObject *type, PyObject *value, PyObject *traceback)
    void PyErr_SetInterrupt()

NAMES = ("conv2d", "conv2d_backward", "max_pool2d", "max_pool2d_backward", "avg_pool2d", "avg_pool2d_backward")


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
