"""Plans of the C API: what was checked once, and is run on pointers.

`run` sees pointers as arrays, without a copy, and calls what `fastconv.functional` calls; drivers let go of the GIL
around their loops. A `Plan` is what a handle points to.
"""

cimport numpy as cnp
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from fastconv._core.problem.convolution cimport Convolution, Epilogue, Window
from fastconv.c_api.declarations cimport fastconv_conv2d, fastconv_pool2d

import numpy as np

from fastconv._core.pooling import planes
from fastconv.c_api import problems
from fastconv.functional import checks, pooling_calls
from fastconv.functional.conv import IMAGES

cnp.import_array()

FLOATS = {4: np.float32, 8: np.float64}
GIVEN, WANTED = ("grad_y", "x", "weight"), ("grad_x", "grad_weight", "grad_bias")    # by a gradient of a convolution


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
    cdef object plan, chosen
    cdef Window window

    def __init__(self, parts, dtype):
        self.kind = CONV2D_BACKWARD
        self.x, self.weight, self.y = (memory_of(parts.x, dtype), memory_of(parts.weight, dtype),
                                       memory_of(parts.y, dtype))
        self.grad_x, self.grad_weight, self.bias = (memory_of(parts.grad_x, dtype),
                                                    memory_of(parts.grad_weight, dtype), memory_of(parts.bias, dtype))
        self.plan, self.window = parts.plan, parts.window
        if not self.x.empty:    # drivers are chosen now, and not by the first run
            self.chosen = self.plan.data_gradient, self.plan.weight_gradient

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
