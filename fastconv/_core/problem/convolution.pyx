"""One convolution of arrays, described once, at the door of the engine room, and handed down whole.

What comes again from call to call, a `Window` and an `Epilogue`, is made with the plan. A `Convolution` joins them
with the arrays of one call and works out the record that the loops read, `Problem`. Nothing is checked.

For a weight gradient y is grad_output and w is grad_weight.
"""

cimport cython
cimport numpy as cnp

from fastconv._core.problem.geometry import PADDING_MODES

from fastconv._core.problem.problem cimport elements

cnp.import_array()

cdef object MOST_BYTES = 1 << 50    # of arrays that there may be,
cdef object FEW = 1 << 11           # and the sizes that are counted with where they are more


@cython.final
cdef class Window:
    """How filters lie on an image: pairs are (rows, columns); output (i, j) reads x from row i * stride - origin on.

    padding_mode is an index into geometry.PADDING_MODES: what stands beyond the border; padding_value is its constant.
    """

    def __init__(self, tuple stride=(1, 1), tuple dilation=(1, 1), tuple origin=(0, 0), int padding_mode=0,
                 double padding_value=0.0):
        self.stride, self.dilation, self.origin = stride, dilation, origin
        self.padding_mode, self.padding_value = padding_mode, padding_value
        self.stride_h, self.stride_w = stride
        self.dilation_h, self.dilation_w = dilation
        self.top, self.left = origin

    def with_origin(self, tuple origin):
        """The same window elsewhere."""
        return Window(self.stride, self.dilation, origin, self.padding_mode, self.padding_value)


cpdef Window window_of(problem, double padding_value=0.0):
    """That of a geometry.ConvProblem."""
    return Window(problem.stride, problem.dilation, problem.origin,
                  PADDING_MODES.index(problem.padding_mode), padding_value)


@cython.final
cdef class Epilogue:
    """What becomes of a sum beside its bias: an index into the table's activations, 0 for none,
    and the slope of a leaky ReLU; with accumulate it is added to what y was, before the activation."""

    def __init__(self, int activation=0, double negative_slope=0.0, bint accumulate=False):
        self.activation, self.negative_slope, self.accumulate = activation, negative_slope, accumulate

    def without_activation(self):
        return Epilogue(accumulate=self.accumulate)


cdef Epilogue plain = Epilogue()
PLAIN = plain


@cython.final
@cython.freelist(8)
cdef class Convolution:
    """y = activation(convolution of x with w + bias), or of that and what y was, of arrays with any strides but
    a contiguous bias, which may be None.

    x is (N, C, H, W), w (K, C / groups, R, S), y (N, K, OH, OW).
    """

    def __init__(self, cnp.ndarray x not None, cnp.ndarray w not None, cnp.ndarray bias, cnp.ndarray y not None,
                 Window window not None, Epilogue epilogue not None=plain):
        self.x, self.w, self.bias, self.y, self.window, self.epilogue = x, w, bias, y, window, epilogue
        self.single = cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT
        fill(self)

    def of(self, x=None, w=None, y=None, bias=None, origin=None, epilogue=None):
        """A part of this convolution: the same with other arrays, another origin, another epilogue;
        a part of `bias` stays it."""
        return Convolution(self.x if x is None else x, self.w if w is None else w, self.bias if bias is None else bias,
                           self.y if y is None else y,
                           self.window if origin is None else self.window.with_origin(origin),
                           self.epilogue if epilogue is None else epilogue)

    def without_bias(self):
        return Convolution(self.x, self.w, None, self.y, self.window, self.epilogue)


cdef void fill(Convolution conv):
    """The record, from the arrays and the window."""
    cdef Problem p = problem_of(<Py_ssize_t *>cnp.PyArray_DIMS(conv.x), <Py_ssize_t *>cnp.PyArray_STRIDES(conv.x),
                                <Py_ssize_t *>cnp.PyArray_DIMS(conv.w), <Py_ssize_t *>cnp.PyArray_STRIDES(conv.w),
                                <Py_ssize_t *>cnp.PyArray_DIMS(conv.y), <Py_ssize_t *>cnp.PyArray_STRIDES(conv.y),
                                cnp.PyArray_ITEMSIZE(conv.x), conv.window)
    p.x, p.weights, p.y = cnp.PyArray_DATA(conv.x), cnp.PyArray_DATA(conv.w), cnp.PyArray_DATA(conv.y)
    p.bias = NULL if conv.bias is None else cnp.PyArray_DATA(conv.bias)
    p.accumulate, p.activation, p.slope = (conv.epilogue.accumulate, conv.epilogue.activation,
                                           conv.epilogue.negative_slope)
    conv.problem = p


cdef Problem problem_of(const Py_ssize_t *x, const Py_ssize_t *x_strides, const Py_ssize_t *w,
                        const Py_ssize_t *w_strides, const Py_ssize_t *y, const Py_ssize_t *y_strides,
                        Py_ssize_t size, Window window):
    """The record without arrays, from the shapes and the strides (in bytes) of x, w and y,
    whose elements have `size` bytes."""
    cdef Problem p
    p.x = p.weights = p.bias = p.y = NULL
    p.accumulate, p.activation, p.slope, p.in_place = False, 0, 0, False
    p.n, p.h, p.w = x[0], x[2], x[3]
    p.c, p.r, p.s = w[1], w[2], w[3]
    p.own = p.c
    p.groups = x[1] // p.c if p.c else 1
    p.k = w[0] // p.groups if p.groups else 0
    p.oh, p.ow = y[2], y[3]
    p.xn, p.xc = elements(x_strides[0], size), elements(x_strides[1], size)
    p.xh, p.xw = elements(x_strides[2], size), elements(x_strides[3], size)
    p.yn, p.yk = elements(y_strides[0], size), elements(y_strides[1], size)
    p.yh, p.yw = elements(y_strides[2], size), elements(y_strides[3], size)
    p.wk, p.wc = elements(w_strides[0], size), elements(w_strides[1], size)
    p.wr, p.ws = elements(w_strides[2], size), elements(w_strides[3], size)
    # Where there is one row, or one column, of outputs, any step will do.
    p.stride_h = 1 if p.oh == 1 else window.stride_h
    p.stride_w = 1 if p.ow == 1 else window.stride_w
    p.dilation_h, p.dilation_w, p.top, p.left = window.dilation_h, window.dilation_w, window.top, window.left
    p.padding, p.value = window.padding_mode, window.padding_value
    return p


cdef Problem record_of(problem):
    """The record of a geometry.ConvProblem, without arrays but as if they were there, in the order of axes that
    it tells: what layouts are made from before there is a call. Sizes that no memory could hold are cut, so that
    one can count with them."""
    cdef Py_ssize_t[4] x, w, y, x_strides, w_strides, y_strides
    cdef Py_ssize_t size = problem.itemsize, step = problem.column_step
    cdef bint channels_last = problem.channels_last
    shapes = problem.x_shape, problem.weight_shape, problem.output_shape
    if problem.bytes > MOST_BYTES:
        shapes = [[min(length, FEW) for length in shape] for shape in shapes]
    x[0], x[1], x[2], x[3] = shapes[0]
    w[0], w[1], w[2], w[3] = shapes[1]
    y[0], y[1], y[2], y[3] = shapes[2]
    place(x, channels_last, size, 1, x_strides)
    place(w, False, size, 1, w_strides)
    if problem.turned:
        turn(w, w_strides, problem.groups)
    place(y, channels_last, size, step, y_strides)
    return problem_of(x, x_strides, w, w_strides, y, y_strides, size, window_of(problem))


cdef void turn(const Py_ssize_t *w, Py_ssize_t *strides, Py_ssize_t groups) noexcept:
    """The strides of filters that lie as those of the way there; groups are copied, but for their taps."""
    if groups == 1:
        strides[0], strides[1] = w[2] * w[3] * strides[3], w[0] * w[2] * w[3] * strides[3]
    strides[2], strides[3] = -strides[2], -strides[3]


cdef void place(const Py_ssize_t *shape, bint channels_last, Py_ssize_t size, Py_ssize_t step,
                Py_ssize_t *strides) noexcept:
    """The strides, in bytes, of an array (N, C, H, W) whose axes follow each other in memory in this order,
    or with the channels last; of a row only every step-th column."""
    cdef Py_ssize_t pixel = shape[1] * size if channels_last else size
    strides[3] = step * pixel
    strides[2] = shape[3] * strides[3] + (pixel if step > 1 else 0)    # the next row begins elsewhere
    strides[1] = size if channels_last else shape[2] * strides[2]
    strides[0] = shape[2] * strides[2] if channels_last else shape[1] * strides[1]
