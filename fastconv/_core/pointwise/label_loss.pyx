"""Losses of classes, forward and backward, in one pass over the scores (N, classes, P) of P positions each.

    parallel for block of rows, of about CHUNK scores: for row: loss, or gradient, by softmax.h

A row is one position of one item. Where the positions follow each other in memory, as the pixels of images do, COLUMNS
of them go on at a time, side by side in the lanes. Otherwise a row whose scores do not follow each other is copied,
PIECE of them at a time.

The target of a row is a label, or a distribution over the classes: (1 - smoothing) of it plus smoothing spread over all
classes, each class times its weight. A row whose label is to be ignored counts for nothing. Losses, and what they count
for in a mean, are added up in double precision, row by row and then block by block. A label that is no class ends the
call.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport INFINITY, NAN, exp, isinf, log
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from fastconv._core.runtime.isa cimport log_sum_exp, log_sum_exp_columns, softmax_columns, softmax_less, sum_of_run
from fastconv._core.runtime.memory cimport Block, new_array, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, mark, team

cnp.import_array()

cdef enum:
    CHUNK = 16384    # scores of a unit, of whole rows
    UNITS = 65536    # about the most, each with sums: longer ones where there are so many rows
    PIECE = 65536    # scores that are copied at a time
    COLUMNS = 64     # positions side by side

# About the nanoseconds of a score, for the thread policy.
cdef double READING = 0.05, TRANSCENDENTAL = 0.5

# From one item, class and position to the next, in elements.
cdef struct ScoreStrides:
    Py_ssize_t item, step, position

# What the units of a call share. Backward has a weight for each row, or one for all, and `grad`, C-contiguous; forward
# has `losses`, one a row, or none, and `sums`, two a unit: of the losses, and of what they count for.
cdef struct LossCall:
    const void *scores
    ScoreStrides at
    const int64_t *target    # [rows], or NULL: then there are distributions
    const void *wanted
    ScoreStrides wanted_at
    Py_ssize_t rows, classes, positions
    Py_ssize_t rows_at_once    # of a unit
    bint side_by_side        # whether the positions of an item follow each other, and are taken together
    bint softmax             # otherwise the scores are log-probabilities
    double smoothing
    int64_t ignored
    const void *class_weights    # [classes], or NULL
    double class_total           # the sum of these
    const void *weights    # [rows], or NULL
    double weight
    void *grad
    void *losses           # [rows], or NULL
    double *sums
    int wrong              # whether a label was no class


cdef class ClassLoss:
    """How a loss of classes is meant: whether of scores that go through softmax, or of log-probabilities; smoothing;
    the label of rows that do not count; a weight for each class, C-contiguous in the dtype of the scores, or None."""
    cdef bint softmax
    cdef double smoothing
    cdef readonly int64_t ignored
    cdef cnp.ndarray class_weights
    cdef double class_total

    def __init__(self, bint softmax, double smoothing, int64_t ignored, cnp.ndarray class_weights):
        self.softmax, self.smoothing, self.ignored, self.class_weights = softmax, smoothing, ignored, class_weights
        self.class_total = 0.0 if class_weights is None else class_weights.sum(dtype="float64")


cdef ScoreStrides strides_of(cnp.ndarray array) noexcept:
    """Of (N, classes), or (N, classes, P)."""
    cdef Py_ssize_t size = cnp.PyArray_ITEMSIZE(array)
    cdef ScoreStrides strides
    strides.item, strides.step = cnp.PyArray_STRIDE(array, 0) // size, cnp.PyArray_STRIDE(array, 1) // size
    strides.position = cnp.PyArray_STRIDE(array, 2) // size if cnp.PyArray_NDIM(array) == 3 else 0
    return strides


cdef LossCall call_of(ClassLoss how, cnp.ndarray scores, cnp.ndarray target) noexcept:
    """target is one label a row, C-contiguous int64, or distributions in the shape and dtype of scores."""
    cdef LossCall call
    call.scores, call.at = cnp.PyArray_DATA(scores), strides_of(scores)
    call.classes = cnp.PyArray_DIM(scores, 1)
    call.positions = cnp.PyArray_DIM(scores, 2) if cnp.PyArray_NDIM(scores) == 3 else 1
    call.rows = cnp.PyArray_DIM(scores, 0) * call.positions
    call.target, call.wanted, call.wanted_at = NULL, NULL, call.at
    if cnp.PyArray_TYPE(target) == cnp.NPY_INT64:
        call.target = <const int64_t *>cnp.PyArray_DATA(target)
    else:
        call.wanted, call.wanted_at = cnp.PyArray_DATA(target), strides_of(target)
    call.rows_at_once = max(1, max(CHUNK // max(1, call.classes), call.rows // UNITS))
    call.side_by_side = how.softmax and call.positions > 1 and call.at.position == 1
    if call.side_by_side:
        call.rows_at_once = (call.rows_at_once + COLUMNS - 1) // COLUMNS * COLUMNS
    call.softmax, call.smoothing, call.ignored = how.softmax, how.smoothing, how.ignored
    call.class_weights, call.class_total = NULL, call.classes
    if how.class_weights is not None:
        call.class_weights, call.class_total = cnp.PyArray_DATA(how.class_weights), how.class_total
    call.weight, call.wrong = 0, False
    call.weights = call.grad = call.losses = NULL
    call.sums = NULL
    return call


cdef Py_ssize_t units_of(const LossCall *call) noexcept:
    return (call.rows + call.rows_at_once - 1) // call.rows_at_once


cdef int threads_of(const LossCall *call, double nanoseconds) noexcept:
    return team(nanoseconds * call.rows * call.classes)


cdef Py_ssize_t together(const LossCall *call, Py_ssize_t row, Py_ssize_t last) noexcept nogil:
    """How many rows from this one on, before the last, are side by side, COLUMNS at most."""
    return min(COLUMNS, min(last - row, call.positions - row % call.positions))


cdef const floating *row_at(const LossCall *call, const ScoreStrides *at, const floating *array,
                            Py_ssize_t row) noexcept nogil:
    if call.positions == 1:    # without divisions, which take longer than all else there is
        return array + row * at.item
    return array + row // call.positions * at.item + row % call.positions * at.position


cdef floating *gradient_at(const LossCall *call, Py_ssize_t row, floating *grad) noexcept nogil:
    """Where the gradient of a row begins; its classes are `positions` apart."""
    if call.positions == 1:
        return grad + row * call.classes
    return grad + row // call.positions * call.classes * call.positions + row % call.positions


cdef bint is_label(LossCall *call, Py_ssize_t row) noexcept nogil:
    """Whether the label of a row is a class; marks the call where it is neither that nor ignored."""
    if 0 <= call.target[row] < call.classes:
        return call.target[row] != call.ignored
    if call.target[row] != call.ignored:
        mark(&call.wrong)
    return False


cdef floating class_weight(const LossCall *call, Py_ssize_t c, const floating *unused) noexcept nogil:
    return 1 if call.class_weights == NULL else (<const floating *>call.class_weights)[c]


cdef double wanted_of(const LossCall *call, const floating *wanted, Py_ssize_t c) noexcept nogil:
    """What is wanted of class c by a row of distributions, times its weight."""
    return ((1 - call.smoothing) * wanted[c * call.wanted_at.step] + call.smoothing / call.classes) * class_weight(
        call, c, wanted)


# ---------------------------------------------------------------------------------------------------------------------
# Forward


def class_losses(ClassLoss how not None, cnp.ndarray scores, cnp.ndarray target, cnp.ndarray losses):
    """The loss of each row, to losses, C-contiguous: None where a label is no class."""
    cdef LossCall call = call_of(how, scores, target)
    call.losses = cnp.PyArray_DATA(losses)
    sums_of(&call, cnp.PyArray_TYPE(scores))
    return None if call.wrong else losses


def class_loss(ClassLoss how not None, cnp.ndarray scores, cnp.ndarray target):
    """The sum of the losses, and that of what they count for in a mean; None where a label is no class."""
    cdef LossCall call = call_of(how, scores, target)
    found = sums_of(&call, cnp.PyArray_TYPE(scores))
    return None if call.wrong else found


cdef tuple sums_of(LossCall *call, int typenum):
    cdef Py_ssize_t units = units_of(call), length = 0, i
    cdef int threads = threads_of(call, TRANSCENDENTAL if call.softmax else READING / call.classes)
    if call.softmax and not call.side_by_side and call.at.step != 1 and call.classes != 1:
        length = min(PIECE, call.classes)
    cdef Block scratch = take(threads * length * sizeof(double)), sums = take(2 * units * sizeof(double))
    cdef double total = 0, count = 0
    call.sums = <double *>sums.data
    if typenum == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(loss_unit[float], call, units, threads, EVENLY, <float *>scratch.data, length)
    else:
        with nogil:
            in_parallel(loss_unit[double], call, units, threads, EVENLY, <double *>scratch.data, length)
    for i in range(units):
        total += call.sums[2 * i]
        count += call.sums[2 * i + 1]
    return total, count


cdef void loss_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    cdef LossCall *call = <LossCall *>data
    cdef Py_ssize_t row = unit * call.rows_at_once, last = min(call.rows, row + call.rows_at_once)
    cdef Py_ssize_t start = row, end = row    # of those that are taken together
    cdef const floating *x
    cdef floating top[COLUMNS]
    cdef floating shift[COLUMNS]
    cdef double loss, total = 0, count = 0
    for row in range(row, last):
        x = row_at(call, &call.at, <const floating *>call.scores, row)
        if call.side_by_side and row == end:
            start, end = row, row + together(call, row, last)
            log_sum_exp_columns(x, call.classes, call.at.step, end - start, &top[0], &shift[0])
        loss = 0
        if call.target == NULL or is_label(call, row):
            count += 1 if call.target == NULL else class_weight(call, call.target[row], x)
            if call.side_by_side:
                loss = loss_of_logarithm(call, x, row, top[row - start], shift[row - start])
            else:
                loss = loss_of_row(call, x, row, scratch)
        elif call.wrong:
            return
        total += loss
        if call.losses != NULL:
            (<floating *>call.losses)[row] = <floating>loss
    call.sums[2 * unit], call.sums[2 * unit + 1] = total, count


cdef double loss_of_logarithm(const LossCall *call, const floating *x, Py_ssize_t row, floating top,
                              floating shift) noexcept nogil:
    """Of a row of which the logarithm of the sum of e^x is top + shift."""
    cdef double log_p = 0
    if call.target != NULL:    # to the bit what log-softmax gives
        log_p = <floating>(<floating>(x[call.target[row] * call.at.step] - top) - shift)
    return weighted_loss(call, x, call.at.step, row, log_p, <double>top + shift)


cdef double loss_of_row(const LossCall *call, const floating *x, Py_ssize_t row, floating *scratch) noexcept nogil:
    cdef floating top = 0, shift = 0
    cdef Py_ssize_t step = 1 if call.classes == 1 else call.at.step, label
    cdef double log_p = 0, logarithm = 0
    label = 0 if call.target == NULL else call.target[row]
    if call.softmax and step != 1 and call.classes <= PIECE:
        copy_piece(call, x, 0, scratch)
        x, step = <const floating *>scratch, 1
    if call.softmax and step == 1:
        shift = log_sum_exp(x, call.classes, &top)
        log_p = <floating>(<floating>(x[label] - top) - shift)    # to the bit what log-softmax gives
        logarithm = <double>top + shift
    else:
        if call.softmax:
            logarithm = log_sum_exp_of_pieces(call, x, scratch)
        log_p = x[label * step] - logarithm
    return weighted_loss(call, x, step, row, log_p, logarithm)


cdef double weighted_loss(const LossCall *call, const floating *x, Py_ssize_t step, Py_ssize_t row, double log_p,
                          double logarithm) noexcept nogil:
    """- the sum over the classes of what is wanted of each times log p, which is x - logarithm: by labels
    (1 - smoothing) log p[label] + smoothing / classes * the sum of all log p, each times its weight."""
    cdef double all_classes = 0, share
    cdef const floating *wanted
    cdef Py_ssize_t c
    if call.target == NULL:
        wanted = row_at(call, &call.wanted_at, <const floating *>call.wanted, row)
        for c in range(call.classes):
            share = wanted_of(call, wanted, c)
            if share != 0:
                all_classes += share * (x[c * step] - logarithm)
        return -all_classes
    if call.smoothing == 0:
        return -log_p if call.class_weights == NULL else -class_weight(call, call.target[row], x) * log_p
    if step == 1 and call.class_weights == NULL:
        all_classes = sum_of_run(x, call.classes) - call.classes * logarithm
    else:
        for c in range(call.classes):
            share = class_weight(call, c, x)
            if share != 0:
                all_classes += share * (x[c * step] - logarithm)
    log_p *= class_weight(call, call.target[row], x)
    return -(1 - call.smoothing) * log_p - call.smoothing / call.classes * all_classes


cdef Py_ssize_t copy_piece(const LossCall *call, const floating *x, Py_ssize_t first, floating *scratch) noexcept nogil:
    """Scores of a row from number `first` on; returns how many."""
    cdef Py_ssize_t i, n = min(PIECE, call.classes - first)
    for i in range(n):
        scratch[i] = x[(first + i) * call.at.step]
    return n


cdef double log_sum_exp_of_pieces(const LossCall *call, const floating *x, floating *scratch) noexcept nogil:
    cdef Py_ssize_t first = 0, n
    cdef floating top
    cdef double highest = -INFINITY, total = 0, of_piece
    while first < call.classes:
        n = copy_piece(call, x, first, scratch)
        first += n
        of_piece = log_sum_exp(<const floating *>scratch, n, &top)
        of_piece += top
        if isinf(top) and top < 0:    # nothing but -inf, which adds nothing, or NaN
            total += 0 if isinf(sum_of_run(<const floating *>scratch, n)) else NAN
        elif of_piece <= highest:
            total += exp(of_piece - highest)
        else:
            total = total * exp(highest - of_piece) + 1
            highest = of_piece
    return highest + log(total)


# ---------------------------------------------------------------------------------------------------------------------
# Backward


def class_loss_backward(ClassLoss how not None, cnp.ndarray scores, cnp.ndarray target, double weight,
                        cnp.ndarray weights, bint mean, cnp.ndarray grad):
    """The gradient with respect to the scores, times the weights of the rows: weights, C-contiguous, or where that is
    None `weight`, with `mean` over what all rows count for. To grad, C-contiguous in the shape of the scores, or a new
    array where that is None; None where a label is no class."""
    cdef LossCall call = call_of(how, scores, target)
    cdef double count
    if grad is None:
        grad = new_array(cnp.PyArray_NDIM(scores), cnp.PyArray_DIMS(scores), cnp.PyArray_TYPE(scores))
    call.grad, call.weight = cnp.PyArray_DATA(grad), weight
    call.weights = NULL if weights is None else cnp.PyArray_DATA(weights)
    if mean:
        count = (count_of(&call, <const float *>NULL) if cnp.PyArray_TYPE(scores) == cnp.NPY_FLOAT
                 else count_of(&call, <const double *>NULL))
        call.weight = weight / count if count != 0 else NAN
    cdef Py_ssize_t units = units_of(&call)
    cdef int threads = threads_of(&call, TRANSCENDENTAL if call.softmax else READING)
    # Rows of the gradient whose scores do not follow each other there are made elsewhere.
    cdef Py_ssize_t length = call.classes if call.softmax and call.positions > 1 and not call.side_by_side else 0
    cdef Block scratch = take(threads * length * sizeof(double))
    if not call.softmax and call.positions > 1:    # whose rows are not apart
        memset(call.grad, 0, cnp.PyArray_NBYTES(grad))
    if cnp.PyArray_TYPE(scores) == cnp.NPY_FLOAT:
        with nogil:
            in_parallel(gradient_unit[float], &call, units, threads, EVENLY, <float *>scratch.data, length)
    else:
        with nogil:
            in_parallel(gradient_unit[double], &call, units, threads, EVENLY, <double *>scratch.data, length)
    return None if call.wrong else grad


cdef double count_of(LossCall *call, const floating *unused) noexcept nogil:
    """What all rows count for in a mean."""
    cdef double count = 0
    cdef Py_ssize_t row
    if call.target == NULL:
        return call.rows
    for row in range(call.rows):
        if is_label(call, row):
            count += class_weight(call, call.target[row], unused)
    return count


cdef void gradient_unit(const void *data, Py_ssize_t unit, floating *scratch) noexcept nogil:
    cdef LossCall *call = <LossCall *>data
    cdef Py_ssize_t row = unit * call.rows_at_once, last = min(call.rows, row + call.rows_at_once), columns, c
    cdef const floating *x
    cdef floating *grad
    while call.side_by_side and row < last and not call.wrong:
        columns = together(call, row, last)
        gradient_of_columns(call, row, columns, <const floating *>call.scores)
        row += columns
    for row in range(row, last):
        if call.wrong:
            return
        grad = gradient_at(call, row, <floating *>call.grad)
        if not call.softmax:
            if call.positions == 1:
                memset(grad, 0, call.classes * sizeof(floating))
            if is_label(call, row):
                c = call.target[row]
                grad[c * call.positions] = -(weight_of(call, row, <const floating *>grad)
                                             * class_weight(call, c, <const floating *>grad))
            continue
        x = row_at(call, &call.at, <const floating *>call.scores, row)
        if call.positions == 1:
            gradient_of_row(call, x, row, grad)
        else:
            gradient_of_row(call, x, row, scratch)
            for c in range(call.classes):
                grad[c * call.positions] = scratch[c]


cdef floating weight_of(const LossCall *call, Py_ssize_t row, const floating *unused) noexcept nogil:
    return <floating>call.weight if call.weights == NULL else (<const floating *>call.weights)[row]


cdef double wanted_in_all(const LossCall *call, Py_ssize_t row, const floating *unused) noexcept nogil:
    """The sum over the classes of what is wanted of each, by which softmax is multiplied in the gradient."""
    cdef const floating *wanted
    cdef double total = 0
    cdef Py_ssize_t c
    if call.target != NULL:
        return ((1 - call.smoothing) * class_weight(call, call.target[row], unused)
                + call.smoothing / call.classes * call.class_total)
    wanted = row_at(call, &call.wanted_at, <const floating *>call.wanted, row)
    for c in range(call.classes):
        total += wanted_of(call, wanted, c)
    return total


cdef void gradient_of_row(LossCall *call, const floating *x, Py_ssize_t row, floating *grad) noexcept nogil:
    """Softmax times all that is wanted, less what is wanted of each class, one behind the other."""
    cdef floating weight = weight_of(call, row, x), share = <floating>(call.smoothing / call.classes)
    cdef const floating *wanted
    cdef Py_ssize_t c
    if call.target != NULL and not is_label(call, row):
        memset(grad, 0, call.classes * sizeof(floating))
        return
    if call.at.step != 1 and call.classes != 1:
        for c in range(call.classes):
            grad[c] = x[c * call.at.step]
        x = <const floating *>grad
    if call.target != NULL and call.class_weights == NULL:
        softmax_less(x, grad, call.classes, weight, share)
    else:
        softmax_less(x, grad, call.classes, <floating>(weight * wanted_in_all(call, row, x)), <floating>0)
    if call.target == NULL:
        wanted = row_at(call, &call.wanted_at, <const floating *>call.wanted, row)
        for c in range(call.classes):
            grad[c] -= <floating>(weight * wanted_of(call, wanted, c))
        return
    if call.class_weights != NULL and share != 0:
        for c in range(call.classes):
            grad[c] -= weight * share * class_weight(call, c, x)
    c = call.target[row]
    grad[c] -= weight * <floating>(1 - call.smoothing) * class_weight(call, c, x)


cdef void gradient_of_columns(LossCall *call, Py_ssize_t first, Py_ssize_t columns,
                              const floating *scores) noexcept nogil:
    """The same of rows side by side, from the first on: in place in the gradient, class by class."""
    cdef Py_ssize_t c, i, row
    cdef const floating *x = row_at(call, &call.at, scores, first)
    cdef floating *grad = gradient_at(call, first, <floating *>call.grad)
    cdef floating scale[COLUMNS]
    cdef floating less[COLUMNS]
    cdef floating of_class
    cdef const floating *wanted
    for i in range(columns):
        scale[i] = less[i] = 0
        if call.target == NULL or is_label(call, first + i):
            scale[i] = <floating>(weight_of(call, first + i, x) * wanted_in_all(call, first + i, x))
            less[i] = weight_of(call, first + i, x) * <floating>(call.smoothing / call.classes)
    if call.wrong:
        return
    if call.at.step == call.positions:
        softmax_columns(x, grad, call.classes, call.positions, columns, 0)
    else:
        for c in range(call.classes):
            memcpy(grad + c * call.positions, x + c * call.at.step, columns * sizeof(floating))
        softmax_columns(<const floating *>grad, grad, call.classes, call.positions, columns, 0)
    for c in range(call.classes):
        of_class = class_weight(call, c, x)
        for i in range(columns):
            grad[c * call.positions + i] = grad[c * call.positions + i] * scale[i] - less[i] * of_class
    for i in range(columns):
        row = first + i
        if call.target == NULL:
            wanted = row_at(call, &call.wanted_at, <const floating *>call.wanted, row)
            for c in range(call.classes):    # less is taken off already
                grad[c * call.positions + i] -= (weight_of(call, row, x) * <floating>(1 - call.smoothing)
                                                 * wanted[c * call.wanted_at.step] * class_weight(call, c, x))
        elif is_label(call, row):
            c = call.target[row]
            grad[c * call.positions + i] -= (weight_of(call, row, x) * <floating>(1 - call.smoothing)
                                             * class_weight(call, c, x))
        else:
            for c in range(call.classes):    # whatever its scores are
                grad[c * call.positions + i] = 0
