"""Training of the simple convolutional network of "Deep Learning from Scratch": layers and Adam as in the book, and
with `fastconv.adapters.dlfs`.

conv 5 x 5 (30) - ReLU - pool 2 x 2 - affine (100) - ReLU - affine (10) - softmax, on batches of 100 digits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.adapters.turns import Comparisons
from fastconv import data
from fastconv.adapters import dlfs


def im2col(x: Any, r: int, s: int, stride: int, pad: int) -> Any:
    n, c, h, w = x.shape
    oh, ow = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
    padded = np.pad(x, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant")
    col = np.zeros((n, c, r, s, oh, ow))
    for i in range(r):
        for j in range(s):
            col[:, :, i, j] = padded[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * oh * ow, -1)


def col2im(col: Any, shape: tuple[int, ...], r: int, s: int, stride: int, pad: int) -> Any:
    n, c, h, w = shape
    oh, ow = (h + 2 * pad - r) // stride + 1, (w + 2 * pad - s) // stride + 1
    col = col.reshape(n, oh, ow, c, r, s).transpose(0, 3, 4, 5, 1, 2)
    image = np.zeros((n, c, h + 2 * pad + stride - 1, w + 2 * pad + stride - 1))
    for i in range(r):
        for j in range(s):
            image[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride] += col[:, :, i, j]
    return image[:, :, pad:pad + h, pad:pad + w]


class Convolution:
    """The book's: a matrix of patches, and products with it."""

    def __init__(self, W: Any, b: Any, stride: int = 1, pad: int = 0) -> None:
        self.W, self.b, self.stride, self.pad = W, b, stride, pad

    def forward(self, x: Any) -> Any:
        k, _, r, s = self.W.shape
        n, _, h, w = x.shape
        oh, ow = (h + 2 * self.pad - r) // self.stride + 1, (w + 2 * self.pad - s) // self.stride + 1
        self.x, self.col = x, im2col(x, r, s, self.stride, self.pad)
        self.col_W = self.W.reshape(k, -1).T
        return (np.dot(self.col, self.col_W) + self.b).reshape(n, oh, ow, -1).transpose(0, 3, 1, 2)

    def backward(self, dout: Any) -> Any:
        k, c, r, s = self.W.shape
        dout = dout.transpose(0, 2, 3, 1).reshape(-1, k)
        self.db = np.sum(dout, axis=0)
        self.dW = np.dot(self.col.T, dout).transpose(1, 0).reshape(k, c, r, s)
        return col2im(np.dot(dout, self.col_W.T), self.x.shape, r, s, self.stride, self.pad)


class Pooling:
    """The book's: a matrix of patches, and the maxima of its rows."""

    def __init__(self, pool_h: int, pool_w: int, stride: int = 1, pad: int = 0) -> None:
        self.pool_h, self.pool_w, self.stride, self.pad = pool_h, pool_w, stride, pad

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        oh, ow = (h - self.pool_h) // self.stride + 1, (w - self.pool_w) // self.stride + 1
        col = im2col(x, self.pool_h, self.pool_w, self.stride, self.pad).reshape(-1, self.pool_h * self.pool_w)
        self.x, self.arg_max = x, np.argmax(col, axis=1)
        return np.max(col, axis=1).reshape(n, oh, ow, c).transpose(0, 3, 1, 2)

    def backward(self, dout: Any) -> Any:
        dout = dout.transpose(0, 2, 3, 1)
        size = self.pool_h * self.pool_w
        dmax = np.zeros((dout.size, size))
        dmax[np.arange(self.arg_max.size), self.arg_max] = dout.flatten()
        dcol = dmax.reshape(dout.shape[0] * dout.shape[1] * dout.shape[2], -1)
        return col2im(dcol, self.x.shape, self.pool_h, self.pool_w, self.stride, self.pad)


class Relu:
    def forward(self, x: Any) -> Any:
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout: Any) -> Any:
        dout[self.mask] = 0
        return dout


class Affine:
    def __init__(self, W: Any, b: Any) -> None:
        self.W, self.b = W, b

    def forward(self, x: Any) -> Any:
        self.shape, self.x = x.shape, x.reshape(len(x), -1)
        return np.dot(self.x, self.W) + self.b

    def backward(self, dout: Any) -> Any:
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return np.dot(dout, self.W.T).reshape(self.shape)


class Adam:
    def __init__(self, lr: float) -> None:
        self.lr, self.beta1, self.beta2, self.iter = lr, 0.9, 0.999, 0
        self.m: dict[str, Any] = {}
        self.v: dict[str, Any] = {}

    def update(self, params: dict[str, Any], grads: dict[str, Any]) -> None:
        if not self.m:
            self.m, self.v = ({key: np.zeros_like(value) for key, value in params.items()} for _ in range(2))
        self.iter += 1
        lr_t = self.lr * np.sqrt(1.0 - self.beta2**self.iter) / (1.0 - self.beta1**self.iter)
        for key in params:
            self.m[key] += (1 - self.beta1) * (grads[key] - self.m[key])
            self.v[key] += (1 - self.beta2) * (grads[key]**2 - self.v[key])
            params[key] -= lr_t * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)


class Parts(NamedTuple):
    """What the network is made of, and trained by, that `fastconv.adapters.dlfs` has too."""

    convolution: Any
    pooling: Any
    relu: Any
    adam: Any


BOOK = Parts(Convolution, Pooling, Relu, Adam)
FAST = Parts(dlfs.Convolution, dlfs.Pooling, dlfs.Relu, dlfs.Adam)


class SimpleConvNet:
    """The network, and its optimiser."""

    def __init__(self, parts: Parts, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.layers = [parts.convolution(0.01 * rng.standard_normal((30, 1, 5, 5)), np.zeros(30), 1, 0), parts.relu(),
                       parts.pooling(2, 2, 2), Affine(0.01 * rng.standard_normal((30 * 12 * 12, 100)), np.zeros(100)),
                       parts.relu(), Affine(0.01 * rng.standard_normal((100, 10)), np.zeros(10))]  # fmt: skip
        self.adam = parts.adam(lr=0.001)

    def step(self, x: Any, labels: Any) -> float:
        """The loss of a batch, before a step of the optimiser."""
        for layer in self.layers:
            x = layer.forward(x)
        y = np.exp(x - x.max(axis=1, keepdims=True))
        y /= y.sum(axis=1, keepdims=True)
        loss = -np.log(y[np.arange(len(y)), labels] + 1e-7).mean()
        y[np.arange(len(y)), labels] -= 1
        dout = y / len(y)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        params, grads = {}, {}
        for number, layer in enumerate(each for each in self.layers if hasattr(each, "dW")):
            params |= {f"W{number}": layer.W, f"b{number}": layer.b}
            grads |= {f"W{number}": layer.dW, f"b{number}": layer.db}
        self.adam.update(params, grads)
        return float(loss)


def main() -> None:
    comparisons = Comparisons(__doc__)
    digits = data.digits("train")
    batches = [(digits.images[first:first + 100], digits.labels[first:first + 100]) for first in range(0, 1000, 100)]
    before, after = SimpleConvNet(BOOK), SimpleConvNet(FAST)
    np.testing.assert_allclose([after.step(*batch) for batch in batches], [before.step(*batch) for batch in batches],
                               rtol=1e-9)
    comparisons.add("a step of training with 100 digits", lambda: before.step(*batches[0]),
                    lambda: after.step(*batches[0]))


if __name__ == "__main__":
    main()
