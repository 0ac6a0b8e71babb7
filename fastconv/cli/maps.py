"""``fastconv maps IMAGE``: the feature maps of an image, layer by layer, drawn in the terminal."""

from __future__ import annotations

import shutil
from argparse import Namespace
from typing import Any

import numpy as np

from fastconv import data, walk
from fastconv.cli.arguments import Parser, existing_file, integer
from fastconv.cli.blocks import in_colour, tiles
from fastconv.cli.models import load_model
from fastconv.cli.output import Result
from fastconv.cli.pictures import add_fit_option, framing_of
from fastconv.cli.slide import digit
from fastconv.data.images import framed

_DESCRIPTION = """\
Shows what a model makes of an image: all maps of each layer, red above 0 and blue below, with one scale a layer.
Where stdout is no terminal, or NO_COLOR is set, the magnitude is a character from light to dark."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("IMAGE", 0, 1, "an image file, or digit:N for a bundled one (default digit:0)")
    parser.option("maps", "--model", default="lenet.npz", metavar="FILE",
                  help="a file that fastconv train or fastconv.save wrote (default %(default)s)")
    parser.option("maps", "--most", type=integer(1), default=8, metavar="N",
                  help="maps of a layer that are drawn, from the first (default %(default)s)")
    parser.option("maps", "--width", type=integer(20), metavar="N",
                  help="characters in a line (default: the terminal's, or 80)")
    add_fit_option(parser, "maps", of_a_model=True)


def run(options: Namespace) -> Result:
    name = options.image[0] if options.image else "digit:0"
    path = existing_file(options.model, "--model", ": fastconv train makes one")
    model, trained_on = load_model(path)
    if name.startswith("digit:"):
        image = data.digits("test").images[digit(name)]
    else:
        image = framed(existing_file(name, "IMAGE"), framing_of(options, path, trained_on))[0]
    seen = walk.forward(model, image)
    colour = in_colour()
    columns = options.width or shutil.get_terminal_size((80, 24)).columns
    lines: list[str] = []
    layers: list[dict[str, Any]] = []
    for one in seen.layers:
        layers.append({"layer": one.name, "shape": list(one.output.shape), "least": float(one.output.min()),
                       "largest": float(one.output.max())})
        if one.output.ndim != 3:
            continue
        formula = f"   {one.formula[0].formula}" if one.formula else ""
        lines.append(f"{one.name}   {' x '.join(map(str, one.output.shape))}{formula}")
        limit = float(np.abs(one.output).max()) or 1.0
        lines += [*tiles(one.output[:options.most] / limit, columns, colour), ""]
    classes = trained_on.classes or [str(k) for k in range(len(seen.probabilities))]
    lines.append(f"taken for {classes[seen.prediction]}, with probability {seen.probabilities[seen.prediction]:.4f}")
    document = {"image": name, "model": str(path), "layers": layers, "class": classes[seen.prediction],
                "probability": float(seen.probabilities[seen.prediction]), "warnings": options.warnings}
    return Result(document, "\n".join(lines))
