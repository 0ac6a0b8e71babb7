"""The contract of the C API, for Cython: see include/fastconv.h, which says what everything means."""
from libc.stdint cimport int64_t


cdef extern from "fastconv.h" nogil:
    const int FASTCONV_API_VERSION
    const int FASTCONV_FLOAT32, FASTCONV_FLOAT64
    const int FASTCONV_NCHW, FASTCONV_NHWC
    const int FASTCONV_CONSTANT, FASTCONV_REFLECT, FASTCONV_SYMMETRIC, FASTCONV_REPLICATE, FASTCONV_CIRCULAR
    const int FASTCONV_NO_ACTIVATION, FASTCONV_RELU, FASTCONV_LEAKY_RELU, FASTCONV_SIGMOID, FASTCONV_TANH
    const int FASTCONV_RELU6
    const int FASTCONV_AUTO, FASTCONV_DIRECT, FASTCONV_GEMM, FASTCONV_WINOGRAD, FASTCONV_FFT
    const int FASTCONV_OK, FASTCONV_INVALID, FASTCONV_NO_MEMORY, FASTCONV_INTERRUPTED, FASTCONV_NO_PYTHON
    const int FASTCONV_FAILED

    ctypedef struct fastconv_plan:
        pass

    ctypedef struct fastconv_error:
        int code
        char[1020] message

    ctypedef struct fastconv_conv2d:
        size_t size
        int dtype, layout
        int64_t[4] x_shape, weight_shape, x_strides, weight_strides, y_strides, grad_x_strides
        int64_t[2] stride
        int64_t[4] padding
        int64_t[2] dilation
        int64_t groups
        double padding_value
        int padding_mode, activation, algorithm

    ctypedef struct fastconv_pool2d:
        size_t size
        int dtype, layout
        int64_t[4] x_shape, x_strides, grad_y_strides
        int64_t[2] kernel_size, stride
        int64_t[4] padding
        int64_t[2] dilation
        int64_t divisor_override
        int count_include_pad, ceil_mode, wide_padding

    fastconv_conv2d fastconv_conv2d_defaults(int dtype) noexcept
    fastconv_pool2d fastconv_pool2d_defaults(int dtype) noexcept

    ctypedef struct fastconv_api:
        size_t size
        int version
        const char *package
        int (*plan_conv2d)(const fastconv_conv2d *problem, fastconv_plan **plan, fastconv_error *error) noexcept nogil
        int (*plan_conv2d_backward)(const fastconv_conv2d *problem, fastconv_plan **plan,
                                    fastconv_error *error) noexcept nogil
        int (*plan_max_pool2d)(const fastconv_pool2d *problem, fastconv_plan **plan,
                               fastconv_error *error) noexcept nogil
        int (*plan_max_pool2d_backward)(const fastconv_pool2d *problem, fastconv_plan **plan,
                                        fastconv_error *error) noexcept nogil
        int (*plan_avg_pool2d)(const fastconv_pool2d *problem, fastconv_plan **plan,
                               fastconv_error *error) noexcept nogil
        int (*plan_avg_pool2d_backward)(const fastconv_pool2d *problem, fastconv_plan **plan,
                                        fastconv_error *error) noexcept nogil
        void (*free_plan)(fastconv_plan *plan) noexcept nogil
        int (*output_shape)(const fastconv_plan *plan, int64_t *shape, fastconv_error *error) noexcept nogil
        int (*conv2d)(const fastconv_plan *plan, const void *x, const void *weight, const void *bias, void *y,
                      fastconv_error *error) noexcept nogil
        int (*max_pool2d)(const fastconv_plan *plan, const void *x, void *y, int64_t *indices,
                          fastconv_error *error) noexcept nogil
        int (*avg_pool2d)(const fastconv_plan *plan, const void *x, void *y, fastconv_error *error) noexcept nogil
        int (*conv2d_backward)(const fastconv_plan *plan, const void *grad_y, const void *x, const void *weight,
                               void *grad_x, void *grad_weight, void *grad_bias, fastconv_error *error) noexcept nogil
        int (*max_pool2d_backward)(const fastconv_plan *plan, const void *grad_y, const int64_t *indices,
                                   void *grad_x, fastconv_error *error) noexcept nogil
        int (*avg_pool2d_backward)(const fastconv_plan *plan, const void *grad_y, void *grad_x,
                                   fastconv_error *error) noexcept nogil
        int (*set_num_threads)(int n, fastconv_error *error) noexcept nogil
        int (*set_thread_limit)(int n, fastconv_error *error) noexcept nogil
        int (*get_num_threads)() noexcept nogil


cdef extern from "fastconv.h":
    const fastconv_api *fastconv_import() except NULL
