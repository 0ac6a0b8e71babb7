/* What the tests of the C API drive: a plain extension module that calls fastconv from threads of its own.

   plan(kind, fields)            -> (code, message, plan or None)
   output_shape(plan)            -> (code, message, shape)
   run(kind, plan, calls, held)  -> [(code, message), ...]: each call, a tuple of addresses in the order of the
                                 function's arguments, in a thread that Python has never seen, without the GIL, all at
                                 once; held: here instead, one after the other, with the GIL
   start(kind, plan, call), wait() -> the same of one call that goes on meanwhile; running() says whether it does
   pending(plan, call)           -> what is set as an exception after a call that was made with one set
   interrupt(kind, plan, call)   a call with the GIL, and Ctrl-C just before it; result() is then its code and message
   limits(n)                     -> in a thread with a limit of n: (code, message, threads there, threads here)
   at_exit(plan, call)           prints the code of a call after the end of Python
   sizes(problem, size)          -> (code, message) of a plan from a struct that says that it has this size */
#define PY_SSIZE_T_CLEAN
#include <fastconv.h>
#include <pthread.h>
#include <signal.h>

static const fastconv_api *fc;

enum { MOST_CALLS = 8, MOST_ADDRESSES = 8 };

typedef struct {
    int kind, code;
    fastconv_plan *plan;
    void *at[MOST_ADDRESSES];
    fastconv_error error;
    int done, limit, threads;
} call;

static const char *kinds[] = {"conv2d",     "conv2d_backward",     "max_pool2d", "max_pool2d_backward",
                              "avg_pool2d", "avg_pool2d_backward", NULL};

static void execute(call *c) {
    void **a = c->at;
    switch (c->kind) {
        case 0:
            c->code = fc->conv2d(c->plan, a[0], a[1], a[2], a[3], &c->error);
            break;
        case 1:
            c->code = fc->conv2d_backward(c->plan, a[0], a[1], a[2], a[3], a[4], a[5], &c->error);
            break;
        case 2:
            c->code = fc->max_pool2d(c->plan, a[0], a[1], (int64_t *)a[2], &c->error);
            break;
        case 3:
            c->code = fc->max_pool2d_backward(c->plan, a[0], (int64_t *)a[1], a[2], &c->error);
            break;
        case 4:
            c->code = fc->avg_pool2d(c->plan, a[0], a[1], &c->error);
            break;
        case 5:
            c->code = fc->avg_pool2d_backward(c->plan, a[0], a[1], &c->error);
            break;
    }
}

static void *in_thread(void *data) {
    execute((call *)data);
    __atomic_store_n(&((call *)data)->done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static int kind_of(const char *name) {
    for (int kind = 0; kinds[kind] != NULL; kind++)
        if (strcmp(kinds[kind], name) == 0) return kind;
    PyErr_Format(PyExc_ValueError, "no such function: %s", name);
    return -1;
}

static void drop(PyObject *capsule) { fc->free_plan((fastconv_plan *)PyCapsule_GetPointer(capsule, "plan")); }

static int plan_of(PyObject *given, fastconv_plan **plan) {
    *plan = given == Py_None ? NULL : (fastconv_plan *)PyCapsule_GetPointer(given, "plan");
    return given == Py_None || *plan != NULL;
}

/* kind, plan and the addresses of a call; 0 after an error. */
static int fill(call *c, const char *name, PyObject *plan, PyObject *addresses) {
    memset(c, 0, sizeof *c);
    c->kind = kind_of(name);
    if (c->kind < 0 || !plan_of(plan, &c->plan)) return 0;
    Py_ssize_t n = PyTuple_Size(addresses);
    for (Py_ssize_t i = 0; i < n && i < MOST_ADDRESSES; i++) c->at[i] = PyLong_AsVoidPtr(PyTuple_GetItem(addresses, i));
    return !PyErr_Occurred();
}

/* ------------------------------------------------------------------------------------------------------------------ */

typedef struct {
    const char *name;
    size_t offset;
    int count; /* of int64_t; 0: an int, -1: a double */
} field;

#define FIELD(type, name, count) {#name, offsetof(type, name), count}

static const field conv_fields[] = {FIELD(fastconv_conv2d, dtype, 0),
                                    FIELD(fastconv_conv2d, layout, 0),
                                    FIELD(fastconv_conv2d, x_shape, 4),
                                    FIELD(fastconv_conv2d, weight_shape, 4),
                                    FIELD(fastconv_conv2d, x_strides, 4),
                                    FIELD(fastconv_conv2d, weight_strides, 4),
                                    FIELD(fastconv_conv2d, y_strides, 4),
                                    FIELD(fastconv_conv2d, grad_x_strides, 4),
                                    FIELD(fastconv_conv2d, stride, 2),
                                    FIELD(fastconv_conv2d, padding, 4),
                                    FIELD(fastconv_conv2d, dilation, 2),
                                    FIELD(fastconv_conv2d, groups, 1),
                                    FIELD(fastconv_conv2d, padding_value, -1),
                                    FIELD(fastconv_conv2d, padding_mode, 0),
                                    FIELD(fastconv_conv2d, activation, 0),
                                    FIELD(fastconv_conv2d, algorithm, 0),
                                    {NULL, 0, 0}};

static const field pool_fields[] = {
    FIELD(fastconv_pool2d, dtype, 0),          FIELD(fastconv_pool2d, layout, 0),
    FIELD(fastconv_pool2d, x_shape, 4),        FIELD(fastconv_pool2d, x_strides, 4),
    FIELD(fastconv_pool2d, grad_y_strides, 4), FIELD(fastconv_pool2d, kernel_size, 2),
    FIELD(fastconv_pool2d, stride, 2),         FIELD(fastconv_pool2d, padding, 4),
    FIELD(fastconv_pool2d, dilation, 2),       FIELD(fastconv_pool2d, divisor_override, 1),
    FIELD(fastconv_pool2d, ceil_mode, 0),      FIELD(fastconv_pool2d, count_include_pad, 0),
    FIELD(fastconv_pool2d, wide_padding, 0),   {NULL, 0, 0}};

static int set_fields(char *problem, const field *fields, PyObject *given) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (PyDict_Next(given, &position, &key, &value)) {
        const field *f = fields;
        while (f->name != NULL && PyUnicode_CompareWithASCIIString(key, f->name) != 0) f++;
        if (f->name == NULL) {
            PyErr_Format(PyExc_KeyError, "%U", key);
            return 0;
        }
        if (f->count == 0) *(int *)(problem + f->offset) = (int)PyLong_AsLong(value);
        if (f->count == -1) *(double *)(problem + f->offset) = PyFloat_AsDouble(value);
        if (f->count == 1) *(int64_t *)(problem + f->offset) = PyLong_AsLongLong(value);
        for (int i = 0; f->count > 1 && i < f->count; i++)
            ((int64_t *)(problem + f->offset))[i] = PyLong_AsLongLong(PyTuple_GetItem(value, i));
    }
    return !PyErr_Occurred();
}

static int make(int kind, const void *problem, fastconv_plan **plan, fastconv_error *error) {
    switch (kind) {
        case 0:
            return fc->plan_conv2d((const fastconv_conv2d *)problem, plan, error);
        case 1:
            return fc->plan_conv2d_backward((const fastconv_conv2d *)problem, plan, error);
        case 2:
            return fc->plan_max_pool2d((const fastconv_pool2d *)problem, plan, error);
        case 3:
            return fc->plan_max_pool2d_backward((const fastconv_pool2d *)problem, plan, error);
        case 4:
            return fc->plan_avg_pool2d((const fastconv_pool2d *)problem, plan, error);
        default:
            return fc->plan_avg_pool2d_backward((const fastconv_pool2d *)problem, plan, error);
    }
}

static PyObject *plan(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *fields;
    fastconv_conv2d conv = fastconv_conv2d_defaults(FASTCONV_FLOAT32);
    fastconv_pool2d pool = fastconv_pool2d_defaults(FASTCONV_FLOAT32);
    fastconv_plan *made = NULL;
    fastconv_error error;
    if (!PyArg_ParseTuple(arguments, "sO!", &name, &PyDict_Type, &fields)) return NULL;
    int kind = kind_of(name), code;
    if (kind < 0) return NULL;
    if (!(kind < 2 ? set_fields((char *)&conv, conv_fields, fields) : set_fields((char *)&pool, pool_fields, fields)))
        return NULL;
    Py_BEGIN_ALLOW_THREADS;
    code = make(kind, kind < 2 ? (const void *)&conv : (const void *)&pool, &made, &error);
    Py_END_ALLOW_THREADS;
    if (code != error.code || (code == 0) != (made != NULL)) {
        PyErr_SetString(PyExc_AssertionError, "the code, that of the error and the plan do not agree");
        return NULL;
    }
    return Py_BuildValue("isN", code, error.message,
                         made == NULL ? Py_NewRef(Py_None) : PyCapsule_New(made, "plan", drop));
}

static PyObject *sizes(PyObject *self, PyObject *arguments) {
    const char *name;
    Py_ssize_t size;
    fastconv_conv2d conv = fastconv_conv2d_defaults(FASTCONV_FLOAT32);
    fastconv_pool2d pool = fastconv_pool2d_defaults(FASTCONV_FLOAT32);
    fastconv_plan *made = NULL;
    fastconv_error error;
    if (!PyArg_ParseTuple(arguments, "sn", &name, &size)) return NULL;
    int kind = kind_of(name);
    conv.size = pool.size = (size_t)size;
    int code = make(kind, size < 0 ? NULL : kind < 2 ? (const void *)&conv : (const void *)&pool, &made, &error);
    return Py_BuildValue("is", code, error.message);
}

static PyObject *output_shape(PyObject *self, PyObject *given) {
    fastconv_plan *plan;
    fastconv_error error;
    int64_t shape[4] = {-1, -1, -1, -1};
    if (!plan_of(given, &plan)) return NULL;
    int code = fc->output_shape(plan, shape, &error);
    return Py_BuildValue("is(LLLL)", code, error.message, (long long)shape[0], (long long)shape[1], (long long)shape[2],
                         (long long)shape[3]);
}

/* ------------------------------------------------------------------------------------------------------------------ */

static PyObject *run(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *plan, *list, *result = PyList_New(0);
    int held;
    call calls[MOST_CALLS];
    pthread_t threads[MOST_CALLS];
    if (!PyArg_ParseTuple(arguments, "sOO!p", &name, &plan, &PyList_Type, &list, &held)) return NULL;
    Py_ssize_t n = PyList_Size(list);
    for (Py_ssize_t i = 0; i < n; i++)
        if (!fill(&calls[i], name, plan, PyList_GetItem(list, i))) return NULL;
    if (held) {
        for (Py_ssize_t i = 0; i < n; i++) execute(&calls[i]);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        for (Py_ssize_t i = 0; i < n; i++) pthread_create(&threads[i], NULL, in_thread, &calls[i]);
        for (Py_ssize_t i = 0; i < n; i++) pthread_join(threads[i], NULL);
        Py_END_ALLOW_THREADS;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *one = Py_BuildValue("is", calls[i].code, calls[i].error.message);
        PyList_Append(result, one);
        Py_DECREF(one);
    }
    return result;
}

static call started;
static pthread_t starter;

static PyObject *result(PyObject *self, PyObject *unused) {
    return Py_BuildValue("is", started.code, started.error.message);
}

static PyObject *start(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *plan, *addresses;
    if (!PyArg_ParseTuple(arguments, "sOO", &name, &plan, &addresses)) return NULL;
    if (!fill(&started, name, plan, addresses)) return NULL;
    pthread_create(&starter, NULL, in_thread, &started);
    Py_RETURN_NONE;
}

static PyObject *running(PyObject *self, PyObject *unused) {
    return PyBool_FromLong(!__atomic_load_n(&started.done, __ATOMIC_ACQUIRE));
}

static PyObject *wait_for_it(PyObject *self, PyObject *unused) {
    Py_BEGIN_ALLOW_THREADS;
    pthread_join(starter, NULL);
    Py_END_ALLOW_THREADS;
    return result(self, unused);
}

static PyObject *interrupt(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *plan, *addresses;
    if (!PyArg_ParseTuple(arguments, "sOO", &name, &plan, &addresses)) return NULL;
    if (!fill(&started, name, plan, addresses)) return NULL;
    raise(SIGINT);
    execute(&started);
    Py_RETURN_NONE;
}

static PyObject *pending(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *plan, *addresses;
    call c;
    if (!PyArg_ParseTuple(arguments, "sOO", &name, &plan, &addresses)) return NULL;
    if (!fill(&c, name, plan, addresses)) return NULL;
    PyErr_SetString(PyExc_LookupError, "set before the call");
    execute(&c);
    PyObject *type = PyErr_Occurred();
    Py_XINCREF(type);
    PyErr_Clear();
    return Py_BuildValue("isN", c.code, c.error.message, type == NULL ? Py_NewRef(Py_None) : type);
}

static void *limited(void *data) {
    call *c = (call *)data;
    c->code = fc->set_thread_limit(c->limit, &c->error);
    c->threads = fc->get_num_threads();
    return NULL;
}

static PyObject *limits(PyObject *self, PyObject *arguments) {
    call c;
    pthread_t thread;
    memset(&c, 0, sizeof c);
    if (!PyArg_ParseTuple(arguments, "i", &c.limit)) return NULL;
    Py_BEGIN_ALLOW_THREADS;
    pthread_create(&thread, NULL, limited, &c);
    pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS;
    return Py_BuildValue("isii", c.code, c.error.message, c.threads, fc->get_num_threads());
}

static PyObject *set_num_threads(PyObject *self, PyObject *arguments) {
    fastconv_error error;
    int n;
    if (!PyArg_ParseTuple(arguments, "i", &n)) return NULL;
    int code = fc->set_num_threads(n, &error);
    return Py_BuildValue("is", code, error.message);
}

static call last;

static void after_the_end(void) {
    fastconv_plan *plan = NULL;
    fastconv_conv2d problem = fastconv_conv2d_defaults(FASTCONV_FLOAT32);
    execute(&last);
    fc->free_plan(last.plan);
    printf("%d %s\n%d\n%d\n", last.code, last.error.message, fc->plan_conv2d(&problem, &plan, NULL),
           fc->get_num_threads());
}

static PyObject *at_exit(PyObject *self, PyObject *arguments) {
    const char *name;
    PyObject *plan, *addresses;
    if (!PyArg_ParseTuple(arguments, "sOO", &name, &plan, &addresses)) return NULL;
    if (!fill(&last, name, plan, addresses)) return NULL;
    PyCapsule_SetDestructor(plan, NULL); /* it is freed there */
    Py_AtExit(after_the_end);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"plan", plan, METH_VARARGS, NULL},           {"sizes", sizes, METH_VARARGS, NULL},
    {"output_shape", output_shape, METH_O, NULL}, {"run", run, METH_VARARGS, NULL},
    {"start", start, METH_VARARGS, NULL},         {"running", running, METH_NOARGS, NULL},
    {"wait", wait_for_it, METH_NOARGS, NULL},     {"interrupt", interrupt, METH_VARARGS, NULL},
    {"result", result, METH_NOARGS, NULL},        {"pending", pending, METH_VARARGS, NULL},
    {"limits", limits, METH_VARARGS, NULL},       {"set_num_threads", set_num_threads, METH_VARARGS, NULL},
    {"at_exit", at_exit, METH_VARARGS, NULL},     {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "client", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_client(void) {
    fc = fastconv_import();
    return fc == NULL ? NULL : PyModule_Create(&module);
}
