"""Random poolings of rows, images and volumes, all options mixed; layouts in memory that an item may have."""

import numpy as np
import pooling_reference

FORMATS = {1: ("NCL", "NLC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def draw(rng, rank, low, high):
    """One number for all axes, or one for each."""
    return int(rng.integers(low, high)) if rng.random() < 0.5 else tuple(int(v) for v in rng.integers(low, high, rank))


def random_case(rng, rank, dilated=True):
    """(shape (N, C, ...), options of a window, data_format) of which every window holds a pixel."""
    while True:
        size = tuple(int(v) for v in rng.integers(1, {1: 40, 2: 12, 3: 8}[rank], rank))
        window = {"kernel_size": draw(rng, rank, 1, 5), "ceil_mode": bool(rng.random() < 0.5)}
        if rng.random() < 0.7:
            window["stride"] = draw(rng, rank, 1, 6)
        if dilated and rng.random() < 0.4:
            window["dilation"] = draw(rng, rank, 1, 4)
        chance = rng.random()
        if chance < 0.5:
            window["padding"] = draw(rng, rank, 0, 3)
        elif chance < 0.7:
            window["padding"] = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (rank, 2)))
        elif chance < 0.8:
            window["padding"] = "same"
        if rng.random() < 0.3:
            window["wide_padding"] = True
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 6)), *size)
        if possible(size, window):
            return shape, window, FORMATS[rank][int(rng.random() < 0.5)]


def windows_of(size, window, **options):
    """The reference's windows of a case."""
    return pooling_reference.windows_of(
        size, **{name: value for name, value in window.items() if name != "wide_padding"}, **options)


def possible(size, window):
    """Whether each window fits and holds a pixel, and the padding is taken."""
    rank, kernel_size, dilation = len(size), window["kernel_size"], window.get("dilation", 1)
    extent = [d * (k - 1) + 1 for k, d in zip(*(pooling_reference.triple(v, rank, 1) for v in (kernel_size, dilation)))]
    padding, stride = window.get("padding", 0), window.get("stride", kernel_size)
    stride = pooling_reference.triple(stride, rank, 1)
    if padding != "same":
        pads = [(p, p) if isinstance(p, int) else p for p in pooling_reference.triple(padding, rank, 0)]
        if not window.get("wide_padding") and any(max(p) > e // 2 for p, e in zip(pads, extent)):
            return False
        for n, e, p, s in zip(pooling_reference.triple(size, rank, 1), extent, pads, stride):
            room = n + sum(p) - e
            if room < 0 and not (window["ceil_mode"] and room > -s):
                return False
    return all(axis and all(inside for inside, _ in axis) for axis in windows_of(size, window))


def to_format(x, data_format):
    """An (N, C, ...) array as a C-contiguous array of the data format."""
    return np.ascontiguousarray(x if data_format[1] == "C" else np.moveaxis(x, 1, -1))


def from_format(x, data_format):
    return x if data_format[1] == "C" else np.moveaxis(x, -1, 1)


def spread_out(x):
    """The same numbers, no two of them neighbours in memory."""
    wide = np.full([2 * size for size in x.shape], 7, x.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def other_order(x):
    """The same numbers with the axes in another order in memory."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)


def backwards(x):
    flipped = tuple(slice(None, None, -1) for _ in x.shape)
    return np.ascontiguousarray(x[flipped])[flipped]


LAYOUTS = [lambda x: x, spread_out, other_order, backwards]
