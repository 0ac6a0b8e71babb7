"""What to write instead, at the end of an error message, where a shape or a word is one that users come with:
an image without its channel, channels last, one filter alone, filters and words as other libraries have them.

Each function returns the rest of the message, or "" where it knows nothing better.
"""

import math

# Rows of pixels in well-known data sets, as (channels, rows, columns).
KNOWN_ROWS = {784: (1, 28, 28), 3072: (3, 32, 32)}

# A photo has at most so many channels.
FEW_CHANNELS = 4

# What others call it, in lower case; docs/padding.md has the words for padding.
ELSEWHERE = {"zeros": "constant", "edge": "replicate", "nearest": "replicate", "wrap": "circular", "mirror": "reflect",
             "channels_first": "NCHW", "channels_last": "NHWC", "chw": "NCHW", "hwc": "NHWC", "same_upper": "same",
             "average": "mean", "avg": "mean", "im2col": "gemm", "fourier": "fft"}


def spelled(word, choices):
    """A word in another spelling, or another library's."""
    meant = ELSEWHERE.get(word.lower(), word).lower()
    found = [each for each in choices if each is not None and each.lower() == meant]
    return f": here that is {found[0]!r}" if found else ""


def image(shape, data_format, name, filters=()):
    """Of an array, or of a shape where the name is that of one, that is neither an image nor a batch;
    `filters` is the shape of what it shall meet."""
    axes, last = len(data_format) - 2, data_format.endswith("C")
    if axes == len(shape) == 2 and shape[1] in KNOWN_ROWS:
        c, h, w = KNOWN_ROWS[shape[1]]
        sizes = (h, w, c) if last else (c, h, w)
        return (f": for rows of {' x '.join(map(str, KNOWN_ROWS[shape[1]]))} pixels "
                f"pass {_reshaped(name, shape, (-1, *sizes))}")
    if len(shape) == axes:
        if name.endswith("_shape"):
            return f": for one channel pass {(*shape, 1) if last else (1, *shape)}"
        expression = f"{name}[..., None]" if last else f"{name}[None]"
        if len(filters) == axes:
            return f": for one channel and one filter pass {expression} and weight[None, None]"
        return f": for one channel pass {expression}"
    if len(shape) == axes + 3:
        return f": for one batch of all pass {_reshaped(name, shape, (-1, *shape[2:]))}"
    return ""


def _reshaped(name, shape, sizes):
    if name.endswith("_shape"):
        return f"({math.prod(shape) // math.prod(sizes[1:])}, {', '.join(map(str, sizes[1:]))})"
    return f"{name}.reshape({', '.join(map(str, sizes))})"


def filters(weight_shape, x_shape, groups, channels_last):
    """Of a weight that does not fit to x, (N, C, ...)."""
    axes, c = len(x_shape) - 2, x_shape[1]
    if len(weight_shape) == axes:
        if c == groups == 1:
            return ": for one filter pass weight[None, None]"
        if not channels_last and x_shape[-1] <= FEW_CHANNELS < c:
            return _other_format(axes, channels_last)
        return (f": for the same filter on each channel pass np.repeat(weight[None, None], {c}, axis=0) "
                f"with groups={c}")
    if len(weight_shape) == axes + 1:
        if weight_shape[0] * groups == c:
            return ": for one filter pass weight[None]"
        return ": for filters of one channel pass weight[:, None]" if c == groups else ""
    return _channels(weight_shape, x_shape, groups, channels_last) if len(weight_shape) == axes + 2 else ""


def _other_format(axes, channels_last):
    """Of an x in the order of axes that was not said."""
    pixels = ("L", "HW", "DHW")[axes - 1]
    if channels_last:
        return (f': where the channels of x come before its pixels pass data_format="NC{pixels}" '
                f"or np.moveaxis(x, {-1 - axes}, -1)")
    return (f': where the channels of x are its last axis pass data_format="N{pixels}C" '
            f"or np.moveaxis(x, -1, {-1 - axes})")


def filter_sizes(weight_shape, channels):
    """Of a weight_shape (R, S) or (K, R, S) without the channels, for x with so many."""
    if len(weight_shape) not in (2, 3):
        return ""
    *k, r, s = weight_shape
    return f": for filters of all channels pass {(k[0] if k else 1, channels, r, s)}"


def _channels(weight_shape, x_shape, groups, channels_last):
    """Of filters for another number of channels than x has."""
    axes, c, seen = len(x_shape) - 2, x_shape[1], weight_shape[1] * groups
    behind, taps = axes + 1, ", ".join(map(str, range(axes)))
    if x_shape[2 if channels_last else -1] == seen:
        return _other_format(axes, channels_last)
    # As TensorFlow has them, its taps in a square.
    if axes > 1 and len(set(weight_shape[:axes])) == 1 < len(set(weight_shape[2:])) and weight_shape[-2] * groups == c:
        return f": where weight is ({'DHW'[3 - axes:]}IO) pass weight.transpose({behind}, {axes}, {taps})"
    if len(set(weight_shape[1:-1])) == 1 < len(set(weight_shape[2:])) and weight_shape[-1] * groups == c:
        return (f": where weight is (O{'DHW'[3 - axes:]}I) "
                f"pass weight.transpose(0, {behind}, {', '.join(map(str, range(1, behind)))})")
    if seen == groups == weight_shape[0] == 1 and c <= FEW_CHANNELS:
        return f": for the same filter on each channel pass np.repeat(weight, {c}, axis=0) with groups={c}"
    channel = -1 if channels_last else -1 - axes
    if (c, seen) == (3, 1):
        return f": for grey pixels pass x.mean(axis={channel}, keepdims=True)"
    if seen == 1 and x_shape[0] == 1:
        return (f": for {x_shape[2] if channels_last else c} images of one channel "
                f"pass {'x[..., None]' if channels_last else 'x[:, None]'}")
    if c == 1:
        return f": for grey pixels in all channels pass np.repeat(x, {seen}, axis={channel})"
    if (c, seen) == (4, 3):
        return f": without its alpha channel pass x[..., :3{'' if channels_last else ', :' * axes}]"
    return ""


def lacking(shape, expected):
    """Of an x of this shape where another is expected that has one axis more, of one."""
    return ": pass x[None]" if (1, *shape) == expected else ": pass x[..., None]" if (*shape, 1) == expected else ""


def for_each(shape, count):
    """Of a bias that is no row of so many numbers."""
    if math.prod(shape) == count:
        return ": pass bias.ravel()"
    return f": for the same number everywhere pass np.repeat(bias, {count})" if math.prod(shape) == 1 else ""


def thin(size, axis):
    """Of an image (rows, columns) that is too small along an axis, which may be that of its channels."""
    if len(size) == 2 and axis == 1 and size[1] <= FEW_CHANNELS < size[0] // 2:
        return f': where the {size[1]} are channels pass data_format="NHWC"'
    return ""


def rows(shape, features, weight_shape):
    """Of an x that has not as many features as the weight of a linear layer."""
    if len(shape) > 1 and math.prod(shape[1:]) == features:
        return ": for images as rows pass fc.flatten(x)"
    if math.prod(shape) == features:
        return ": for one image as a row pass x.reshape(1, -1)"
    if shape and shape[-1] == weight_shape[0]:
        return ": where weight is (in_features, out_features) pass weight.T"
    return ""
