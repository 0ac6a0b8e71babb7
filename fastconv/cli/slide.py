"""``fastconv slide IMAGE``: one position of a filter over an image: the patch, the products, and their sum."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import data, walk
from fastconv.cli.arguments import Parser, UsageError, choice, existing_file, integer, number, sizes
from fastconv.cli.output import Result
from fastconv.functional import checks

_DESCRIPTION = """\
Shows how one cell of a feature map comes about: the pixels under the filter (0 to 255, in the padding what stands
there), the filter's weights, and their products, channel by channel, which are added up. Without an image it is one of
the bundled digits; of the pictures sample:still-life has three channels."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("IMAGE", 0, 1, "an image file, digit:N for a bundled digit (default digit:0), or "
                                     f"{' or '.join(f'sample:{name}' for name in data.SAMPLES)}")

    def option(name: str, **settings: Any) -> None:
        parser.option("slide", name, **settings)

    option("--filter", type=choice(*walk.FILTERS), default="sobel-x", metavar="NAME",
           help=f"{', '.join(walk.FILTERS)} (default %(default)s)")
    option("--at", type=sizes((2,), "a row and a column, such as 0,14", 0), default=(0, 0), metavar="ROW,COLUMN",
           help="the cell of the output (default 0,0)")
    option("--stride", type=sizes((1, 2), "a whole number of at least 1 or two, such as 2 or 2x1"), default=1,
           metavar="S", help="step of the filter, S or SHxSW (default %(default)s)")
    option("--padding", type=integer(0), default=0, metavar="P",
           help="rows and columns added on each side (default %(default)s)")
    option("--pad-value", type=number(-1e6, 1e6), default=0.0, metavar="V",
           help="what stands in the padding (default 0)")
    option("--padding-mode", type=choice(*checks.PADDING_MODES), default="constant", metavar="MODE",
           help=f"{', '.join(checks.PADDING_MODES)} (default %(default)s)")
    option("--bias", type=number(-1e6, 1e6), default=0.0, metavar="B", help="added to the sum (default 0)")


def run(options: Namespace) -> Result:
    image = _image(options.image[0] if options.image else "digit:0")
    pattern = walk.FILTERS[options.filter]
    try:
        seen = walk.convolution(image, np.broadcast_to(pattern, (1, len(image), *pattern.shape)),
                                np.array([options.bias], np.float32), stride=options.stride, padding=options.padding,
                                padding_value=options.pad_value, padding_mode=options.padding_mode)
        cell = seen.cell(0, *options.at)
    except ValueError as error:  # nothing but the arguments goes into it
        raise UsageError(f"{error}".replace("row must", "--at: the row must").replace("column must",
                                                                                  "--at: the column must")) from error
    document = {
        "output_shape": list(seen.output.shape[1:]), "formula": [seen.rows.formula, seen.columns.formula],
        "at": list(options.at), "patch": cell.patch.tolist(), "filter": cell.weights.tolist(),
        "products": cell.products.tolist(), "channel_sums": cell.channel_sums.tolist(), "bias": float(cell.bias),
        "value": float(cell.value),
    }
    return Result(document, _text(seen, cell))


def _text(seen: walk.ConvolutionWalk, cell: walk.Cell) -> str:
    lines = [f"OH = {seen.rows.formula}", f"OW = {seen.columns.formula}", ""]
    padding = [int(row - cell.rows[0]) for row in cell.rows if seen.in_padding[row].all()]
    for channel, (patch, weights, products) in enumerate(zip(cell.patch, cell.weights, cell.products)):
        columns = [_plane(plane) for plane in (patch, weights, products)]
        widths = [max(len(title), len(rows[0])) for title, rows in zip(_titles(channel, len(cell.patch)), columns)]
        lines.append("    ".join(f"{title:<{width}}" for title, width in
                                 zip(_titles(channel, len(cell.patch)), widths)).rstrip())
        for row, parts in enumerate(zip(*columns)):
            note = "    row of padding" if row in padding else ""
            lines.append("    ".join(f"{part:<{width}}" for part, width in zip(parts, widths)).rstrip() + note)
        rows = " + ".join("+".join(_signed(value) for value in row) for row in products)
        lines += [f"{rows} = {_number(cell.channel_sums[channel])}", ""]
    sums = " + ".join(_signed(value) for value in cell.channel_sums)
    place = f"out[{cell.row},{cell.column}]"
    lines.append(f"{sums} + bias {_signed(cell.bias)} -> {place} = {_number(cell.value)}")
    return "\n".join(lines)


def _titles(channel: int, channels: int) -> tuple[str, str, str]:
    return ("patch" if channels == 1 else f"patch, channel {channel}", "filter", "products")


def _plane(plane: NDArray[Any]) -> list[str]:
    """Rows of numbers, in columns of one width."""
    cells = [[_number(value) for value in row] for row in plane]
    width = max(len(cell) for row in cells for cell in row)
    return [" ".join(f"{cell:>{width}}" for cell in row) for row in cells]


def _number(value: Any) -> str:
    return f"{float(value) + 0.0:.6g}"


def _signed(value: Any) -> str:
    """A number that stands behind a plus: in brackets if it has a sign."""
    return _number(value) if value >= 0 else f"({_number(value)})"


def _image(name: str) -> NDArray[np.float32]:
    """Pixels from 0 to 255, (C, H, W)."""
    if name.startswith("digit:"):
        image = data.digits("test").images[digit(name)]
    elif name.startswith("sample:"):
        try:
            image = data.sample(name.removeprefix("sample:"))
        except ValueError as error:
            raise UsageError(f"IMAGE {error}".replace("IMAGE name", "IMAGE: the sample")) from error
    else:
        image = data.load_image(existing_file(name, "IMAGE"))
    return np.rint(image * 255).astype(np.float32)


def digit(name: str) -> int:
    """The number of a bundled digit, ``digit:7``."""
    text, count = name.removeprefix("digit:"), len(data.digits("test").images)
    if not text.isdigit() or int(text) >= count:
        raise UsageError(f"IMAGE must be a file or digit:0 to digit:{count - 1}, got {name}")
    return int(text)
