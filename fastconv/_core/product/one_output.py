"""The data gradient of one output a filter, of few images: x = y w, with the filters read once, as they lie;
few_outputs.py is the way forward.
"""

from fastconv._core.product import forward, row_sums
from fastconv._core.runtime import memory


def data_gradient(grad_output, weight, grad_x, window):
    """Fills grad_x, of contiguous weights; taps that meet padding have no part in it."""
    n, depth = len(grad_x), weight[0].size
    rows = _scratch((n, depth), weight.dtype)
    filters, received = weight.reshape(-1, depth), grad_output[:, :, 0, 0]
    if row_sums.pays(received, filters):
        row_sums.product(received, filters, rows)
    else:
        forward.product(received, filters, None, rows, False)
    taps, pixels = _met(grad_x.shape, weight.shape, window)
    if any(len(range(size)[of_axis]) < size for size, of_axis in zip(grad_x.shape[2:], pixels)):
        grad_x.fill(0)
    grad_x[:, :, pixels[0], pixels[1]] = rows.reshape(n, *weight.shape[1:])[:, :, taps[0], taps[1]]


def _met(x_shape, weight_shape, window):
    """Which taps meet pixels, and which: slices of rows and columns."""
    taps, pixels = [], []
    for size, count, before, step in zip(x_shape[2:], weight_shape[2:], window.origin, window.dilation):
        first, last = max(0, -(-before // step)), min(count, (size - 1 + before) // step + 1)
        last = max(first, last)
        start = first * step - before
        taps.append(slice(first, last))
        pixels.append(slice(start, start + (last - first - 1) * step + 1, step) if last > first else slice(0, 0))
    return taps, pixels


def _scratch(shape, dtype):
    count = 1
    for size in shape:
        count *= size
    return memory.scratch(count * dtype.itemsize).view(dtype).reshape(shape)
