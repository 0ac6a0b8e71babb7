"""Few outputs a filter: y = x w^T, with the filters read once, as they lie.

To pack filters takes longer than the product where each meets few pixels. So the patch of an output is laid out as a
filter is, with its padding (patches.pyx), and multiplied as a row of a matrix (dot.pyx); the gradient of x goes the way
back in one_output.py or columns.pyx. Idle taps are multiplied too: their weights lie between the others, so they come
at no cost.
"""

from fastconv._core.pointwise import elementwise
from fastconv._core.product import dot, forward, patches
from fastconv._core.runtime import memory


def conv2d(conv):
    """As forward.pyx's, which computes filters that do not lie in one piece."""
    if not conv.w.flags.c_contiguous:
        forward.conv2d(conv)
        return
    (n, k, oh, ow), y = conv.y.shape, _as_rows(conv.y)
    products = memory.scratch(conv.y.nbytes).view(conv.y.dtype).reshape(n * oh * ow, k) if y is None else y
    dot.product(_rows(conv), conv.w.reshape(k, -1), conv.bias, products)
    if conv.epilogue.activation:
        for row in products:
            elementwise.activate_in_place(row, conv.epilogue.activation, conv.epilogue.negative_slope)
    if y is None:
        conv.y[...] = products.reshape(n, oh, ow, k).transpose(0, 3, 1, 2)


def workspace(conv, alone):
    """Bytes of scratch that conv2d takes."""
    if not conv.w.flags.c_contiguous:
        return forward.workspace(conv, alone)
    n, _, oh, ow = conv.y.shape
    patches_bytes = 0 if _lies_as_filters(conv) else n * oh * ow * conv.w[0].nbytes
    return patches_bytes + (0 if _as_rows(conv.y) is not None else conv.y.nbytes)


def _as_rows(y):
    """(N, K, OH, OW) as rows of the outputs of all filters, (N OH OW, K); or None, where they do not lie so."""
    if y.shape[2:] == (1, 1):
        return y[:, :, 0, 0] if y.strides[1] == y.itemsize or y.shape[1] == 1 else None
    pixels = y.transpose(0, 2, 3, 1)
    return pixels.reshape(-1, y.shape[1]) if pixels.flags.c_contiguous else None


def _lies_as_filters(conv):
    """Whether the taps of the only output meet pixels of x in the order in which it lies, all of them."""
    return (conv.x.shape[1:] == conv.w.shape[1:] and conv.y.shape[2:] == (1, 1) and conv.x.flags.c_contiguous
            and conv.window.origin == (0, 0) and (conv.window.dilation == (1, 1) or conv.x[0, 0].size == 1))


def _rows(conv):
    """The patches: x itself where it lies so."""
    if _lies_as_filters(conv):
        return conv.x.reshape(len(conv.x), -1)
    n, _, oh, ow = conv.y.shape
    rows = memory.scratch(n * oh * ow * conv.w[0].nbytes).view(conv.x.dtype).reshape(n * oh * ow, conv.w[0].size)
    patches.gather(conv, rows)
    return rows
