"""The layers of "Deep Learning from Scratch" against the book's formulas as plain loops."""

import re
from pathlib import Path

import course_loops as loops
import numpy as np
import pytest
from processes import run_python

from fastconv.adapters import dlfs

TESTS = Path(loops.__file__).parent
CASES = [((2, 3, 7, 7), (5, 5), 1, 0), ((3, 1, 8, 6), (3, 3), 1, 1), ((1, 4, 9, 8), (3, 2), 2, 1),
         ((2, 2, 6, 6), (2, 3), 3, 2), ((1, 1, 4, 4), (4, 4), 1, 0), ((2, 5, 5, 5), (1, 1), 2, 0)]


def rows_of(x, window, stride, pad):
    six = loops.columns_of(x, *window, stride, pad)
    return six.transpose(3, 4, 5, 0, 1, 2).reshape(-1, six.shape[0] * window[0] * window[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize(("x_shape", "window", "stride", "pad"), CASES)
def test_matrices(x_shape, window, stride, pad, dtype):
    x = np.random.default_rng(0).integers(0, 9, x_shape).astype(dtype)
    col = dlfs.im2col(x, *window, stride, pad)
    assert col.dtype == np.float64
    np.testing.assert_array_equal(col, rows_of(x, window, stride, pad))
    back = dlfs.col2im(col.astype(np.float32), x_shape, *window, stride, pad)
    assert back.dtype == np.float64 and back.shape == x_shape
    np.testing.assert_array_equal(back, loops.sum_of_columns(loops.columns_of(x, *window, stride, pad), x_shape[2:],
                                                             stride, pad))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("x_shape", "window", "stride", "pad"), CASES)
def test_convolution_has_the_books_results_and_attributes(x_shape, window, stride, pad, dtype):
    rng = np.random.default_rng(1)
    x, W, b = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal((4, x_shape[1], *window)), rng.random(4)
    layer = dlfs.Convolution(W, b, stride, pad)
    assert layer.x is layer.col is layer.col_W is layer.dW is layer.db is None
    y = layer.forward(x)
    assert y.dtype == np.float64 and layer.x is x
    np.testing.assert_allclose(y, loops.conv_forward(x, W, b, stride, pad), atol=1e-12)
    np.testing.assert_array_equal(layer.col, rows_of(x, window, stride, pad))
    np.testing.assert_array_equal(layer.col_W, W.reshape(4, -1).T)
    dout = rng.standard_normal(y.shape)
    dx = layer.backward(dout)
    for got, expected in zip((dx, layer.dW, layer.db), loops.conv_backward(dout, x, W, stride, pad)):
        np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_step_of_the_optimiser_is_seen():
    """The book's optimisers change the arrays in place."""
    W = np.ones((1, 1, 1, 1))
    layer = dlfs.Convolution(W, np.zeros(1))
    assert layer.forward(np.ones((1, 1, 2, 2)))[0, 0, 0, 0] == 1
    W -= 3
    assert layer.forward(np.ones((1, 1, 2, 2)))[0, 0, 0, 0] == -2


@pytest.mark.parametrize("values", ["random", "ties", "integers"])
@pytest.mark.parametrize(("x_shape", "window", "stride"), [
    ((2, 3, 4, 4), (2, 2), 2), ((1, 2, 7, 6), (3, 2), 1), ((2, 1, 9, 9), (3, 3), 2), ((2, 2, 8, 7), (2, 3), 3)])
def test_pooling_has_the_books_results_and_positions(x_shape, window, stride, values):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(x_shape) if values == "random" else rng.integers(0, 2, x_shape)
    x = x.astype(float) if values == "ties" else x
    layer = dlfs.Pooling(*window, stride)
    assert layer.x is layer.arg_max is None
    out, places = loops.pool_forward(x, *window, stride)
    y = layer.forward(x)
    np.testing.assert_array_equal(y, out)
    assert y.dtype == np.float64 and layer.x is x
    np.testing.assert_array_equal(layer.arg_max, places.transpose(0, 2, 3, 1).ravel())
    dout = rng.standard_normal(y.shape)
    np.testing.assert_allclose(layer.backward(dout), loops.pool_backward(dout, x, *window, stride), atol=1e-14)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: dlfs.Pooling(2, 2, pad=1), ValueError, "pad must be 0, got 1: .*numpy.pad"),
    (lambda: dlfs.Pooling(0, 2), ValueError, "pool_h"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)), np.ones(1), stride=0), ValueError, "stride"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)), np.ones(1)).backward(1.0), RuntimeError, r"layer\.forward\(x\)"),
    (lambda: dlfs.Pooling(2, 2).backward(1.0), RuntimeError, r"layer\.forward\(x\)"),
    (lambda: dlfs.im2col(np.ones((3, 4)), 2, 2), ValueError, "input_data must have shape"),
    (lambda: dlfs.im2col(np.ones((1, 1, 3, 4)), 5, 2), ValueError, "must fit into the padded image"),
    (lambda: dlfs.col2im(np.ones((3, 4)), (1, 1, 4, 4), 2, 2), ValueError, "col must have shape"),
    (lambda: dlfs.Convolution(np.ones((1, 1, 1, 1)) * 1j, np.ones(1)).forward(np.ones((1, 1, 2, 2))), TypeError,
     "W must be"),
])
def test_what_cannot_be_is_refused_by_name(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_relu_has_the_books_results_and_mask(dtype):
    x = np.random.default_rng(3).integers(-2, 3, (3, 2, 4, 5)).astype(dtype)
    layer = dlfs.Relu()
    assert layer.mask is None
    y = layer.forward(x)
    assert y.dtype == (np.float32 if dtype == np.float32 else np.float64) and not np.shares_memory(x, y)
    np.testing.assert_array_equal(y, np.where(x > 0, x, 0))
    np.testing.assert_array_equal(layer.mask, x <= 0)
    dout = np.random.default_rng(4).standard_normal(x.shape)
    before = dout.copy()
    np.testing.assert_array_equal(layer.backward(dout), np.where(x > 0, dout, 0).astype(y.dtype))
    np.testing.assert_array_equal(dout, before)


def test_adam_takes_the_books_steps():
    """m += (1 - beta1) (g - m), v += (1 - beta2) (g g - v), p -= lr' m / (sqrt(v) + 1e-7); the rate may change."""
    rng = np.random.default_rng(5)
    params = {"W1": rng.standard_normal((4, 3, 2, 2)), "b1": np.zeros(4)}
    wanted = {key: value.copy() for key, value in params.items()}
    m, v = ({key: np.zeros_like(value) for key, value in params.items()} for _ in range(2))
    arrays, adam = dict(params), dlfs.Adam(lr=0.01, beta1=0.8, beta2=0.99)
    assert adam.m is adam.v is None
    for step in range(1, 8):
        adam.lr = 0.01 / step
        grads = {key: rng.standard_normal(value.shape) * 1e-6 for key, value in params.items()}
        adam.update(params, grads)
        rate = adam.lr * np.sqrt(1 - 0.99 ** step) / (1 - 0.8 ** step)
        for key, g in grads.items():
            m[key] += (1 - 0.8) * (g - m[key])
            v[key] += (1 - 0.99) * (g * g - v[key])
            wanted[key] -= rate * m[key] / (np.sqrt(v[key]) + 1e-7)
            np.testing.assert_allclose(params[key], wanted[key], rtol=1e-12)
            np.testing.assert_allclose(adam.m[key], m[key], rtol=1e-10)
            np.testing.assert_allclose(adam.v[key], v[key], rtol=1e-10)
    assert adam.iter == 7 and all(params[key] is arrays[key] for key in params)


BOOK = {
    "layers": """
import numpy as np
import course_loops as loops

class Relu:
    def forward(self, x):
        self.mask = x <= 0
        return np.where(self.mask, 0, x)

    def backward(self, dout):
        return np.where(self.mask, 0, dout)

class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad

    def forward(self, x):
        self.x = x
        return loops.conv_forward(x, self.W, self.b, self.stride, self.pad)

    def backward(self, dout):
        dx, self.dW, self.db = loops.conv_backward(dout, self.x, self.W, self.stride, self.pad)
        return dx

class Pooling:
    def __init__(self, pool_h, pool_w, stride=1, pad=0):
        self.how = pool_h, pool_w, stride

    def forward(self, x):
        self.x = x
        return loops.pool_forward(x, *self.how)[0]

    def backward(self, dout):
        return loops.pool_backward(dout, self.x, *self.how)
""",
    "optimizer": """
import numpy as np

class Adam:
    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr, self.beta1, self.beta2, self.t, self.m, self.v = lr, beta1, beta2, 0, {}, {}

    def update(self, params, grads):
        self.t += 1
        rate = self.lr * np.sqrt(1 - self.beta2 ** self.t) / (1 - self.beta1 ** self.t)
        for key, g in grads.items():
            self.m[key] = self.beta1 * self.m.get(key, 0) + (1 - self.beta1) * g
            self.v[key] = self.beta2 * self.v.get(key, 0) + (1 - self.beta2) * g * g
            params[key] -= rate * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)
""",
}
PROGRAM = """
import sys
import numpy as np
import fastconv.adapters.dlfs as fast

when, *sys.path[:0] = sys.argv[1:]
if when == "before":
    fast.enable()
from common.layers import *
from common.optimizer import Adam as Optimiser
if when == "after":
    fast.enable()
rng = np.random.default_rng(0)
x, t = rng.standard_normal((4, 2, 9, 8)), rng.standard_normal((4, 3, 3, 3))
layers = [Convolution(rng.standard_normal((3, 2, 3, 3)), np.zeros(3), pad=1), Relu(), Pooling(3, 3, 3), Relu()]
params, optimiser = {"W1": layers[0].W, "b1": layers[0].b}, Optimiser(0.05)
for _ in range(5):
    y = x
    for layer in layers:
        y = layer.forward(y)
    y = np.pad(y, [(0, 0), (0, 0), (0, 0), (0, 1)])
    print(repr(float(((y - t) ** 2).mean())))
    dout = 2 * (y - t)[..., :2] / y.size
    for layer in reversed(layers):
        dout = layer.backward(dout)
    optimiser.update(params, {"W1": layers[0].dW, "b1": layers[0].db})
print(*sorted({type(each).__module__ for each in (*layers, optimiser)}))
fast.disable()
print(Relu.__module__, Convolution.__module__, Optimiser.__module__)
"""


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A folder with what the book's networks import, whose formulas are written as plain loops."""
    folder = tmp_path / "common"
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, text in BOOK.items():
        (folder / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_line_trains_the_books_networks_to_the_same_losses(book, when):
    """Before the layers are imported by name, or after."""
    *own, own_modules, _ = run_python("-c", PROGRAM, "never", book, TESTS).splitlines()
    *losses, modules, afterwards = run_python("-c", PROGRAM, when, book, TESTS).splitlines()
    assert own_modules == "common.layers common.optimizer" and modules == "fastconv.adapters.dlfs"
    # What was imported by name in the meantime stays.
    assert afterwards == ("fastconv.adapters.dlfs " * 3 if when == "before" else
                          "common.layers common.layers common.optimizer ").strip()
    np.testing.assert_allclose(np.float64(losses), np.float64(own), rtol=1e-9)
    assert float(losses[-1]) < float(losses[0])


@pytest.mark.parametrize(("text", "message"), [(None, "book's folder.*sys.path.append"),
                                               ("class Relu: ...", "has no Convolution, Pooling: it is not of")])
def test_another_folder_is_refused_by_name(book, text, message):
    layers = book / "common/layers.py"
    layers.write_text(text) if text else layers.unlink()
    program = ("import sys, fastconv.adapters.dlfs as fast\nsys.path.insert(0, sys.argv[1])\n"
               "try: fast.enable()\nexcept ImportError as error: print(error)")
    assert re.search(message, run_python("-c", program, book))
