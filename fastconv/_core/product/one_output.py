"""One output a filter, of few images: y = x w^T, with the filters read once, as they lie.

To pack filters takes longer than the product where each meets few images. So an image is laid out as a filter is,
with its padding, and multiplied as a row of a matrix (dot.pyx); the gradient of x goes the way back. Idle taps are
multiplied too: their weights lie between the others, so they come at no cost.
"""


from fastconv._core.pointwise import elementwise
from fastconv._core.product import dot, forward, row_sums
from fastconv._core.runtime import memory


def conv2d(conv):
    """As forward.pyx's, which computes filters that do not lie in one piece."""
    if not conv.w.flags.c_contiguous:
        forward.conv2d(conv)
        return
    rows, y = _rows(conv), conv.y[:, :, 0, 0]
    products = y if _follow(conv.y) else _scratch(y.shape, y.dtype)
    dot.product(rows, conv.w.reshape(len(conv.w), -1), conv.bias, products)
    if conv.epilogue.activation:
        for row in products:
            elementwise.activate_in_place(row, conv.epilogue.activation, conv.epilogue.negative_slope)
    if products is not y:
        y[...] = products


def workspace(conv, alone):
    """Bytes of scratch that conv2d takes."""
    if not conv.w.flags.c_contiguous:
        return forward.workspace(conv, alone)
    return (0 if _lies_as_filters(conv) else len(conv.x) * conv.w[0].nbytes) + (0 if _follow(conv.y) else conv.y.nbytes)


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


def _follow(y):
    """Whether the outputs of an image follow each other."""
    return y.strides[1] == y.itemsize or y.shape[1] == 1


def _lies_as_filters(conv):
    """Whether the taps meet pixels of x in the order in which it lies, all of them."""
    return conv.x.shape[1:] == conv.w.shape[1:] and conv.x.flags.c_contiguous and conv.window.origin == (0, 0) and (
        conv.window.dilation == (1, 1) or conv.x[0, 0].size == 1)


def _rows(conv):
    """The pixels that each tap meets, (n, c r s): x itself where it lies so."""
    n, weights = len(conv.x), conv.w.shape[1:]
    taps, pixels = _met(conv.x.shape, conv.w.shape, conv.window)
    if _lies_as_filters(conv):
        return conv.x.reshape(n, -1)
    met = conv.x[:, :, pixels[0], pixels[1]]
    rows = _scratch((n, *weights), conv.x.dtype)
    if met.shape[1:] != weights:
        rows.fill(conv.window.padding_value)
    rows[:, :, taps[0], taps[1]] = met
    return rows.reshape(n, -1)


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
