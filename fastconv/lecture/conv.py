"""The call ``conv``: one filter over one image, with all that the page needs to show any position of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.lecture import wire
from fastconv.lecture.images import Sections, model_image, picture
from fastconv.lecture.page import Page

__all__ = ["MOST_TAPS", "conv", "size_of"]


#: Pixels of a padded image, and taps along an axis of a filter, that a page can show and a browser hold.
_MOST_PIXELS = 2**21
MOST_TAPS = 31

_IMPORTS = ("import numpy as np", "import fastconv as fc", "from fastconv import data, nn, walk", "")
_OPTIONS = ("stride", "padding", "dilation", "padding_mode", "padding_value")


class _Chosen(NamedTuple):
    """What is convolved with what, what the page is told of it, and Python that makes the same image, weight, bias."""

    x: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    options: dict[str, Any]
    told: dict[str, Any]
    arrays: dict[str, Any]
    code: list[str]


def conv(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """One filter over one image.

    The head may have: ``image`` (see `images.picture`); ``white``, the value of white, 1 or 255; ``layer``, the dotted
    name of a convolution of the model, whose input is taken instead; ``filter``, a name of `walk.FILTERS`, "random"
    with ``seed`` and ``size``, "learnt" with ``layer`` and ``k``, or "own", the section weight (C, R, S); ``bias``,
    and the arguments of `fastconv.conv2d`.

    Returns head: ``code``, Python that makes the same; rows, columns (see `size_of`), activation, padding_mode,
    padding_value; ``picture``, whether the input is a picture, with ``white``. And sections: padded (C, H, W),
    weight (C, R, S), bias (1,), channel_maps (C, OH, OW), output (OH, OW), before an activation also sums (OH, OW),
    and of a layer image, what the model sees.
    """
    chosen = _learnt(page, head, sections) if "layer" in head else _preset(page, head, sections)
    x, weight, bias, options = chosen.x, chosen.weight, chosen.bias, chosen.options
    if "padding_mode" in head:
        options.pop("padding_value", None)  # the layer's belongs to the layer's mode
    options |= {name: head[name] for name in (*_OPTIONS, "activation") if name in head}
    if "padding_value" in options:
        options["padding_value"] = _finite(options["padding_value"], "padding_value")
    code = [*_IMPORTS, *chosen.code]
    if "bias" in head:
        bias = np.array([_finite(head["bias"], "bias")], np.float32)
        code.append(f"bias = np.float32([{bias[0]!s}])")
    pads = checks.padding(options.get("padding", 0), x.shape[1:], weight.shape[1:],
                          checks.pair(options.get("stride", 1), "stride"),
                          checks.pair(options.get("dilation", 1), "dilation"))
    rows, columns = (side + sum(ends) for side, ends in zip(x.shape[1:], pads))
    if len(x) * rows * columns > _MOST_PIXELS:
        raise ValueError(f"padding must leave an image of at most {_MOST_PIXELS} pixels, got {len(x)} x {rows} x "
                         f"{columns}")
    seen = walk.convolution(x, weight[np.newaxis], bias, **options)
    said = "".join(f", {name}={value!r}" for name, value in options.items())
    code.append(f"seen = walk.convolution(image, weight[None], bias{said})")
    told = {"code": "\n".join(code), "rows": size_of(seen.rows), "columns": size_of(seen.columns),
            "activation": seen.activation, "padding_mode": options.get("padding_mode", "constant"),
            "padding_value": float(options.get("padding_value", 0.0)), **chosen.told}
    are_pixels = told["picture"] and told["white"] in wire.WHITES
    padded = wire.pixels(seen.padded, told["white"]) if are_pixels else seen.padded
    sums = {"sums": seen.sums[0]} if seen.activation else {}
    arrays = {"padded": padded, "weight": seen.weight[0], "bias": seen.bias, "channel_maps": seen.channel_maps[0],
              **sums, "output": seen.output[0], **chosen.arrays}
    return told, arrays


def size_of(axis: walk.OutputSize) -> dict[str, Any]:
    """The formula of one axis as JSON."""
    return {"size": axis.size, "taps": axis.taps, "before": axis.before, "after": axis.after, "stride": axis.stride,
            "dilation": axis.dilation, "outputs": axis.outputs, "rest": axis.rest, "formula": axis.formula,
            "unvisited": axis.unvisited.tolist()}


def _preset(page: Page, head: Mapping[str, Any], sections: Sections) -> _Chosen:
    """A picture, and a filter that was not learnt: one slice, the same for each channel, or a filter of one's own."""
    image = picture(page, head, sections)
    white = head.get("white", 1)
    if white not in wire.WHITES:
        raise ValueError(f"white must be 1 or 255, got {white!r}")
    code = [page.code_of(head, image)]
    if white == 255:
        image = np.rint(image * 255)
        code.append("image = np.rint(image * 255)")
    name = checks.choice(head.get("filter", "sobel-x"), "filter", (*walk.FILTERS, "random", "own"))
    if name == "own":
        weight, made = _own(sections, len(image))
    elif name == "random":
        taps = checks.integer(head.get("size", 3), "size", 1, MOST_TAPS)
        seed = checks.integer(head.get("seed", 0), "seed", 0)
        weight = np.random.default_rng(seed).standard_normal((len(image), taps, taps), np.float32)
        made = f"np.random.default_rng({seed}).standard_normal((len(image), {taps}, {taps}), np.float32)"
    else:
        pattern = walk.FILTERS[name]
        weight = np.broadcast_to(pattern, (len(image), *pattern.shape))
        made = f"np.broadcast_to(walk.FILTERS[{name!r}], (len(image), 3, 3))"
    code += [f"weight = {made}", "bias = np.zeros(1, np.float32)"]
    return _Chosen(image, weight, np.zeros(1, np.float32), {}, {"picture": True, "white": white}, {}, code)


def _learnt(page: Page, head: Mapping[str, Any], sections: Sections) -> _Chosen:
    """What comes into a convolution of the model, and one of its filters."""
    image = model_image(page, head, sections)
    seen = walk.forward(page.model, image)
    layers = {one.name.split(":")[0]: one for one in seen.layers if isinstance(one.layer, nn.Conv2d)}
    name = str(head["layer"])
    if name not in layers:
        raise ValueError(f"layer must be one of {', '.join(layers)}, got {name!r}")
    layer: Any = layers[name].layer
    k = checks.integer(head.get("k", 0), "k", 0)
    if k >= layer.out_channels:
        raise ValueError(f"k must be less than {layer.out_channels}, the number of filters, got {k}")
    last = layer.data_format == "NHWC"
    x: NDArray[Any] = layers[name].input.transpose(2, 0, 1) if last else layers[name].input
    weight = layer.weight.data[k]
    count = len(weight)
    first = k // (layer.out_channels // layer.groups) * count
    code = [page.code_of(head, image, framed=True), page.source, "layers = walk.forward(model, image).layers",
            f'layer = next(one for one in layers if one.name.startswith("{name}:"))',
            f"image = layer.input{'.transpose(2, 0, 1)' * last}[{first}:{first + count}].astype(np.float32)",
            f"weight = layer.layer.weight.data[{k}].astype(np.float32)",
            "bias = np.zeros(1, np.float32)" if layer.bias is None else
            f"bias = layer.layer.bias.data[{k}:{k + 1}].astype(np.float32)"]
    if head.get("filter", "learnt") == "own":
        weight, made = _own(sections, count)
        code.append(f"weight = {made}")
    bias = np.zeros(1) if layer.bias is None else layer.bias.data[k:k + 1]
    black, white = page.framing.value_range
    told = {"picture": layers[name] is seen.layers[0] and black == 0, "white": white}
    options = {name: getattr(layer, name) for name in _OPTIONS}
    return _Chosen(np.array(x[first:first + count], np.float32), np.array(weight, np.float32),
                   np.array(bias, np.float32), options, told, {"image": image}, code)


def _finite(value: Any, name: str) -> float:
    """A number that float32 holds."""
    number = checks.number(value, name)
    if not abs(number) <= float(np.finfo(np.float32).max):
        raise ValueError(f"{name} must be a finite float32, got {number!r}")
    return number


def _own(sections: Sections, channels: int) -> tuple[NDArray[np.float32], str]:
    """The filter that the page sends along, and the Python that makes it."""
    weight = sections.get("weight")
    shape = () if weight is None else weight.shape
    if weight is None or len(shape) != 3 or shape[0] != channels or not 1 <= min(shape[1:]) <= max(
            shape[1:]) <= MOST_TAPS:
        raise ValueError(f"section weight must be of shape ({channels}, R, S), each at most {MOST_TAPS}, got {shape}")
    if not np.isfinite(weight).all():
        raise ValueError("section weight must be finite")
    return weight, f"np.float32([{', '.join(map(str, weight.ravel()))}]).reshape{shape}"
