"""The shapes that operations are tested on: the named edges, and a seeded generator of mixed configurations.

Edges come from the tile sizes of the kernels: one, tile - 1, tile, tile + 1 and the next prime in each dimension that
is cut into tiles, channels that do not fill a vector, images that do not fill a filter.
"""

from typing import NamedTuple

import numpy as np
import reference

from fastconv.functional.conv import IMAGES

planned = IMAGES.planned

PADDING_MODES = ("constant", "reflect", "replicate", "circular", "symmetric")
ACTIVATIONS = (None, "relu", "leaky_relu", "sigmoid", "tanh")
TILES = (6, 8, 14, 16, 32)


class ConvCase(NamedTuple):
    """One call of ``conv2d``; shapes are (N, C, H, W) and (K, C/groups, R, S) whatever the data format."""

    x_shape: tuple
    weight_shape: tuple
    stride: object = 1
    padding: object = 0
    dilation: object = 1
    groups: int = 1
    padding_mode: str = "constant"
    padding_value: float = 0.0
    data_format: str = "NCHW"
    activation: str = None
    bias: bool = True

    def window(self):
        """The options that forward, backward and the reference share."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups,
                "padding_mode": self.padding_mode, "padding_value": self.padding_value}

    def output_shape(self):
        stride, dilation = reference.pair(self.stride), reference.pair(self.dilation)
        pads = reference.pads(self.padding, self.x_shape[2:], self.weight_shape[2:], stride, dilation)
        sizes = [reference.output_size(*of_axis)
                 for of_axis in zip(self.x_shape[2:], self.weight_shape[2:], stride, pads, dilation)]
        return (self.x_shape[0], self.weight_shape[0], *sizes)

    def arrays(self, seed=0, dtype=np.float64, integers=False):
        """x (N, C, H, W), weight, bias (or None) and grad_output; with `integers` every sum is exact in any order."""
        rng = np.random.default_rng(seed)

        def draw(shape):
            values = rng.integers(-3, 4, shape) if integers else rng.standard_normal(shape)
            return values.astype(dtype)

        return (draw(self.x_shape), draw(self.weight_shape), draw(self.weight_shape[0]) if self.bias else None,
                draw(self.output_shape()))


class PoolCase(NamedTuple):
    """One call of ``max_pool2d`` (all fields but count_include_pad) and of ``avg_pool2d`` (all but dilation)."""

    x_shape: tuple
    kernel_size: object
    stride: object = None
    padding: object = 0
    dilation: object = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    data_format: str = "NCHW"

    def max_window(self):
        return {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding,
                "dilation": self.dilation, "ceil_mode": self.ceil_mode}

    def avg_window(self):
        return {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding,
                "ceil_mode": self.ceil_mode, "count_include_pad": self.count_include_pad}

    def input(self, seed=0, dtype=np.float64):
        """Few different values, so that equal maxima are common."""
        return np.random.default_rng(seed).integers(-4, 5, self.x_shape).astype(dtype)


def to_format(x, data_format):
    """An (N, C, H, W) array as a C-contiguous array of the data format."""
    return np.ascontiguousarray(x if data_format == "NCHW" else x.transpose(0, 2, 3, 1))


def to_nchw(x, data_format):
    return x if data_format == "NCHW" else x.transpose(0, 3, 1, 2)


def _next_prime(n):
    n += 1
    while any(n % d == 0 for d in range(2, n)):
        n += 1
    return n


def edges(tile):
    return (1, tile - 1, tile, tile + 1, _next_prime(tile + 1))


def conv_edge_cases():
    """(name, ConvCase) of every named edge, each dimension at its edges while the others stay small."""
    cases = {}
    for size in sorted({size for tile in TILES for size in edges(tile)}):
        cases[f"pixels_{size}"] = ConvCase((1, 3, 2, size), (4, 3, 1, 1))
        cases[f"width_{size}"] = ConvCase((2, 2, 3, size), (3, 2, 3, 3), padding=1)
        cases[f"height_{size}"] = ConvCase((2, 2, size, 3), (3, 2, 3, 3), padding=1)
        cases[f"inputs_{size}"] = ConvCase((1, size, 5, 4), (3, size, 3, 3), padding=1)
        cases[f"outputs_{size}"] = ConvCase((1, 2, 5, 4), (size, 2, 3, 3), padding=1)
        cases[f"depthwise_{size}"] = ConvCase((1, size, 5, 6), (size, 1, 3, 3), padding=1, groups=size)
        cases[f"images_{size}"] = ConvCase((size, 2, 4, 3), (3, 2, 2, 2), padding=1)
    cases |= {
        "one_of_everything": ConvCase((1, 1, 1, 1), (1, 1, 1, 1)),
        "filter_is_the_image": ConvCase((2, 3, 5, 4), (6, 3, 5, 4)),
        "image_smaller_than_filter": ConvCase((2, 3, 2, 1), (4, 3, 5, 5), padding=2),
        "image_far_inside_padding": ConvCase((1, 2, 1, 1), (3, 2, 3, 3), padding=7, padding_value=2.0),
        "filter_in_padding_only": ConvCase((1, 2, 2, 2), (3, 2, 1, 1), padding=((3, 1), (0, 4)), padding_value=-1.0),
        "stride_beyond_filter": ConvCase((2, 3, 17, 19), (5, 3, 2, 3), stride=(5, 4)),
        "stride_beyond_image": ConvCase((1, 2, 5, 4), (3, 2, 3, 3), stride=9, padding=2),
        "stride_two": ConvCase((2, 5, 15, 16), (7, 5, 3, 3), stride=2, padding=1),
        "stride_and_dilation_share_a_factor": ConvCase((1, 3, 21, 22), (4, 3, 3, 3), stride=(4, 6),
                                                       dilation=(6, 4), padding=5),
        "stride_and_dilation_coprime": ConvCase((1, 3, 21, 22), (4, 3, 4, 3), stride=(3, 2),
                                                dilation=(2, 3), padding=3),
        "patches": ConvCase((1, 3, 32, 32), (20, 3, 8, 8), stride=8),
        "dilation_beyond_image": ConvCase((1, 2, 4, 5), (3, 2, 2, 3), dilation=(9, 7), padding=(9, 14)),
        "channels_beside_vector": ConvCase((2, 13, 9, 9), (19, 13, 3, 3), padding=1),
        "row_image": ConvCase((2, 3, 1, 40), (5, 3, 1, 7), padding=(0, 3)),
        "column_image": ConvCase((2, 3, 40, 1), (5, 3, 7, 1), padding=(3, 0)),
        "groups": ConvCase((2, 12, 7, 8), (8, 3, 3, 3), padding=1, groups=4),
        "groups_of_a_vector": ConvCase((1, 32, 7, 8), (48, 16, 3, 3), padding=1, groups=2),
        "depthwise": ConvCase((2, 19, 11, 10), (19, 1, 5, 5), padding=2, groups=19),
        "depthwise_stride_two": ConvCase((2, 16, 15, 14), (16, 1, 3, 3), stride=2, padding=1, groups=16),
        "depthwise_multiplier": ConvCase((2, 5, 9, 9), (15, 1, 3, 3), padding=1, groups=5),
        "groups_to_one_output_each": ConvCase((1, 12, 6, 6), (4, 3, 3, 3), groups=4),
        "empty_batch": ConvCase((0, 3, 8, 8), (4, 3, 3, 3)),
        "asymmetric": ConvCase((2, 3, 9, 10), (4, 3, 4, 3), padding=((2, 1), (0, 3))),
        "same_even_filter": ConvCase((1, 3, 8, 9), (4, 3, 4, 2), padding="same"),
        "same_stride": ConvCase((1, 3, 8, 9), (4, 3, 3, 2), padding="same", stride=(3, 2)),
        "valid": ConvCase((1, 3, 8, 9), (4, 3, 3, 2), padding="valid"),
        "padding_value": ConvCase((2, 3, 6, 6), (4, 3, 3, 3), padding=2, padding_value=-1.5),
        "reflect_to_the_last_pixel": ConvCase((1, 2, 4, 5), (3, 2, 3, 3), padding=(3, 4), padding_mode="reflect"),
        "circular_whole_turn": ConvCase((1, 2, 4, 5), (3, 2, 3, 3), padding=(4, 5), padding_mode="circular"),
        "symmetric_to_the_last_pixel": ConvCase((1, 2, 4, 5), (3, 2, 3, 3), padding=(4, 5), padding_mode="symmetric"),
        "reflect_beyond_the_image": ConvCase((1, 2, 4, 5), (3, 2, 3, 3), padding=((9, 4), (5, 23)),
                                             padding_mode="reflect"),
        "reflect_one_pixel": ConvCase((2, 2, 1, 1), (3, 2, 3, 3), padding=2, padding_mode="reflect"),
        "reflect_one_row": ConvCase((2, 2, 1, 6), (3, 2, 3, 3), padding=((1, 1), (13, 8)), padding_mode="reflect"),
        "symmetric_beyond_the_image": ConvCase((1, 2, 4, 5), (3, 2, 3, 3), padding=((9, 5), (6, 23)),
                                               padding_mode="symmetric"),
        "symmetric_one_pixel": ConvCase((2, 2, 1, 1), (3, 2, 3, 3), padding=3, padding_mode="symmetric"),
        "circular_beyond_the_image": ConvCase((1, 2, 4, 3), (3, 2, 3, 3), padding=((9, 5), (6, 23)),
                                              padding_mode="circular"),
        "symmetric_stride_dilation": ConvCase((2, 3, 11, 7), (4, 3, 3, 2), stride=(2, 5), dilation=(3, 2),
                                              padding=((4, 13), (31, 8)), padding_mode="symmetric"),
        "symmetric_groups_nhwc": ConvCase((2, 6, 7, 9), (4, 3, 3, 3), padding=2, groups=2, padding_mode="symmetric",
                                          data_format="NHWC"),
        "replicate_far": ConvCase((1, 2, 1, 2), (3, 2, 3, 3), padding=6, padding_mode="replicate"),
        "reflect_stride_dilation": ConvCase((2, 3, 11, 12), (4, 3, 3, 2), stride=(2, 3), dilation=(3, 2),
                                            padding=((4, 2), (1, 3)), padding_mode="reflect"),
        "circular_groups_nhwc": ConvCase((2, 6, 7, 9), (4, 3, 3, 3), padding=2, groups=2, padding_mode="circular",
                                         data_format="NHWC"),
        "nhwc": ConvCase((2, 17, 9, 8), (21, 17, 3, 3), padding=1, data_format="NHWC"),
    }
    return list(cases.items())


def random_conv_cases(count, seed):
    """`count` configurations with every option mixed; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_random_conv(rng) for _ in range(count)]


def _pick(rng, values, weights):
    return values[rng.choice(len(values), p=np.array(weights) / sum(weights))]


def _sizes(rng, high):
    """Mostly small, often at the edge of a tile, never above `high`."""
    if rng.random() < 0.3:
        return int(min(rng.choice(edges(rng.choice(TILES))), high))
    return int(rng.integers(1, high + 1))


def _per_axis(rng, values, weights):
    pair = (_pick(rng, values, weights), _pick(rng, values, weights))
    return pair[0] if rng.random() < 0.5 else pair


def _random_conv(rng):
    while True:
        kind = _pick(rng, ("dense", "groups", "depthwise"), (6, 2, 2))
        if kind == "dense":
            groups, c, k = 1, _sizes(rng, 24), _sizes(rng, 24)
        elif kind == "groups":
            groups = int(rng.integers(2, 6))
            c, k = groups * int(rng.integers(1, 7)), groups * int(rng.integers(1, 7))
        else:
            groups = c = _sizes(rng, 20)
            k = groups * _pick(rng, (1, 2, 3), (4, 1, 1))
        filter_size = (int(_pick(rng, (1, 2, 3, 4, 5, 7), (3, 1, 5, 1, 2, 1))),
                       int(_pick(rng, (1, 2, 3, 4, 5, 7), (3, 1, 5, 1, 2, 1))))
        case = ConvCase(
            x_shape=(int(rng.integers(1, 4)), c, _sizes(rng, 22), _sizes(rng, 22)),
            weight_shape=(k, c // groups, *filter_size),
            stride=_per_axis(rng, (1, 2, 3, 5), (6, 4, 1, 1)),
            padding=_random_padding(rng, 5),
            dilation=_per_axis(rng, (1, 2, 3, 4), (7, 2, 1, 1)),
            groups=groups,
            padding_mode=_pick(rng, PADDING_MODES, (5, 1, 1, 1, 1)),
            data_format=_pick(rng, ("NCHW", "NHWC"), (2, 1)),
            activation=_pick(rng, ACTIVATIONS, (6, 1, 1, 1, 1)),
            bias=bool(rng.random() < 0.7),
        )
        if case.padding_mode == "constant" and rng.random() < 0.3:
            case = case._replace(padding_value=float(rng.integers(-2, 3)))
        if _possible_conv(case):
            return case


def _random_padding(rng, high):
    form = _pick(rng, ("one", "pair", "asymmetric", "same", "valid"), (4, 2, 2, 1, 1))
    if form == "one":
        return int(rng.integers(0, high))
    if form == "pair":
        return tuple(int(p) for p in rng.integers(0, high, 2))
    if form == "asymmetric":
        return tuple(tuple(int(p) for p in of_axis) for of_axis in rng.integers(0, high, (2, 2)))
    return form


def _possible_conv(case):
    stride, dilation = reference.pair(case.stride), reference.pair(case.dilation)
    pads = reference.pads(case.padding, case.x_shape[2:], case.weight_shape[2:], stride, dilation)
    for length, taps, step, before_after, distance in zip(
            case.x_shape[2:], case.weight_shape[2:], stride, pads, dilation):
        if reference.output_size(length, taps, step, before_after, distance) < 1:
            return False
    return True


def random_pool_cases(count, seed):
    """`count` configurations of pooling with every option mixed; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [_random_pool(rng) for _ in range(count)]


def _random_pool(rng):
    while True:
        case = PoolCase(
            x_shape=(int(rng.integers(1, 4)), _sizes(rng, 20), _sizes(rng, 22), _sizes(rng, 22)),
            kernel_size=_per_axis(rng, (1, 2, 3, 4, 5), (1, 5, 4, 1, 1)),
            stride=_per_axis(rng, (1, 2, 3, 4), (3, 4, 2, 1)) if rng.random() < 0.7 else None,
            padding=_random_padding(rng, 3),
            dilation=_per_axis(rng, (1, 2, 3), (6, 2, 1)),
            ceil_mode=bool(rng.random() < 0.4),
            count_include_pad=bool(rng.random() < 0.5),
            data_format=_pick(rng, ("NCHW", "NHWC"), (2, 1)),
        )
        if _possible_pool(case, case.dilation) and _possible_pool(case, 1):
            return case


def _possible_pool(case, dilation):
    kernel_size, dilation = reference.pair(case.kernel_size), reference.pair(dilation)
    stride = kernel_size if case.stride is None else reference.pair(case.stride)
    pads = reference.pads(case.padding, case.x_shape[2:], kernel_size, stride, dilation)
    for length, taps, step, before_after, distance in zip(case.x_shape[2:], kernel_size, stride, pads, dilation):
        if max(before_after) > taps // 2 or length + sum(before_after) < distance * (taps - 1) + 1:
            return False
        outputs = reference.output_size(length, taps, step, before_after, distance, case.ceil_mode)
        for i in range(outputs):
            if not any(0 <= i * step - before_after[0] + r * distance < length for r in range(taps)):
                return False
    return True


WINOGRAD_TAPS = (2, 2), (3, 3), (5, 5), (1, 2), (1, 3), (1, 5), (2, 1), (3, 1), (5, 1)


def may_be_winograd(case, dtype):
    """Whether "auto" may take Winograd's algorithm, forward or backward: then integers do not come out exactly."""
    size = case.weight_shape[2:]
    dilation = (np.all(np.asarray(case.dilation) == 1)
                or (np.all(np.asarray(case.stride) == 1) and case.padding_mode == "constant"))
    return np.dtype(dtype) == np.float32 and size in WINOGRAD_TAPS and dilation


def gradient_may_be_winograd(case, dtype):
    """The same of the gradient of x, by the path that its plan takes: what is not transformed is a direct sum,
    with a direct sum's error."""
    plan, _ = planned(case.x_shape, case.weight_shape, case.stride, case.padding, case.dilation, case.groups,
                      case.padding_mode, case.padding_value, "auto", np.dtype(dtype).itemsize,
                      case.data_format == "NHWC")
    return plan.data_gradient.driver.by.algorithm == "winograd"


def assert_close_to_sum(got, wanted, context=""):
    """The promise for Winograd in float32: a relative L2 error of at most 2e-5."""
    error = np.linalg.norm(np.asarray(got, np.float64) - wanted)
    assert error <= 2e-5 * max(np.linalg.norm(wanted),
                               1e-30), f"relative L2 error {error / np.linalg.norm(wanted)} {context}"
