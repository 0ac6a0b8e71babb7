"""Training of CS231n's three-layer convolutional network: the naive layers that its assignment asks for, the strided
ones of its `fast_layers.py` (whose Cython part is NumPy here), and `fastconv.adapters.cs231n`.

conv 7 x 7 (32), pad 3 - ReLU - pool 2 x 2 - affine (100) - ReLU - affine (10) - softmax, on 3 x 32 x 32 in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.adapters.turns import Comparisons
from fastconv.adapters import cs231n

CONV, POOL = {"stride": 1, "pad": 3}, {"pool_height": 2, "pool_width": 2, "stride": 2}


def conv_forward_naive(x: Any, w: Any, b: Any, conv_param: dict[str, int]) -> Any:
    stride, pad = conv_param["stride"], conv_param["pad"]
    (n, _, h, width), (f, _, hh, ww) = x.shape, w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((n, f, (h + 2 * pad - hh) // stride + 1, (width + 2 * pad - ww) // stride + 1))
    for image in range(n):
        for k in range(f):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    window = padded[image, :, i * stride:i * stride + hh, j * stride:j * stride + ww]
                    out[image, k, i, j] = np.sum(window * w[k]) + b[k]
    return out, (x, w, b, conv_param)


def conv_backward_naive(dout: Any, cache: Any) -> Any:
    x, w, _, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    (f, _, hh, ww), (h, width) = w.shape, x.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    for image in range(len(x)):
        for k in range(f):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    here = (image, slice(None), slice(i * stride, i * stride + hh), slice(j * stride, j * stride + ww))
                    dw[k] += padded[here] * dout[image, k, i, j]
                    dpadded[here] += w[k] * dout[image, k, i, j]
    return dpadded[:, :, pad:pad + h, pad:pad + width], dw, dout.sum(axis=(0, 2, 3))


def max_pool_forward_naive(x: Any, pool_param: dict[str, int]) -> Any:
    hh, ww, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    n, c, h, width = x.shape
    out = np.zeros((n, c, (h - hh) // stride + 1, (width - ww) // stride + 1))
    for image in range(n):
        for channel in range(c):
            for i in range(out.shape[2]):
                for j in range(out.shape[3]):
                    window = x[image, channel, i * stride:i * stride + hh, j * stride:j * stride + ww]
                    out[image, channel, i, j] = np.max(window)
    return out, (x, pool_param)


def max_pool_backward_naive(dout: Any, cache: Any) -> Any:
    x, pool_param = cache
    hh, ww, stride = pool_param["pool_height"], pool_param["pool_width"], pool_param["stride"]
    dx = np.zeros_like(x)
    for image in range(len(x)):
        for channel in range(x.shape[1]):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    window = x[image, channel, i * stride:i * stride + hh, j * stride:j * stride + ww]
                    row, column = np.unravel_index(np.argmax(window), window.shape)
                    dx[image, channel, i * stride + row, j * stride + column] += dout[image, channel, i, j]
    return dx


def conv_forward_strides(x: Any, w: Any, b: Any, conv_param: dict[str, int]) -> Any:
    stride, pad = conv_param["stride"], conv_param["pad"]
    f, c, hh, ww = w.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (hh, ww), axis=(2, 3))[:, :, ::stride, ::stride]
    n, _, oh, ow = windows.shape[:4]
    x_cols = np.ascontiguousarray(windows.transpose(1, 4, 5, 0, 2, 3)).reshape(c * hh * ww, n * oh * ow)
    out = (w.reshape(f, -1).dot(x_cols) + b.reshape(-1, 1)).reshape(f, n, oh, ow)
    return np.ascontiguousarray(out.transpose(1, 0, 2, 3)), (x, w, b, conv_param, x_cols)


def conv_backward_strides(dout: Any, cache: Any) -> Any:
    x, w, _, conv_param, x_cols = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    (f, c, hh, ww), (n, _, oh, ow) = w.shape, dout.shape
    columns = dout.transpose(1, 0, 2, 3).reshape(f, -1)
    dx_cols = w.reshape(f, -1).T.dot(columns).reshape(c, hh, ww, n, oh, ow)
    dpadded = np.zeros((n, c, x.shape[2] + 2 * pad, x.shape[3] + 2 * pad))
    for i in range(hh):
        for j in range(ww):
            dpadded[:, :, i:i + stride * oh:stride, j:j + stride * ow:stride] += dx_cols[:, i, j].transpose(1, 0, 2, 3)
    dx = dpadded[:, :, pad:pad + x.shape[2], pad:pad + x.shape[3]]
    return dx, columns.dot(x_cols.T).reshape(w.shape), dout.sum(axis=(0, 2, 3))


def max_pool_forward_reshape(x: Any, pool_param: dict[str, int]) -> Any:
    n, c, h, w = x.shape
    size = pool_param["stride"]
    reshaped = x.reshape(n, c, h // size, size, w // size, size)
    out = reshaped.max(axis=3).max(axis=4)
    return out, (x, reshaped, out)


def max_pool_backward_reshape(dout: Any, cache: Any) -> Any:
    x, reshaped, out = cache
    dx = np.zeros_like(reshaped)
    mask = reshaped == out[:, :, :, None, :, None]
    spread, _ = np.broadcast_arrays(dout[:, :, :, None, :, None], dx)
    dx[mask] = spread[mask]
    dx /= np.sum(mask, axis=(3, 5), keepdims=True)
    return dx.reshape(x.shape)


class Layers(NamedTuple):
    conv_forward: Any
    conv_backward: Any
    pool_forward: Any
    pool_backward: Any


NAIVE = Layers(conv_forward_naive, conv_backward_naive, max_pool_forward_naive, max_pool_backward_naive)
STRIDED = Layers(conv_forward_strides, conv_backward_strides, max_pool_forward_reshape, max_pool_backward_reshape)
FAST = Layers(cs231n.conv_forward_fast, cs231n.conv_backward_fast, cs231n.max_pool_forward_fast,
              cs231n.max_pool_backward_fast)  # fmt: skip


class ThreeLayerNet:
    """The network, and plain gradient descent, on images like CIFAR's."""

    def __init__(self, layers: Layers, batch: int) -> None:
        rng = np.random.default_rng(0)
        self.layers = layers
        self.labels = rng.integers(0, 10, batch)
        self.images = rng.standard_normal((batch, 3, 32, 32)) + self.labels[:, None, None, None] / 5
        self.w = [1e-2 * rng.standard_normal(shape) for shape in ((32, 3, 7, 7), (8192, 100), (100, 10))]
        self.b = [np.zeros(32), np.zeros(100), np.zeros(10)]

    def step(self) -> float:
        """The loss, before a step down its gradient."""
        layers, w, b, batch = self.layers, self.w, self.b, len(self.images)
        maps, conv_cache = layers.conv_forward(self.images, w[0], b[0], CONV)
        pooled, pool_cache = layers.pool_forward(np.maximum(0, maps), POOL)
        hidden = np.maximum(0, pooled.reshape(batch, -1).dot(w[1]) + b[1])
        scores = hidden.dot(w[2]) + b[2]
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        dscores = np.exp(log_probs)
        dscores[np.arange(batch), self.labels] -= 1
        dscores /= batch
        dhidden = dscores.dot(w[2].T) * (hidden > 0)
        dpooled = dhidden.dot(w[1].T).reshape(pooled.shape)
        _, dw, db = layers.conv_backward(layers.pool_backward(dpooled, pool_cache) * (maps > 0), conv_cache)
        gradients = (dw, pooled.reshape(batch, -1).T.dot(dhidden), hidden.T.dot(dscores))
        for weight, bias, dweight, dbias in zip(w, b, gradients, (db, dhidden.sum(axis=0), dscores.sum(axis=0))):
            weight -= 0.01 * dweight
            bias -= 0.01 * dbias
        return float(-log_probs[np.arange(batch), self.labels].mean())


def main() -> None:
    comparisons = Comparisons(__doc__)
    for name, layers, batch in (("naive", NAIVE, 2), ("strided", STRIDED, 50)):
        before, after = ThreeLayerNet(layers, batch), ThreeLayerNet(FAST, batch)
        np.testing.assert_allclose([after.step() for _ in range(3)], [before.step() for _ in range(3)], rtol=1e-9)
        comparisons.add(f"a step with {batch} images, {name} layers", before.step, after.step)


if __name__ == "__main__":
    main()
