"""Problems of data gradients, their numbers, the views they come in, and the gradient by its formula."""

import numpy as np

from fastconv._core.problem.geometry import ConvProblem

VIEWS = {
    "nchw": lambda a: a,
    "nhwc": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "nhwc, some channels": lambda a: np.pad(a.transpose(0, 2, 3, 1),
                                            ((0, 0),) * 3 + ((1, 2),)).transpose(0, 3, 1, 2)[:, 1:-2],
    "every second": lambda a: np.repeat(np.repeat(a, 2, axis=2), 2, axis=3)[:, :, ::2, ::2],
    "backwards": lambda a: np.ascontiguousarray(a[..., ::-1, ::-1])[..., ::-1, ::-1],
}


def problem(x_shape, weight_shape, stride, padding=(0, 0), groups=1, itemsize=8, channels_last=False):
    pads = tuple((p, p) if isinstance(p, int) else p for p in padding)
    size = tuple((n + sum(p) - taps) // s + 1 for n, p, taps, s in zip(x_shape[2:], pads, weight_shape[2:], stride))
    return ConvProblem(x_shape, weight_shape, stride, pads, (1, 1), groups, size, itemsize, channels_last, "constant")


def arrays(each, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, each.output_shape).astype(dtype), rng.integers(-3, 4, each.weight_shape).astype(dtype)


def by_the_formula(each, grad_output, weight):
    """dx[n, c, i*sh + r - top, j*sw + s - left] += g[n, k, i, j] w[k, c, r, s], in double precision."""
    n, c, h, w = each.x_shape
    (top, bottom), (left, right), groups = *each.pads, each.groups
    padded = np.zeros((n, c, h + top + bottom, w + left + right))
    grads = grad_output.astype(np.float64).reshape(n, groups, -1, *each.output_size)
    weights = weight.astype(np.float64).reshape(groups, -1, *weight.shape[1:])
    for r, s in np.ndindex(*each.taps):
        share = np.einsum("ngkij,gkc->ngcij", grads, weights[..., r, s]).reshape(n, c, *each.output_size)
        rows, columns = (slice(first, first + (outputs - 1) * step + 1, step)
                         for first, outputs, step in zip((r, s), each.output_size, each.stride))
        padded[:, :, rows, columns] += share
    return padded[:, :, top:top + h, left:left + w]
