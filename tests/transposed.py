"""Transposed convolutions, in any number of dimensions: the float64 reference, plain loops to be checked by eye, and
a seeded generator of mixed configurations."""

import itertools
from typing import NamedTuple

import numpy as np


def per_axis(value, axes):
    return (value,) * axes if isinstance(value, int) else tuple(value)


def pads_of(padding, size, taps, stride, dilation):
    """Every form of padding -> a pair for each axis."""
    if padding == "valid":
        padding = 0
    if padding == "same":    # that of the convolution from stride times as many pixels to these
        totals = [max(0, distance * (count - 1) + 1 - step) for count, step, distance in zip(taps, stride, dilation)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple(per_axis(of_axis, 2) for of_axis in per_axis(padding, len(size)))


def result_size(size, taps, stride, pads, output_padding, dilation):
    return tuple((length - 1) * step - before - after + distance * (count - 1) + more + 1
                 for length, count, step, (before, after), more, distance in zip(size, taps, stride, pads,
                                                                                 output_padding, dilation))


def conv_transpose(x, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """Each pixel of x, (N, C, ...), adds its filter, of weight (C, K / groups, ...), to the result."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    axes = x.ndim - 2
    stride, dilation = per_axis(stride, axes), per_axis(dilation, axes)
    pads = pads_of(padding, x.shape[2:], weight.shape[2:], stride, dilation)
    if padding == "same":
        size = tuple(length * step for length, step in zip(x.shape[2:], stride))
    else:
        size = result_size(x.shape[2:], weight.shape[2:], stride, pads, per_axis(output_padding, axes), dilation)
    n, k = len(x), weight.shape[1]
    y = np.zeros((n, k * groups, *size))
    if bias is not None:
        y += np.asarray(bias, np.float64).reshape(-1, *(1,) * axes)
    for pixel in itertools.product(*map(range, x.shape[2:])):
        for tap in itertools.product(*map(range, weight.shape[2:])):
            place = tuple(i * step + r * distance - before
                          for i, r, step, distance, (before, _) in zip(pixel, tap, stride, dilation, pads))
            if not all(0 <= u < length for u, length in zip(place, size)):
                continue
            met = x[(..., *pixel)].reshape(n, groups, -1)
            taps = weight[(..., *tap)].reshape(groups, -1, k)
            y[(..., *place)] += np.einsum("ngc,gck->ngk", met, taps).reshape(n, -1)
    return y


class Case(NamedTuple):
    """One call; shapes are (N, C, ...) and (C, K / groups, ...) whatever the data format."""

    x_shape: tuple
    weight_shape: tuple
    stride: object = 1
    padding: object = 0
    output_padding: object = 0
    dilation: object = 1
    groups: int = 1
    channels_last: bool = False
    activation: str = None
    bias: bool = True

    @property
    def axes(self):
        return len(self.x_shape) - 2

    @property
    def data_format(self):
        return {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}[self.axes][self.channels_last]

    def window(self):
        """The options that forward, backward and the reference share."""
        return {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding,
                "dilation": self.dilation, "groups": self.groups}

    def arrays(self, seed=0, dtype=np.float64):
        """x (N, C, ...), weight, bias (or None), of integers: every sum is exact in any order."""
        rng = np.random.default_rng(seed)
        k = self.weight_shape[1] * self.groups
        x, weight, bias = (rng.integers(-3, 4, shape).astype(dtype) for shape in (self.x_shape, self.weight_shape, k))
        return x, weight, bias if self.bias else None

    def form(self, array):
        """An array (N, C, ...) in the data format."""
        return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if self.channels_last else array

    def back(self, array):
        """(N, C, ...) from the data format."""
        return np.moveaxis(array, -1, 1) if self.channels_last else array


ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")
ACTIVATE = {None: lambda y: y, "relu": lambda y: np.maximum(y, 0), "leaky_relu": lambda y: np.where(y > 0, y, 0.01 * y),
            "sigmoid": lambda y: 1 / (1 + np.exp(-y)), "tanh": np.tanh}


def random_cases(count, axes, seed, largest=9):
    """Cases with something in the result; small sizes, as sizes of blocks and tiles are met by the layers of tests."""
    rng = np.random.default_rng(seed)
    found = 0
    while found < count:
        groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
        c, k = (int(groups * rng.choice([1, 1, 2, 3, 7, 9])) for _ in range(2))
        size = [int(rng.integers(1, largest + 1)) for _ in range(axes)]
        taps = [int(rng.choice([1, 2, 3, 3, 4, 5])) for _ in range(axes)]
        stride, dilation = ([int(rng.choice(choices)) for _ in range(axes)]
                            for choices in ([1, 1, 2, 2, 3, 4], [1, 1, 1, 2, 3]))
        if rng.random() < 0.3:    # one number for all axes
            stride, dilation = stride[:1] * axes, dilation[:1] * axes
        more = [int(rng.integers(0, max(step, distance))) if rng.random() < 0.4 else 0
                for step, distance in zip(stride, dilation)]
        kind = rng.choice(["none", "even", "uneven", "same", "valid"])
        padding = {"none": 0, "same": "same", "valid": "valid",
                   "even": tuple(int(rng.integers(0, count + 1)) for count in taps),
                   "uneven": tuple(tuple(int(each) for each in rng.integers(0, count + 1, 2)) for count in taps)}[kind]
        if padding == "same":
            more = [0] * axes
        pads = pads_of(padding, size, taps, stride, dilation)
        if padding != "same" and min(result_size(size, taps, stride, pads, more, dilation)) < 1:
            continue
        found += 1
        yield Case((int(rng.choice([1, 2, 3])), c, *size), (c, k // groups, *taps), tuple(stride), padding, tuple(more),
                   tuple(dilation), groups, bool(rng.random() < 0.4), str(rng.choice(ACTIVATIONS))
                   if rng.random() < 0.4 else None, bool(rng.random() < 0.6))
