/* edges(image, result): where an image is unlike its surroundings, by a 3 x 3 filter; both are buffers of float32 with
   as many rows and columns, such as NumPy's arrays. The convolution runs without the GIL. */
#define PY_SSIZE_T_CLEAN
#include <fastconv.h>

static const fastconv_api *fc;

static const float laplace[9] = {0, -1, 0, -1, 4, -1, 0, -1, 0};

/* Nothing of Python is touched here: this may be called in any thread, with or without the GIL. */
static int filter(const float *image, int64_t rows, int64_t columns, float *result, fastconv_error *error) {
    fastconv_conv2d problem = fastconv_conv2d_defaults(FASTCONV_FLOAT32);
    fastconv_plan *plan;
    problem.x_shape[0] = problem.x_shape[1] = 1;
    problem.x_shape[2] = rows;
    problem.x_shape[3] = columns;
    problem.weight_shape[0] = problem.weight_shape[1] = 1;
    problem.weight_shape[2] = problem.weight_shape[3] = 3;
    for (int side = 0; side < 4; side++) problem.padding[side] = 1;
    problem.padding_mode = FASTCONV_REPLICATE;
    if (fc->plan_conv2d(&problem, &plan, error)) return error->code;
    fc->conv2d(plan, image, laplace, NULL, result, error);
    fc->free_plan(plan);
    return error->code;
}

static PyObject *edges(PyObject *self, PyObject *arguments) {
    PyObject *given, *wanted;
    Py_buffer image, result;
    fastconv_error error;
    (void)self;
    if (!PyArg_ParseTuple(arguments, "OO", &given, &wanted)) return NULL;
    if (PyObject_GetBuffer(given, &image, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)) return NULL;
    if (PyObject_GetBuffer(wanted, &result, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE)) {
        PyBuffer_Release(&image);
        return NULL;
    }
    if (image.ndim != 2 || result.ndim != 2 || image.shape[0] != result.shape[0] || image.shape[1] != result.shape[1] ||
        strcmp(image.format, "f") || strcmp(result.format, "f")) {
        PyErr_SetString(PyExc_ValueError, "image and result must be float32 with the same rows and columns");
    } else {
        Py_BEGIN_ALLOW_THREADS;
        filter((const float *)image.buf, image.shape[0], image.shape[1], (float *)result.buf, &error);
        Py_END_ALLOW_THREADS;
        if (error.code) PyErr_SetString(PyExc_ValueError, error.message);
    }
    PyBuffer_Release(&image);
    PyBuffer_Release(&result);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"edges", edges, METH_VARARGS, "edges(image, result)"}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "edges_c", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_edges_c(void) {
    fc = fastconv_import();
    return fc == NULL ? NULL : PyModule_Create(&module);
}
