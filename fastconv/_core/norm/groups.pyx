"""Batch and group normalisation: maps (N, C, ...) made of mean 0 and variance 1, group by group of their channels.

A *sample* is what a mean is taken over: all images, for batch normalisation, whose groups are of one channel each; or
one image. A *part* is some whole groups of a sample.

    parallel for part: once for its sums; then, in cache as it still is, once for the results      (UNIT_BYTES at most)

    parallel for part, for chunk of its pixels: sums; add them up, in order
    parallel for part, for chunk of its pixels: results                                            (larger parts)

Inside, a block of pixels is read plane by plane, or, where channels lie side by side, pixel by pixel: see norm.h. What
of that is cut how depends on the sizes alone. Means and variances are kept in double precision.
"""

cimport numpy as cnp
from cython cimport floating
from libc.math cimport isfinite, sqrt
from libc.string cimport memset

from fastconv._core.norm.maps cimport MapBlock, Maps, block_of, element_of, maps_of
from fastconv._core.problem.problem cimport ceildiv, rounded
from fastconv._core.runtime.isa cimport norm_gradient_sums, norm_moments, normalise, normalise_backward
from fastconv._core.runtime.kernels cimport fc_norm
from fastconv._core.runtime.memory cimport Block, take
from fastconv._core.runtime.threads cimport EVENLY, in_parallel, team

cnp.import_array()

cdef enum:
    UNIT_BYTES = 256 << 10      # of a part, that is read twice from L2
    BLOCK_PIXELS = 8192         # of a plane, at a time
    BLOCK_BYTES = 16 << 10      # of pixels with their channels, at a time
    MOST_CHUNKS = 32
    MOST_CHANNELS = 16384       # of a sample, and
    MOST_SUMS = 65536           # of all samples of a pass, whose sums and maps are kept: 4 MB
    SEEN_IMAGES = 4             # whose first pixels, so many, make a first guess at a mean
    SEEN_PIXELS = 8

# About the nanoseconds of an element of x, for the thread policy.
cdef double FORWARD_WORK = 0.3, BACKWARD_WORK = 0.5

# What is done on a way through some maps.
cdef enum Pass:
    MOMENTS, GRADIENT_SUMS, RESULTS, GRADIENTS, SCALED_GRADIENTS

# One call, or its samples from `first` on. Sums are [sample][chunk][row], the arrays of a map [sample][row], means and
# variances [sample of all][group], statistics_row apart.
cdef struct NormCall:
    Maps x, grad, y
    bint lanes, measure, training, backward, summed, writes
    Py_ssize_t samples, first, images, channels, pixels, groups, members
    Py_ssize_t block, pieces, width, parts, chunks, at_once, row, room
    double *sums
    double *products
    void *centre
    void *scale
    void *shift
    void *slope
    void *offset
    double *mean
    double *var
    Py_ssize_t statistics_row
    const void *weight    # or NULL
    const void *bias
    double eps
    bint relu
    Pass now

cdef struct NormPart:
    Py_ssize_t sample, channel, channels


cdef class Affine:
    """What becomes of a normalised value: times weight, plus bias (contiguous arrays of the dtype of x, or None),
    and with `relu` through a ReLU; eps is added to variances."""
    def __init__(self, weight, bias, double eps, bint relu=False):
        self.weight, self.bias, self.eps, self.relu = weight, bias, eps, relu


def forward(cnp.ndarray x, cnp.ndarray y, tuple statistics, bint measure, Affine affine not None):
    """y = x normalised, arrays (N, C, ...) that are not empty, y with its pixels, or else its channels, side by side.

    statistics: mean and variance, float64 (samples, groups), with one sample or N. They are written where `measure`,
    else read.
    """
    for channels, some in slices(x, statistics):
        run(x[:, channels], None, y[:, channels], some, measure, True, inside(affine, channels), (None, None))


def backward(cnp.ndarray grad, cnp.ndarray x, tuple gradients, tuple statistics, bint measure, bint training,
             Affine affine not None):
    """Gradients of `forward`: of x, laid out as y there, of weight and of bias, or None in the tuple.

    training: the statistics were measured, and x moves them. `measure`: they are to be measured anew.
    """
    grad_x, grad_weight, grad_bias = gradients
    for channels, some in slices(x, statistics):
        run(x[:, channels], grad[:, channels], None if grad_x is None else grad_x[:, channels], some, measure, training,
            inside(affine, channels),
            (None if grad_weight is None else grad_weight[channels], None if grad_bias is None else grad_bias[channels]))


cdef list slices(x, tuple statistics):
    """The channels that are worked on at a time, whole groups, and the statistics of these."""
    groups = statistics[0].shape[1]
    members = x.shape[1] // groups
    at_once = max(1, MOST_CHANNELS // members)
    found = []
    for first in range(0, groups, at_once):
        last = min(groups, first + at_once)
        found.append((slice(first * members, last * members), tuple([array[:, first:last] for array in statistics])))
    return found


cdef Affine inside(Affine affine, channels):
    return Affine(None if affine.weight is None else affine.weight[channels],
                  None if affine.bias is None else affine.bias[channels], affine.eps, affine.relu)


cdef run(cnp.ndarray x, cnp.ndarray grad, cnp.ndarray y, tuple statistics, bint measure, bint training, Affine affine,
         tuple gradients):
    cdef NormCall call
    cdef cnp.ndarray mean, var
    memset(&call, 0, sizeof(NormCall))
    mean, var = statistics
    call.channels, call.samples = cnp.PyArray_DIM(x, 1), cnp.PyArray_DIM(mean, 0)
    call.groups = cnp.PyArray_DIM(mean, 1)
    call.members = call.channels // call.groups
    call.images = cnp.PyArray_DIM(x, 0) // call.samples
    call.pixels = cnp.PyArray_SIZE(x) // (cnp.PyArray_DIM(x, 0) * call.channels)
    call.lanes = call.pixels == 1 or not maps_of(grad if y is None else y, False).direct
    call.x = maps_of(x, call.lanes)
    if y is not None:
        call.y, call.writes = maps_of(y, call.lanes), True
    if grad is not None:
        call.grad, call.backward = maps_of(grad, call.lanes), True
        call.summed = training or gradients[0] is not None or gradients[1] is not None
    call.measure, call.training, call.eps, call.relu = measure, training, affine.eps, affine.relu
    call.mean, call.var = <double *>cnp.PyArray_DATA(mean), <double *>cnp.PyArray_DATA(var)
    call.statistics_row = cnp.PyArray_STRIDE(mean, 0) // sizeof(double)
    call.weight = NULL if affine.weight is None else cnp.PyArray_DATA(affine.weight)
    call.bias = NULL if affine.bias is None else cnp.PyArray_DATA(affine.bias)
    if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT:
        go_through[float](&call, gradients, NULL)
    else:
        go_through[double](&call, gradients, NULL)


cdef void lay_out(NormCall *call, Py_ssize_t size) noexcept:
    cdef Py_ssize_t each, unit, largest = 4 * UNIT_BYTES
    if call.lanes and call.samples == 1 and joined(call, &call.x) and joined(call, &call.grad) and joined(call, &call.y):
        call.pixels, call.images = call.pixels * call.images, 1
        call.x.sizes[2] = call.pixels
    each = call.images * call.pixels * size * (2 if call.backward else 1)
    if call.lanes:
        call.width, largest = call.channels, UNIT_BYTES
        call.block = min(call.pixels, max(4, BLOCK_BYTES // (call.channels * size)))
    else:
        call.width = call.members * max(1, min(UNIT_BYTES // (each * call.members), call.groups // 8))
        call.block = min(call.pixels, BLOCK_PIXELS)
    call.pieces, call.parts = ceildiv(call.pixels, call.block), ceildiv(call.channels, call.width)
    call.at_once = call.width
    if not (call.x.direct and (call.grad.direct or not call.backward)):
        if not call.lanes:
            call.at_once = max(1, BLOCK_PIXELS // call.block)
        call.room = call.block * call.at_once
    unit = each * call.width
    call.chunks = 1 if unit <= largest else min(call.images * call.pieces, min(MOST_CHUNKS, ceildiv(unit, UNIT_BYTES)))
    call.row, call.room = rounded(call.channels), rounded(call.room)


cdef bint joined(const NormCall *call, const Maps *maps) noexcept:
    """Whether the pixels of all images are evenly spaced."""
    return maps.data == NULL or (maps.direct and (call.images == 1 or maps.image == call.pixels * maps.step))


cdef go_through(NormCall *call, tuple gradients, const floating *unused):
    """All samples, as many at a time as their sums may take."""
    cdef Py_ssize_t samples = call.samples, at_once, size = sizeof(floating), c, sample, first
    cdef cnp.ndarray grad_weight, grad_bias
    cdef int threads
    cdef floating *room
    lay_out(call, size)
    at_once = max(1, min(samples, MOST_SUMS // (call.chunks * call.row)))
    threads = team((BACKWARD_WORK if call.backward else FORWARD_WORK)
                   * at_once * call.images * call.pixels * call.channels)
    cdef Py_ssize_t sums = at_once * call.chunks * call.row, maps = at_once * call.row
    cdef Block memory = take((2 * sums + 2 * call.row) * sizeof(double) + (5 * maps + 2 * threads * call.room) * size)
    cdef double *totals
    call.sums, call.products = <double *>memory.data, <double *>memory.data + sums
    totals = call.products + sums
    room = <floating *>(totals + 2 * call.row)
    call.centre, call.scale, call.shift = room, room + maps, room + 2 * maps
    call.slope, call.offset = room + 3 * maps, room + 4 * maps
    room += 5 * maps
    memset(totals, 0, 2 * call.row * sizeof(double))
    for first in range(0, samples, at_once):
        call.first, call.samples = first, min(at_once, samples - first)
        with nogil:
            normalise_samples(call, threads, room)
        if call.summed:
            for sample in range(call.samples):
                for c in range(call.channels):
                    totals[c] += call.sums[sample * call.chunks * call.row + c]
                    totals[call.row + c] += call.products[sample * call.chunks * call.row + c]
    grad_weight, grad_bias = gradients
    if grad_bias is not None:
        for c in range(call.channels):
            (<floating *>cnp.PyArray_DATA(grad_bias))[c] = <floating>totals[c]
    if grad_weight is not None:
        for c in range(call.channels):
            (<floating *>cnp.PyArray_DATA(grad_weight))[c] = <floating>totals[call.row + c]


cdef void normalise_samples(NormCall *call, int threads, floating *room) noexcept nogil:
    cdef Py_ssize_t units = call.samples * call.parts, unit
    cdef NormPart part
    if call.chunks == 1:
        in_parallel(whole_unit[floating], call, units, threads, EVENLY, room, 2 * call.room)
        return
    if call.measure:
        for unit in range(units):
            part = part_of(call, unit)
            guess(call, &part, room)
        walk_through(call, MOMENTS, threads, room)
    for unit in range(units):
        part = part_of(call, unit)
        if call.measure:
            conclude_moments(call, &part, room)
        make_map(call, &part, room)
    if call.summed:
        walk_through(call, GRADIENT_SUMS, threads, room)
        for unit in range(units):
            part = part_of(call, unit)
            conclude_gradient(call, &part, room)
    if call.writes:
        walk_through(call, last_pass(call), threads, room)


cdef void walk_through(NormCall *call, Pass now, int threads, floating *room) noexcept nogil:
    call.now = now
    if now == MOMENTS or now == GRADIENT_SUMS:
        memset(call.sums, 0, call.samples * call.chunks * call.row * sizeof(double))
        memset(call.products, 0, call.samples * call.chunks * call.row * sizeof(double))
    in_parallel(chunk_unit[floating], call, call.samples * call.parts * call.chunks, threads, EVENLY, room,
                2 * call.room)


cdef inline Pass last_pass(const NormCall *call) noexcept nogil:
    return RESULTS if not call.backward else GRADIENTS if call.training else SCALED_GRADIENTS


cdef inline NormPart part_of(const NormCall *call, Py_ssize_t unit) noexcept nogil:
    cdef NormPart part
    part.sample, part.channel = unit // call.parts, unit % call.parts * call.width
    part.channels = min(call.width, call.channels - part.channel)
    return part


cdef void whole_unit(const void *data, Py_ssize_t unit, floating *room) noexcept nogil:
    """A part: sums and results."""
    cdef const NormCall *call = <const NormCall *>data
    cdef NormPart part = part_of(call, unit)
    if call.measure:
        guess(call, &part, room)
        clear(call, &part)
        walk(call, &part, 0, MOMENTS, room)
        conclude_moments(call, &part, room)
    make_map(call, &part, room)
    if call.summed:
        clear(call, &part)
        walk(call, &part, 0, GRADIENT_SUMS, room)
        conclude_gradient(call, &part, room)
    if call.writes:
        walk(call, &part, 0, last_pass(call), room)


cdef void chunk_unit(const void *data, Py_ssize_t unit, floating *room) noexcept nogil:
    """A chunk of a part: sums or results."""
    cdef const NormCall *call = <const NormCall *>data
    cdef NormPart part = part_of(call, unit // call.chunks)
    walk(call, &part, unit % call.chunks, call.now, room)


cdef inline void clear(const NormCall *call, const NormPart *part) noexcept nogil:
    memset(call.sums + part.sample * call.row + part.channel, 0, part.channels * sizeof(double))
    memset(call.products + part.sample * call.row + part.channel, 0, part.channels * sizeof(double))


cdef void walk(const NormCall *call, const NormPart *part, Py_ssize_t chunk, Pass now, floating *room) noexcept nogil:
    """Every block of a chunk of a part."""
    cdef fc_norm how
    cdef MapBlock at
    cdef Py_ssize_t blocks = call.images * call.pieces, block, some, channel
    cdef Py_ssize_t last = part.channel + part.channels
    cdef const floating *x = NULL
    cdef const floating *grad = NULL
    cdef floating *y = NULL
    memset(&how, 0, sizeof(fc_norm))
    how.relu = call.relu
    for block in range(chunk * blocks // call.chunks, (chunk + 1) * blocks // call.chunks):
        at.image = (call.first + part.sample) * call.images + block // call.pieces
        at.first = block % call.pieces * call.block
        at.pixels = min(call.block, call.pixels - at.first)
        for some in range(ceildiv(part.channels, call.at_once)):
            channel = part.channel + some * call.at_once
            at.channel, at.channels = channel, min(call.at_once, last - channel)
            how.planes, how.n = at.channels, at.pixels
            if call.lanes:
                how.planes, how.n = at.pixels, at.channels
            point(&how, call, part.sample, chunk, channel, room)
            if now != SCALED_GRADIENTS:
                x = block_of(&call.x, &at, call.lanes, room, &how.x)
            if now != MOMENTS and now != RESULTS:
                grad = block_of(&call.grad, &at, call.lanes, room + call.room, &how.grad)
            if now == RESULTS or now == GRADIENTS or now == SCALED_GRADIENTS:
                y = <floating *>block_of(&call.y, &at, call.lanes, room, &how.y)
            if now == MOMENTS:
                norm_moments(call.lanes, &how, x)
            elif now == GRADIENT_SUMS:
                norm_gradient_sums(call.lanes, &how, x, grad)
            elif now == RESULTS:
                normalise(call.lanes, &how, x, y)
            elif now == GRADIENTS:
                normalise_backward(call.lanes, &how, x, grad, y)
            else:    # (grad - 0) * scale + 0
                how.x, how.centre, how.shift, how.relu = how.grad, how.slope, how.offset, 0
                normalise(call.lanes, &how, grad, y)


cdef inline void point(fc_norm *how, const NormCall *call, Py_ssize_t sample, Py_ssize_t chunk, Py_ssize_t channel,
                       const floating *unused) noexcept nogil:
    """Where the kernels find what belongs to the channels from this one on."""
    cdef Py_ssize_t at = sample * call.row + channel
    how.centre, how.scale = <floating *>call.centre + at, <floating *>call.scale + at
    how.shift, how.slope = <floating *>call.shift + at, <floating *>call.slope + at
    how.offset = <floating *>call.offset + at
    at = (sample * call.chunks + chunk) * call.row + channel
    how.sums, how.products = call.sums + at, call.products + at


# ---------------------------------------------------------------------------------------------------------------------
# From sums to maps


cdef void guess(const NormCall *call, const NormPart *part, const floating *unused) noexcept nogil:
    """A centre near the mean of each group: what a few pixels of its first channel have as theirs."""
    cdef floating *centre = <floating *>call.centre + part.sample * call.row
    cdef Py_ssize_t c, image, pixel, images = min(call.images, SEEN_IMAGES), pixels = min(call.pixels, SEEN_PIXELS)
    cdef double total
    for c in range(part.channel, part.channel + part.channels):
        if (c - part.channel) % call.members:
            centre[c] = centre[c - 1]
            continue
        total = 0
        for image in range(images):
            for pixel in range(pixels):
                total += element_of(&call.x, (call.first + part.sample) * call.images + image, c, pixel, unused)
        total = total / (images * pixels)
        centre[c] = <floating>total if isfinite(total) else 0


cdef inline double added_up(const NormCall *call, const double *sums, Py_ssize_t sample, Py_ssize_t c) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t chunk
    for chunk in range(call.chunks):
        total += sums[(sample * call.chunks + chunk) * call.row + c]
    return total


cdef void conclude_moments(const NormCall *call, const NormPart *part, const floating *unused) noexcept nogil:
    """Mean and biased variance of each group."""
    cdef const floating *centre = <const floating *>call.centre + part.sample * call.row
    cdef Py_ssize_t g, c, at, first = part.channel // call.members
    cdef double total, squares, count = <double>call.images * call.pixels * call.members
    for g in range(first, first + part.channels // call.members):
        total = squares = 0
        for c in range(g * call.members, (g + 1) * call.members):
            total += added_up(call, call.sums, part.sample, c)
            squares += added_up(call, call.products, part.sample, c)
        at = (call.first + part.sample) * call.statistics_row + g
        call.mean[at] = centre[g * call.members] + total / count
        squares = (squares - total * (total / count)) / count
        call.var[at] = 0 if squares < 0 else squares    # NaN stays


cdef void make_map(const NormCall *call, const NormPart *part, const floating *unused) noexcept nogil:
    """The affine map of each channel: centred on its mean as far as its precision goes, the rest being in the shift."""
    cdef Py_ssize_t c, at, here
    cdef double mean, scale, rest
    for c in range(part.channel, part.channel + part.channels):
        at = (call.first + part.sample) * call.statistics_row + c // call.members
        here = part.sample * call.row + c
        mean, scale = call.mean[at], 1 / sqrt(call.var[at] + call.eps)
        if call.weight != NULL:
            scale = scale * (<const floating *>call.weight)[c]
        (<floating *>call.centre)[here] = <floating>mean
        rest = beyond_centre(call, here, mean, unused)
        (<floating *>call.scale)[here] = <floating>scale
        (<floating *>call.shift)[here] = <floating>(
            (0 if call.bias == NULL else (<const floating *>call.bias)[c]) + rest * scale)
        (<floating *>call.slope)[here] = (<floating *>call.offset)[here] = 0


cdef inline double beyond_centre(const NormCall *call, Py_ssize_t here, double mean,
                                 const floating *unused) noexcept nogil:
    """What the centre has too much."""
    return <double>(<floating *>call.centre)[here] - mean if isfinite(mean) else 0


cdef void conclude_gradient(const NormCall *call, const NormPart *part, const floating *unused) noexcept nogil:
    """The gradients of bias and weight of this sample, left in its first sums and products; and, of training, the maps:
    grad_x = scale g - rstd P / M - rstd^3 Q / M (x - mean), where P and Q are the sums of g weight and of that times x
    - mean over the M elements of a group."""
    cdef Py_ssize_t g, c, at, here, first = part.channel // call.members
    cdef double mean, rstd, weight, total, product, totals, products, rest, slope
    cdef double count = <double>call.images * call.pixels * call.members
    for g in range(first, first + part.channels // call.members):
        at = (call.first + part.sample) * call.statistics_row + g
        mean, rstd = call.mean[at], 1 / sqrt(call.var[at] + call.eps)
        totals = products = 0
        rest = beyond_centre(call, part.sample * call.row + g * call.members, mean, unused)
        for c in range(g * call.members, (g + 1) * call.members):
            total, product = added_up(call, call.sums, part.sample, c), added_up(call, call.products, part.sample, c)
            product += rest * total
            weight = 1 if call.weight == NULL else (<const floating *>call.weight)[c]
            totals += weight * total
            products += weight * product
            here = part.sample * call.chunks * call.row + c
            call.sums[here], call.products[here] = total, rstd * product
        if call.training:
            slope = -rstd * rstd * rstd * products / count
            for c in range(g * call.members, (g + 1) * call.members):
                here = part.sample * call.row + c
                (<floating *>call.slope)[here] = <floating>slope
                (<floating *>call.offset)[here] = <floating>(rest * slope - rstd * totals / count)
