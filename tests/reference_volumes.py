"""The float64 reference of convolutions in one and three dimensions: plain loops, as reference.py.

Volumes are (N, C, D, H, W), and windows are given in full: triples, and padding as three pairs. A signal (N, C, L) is a
volume of one plane and one row.
"""

import itertools

import numpy as np
from reference import sources


def output_size(size, taps, stride, padding, dilation):
    return tuple((length + before + after - distance * (count - 1) - 1) // step + 1
                 for length, count, step, (before, after), distance in zip(size, taps, stride, padding, dilation))


def met(x_shape, weight_shape, stride, padding, dilation, mode):
    """For each output position and tap the voxel that they meet, None where that is the constant: pairs of triples
    (output, tap) and (plane, row, column) or None."""
    size, taps = x_shape[2:], weight_shape[2:]
    axes = [sources(length, pads, mode) for length, pads in zip(size, padding)]
    outputs = output_size(size, taps, stride, padding, dilation)
    for output in itertools.product(*map(range, outputs)):
        for tap in itertools.product(*map(range, taps)):
            voxel = tuple(axis[i * step + t * distance]
                          for axis, i, t, step, distance in zip(axes, output, tap, stride, dilation))
            yield output, tap, None if None in voxel else voxel


def conv3d(x, weight, bias=None, stride=(1, 1, 1), padding=((0, 0),) * 3, dilation=(1, 1, 1), groups=1,
           mode="constant", value=0.0):
    n, k, c = len(x), len(weight), weight.shape[1]
    of_group = k // groups
    y = np.zeros((n, k, *output_size(x.shape[2:], weight.shape[2:], stride, padding, dilation)))
    for output, tap, voxel in met(x.shape, weight.shape, stride, padding, dilation, mode):
        for group in range(groups):
            filters = slice(group * of_group, (group + 1) * of_group)
            taps = weight[(filters, slice(None), *tap)]                      # (filters, channels)
            pixels = (np.full((n, c), value) if voxel is None else
                      x[(slice(None), slice(group * c, (group + 1) * c), *voxel)])
            y[(slice(None), filters, *output)] += pixels @ taps.T
    return y if bias is None else y + bias[:, None, None, None]


def conv3d_backward(grad_output, x, weight, stride=(1, 1, 1), padding=((0, 0),) * 3, dilation=(1, 1, 1), groups=1,
                    mode="constant", value=0.0):
    """grad_x, grad_weight, grad_bias: the transposed of each product above."""
    n, k, c = len(x), len(weight), weight.shape[1]
    of_group = k // groups
    grad_x, grad_weight = np.zeros(x.shape), np.zeros(weight.shape)
    for output, tap, voxel in met(x.shape, weight.shape, stride, padding, dilation, mode):
        for group in range(groups):
            filters, channels = slice(group * of_group, (group + 1) * of_group), slice(group * c, (group + 1) * c)
            g = grad_output[(slice(None), filters, *output)]                 # (N, filters)
            pixels = np.full((n, c), value) if voxel is None else x[(slice(None), channels, *voxel)]
            grad_weight[(filters, slice(None), *tap)] += g.T @ pixels
            if voxel is not None:
                grad_x[(slice(None), channels, *voxel)] += g @ weight[(filters, slice(None), *tap)]
    return grad_x, grad_weight, grad_output.sum(axis=(0, 2, 3, 4))
