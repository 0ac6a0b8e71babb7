/* fastconv from C, C++ and Cython: convolution and pooling on pointers, forward and backward.

   A call has two steps. A plan is made from sizes, strides and options: everything is checked here, and a driver is
   chosen. Then it runs on pointers, as often as one likes, from any thread and from several at once.

       const fastconv_api *fc = fastconv_import();                  with the GIL; NULL: ImportError is set
       fastconv_conv2d p = fastconv_conv2d_defaults(FASTCONV_FLOAT32);
       fastconv_plan *plan;
       fastconv_error error;
       p.x_shape[0] = 8; ...                                        N, C, H, W; weight_shape: K, C / groups, R, S
       if (fc->plan_conv2d(&p, &plan, &error)) puts(error.message);
       if (fc->conv2d(plan, x, weight, bias, y, &error)) puts(error.message);
       fc->free_plan(plan);

   The GIL. Every function of fastconv_api may be called with it or without, from any thread, also from one that Python
   has never seen; who holds it gets it back as it was, with the exception that was set, if any. Making and freeing a
   plan is Python code and takes the GIL for all of its time. A run takes it to look at the pointers, to get scratch
   memory and to start the loops, and lets go of it while the loops over pixels, filters and windows run, so other
   Python threads and other runs go on meanwhile. Some runs come back for it between loops: those of plans of several
   parts (regions, phases, parts of a sum that is too large for the scratch) once a part, and those by Fourier
   transforms, which are Python code around NumPy's loops, once a block. A thread that waits for the GIL of another one
   waits at most as long as that one keeps it: do not hold it while you wait for a run.

   Threads. A run uses as many threads as set_num_threads says, or fewer where there is little to do; results are the
   same bits for any number. Who calls from threads of his own sets that of each to 1 (set_thread_limit).

   Errors. Functions return FASTCONV_OK or another of the codes below, and write a message that names the argument, what
   it was and what it must be. Nothing was computed or written then, but by FASTCONV_INTERRUPTED and FASTCONV_FAILED.
   `error` may be NULL.

   Python's end. Runs must have returned, and plans be freed, before Py_Finalize: what is called while the interpreter
   ends, or without one, returns FASTCONV_NO_PYTHON. The interpreter is the main one: no subinterpreters. In a forked
   child one thread computes. */
#ifndef FASTCONV_H
#define FASTCONV_H

#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when a function or a field changes its meaning. What comes later is added at the end of the structs, whose
   sizes tell what is there: a client runs with every fastconv of this version that is not older than its header. */
#define FASTCONV_API_VERSION 1
#define FASTCONV_CAPSULE "fastconv._C_API"

/* dtype */
enum { FASTCONV_FLOAT32 = 1, FASTCONV_FLOAT64 = 2 };

/* layout */
enum { FASTCONV_NCHW = 0, FASTCONV_NHWC = 1 };

/* padding_mode, as numpy.pad has them: replicate is its edge, circular its wrap */
enum {
    FASTCONV_CONSTANT = 0,
    FASTCONV_REFLECT = 1,
    FASTCONV_SYMMETRIC = 2,
    FASTCONV_REPLICATE = 3,
    FASTCONV_CIRCULAR = 4
};

/* activation; the leaky one has a slope of 0.01 */
enum {
    FASTCONV_NO_ACTIVATION = 0,
    FASTCONV_RELU = 1,
    FASTCONV_LEAKY_RELU = 2,
    FASTCONV_SIGMOID = 3,
    FASTCONV_TANH = 4,
    FASTCONV_RELU6 = 5
};

/* algorithm, as in fastconv.conv2d */
enum { FASTCONV_AUTO = 0, FASTCONV_DIRECT = 1, FASTCONV_GEMM = 2, FASTCONV_WINOGRAD = 3, FASTCONV_FFT = 4 };

/* What functions return. */
enum {
    FASTCONV_OK = 0,
    FASTCONV_INVALID = 1, /* an argument is wrong: the message says which */
    FASTCONV_NO_MEMORY = 2,
    FASTCONV_INTERRUPTED = 3, /* by Ctrl-C, which Python will raise once more; what was written is of no use */
    FASTCONV_NO_PYTHON = 4,   /* the interpreter does not run, or is about to end */
    FASTCONV_FAILED = 5       /* anything else, with Python's exception in words; what was written is of no use */
};

typedef struct fastconv_plan fastconv_plan;

typedef struct {
    int code;
    char message[1020]; /* UTF-8, ends with NUL */
} fastconv_error;

/* A convolution (the filters are not turned), or its gradients. Shapes and strides are in the order N, C, H, W, and
   K, C / groups, R, S, whatever the layout; strides are in BYTES, as NumPy's and those of the buffer protocol, and
   multiples of the size of an element; negative ones are fine, those of what is read may be 0 on an axis. Strides
   that are all 0 stand for an array without gaps in the order of `layout` (weight: in the order K, C / groups, R, S).
   No two elements of what is written may share memory: each stride must be larger than all that the smaller ones
   span. */
typedef struct {
    size_t size; /* sizeof(fastconv_conv2d), as the defaults set it */
    int dtype, layout;
    int64_t x_shape[4], weight_shape[4];
    int64_t x_strides[4], weight_strides[4];
    int64_t y_strides[4];                       /* of y; for the gradients of grad_y */
    int64_t grad_x_strides[4];                  /* for the gradients; grad_weight has no gaps */
    int64_t stride[2], padding[4], dilation[2]; /* (rows, columns); padding: top, bottom, left, right */
    int64_t groups;
    double padding_value; /* of FASTCONV_CONSTANT */
    int padding_mode;
    int activation, algorithm; /* not for the gradients: undo the activation before */
} fastconv_conv2d;

/* A pooling, or its gradient. What is read has strides as above (x of a pooling, grad_y of a gradient); what is written,
   and the indices, have no gaps and lie in the order of `layout`. */
typedef struct {
    size_t size; /* sizeof(fastconv_pool2d), as the defaults set it */
    int dtype, layout;
    int64_t x_shape[4];
    int64_t x_strides[4];                                       /* for a pooling */
    int64_t grad_y_strides[4];                                  /* for a gradient */
    int64_t kernel_size[2], stride[2], padding[4], dilation[2]; /* stride 0, 0: kernel_size */
    int64_t divisor_override;                                   /* of averages; 0: the number of pixels */
    int count_include_pad;                                      /* of averages */
    int ceil_mode, wide_padding;                                /* as in fastconv.max_pool2d; these three are 0 or 1 */
} fastconv_pool2d;

/* Stride, dilation and groups 1, no padding, everything else 0; dtype and shapes are for you to fill in. */
static inline fastconv_conv2d fastconv_conv2d_defaults(int dtype) {
    fastconv_conv2d problem;
    memset(&problem, 0, sizeof problem);
    problem.size = sizeof problem;
    problem.dtype = dtype;
    problem.stride[0] = problem.stride[1] = problem.dilation[0] = problem.dilation[1] = problem.groups = 1;
    return problem;
}

/* The stride is kernel_size, dilation 1, no padding; the padding counts in averages. */
static inline fastconv_pool2d fastconv_pool2d_defaults(int dtype) {
    fastconv_pool2d problem;
    memset(&problem, 0, sizeof problem);
    problem.size = sizeof problem;
    problem.dtype = dtype;
    problem.dilation[0] = problem.dilation[1] = 1;
    problem.count_include_pad = 1;
    return problem;
}

/* All functions. Pointers to arrays must be aligned to an element, and what is written must not overlap anything else;
   a pointer may be NULL where the array has no elements, and where it says so. A plan is not changed by a run. */
typedef struct {
    size_t size;         /* of this struct in the fastconv that runs */
    int version;         /* its FASTCONV_API_VERSION */
    const char *package; /* its version, as fastconv.__version__ */

    /* Make a plan, into *plan, which is NULL after an error. */
    int (*plan_conv2d)(const fastconv_conv2d *problem, fastconv_plan **plan, fastconv_error *error);
    int (*plan_conv2d_backward)(const fastconv_conv2d *problem, fastconv_plan **plan, fastconv_error *error);
    int (*plan_max_pool2d)(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error);
    int (*plan_max_pool2d_backward)(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error);
    int (*plan_avg_pool2d)(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error);
    int (*plan_avg_pool2d_backward)(const fastconv_pool2d *problem, fastconv_plan **plan, fastconv_error *error);
    void (*free_plan)(fastconv_plan *plan); /* which may be NULL */

    /* The shape of y, or of grad_y: N, channels, rows, columns. */
    int (*output_shape)(const fastconv_plan *plan, int64_t shape[4], fastconv_error *error);

    /* Run a plan of the same name. `bias` and `indices` (row * W + column in the plane of x) may be NULL. */
    int (*conv2d)(const fastconv_plan *plan, const void *x, const void *weight, const void *bias, void *y,
                  fastconv_error *error);
    int (*max_pool2d)(const fastconv_plan *plan, const void *x, void *y, int64_t *indices, fastconv_error *error);
    int (*avg_pool2d)(const fastconv_plan *plan, const void *x, void *y, fastconv_error *error);

    /* Gradients. Those of a convolution that are NULL are not computed: grad_weight does not read weight, nor grad_x
       x, and grad_bias neither, so what is not read may be NULL too. */
    int (*conv2d_backward)(const fastconv_plan *plan, const void *grad_y, const void *x, const void *weight,
                           void *grad_x, void *grad_weight, void *grad_bias, fastconv_error *error);
    int (*max_pool2d_backward)(const fastconv_plan *plan, const void *grad_y, const int64_t *indices, void *grad_x,
                               fastconv_error *error);
    int (*avg_pool2d_backward)(const fastconv_plan *plan, const void *grad_y, void *grad_x, fastconv_error *error);

    /* Threads of a run at most, from 1 to 1024: of all calls, and of those from the calling thread alone (0: no limit
       of its own). get_num_threads is what the calling thread would use, or 0 without Python. */
    int (*set_num_threads)(int n, fastconv_error *error);
    int (*set_thread_limit)(int n, fastconv_error *error);
    int (*get_num_threads)(void);
} fastconv_api;

/* Imports fastconv, with the GIL. NULL, with ImportError set, where it is not there, or too old or too new. */
static inline const fastconv_api *fastconv_import(void) {
    const fastconv_api *api = (const fastconv_api *)PyCapsule_Import(FASTCONV_CAPSULE, 0);
    if (api == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_SetString(PyExc_ImportError, "the fastconv that is installed has no C API: install a newer one");
        return NULL;
    }
    if (api->version != FASTCONV_API_VERSION) {
        PyErr_Format(PyExc_ImportError,
                     "fastconv has version %d of its C API, and this module was compiled for version %d: compile it "
                     "again with the fastconv that is installed, or install one of that version",
                     api->version, FASTCONV_API_VERSION);
        return NULL;
    }
    if (api->size < sizeof(fastconv_api)) {
        PyErr_Format(PyExc_ImportError,
                     "fastconv %s is older than the one that this module was compiled with: its C API has %zu bytes, "
                     "and must have at least %zu; install a newer one",
                     api->package, api->size, sizeof(fastconv_api));
        return NULL;
    }
    return api;
}

#ifdef __cplusplus
}
#endif

#endif
