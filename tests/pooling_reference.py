"""The float64 reference of pooling of any rank: three plain loops over the outputs of a volume, and three over the
pixels of a window. A row is a volume of one depth and one row, an image one of one depth.

Everything is (N, C, D, H, W) in here; `of_rank` is the door for the others.
"""

import math

import numpy as np
import reference


def axis_windows(size, kernel_size, stride, before_after, dilation, ceil_mode, count_include_pad):
    """For each output of one axis: its positions inside, and how many positions count."""
    before, after = before_after
    outputs = reference.output_size(size, kernel_size, stride, before_after, dilation, ceil_mode)
    windows = []
    for i in range(outputs):
        positions = [i * stride - before + t * dilation for t in range(kernel_size)]
        inside = [u for u in positions if 0 <= u < size]
        # A window of ceil_mode may reach beyond the padding: that part is never counted.
        windows.append((inside, len([u for u in positions if u < size + after]) if count_include_pad else len(inside)))
    return windows


def adaptive_axis(size, outputs):
    """Output i sees the positions from floor(i size / outputs) up to, not including, ceil((i + 1) size / outputs)."""
    windows = [list(range(i * size // outputs, math.ceil((i + 1) * size / outputs))) for i in range(outputs)]
    return [(window, len(window)) for window in windows]


def axes_of(size, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, count_include_pad=True):
    """The windows of three axes; the options are triples, padding one of pairs."""
    stride = kernel_size if stride is None else stride
    return [axis_windows(*of_axis, ceil_mode, count_include_pad)
            for of_axis in zip(size, kernel_size, stride, padding, dilation)]


def max_pool(x, axes):
    """The first of equal maxima wins, the last NaN wins over all else; indices are flat in D*H*W."""
    x = np.asarray(x, np.float64)
    n, c, _, height, width = x.shape
    y = np.empty((n, c, *map(len, axes)))
    indices = np.empty(y.shape, np.int64)
    for o, (depths, _) in enumerate(axes[0]):
        for i, (rows, _) in enumerate(axes[1]):
            for j, (columns, _) in enumerate(axes[2]):
                best, index = None, None
                for d in depths:
                    for h in rows:
                        for w in columns:
                            value, position = x[:, :, d, h, w], np.full((n, c), (d * height + h) * width + w)
                            if best is None:
                                best, index = value.copy(), position
                            wins = (value > best) | np.isnan(value)
                            best[wins], index[wins] = value[wins], position[wins]
                y[:, :, o, i, j], indices[:, :, o, i, j] = best, index
    return y, indices


def max_pool_backward(grad_output, indices, input_shape):
    n, c, *size = input_shape
    grad_x = np.zeros((n, c, math.prod(size)))
    for item in range(n):
        for channel in range(c):
            np.add.at(grad_x[item, channel], indices[item, channel].ravel(), grad_output[item, channel].ravel())
    return grad_x.reshape(input_shape)


def _windows(axes, divisor):
    """For each output its pixels, and what its sum is divided by."""
    for o, (depths, depth_count) in enumerate(axes[0]):
        for i, (rows, row_count) in enumerate(axes[1]):
            for j, (columns, column_count) in enumerate(axes[2]):
                yield (o, i, j), depths, rows, columns, divisor or depth_count * row_count * column_count


def avg_pool(x, axes, divisor=None):
    x = np.asarray(x, np.float64)
    y = np.empty((*x.shape[:2], *map(len, axes)))
    for at, depths, rows, columns, count in _windows(axes, divisor):
        total = np.zeros(x.shape[:2])
        for d in depths:
            for h in rows:
                for w in columns:
                    total += x[:, :, d, h, w]
        y[(..., *at)] = total / count
    return y


def avg_pool_backward(grad_output, input_shape, axes, divisor=None):
    grad_x = np.zeros(input_shape)
    for at, depths, rows, columns, count in _windows(axes, divisor):
        for d in depths:
            for h in rows:
                for w in columns:
                    grad_x[:, :, d, h, w] += np.asarray(grad_output[(..., *at)], np.float64) / count
    return grad_x


# ---------------------------------------------------------------------------------------------------------------------
# Rows and images as volumes


def as_volume(x):
    """(N, C, L), (N, C, H, W) or (N, C, D, H, W)."""
    return np.reshape(x, (*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:]))


def of_rank(result, rank):
    return np.reshape(result, (*result.shape[:2], *result.shape[5 - rank:]))


def triple(value, rank, fill):
    """An option of so many axes, as one of three."""
    value = (value,) * rank if isinstance(value, int) else tuple(value)
    return (fill,) * (3 - rank) + value


def windows_of(size, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, count_include_pad=True):
    """`axes_of` for items of any rank, from the options as the public functions take them."""
    rank = len(size)
    kernel_size = triple(kernel_size, rank, 1)
    stride = kernel_size if stride is None else triple(stride, rank, 1)
    dilation = triple(dilation, rank, 1)
    if padding == "same":
        of_axes = zip(triple(size, rank, 1), kernel_size, stride, dilation)
        totals = [max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n) for n, k, s, d in of_axes]
        pads = tuple((total // 2, total - total // 2) for total in totals)
    else:
        pads = triple(0 if padding == "valid" else padding, rank, 0)
        pads = tuple((of_axis, of_axis) if isinstance(of_axis, int) else tuple(of_axis) for of_axis in pads)
    return axes_of(triple(size, rank, 1), kernel_size, stride, pads, dilation, ceil_mode, count_include_pad)


def adaptive_windows_of(size, output_size):
    rank = len(size)
    return [adaptive_axis(*of_axis) for of_axis in zip(triple(size, rank, 1), triple(output_size, rank, 1))]
