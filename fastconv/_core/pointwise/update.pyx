"""One step of an optimiser on all parameters of a model, in place.

    parallel for chunk of CHUNK elements, of one parameter after the other: the rule of update.h

All memory is taken before the first parameter changes.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport pow, sqrt

from fastconv._core.runtime.arrays cimport plain
from fastconv._core.runtime.isa cimport adagrad, adam, rmsprop, sgd
from fastconv._core.runtime.kernels cimport fc_adagrad, fc_adam, fc_rmsprop, fc_sgd
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    CHUNK = 4096    # elements: param, grad and two moments in double fit into 128 KB of L2
    READY = cnp.NPY_ARRAY_C_CONTIGUOUS | cnp.NPY_ARRAY_WRITEABLE


# Which rule a parameter moves by.
cdef enum Rule:
    SGD, ADAM, RMSPROP, ADAGRAD

# One parameter of n elements, of single precision or not, with its rule and the buffers of that. `chunk` is the number
# of its first chunk among those of all.
cdef struct Move:
    void *param
    const void *grad
    void *velocity    # or NULL
    void *m           # or NULL
    void *v
    Py_ssize_t n, chunk
    bint single
    Rule rule
    fc_sgd sgd
    fc_adam adam
    fc_rmsprop rmsprop
    fc_adagrad adagrad

# What the chunks of a step share.
cdef struct StepCall:
    const Move *moves
    Py_ssize_t count


cdef class SgdRule:
    """Stochastic gradient descent, the arguments as PyTorch's."""
    cdef fc_sgd rule

    def __init__(self, double lr, double momentum=0.0, double dampening=0.0, double weight_decay=0.0,
                 bint nesterov=False):
        self.rule.lr, self.rule.momentum, self.rule.dampening = lr, momentum, dampening
        self.rule.weight_decay, self.rule.nesterov = weight_decay, nesterov


cdef class AdamRule:
    """Adam, the arguments as PyTorch's; `shrink` is what a parameter is multiplied by before its step."""
    cdef fc_adam rule
    cdef double lr

    def __init__(self, double lr, tuple betas, double eps, double weight_decay, double shrink=1.0):
        self.lr = lr
        self.rule.beta1, self.rule.beta2 = betas
        self.rule.eps, self.rule.weight_decay, self.rule.shrink = eps, weight_decay, shrink


cdef class RmspropRule:
    """RMSprop, the arguments as PyTorch's."""
    cdef fc_rmsprop rule

    def __init__(self, double lr, double alpha, double eps, double weight_decay, double momentum):
        self.rule.lr, self.rule.alpha, self.rule.eps = lr, alpha, eps
        self.rule.weight_decay, self.rule.momentum = weight_decay, momentum


cdef class AdagradRule:
    """Adagrad, the arguments as PyTorch's."""
    cdef fc_adagrad rule
    cdef double lr_decay

    def __init__(self, double lr, double lr_decay, double eps, double weight_decay):
        self.rule.lr, self.lr_decay = lr, lr_decay
        self.rule.eps, self.rule.weight_decay = eps, weight_decay


# ---------------------------------------------------------------------------------------------------------------------
# Whether a step can be made: a yes is sure, after a no the caller looks closely


def fit(list params, list grads, list states, tuple buffers):
    """Whether each parameter, its gradient and those of its buffers that there are have one shape and dtype, are plain
    and C-contiguous, and writable but for the gradient, and no gradient lies in the memory of a parameter."""
    cdef Py_ssize_t i, j
    cdef cnp.ndarray param
    for i in range(len(params)):
        if not (plain(params[i]) and cnp.PyArray_CHKFLAGS(<cnp.ndarray>params[i], READY)):
            return False
        param = params[i]
        if not fits(grads[i], param, cnp.NPY_ARRAY_C_CONTIGUOUS):
            return False
        for name in buffers:
            if name in states[i] and not fits(states[i][name], param, READY):
                return False
    for i in range(len(params)):
        for j in range(len(params)):
            if overlap(<cnp.ndarray>params[i], <cnp.ndarray>grads[j]):
                return False
    return True


cdef bint fits(object value, cnp.ndarray param, int flags):
    return (plain(value) and cnp.PyArray_TYPE(<cnp.ndarray>value) == cnp.PyArray_TYPE(param)
            and cnp.PyArray_SAMESHAPE(<cnp.ndarray>value, param) and cnp.PyArray_CHKFLAGS(<cnp.ndarray>value, flags))


cdef bint overlap(cnp.ndarray a, cnp.ndarray b) noexcept:
    """Of contiguous arrays."""
    return (cnp.PyArray_BYTES(a) < cnp.PyArray_BYTES(b) + cnp.PyArray_NBYTES(b)
            and cnp.PyArray_BYTES(b) < cnp.PyArray_BYTES(a) + cnp.PyArray_NBYTES(a))


# ---------------------------------------------------------------------------------------------------------------------
# The step


def sgd_step(SgdRule rule, list params, list grads, list velocities, list first):
    """param -= lr * step, C-contiguous arrays, each parameter's of one dtype; its velocity is None without momentum,
    and unread where it is the first."""
    cdef Block memory = take(len(params) * sizeof(Move))
    cdef Move *moves = <Move *>memory.data
    cdef Py_ssize_t i
    for i in range(len(params)):
        begin(moves, i, params[i], grads[i], SGD)
        moves[i].sgd = rule.rule
        moves[i].sgd.first = first[i]
        if velocities[i] is not None:
            moves[i].velocity = cnp.PyArray_DATA(<cnp.ndarray>velocities[i])
    step(moves, len(params), 0.4)


def adam_step(AdamRule rule, list params, list grads, list m, list v, list counts):
    """param -= lr * Adam's step, C-contiguous arrays, each parameter's of one dtype; steps count from 1, m and v begin
    as zeros."""
    cdef Block memory = take(len(params) * sizeof(Move))
    cdef Move *moves = <Move *>memory.data
    cdef Py_ssize_t i
    cdef double count
    for i in range(len(params)):
        begin(moves, i, params[i], grads[i], ADAM)
        moves[i].m, moves[i].v = cnp.PyArray_DATA(<cnp.ndarray>m[i]), cnp.PyArray_DATA(<cnp.ndarray>v[i])
        count = counts[i]
        moves[i].adam = rule.rule
        moves[i].adam.step_size = rule.lr / (1 - pow(rule.rule.beta1, count))
        moves[i].adam.root = sqrt(1 - pow(rule.rule.beta2, count))
    step(moves, len(params), 0.6)


def rmsprop_step(RmspropRule rule, list params, list grads, list v, list m, list velocities):
    """param -= lr * RMSprop's step, C-contiguous arrays, each parameter's of one dtype, and buffers that begin as
    zeros: m is None where the mean is not taken off, a velocity is None without momentum."""
    cdef Block memory = take(len(params) * sizeof(Move))
    cdef Move *moves = <Move *>memory.data
    cdef Py_ssize_t i
    for i in range(len(params)):
        begin(moves, i, params[i], grads[i], RMSPROP)
        moves[i].rmsprop, moves[i].v = rule.rule, cnp.PyArray_DATA(<cnp.ndarray>v[i])
        if m[i] is not None:
            moves[i].m = cnp.PyArray_DATA(<cnp.ndarray>m[i])
        if velocities[i] is not None:
            moves[i].velocity = cnp.PyArray_DATA(<cnp.ndarray>velocities[i])
    step(moves, len(params), 0.6)


def adagrad_step(AdagradRule rule, list params, list grads, list sums, list counts):
    """param -= lr * Adagrad's step, C-contiguous arrays, each parameter's of one dtype; steps count from 1."""
    cdef Block memory = take(len(params) * sizeof(Move))
    cdef Move *moves = <Move *>memory.data
    cdef Py_ssize_t i
    for i in range(len(params)):
        begin(moves, i, params[i], grads[i], ADAGRAD)
        moves[i].v, moves[i].adagrad = cnp.PyArray_DATA(<cnp.ndarray>sums[i]), rule.rule
        moves[i].adagrad.lr = rule.rule.lr / (1 + (<double>counts[i] - 1) * rule.lr_decay)
    step(moves, len(params), 0.5)


cdef void begin(Move *moves, Py_ssize_t i, cnp.ndarray param, cnp.ndarray grad, Rule rule) noexcept:
    """All of move i but its options and its state."""
    cdef Move *move = &moves[i]
    move.rule = rule
    move.param, move.grad, move.n = cnp.PyArray_DATA(param), cnp.PyArray_DATA(grad), cnp.PyArray_SIZE(param)
    move.velocity = move.m = move.v = NULL
    move.single = cnp.PyArray_TYPE(param) == cnp.NPY_FLOAT
    move.chunk = 0 if i == 0 else moves[i - 1].chunk + (moves[i - 1].n + CHUNK - 1) // CHUNK


cdef inline const char *end(const Move *move) noexcept:
    return <const char *>move.param + move.n * (sizeof(float) if move.single else sizeof(double))


cdef step(const Move *moves, Py_ssize_t count, double nanoseconds):
    """nanoseconds: about those of an element."""
    cdef StepCall call
    cdef Py_ssize_t i, j, elements = 0, chunks
    cdef bint apart = True
    if count == 0:
        return
    for i in range(count):
        elements += moves[i].n
        for j in range(i):
            apart = apart and not (<const char *>moves[i].param < end(&moves[j]) and
                                   <const char *>moves[j].param < end(&moves[i]))
    chunks = moves[count - 1].chunk + (moves[count - 1].n + CHUNK - 1) // CHUNK
    call.moves, call.count = moves, count
    # Parameters that share memory move one after the other.
    cdef int threads = team(elements * nanoseconds) if apart else 1
    with nogil:
        in_parallel(step_chunk, &call, chunks, threads, EVENLY, <float *>NULL, 0)


cdef void step_chunk(const void *data, Py_ssize_t index, float *unused) noexcept nogil:
    cdef const StepCall *call = <const StepCall *>data
    cdef Py_ssize_t low = 0, high = call.count, middle
    while high - low > 1:    # the last move whose first chunk is no later; those without elements have none
        middle = (low + high) // 2
        if call.moves[middle].chunk <= index:
            low = middle
        else:
            high = middle
    cdef const Move *move = &call.moves[low]
    if move.single:
        move_chunk(move, (index - move.chunk) * CHUNK, <const float *>move.grad)
    else:
        move_chunk(move, (index - move.chunk) * CHUNK, <const double *>move.grad)


cdef void move_chunk(const Move *move, Py_ssize_t at, const floating *grad) noexcept nogil:
    cdef floating *param = <floating *>move.param + at
    cdef Py_ssize_t n = min(CHUNK, move.n - at)
    cdef floating *velocity = NULL if move.velocity == NULL else <floating *>move.velocity + at
    cdef floating *m = NULL if move.m == NULL else <floating *>move.m + at
    cdef floating *v = NULL if move.v == NULL else <floating *>move.v + at
    if move.rule == SGD:
        sgd(&move.sgd, param, grad + at, velocity, n)
    elif move.rule == ADAM:
        adam(&move.adam, param, grad + at, m, v, n)
    elif move.rule == RMSPROP:
        rmsprop(&move.rmsprop, param, grad + at, v, m, velocity, n)
    else:
        adagrad(&move.adagrad, param, grad + at, v, n)
