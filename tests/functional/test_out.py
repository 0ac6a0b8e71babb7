"""`out=` of every function but convolution and pooling, whose own tests have it: the array is filled, returned,
and nothing else is touched; what cannot be filled is refused before anything is written."""

import functools

import numpy as np
import pytest

import fastconv as fc

DTYPES = [np.float32, np.float64]
RNG = np.random.default_rng(11)
LABELS = RNG.integers(0, 7, 12)

# Each as a function of x (N, ...) and `out`, with what it reads beside x.
UNARY = {
    "relu": fc.relu, "relu6": fc.relu6, "sigmoid": fc.sigmoid, "tanh": fc.tanh,
    "leaky_relu": functools.partial(fc.leaky_relu, negative_slope=0.3),
}
BINARY = {
    "relu_backward": fc.relu_backward, "relu6_backward": fc.relu6_backward, "sigmoid_backward": fc.sigmoid_backward,
    "tanh_backward": fc.tanh_backward,
    "leaky_relu_backward": functools.partial(fc.leaky_relu_backward, negative_slope=0.3),
}
ROWS = {
    "softmax": fc.softmax, "softmax, first axis": functools.partial(fc.softmax, axis=0),
    "log_softmax": fc.log_softmax, "log_softmax, first axis": functools.partial(fc.log_softmax, axis=0),
    "flatten": fc.flatten,
    "nll_loss_backward": functools.partial(fc.nll_loss_backward, target=LABELS),
    "cross_entropy_backward": functools.partial(fc.cross_entropy_backward, target=LABELS, label_smoothing=0.1),
    "cross_entropy_backward, none": functools.partial(fc.cross_entropy_backward, target=LABELS, reduction="none"),
}
PAIRS = {
    "softmax_backward": fc.softmax_backward, "log_softmax_backward": fc.log_softmax_backward,
    "softmax_backward, first axis": functools.partial(fc.softmax_backward, axis=0),
    "log_softmax_backward, first axis": functools.partial(fc.log_softmax_backward, axis=0),
}
VIEWS = {
    "as it is": lambda a: a,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "every second": lambda a: np.repeat(a, 2, 0)[::2],
    "backwards": lambda a: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "a list": lambda a: a.tolist(),
}


def draw(dtype, *shape):
    return RNG.standard_normal(shape).astype(dtype)


def check(call, *inputs):
    """`call` of these inputs gives the same with out= as without, into that array, whatever was in it."""
    wanted = call(*inputs)
    surrounded = np.full((3, *wanted.shape), np.nan, wanted.dtype)
    out = surrounded[1]
    kept = [np.array(each) for each in inputs]
    assert call(*inputs, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    assert np.isnan(surrounded[[0, 2]]).all()
    for given, before in zip(inputs, kept):
        np.testing.assert_array_equal(given, before)


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", [*UNARY, *ROWS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_of_one_array(dtype, name, view):
    if view != "a list" or dtype is np.float64:
        check((UNARY | ROWS)[name], VIEWS[view](draw(dtype, 12, 7)))


@pytest.mark.parametrize("second", list(VIEWS)[:4])
@pytest.mark.parametrize("first", list(VIEWS)[:4])
@pytest.mark.parametrize("name", [*BINARY, *PAIRS])
def test_of_two_arrays(name, first, second):
    check((BINARY | PAIRS)[name], VIEWS[first](draw(np.float32, 12, 7)), VIEWS[second](draw(np.float32, 12, 7)))


@pytest.mark.parametrize("threads", [1, 3])
def test_large_arrays_of_any_strides(threads):
    """Pieces, blocks and threads: more than fits into any of them."""
    with fc.num_threads(threads):
        for view in ("as it is", "transposed", "backwards"):
            a, b = (VIEWS[view](draw(np.float32, 700, 900)) for _ in range(2))
            for call in UNARY.values():
                check(call, a)
            for call in (*BINARY.values(), *PAIRS.values()):
                check(call, a, b)
                check(call, a, np.ascontiguousarray(b))
                check(call, np.ascontiguousarray(a), b)


def test_flatten():
    x = draw(np.float32, 3, 4, 5, 2)
    check(fc.flatten, x)
    check(fc.flatten, x.transpose(0, 2, 3, 1))
    check(functools.partial(fc.flatten_backward, input_shape=(3, 4, 10)), draw(np.float32, 3, 40))
    check(functools.partial(fc.flatten_backward, input_shape=(3, 4, 10)), draw(np.float32, 40, 3).T)


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear(dtype):
    weight, bias = draw(dtype, 9, 6), draw(dtype, 9)
    for x in (draw(dtype, 5, 6), draw(dtype, 2, 3, 6), draw(dtype, 6), draw(dtype, 6, 5).T, draw(dtype, 0, 6)):
        check(fc.linear, x, weight)
        check(fc.linear, x, weight, bias)


# ---------------------------------------------------------------------------------------------------------------------
# In place


@pytest.mark.parametrize("shape", [(), (1,), (12, 7), (3, 0), (200, 300)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_in_place(dtype, shape):
    for call in UNARY.values():
        x = np.asarray(draw(dtype, *shape))
        wanted, again = call(x), x[...]
        assert call(x, out=again) is again
        np.testing.assert_array_equal(x, wanted)
    for call in BINARY.values():
        for which in range(2):
            arrays = [np.asarray(draw(dtype, *shape)) for _ in range(2)]
            wanted, kept = call(*arrays), arrays[1 - which].copy()
            assert call(*arrays, out=arrays[which]) is arrays[which]
            np.testing.assert_array_equal(arrays[which], wanted)
            np.testing.assert_array_equal(arrays[1 - which], kept)


@pytest.mark.parametrize("name", BINARY)
def test_in_place_beside_any_strides(name):
    """The other argument is copied piece by piece, so that nothing is overwritten before it is read."""
    for view in ("transposed", "backwards", "every second"):
        for shape in ((12, 7), (700, 900)):
            for which in range(2):
                arrays = [VIEWS[view](draw(np.float32, *shape)) for _ in range(2)]
                arrays[which] = np.ascontiguousarray(arrays[which])
                wanted = BINARY[name](*arrays)
                BINARY[name](*arrays, out=arrays[which])
                np.testing.assert_array_equal(arrays[which], wanted)


def test_an_array_for_all():
    x = draw(np.float64, 4, 4)
    wanted = fc.relu_backward(x, x)
    np.testing.assert_array_equal(fc.relu_backward(x, x, out=x), wanted)


# ---------------------------------------------------------------------------------------------------------------------
# Three gradients


def gradients(dtype):
    """Calls of what has three gradients, as functions of `needs` and `out`."""
    x, weight = draw(dtype, 2, 4, 9, 8), draw(dtype, 6, 4, 3, 3)
    grad_output = draw(dtype, 2, 6, 9, 8)
    yield functools.partial(fc.conv2d_backward, grad_output, x, weight, padding=1)
    last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (grad_output, x)]
    yield functools.partial(fc.conv2d_backward, *last, weight, padding=1, data_format="NHWC", padding_mode="symmetric")
    yield functools.partial(fc.conv2d_backward, grad_output[0], x[0], weight, padding=1)
    yield functools.partial(fc.conv2d_backward, grad_output[:0], x[:0], weight, padding=1)
    for rank, formats in ((1, ("NCL", "NLC")), (2, ("NCHW", "NHWC")), (3, ("NCDHW", "NDHWC"))):
        transposed = getattr(fc, f"conv_transpose{rank}d_backward")
        x, weight = draw(dtype, 2, 4, *(3,) * rank), draw(dtype, 4, 3, *(2,) * rank)
        grad_output = draw(dtype, 2, 6, *(6,) * rank)
        yield functools.partial(transposed, grad_output, x, weight, stride=2, groups=2)
        last = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in (grad_output, x)]
        yield functools.partial(transposed, *last, weight, stride=2, groups=2, data_format=formats[1])
        yield functools.partial(transposed, grad_output[1], x[1], weight, stride=2, groups=2)
        yield functools.partial(transposed, grad_output[:0], x[:0], weight, stride=2, groups=2)
    yield from normalisations(dtype)
    yield functools.partial(fc.linear_backward, draw(dtype, 5, 9), draw(dtype, 5, 6), draw(dtype, 9, 6))
    yield functools.partial(fc.linear_backward, draw(dtype, 2, 5, 9), draw(dtype, 2, 5, 6), draw(dtype, 9, 6))
    yield functools.partial(fc.linear_backward, draw(dtype, 0, 9), draw(dtype, 0, 6), draw(dtype, 9, 6))


def normalisations(dtype):
    """Those of normalisations: layouts, strides, an activation, what is empty."""
    grad, x, weight, bias = draw(dtype, 3, 6, 5, 4), draw(dtype, 3, 6, 5, 4), draw(dtype, 6), draw(dtype, 6)
    mean, var = draw(dtype, 6), np.abs(draw(dtype, 6)) + 1
    statistics = fc.batch_norm(x, None, None, weight, bias, training=True, return_statistics=True)[1]
    of_batch = functools.partial(fc.batch_norm_backward, training=True)
    yield functools.partial(of_batch, grad, x, None, None, weight, bias)
    yield functools.partial(of_batch, grad, x, None, None, weight, bias, statistics=statistics, activation="relu")
    yield functools.partial(of_batch, grad.transpose(0, 3, 1, 2), x.transpose(0, 3, 1, 2), None, None)
    yield functools.partial(of_batch, grad[..., 0], x[..., 0], None, None)
    yield functools.partial(of_batch, grad[:0], x[:0], None, None)
    yield functools.partial(fc.batch_norm_backward, grad, x, mean, var, weight, bias, activation="relu")
    nhwc = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)) for a in (grad, x)]
    yield functools.partial(of_batch, *nhwc, None, None, weight, bias, data_format="NHWC")
    yield functools.partial(fc.group_norm_backward, grad, x, 3, weight)
    yield functools.partial(fc.group_norm_backward, *nhwc, 2, weight, data_format="NHWC")
    yield functools.partial(fc.group_norm_backward, grad[:0], x[:0], 3)
    yield functools.partial(fc.layer_norm_backward, grad, x, (5, 4), draw(dtype, 5, 4))
    yield functools.partial(fc.layer_norm_backward, grad.transpose(0, 3, 2, 1), x.transpose(0, 3, 2, 1), 6, weight)
    yield functools.partial(fc.layer_norm_backward, grad[:0], x[:0], 4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_gradients(dtype):
    """Of PReLU, which has no bias."""
    grad, x = draw(dtype, 3, 6, 5), draw(dtype, 3, 6, 5)
    for weight in (draw(dtype, 6), draw(dtype, 1), np.asarray(draw(dtype, 1)[0])):
        for view in (lambda a: a, lambda a: np.ascontiguousarray(a.transpose(2, 1, 0)).transpose(2, 1, 0)):
            call = functools.partial(fc.prelu_backward, view(grad), view(x), weight)
            wanted = call()
            for given in np.ndindex(2, 2):
                out = tuple(np.full_like(each, np.nan) if which else None for each, which in zip(wanted, given))
                for got, each, into in zip(call(out=out), wanted, out):
                    assert into is None or got is into
                    np.testing.assert_array_equal(got, each)
    with pytest.raises(ValueError, match=r"out must be a tuple \(grad_x, grad_weight\), got 3 entries"):
        call(out=(None,) * 3)
    with pytest.raises(TypeError, match=r"out must be a tuple \(grad_x, grad_weight\)"):
        call(out=np.empty_like(x))
    with pytest.raises(ValueError, match=r"out\[0\] must not overlap an input"):
        fc.prelu_backward(grad, x, draw(dtype, 6), out=(x, None))
    with pytest.raises(ValueError, match=r"out\[1\] must have shape \(6,\)"):
        fc.prelu_backward(grad, x, draw(dtype, 6), out=(None, np.empty((1, 6), dtype)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
def test_gradient_of_interpolation(mode, dtype):
    for data_format in ("NCHW", "NHWC"):
        for shape in ((2, 9, 5, 10), (9, 5, 10)):
            sizes = shape[-2:] if data_format == "NCHW" else shape[-3:-1]
            x = draw(dtype, *shape)
            options = dict(size=tuple(2 * size for size in sizes), mode=mode, data_format=data_format)
            grad = fc.interpolate(x, **options)
            check(functools.partial(fc.interpolate_backward, input_shape=shape, **options), grad)
    with pytest.raises(ValueError, match="out must have shape"):
        fc.interpolate_backward(grad, shape, **options, out=np.empty_like(grad))
    with pytest.raises(ValueError, match="out must not overlap an input"):
        fc.interpolate_backward(grad, shape, **options, out=grad.reshape(-1)[:x.size].reshape(shape))


@pytest.mark.parametrize("call", [
    lambda out: fc.conv_transpose2d_backward(X, GRAD, W, out=out),
    lambda out: fc.batch_norm_backward(X, X, None, None, training=True, out=out),
    lambda out: fc.group_norm_backward(X, X, 2, out=out),
    lambda out: fc.layer_norm_backward(X, X, 8, out=out),
])
def test_wrong_arrays_for_gradients_of_others(call):
    for out, error, message in ((X, TypeError, r"out must be a tuple \(grad_x, grad_weight, grad_bias\)"),
                                ((None, None), ValueError, "got 2 entries"),
                                ((np.empty(3), None, None), ValueError, r"out\[0\] must have shape"),
                                ((None, np.empty(3, np.float32), None), ValueError, r"out\[1\] must have the dtype"),
                                ((None, None, [1.0]), TypeError, r"out\[2\] must be a NumPy array")):
        with pytest.raises(error, match=message):
            call(out)


@pytest.mark.parametrize("dtype", DTYPES)
def test_three_gradients(dtype):
    for call in gradients(dtype):
        wanted = call()
        for given in np.ndindex(2, 2, 2):
            out = tuple(np.full_like(each, np.nan) if which else None for each, which in zip(wanted, given))
            for got, each, into in zip(call(out=out), wanted, out):
                assert into is None or got is into
                np.testing.assert_array_equal(got, each)
            needs = tuple(map(bool, given))
            for got, into in zip(call(needs=needs, out=out), out):
                assert got is into
        np.testing.assert_array_equal(call(out=list(map(np.empty_like, wanted)))[0], wanted[0])


GRAD, X, W = np.ones((2, 6, 6, 6)), np.ones((2, 4, 8, 8)), np.ones((6, 4, 3, 3))
BUFFER = np.zeros(2 * 4 * 8 * 8 + 6 * 4 * 9)


@pytest.mark.parametrize("out, error, message", [
    (X.copy(), TypeError, "out must be a tuple"),
    (3, TypeError, "out must be a tuple"),
    ((None, None), ValueError, "out must be a tuple .* 2 entries"),
    ((None,) * 4, ValueError, "out must be a tuple .* 4 entries"),
    ((W.copy(), None, None), ValueError, r"out\[0\] must have shape \(2, 4, 8, 8\)"),
    ((None, X.copy(), None), ValueError, r"out\[1\] must have shape \(6, 4, 3, 3\)"),
    ((None, None, np.ones((6, 1))), ValueError, r"out\[2\] must have shape \(6,\)"),
    ((None, None, [0.0] * 6), TypeError, r"out\[2\] must be a NumPy array, got list"),
    ((X.astype(np.float32), None, None), ValueError, r"out\[0\] must have the dtype"),
    ((None, np.ones((3, 3, 4, 6)).T, None), ValueError, r"out\[1\] must be C-contiguous"),
    ((X, None, None), ValueError, r"out\[0\] must not overlap an input"),
    ((None, W, None), ValueError, r"out\[1\] must not overlap an input"),
    ((BUFFER[:512].reshape(X.shape), BUFFER[500:716].reshape(W.shape), None), ValueError,
     r"out\[1\] must not overlap an input or another result"),
    ((np.broadcast_to(np.float64(0), X.shape), None, None), ValueError, r"out\[0\] must be"),
])
def test_wrong_arrays_for_three_gradients(out, error, message):
    kept = [np.array(each) for each in (GRAD, X, W, BUFFER)]
    with pytest.raises(error, match=message):
        fc.conv2d_backward(GRAD, X, W, out=out)
    for now, before in zip((GRAD, X, W, BUFFER), kept):
        np.testing.assert_array_equal(now, before)


def test_an_array_for_a_gradient_that_is_not_wanted():
    with pytest.raises(ValueError, match=r"out\[0\] must be None, as needs\[0\] is False"):
        fc.conv2d_backward(GRAD, X, W, needs=(False, True, True), out=(np.empty_like(X), None, None))
    with pytest.raises(ValueError, match=r"out\[2\] must be None"):
        fc.linear_backward(np.ones((2, 3)), np.ones((2, 4)), np.ones((3, 4)), needs=(True, True, False),
                           out=(None, None, np.empty(3)))


# ---------------------------------------------------------------------------------------------------------------------
# What is refused


def read_only(a):
    a.flags.writeable = False
    return a


WRONG = {
    "a list": (TypeError, "out must be a NumPy array", lambda y, inputs: y.tolist()),
    "another dtype": (ValueError, "out must have the dtype", lambda y, inputs: y.astype(np.float32)),
    "big-endian": (ValueError, "out must have the dtype", lambda y, inputs: y.astype(">f8")),
    "another shape": (ValueError, "out must have shape", lambda y, inputs: np.empty(y.size + 1)),
    "a shape that would broadcast": (ValueError, "out must have shape", lambda y, inputs: np.empty((1, *y.shape))),
    "strides": (ValueError, "out must be C-contiguous", lambda y, inputs: np.empty((*y.shape[:-1], 2 * y.shape[-1]),
                                                                                  y.dtype)[..., ::2]),
    "read-only": (ValueError, "out must be writable", lambda y, inputs: read_only(np.empty_like(y))),
    "unaligned": (ValueError, "out must be aligned",
                  lambda y, inputs: np.empty(y.nbytes + 1, np.uint8)[1:].view(y.dtype).reshape(y.shape)),
}


def calls():
    a = draw(np.float64, 12, 7)
    yield from ((name, call, (a,)) for name, call in (UNARY | ROWS).items())
    yield from ((name, call, (a, draw(np.float64, 12, 7))) for name, call in (BINARY | PAIRS).items())
    yield "linear", fc.linear, (a, draw(np.float64, 5, 7), draw(np.float64, 5))
    yield "flatten_backward", functools.partial(fc.flatten_backward, input_shape=(12, 7)), (a,)


CALLS = list(calls())


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name, call, inputs", CALLS, ids=[name for name, _, _ in CALLS])
def test_refused(name, call, inputs, wrong):
    error, message, make = WRONG[wrong]
    with pytest.raises(error, match=message):
        call(*inputs, out=make(call(*inputs), inputs))


@pytest.mark.parametrize("name, call, inputs", CALLS, ids=[name for name, _, _ in CALLS])
def test_overlap_is_refused(name, call, inputs):
    """A part of an input, or one element further on: also where an input itself may be the result."""
    size = call(*inputs).size
    for i, given in enumerate(inputs):
        room = np.zeros(given.size + size)
        shifted = room[1:1 + given.size].reshape(given.shape)
        shifted[...] = given
        kept = room.copy()
        arguments = [*inputs[:i], shifted, *inputs[i + 1:]]
        with pytest.raises(ValueError, match="out must not overlap an input"):
            call(*arguments, out=room[:size].reshape(call(*inputs).shape))
        np.testing.assert_array_equal(room, kept)


@pytest.mark.parametrize("name", [*ROWS, *PAIRS])
def test_in_place_is_refused_where_elements_meet(name):
    x = draw(np.float64, 12, 7)
    with pytest.raises(ValueError, match="out must not overlap an input"):
        (ROWS | PAIRS)[name](*((x,) if name in ROWS else (x, x.copy())), out=x)


def test_labels_that_are_no_class_write_nothing():
    out = np.full((3, 4), 7.0)
    for call in (fc.nll_loss_backward, fc.cross_entropy_backward):
        for labels in (np.array([0, 1, 4]), np.array([0, -1, 2])):
            with pytest.raises(ValueError, match="target"):
                call(np.zeros((3, 4)), labels, out=out)
    assert (out == 7).all()
