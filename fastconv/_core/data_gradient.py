"""grad_x of a convolution: forward convolutions of grad_output, one a phase, and the padding's share folded back.

The derivation stands in ``geometry``. No driver exists for it: each phase calls the forward driver on strided views of
grad_output, weight and grad_x, so nothing but the weights of a grouped convolution is copied. Where the padding repeats
pixels, the frame around the image (two strips of rows over the full extended width, two strips of columns beside the
image) goes through a scratch of about ``STRIP_BYTES``, a few images or rows at a time. Depthwise with a stride of 2 computes
both phases of columns in one call: by itself, each of them would move all of grad_x.
"""

from fastconv._core import depthwise, memory
from fastconv._core.geometry import phases, source

STRIP_BYTES = 4 << 20


def data_gradient(forward, grad_output, weight, grad_x, geometry, padding_mode):
    """Fills grad_x (N, C, H, W), a view with any strides, through the driver's `forward` convolution."""
    turned = _swap_channels(weight, geometry.groups)
    _gradient_at(forward, grad_output, turned, grad_x, geometry, 0, 0)
    if padding_mode != "constant":
        _fold_frame(forward, grad_output, turned, grad_x, geometry, padding_mode)


def _swap_channels(weight, groups):
    """(K, C/groups, R, S) -> (C, K/groups, R, S): a view, or a copy where groups do not lie evenly in memory."""
    k, c, r, s = weight.shape
    return weight.reshape(groups, k // groups, c, r, s).swapaxes(1, 2).reshape(groups * c, k // groups, r, s)


def _gradient_at(forward, grad_output, turned, target, geometry, row, column):
    """The gradient on the positions from (row, column) on, as many as `target` (N, C, rows, columns) has."""
    taps_h, taps_w = geometry.weight_shape[2:]
    (sh, sw), (dh, dw), (top, left) = geometry.stride, geometry.dilation, geometry.origin
    height, width = target.shape[2:]
    in_rows = phases(height, taps_h, sh, top + row, dh)
    in_columns = phases(width, taps_w, sw, left + column, dw)
    if len(in_rows) * len(in_columns) < min(sh, height) * min(sw, width):
        target.fill(0)  # some pixels are met by no tap
    if forward is depthwise.conv2d and len(in_columns) == sw == 2 and dw == 1 and target.strides[3] == target.itemsize:
        even, odd = sorted(in_columns)
        for i in in_rows:
            depthwise.conv2d_pair(grad_output, _taps_of(turned, i, even), _taps_of(turned, i, odd), target[:, :, i.first::sh],
                                  i.dilation, i.padding, even.padding, odd.padding)
        return
    for i in in_rows:
        for j in in_columns:
            forward(grad_output, _taps_of(turned, i, j), None, target[:, :, i.first::sh, j.first::sw], (1, 1),
                    (i.dilation, j.dilation), (i.padding, j.padding), 0, 0.0, 0, 0.0)


def _taps_of(turned, rows, columns):
    """The filter of one phase of rows and one of columns: its taps in reverse."""
    return turned[:, :, rows.tap::rows.tap_step, columns.tap::columns.tap_step][:, :, ::-1, ::-1]


def _fold_frame(forward, grad_output, turned, grad_x, geometry, mode):
    n, c, h, w = grad_x.shape
    (top, _), (left, _) = geometry.pads
    # Padding after the last window is met by no tap.
    bottom, right = (
        max((outputs - 1) * step + distance * (taps - 1) + 1 - before - length, 0)
        for outputs, step, distance, taps, before, length in zip(
            geometry.output_size, geometry.stride, geometry.dilation, geometry.weight_shape[2:], geometry.origin, (h, w)))

    def strip(images, rows, columns):
        """The gradient on these (images, rows, columns), in scratch."""
        scratch = memory.empty((len(images), c, len(rows), len(columns)), grad_x.dtype)
        _gradient_at(forward, grad_output[images.start:images.stop], turned, scratch, geometry, rows.start, columns.start)
        return scratch

    bytes_a_row = c * grad_x.itemsize
    for rows in (range(-top, 0), range(h, h + bottom)):
        columns = range(-left, w + right)
        for images, some_rows in _blocks(n, rows, bytes_a_row * len(columns)):
            scratch = strip(images, some_rows, columns)
            for v in (*range(-left, 0), *range(w, w + right)):
                scratch[..., left + source(v, w, mode)] += scratch[..., left + v]
            for i, u in enumerate(some_rows):
                grad_x[images.start:images.stop, :, source(u, h, mode)] += scratch[:, :, i, left:left + w]
    for columns in (range(-left, 0), range(w, w + right)):
        if columns:
            for images, some_rows in _blocks(n, range(h), bytes_a_row * len(columns)):
                scratch = strip(images, some_rows, columns)
                for j, v in enumerate(columns):
                    grad_x[images.start:images.stop, :, some_rows.start:some_rows.stop, source(v, w, mode)] += scratch[..., j]


def _blocks(n, rows, bytes_a_row):
    """Pairs (images, rows) that cover all of both, each small enough for the scratch."""
    rows_at_once = max(1, min(len(rows), STRIP_BYTES // bytes_a_row))
    images_at_once = max(1, STRIP_BYTES // (bytes_a_row * rows_at_once))
    for image in range(0, n, images_at_once):
        for row in range(rows.start, rows.stop, rows_at_once):
            yield (range(image, min(image + images_at_once, n)), range(row, min(row + rows_at_once, rows.stop)))
