"""``fastconv predict IMAGE...``: class and probability of image files."""

from __future__ import annotations

import argparse
import shlex
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import nn
from fastconv.cli.arguments import Parser, UsageError, existing_file, integer, sizes
from fastconv.cli.models import load_model, probabilities
from fastconv.cli.output import Result, printable, say
from fastconv.cli.pictures import add_fit_option, framing_of
from fastconv.data.images import framed

_DESCRIPTION = """\
Prints, for each image file, the class and its probability.

Images are PNG, JPEG and whatever else Pillow reads, or .npy arrays. They are framed as those were that the model was
trained on: grey or coloured, its size, stretched or padded, transparency on the colour that shows the ink. The bundled
digits are white on black: an image with a light background is inverted if the model was trained on dark ones only (and
the other way round). A digit should be upright and take up about three quarters of the picture's height."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("IMAGE", 1, None, "image files")
    parser.option("predict", "--model", default="lenet.npz", metavar="FILE",
                  help="a file that fastconv train or fastconv.save wrote (default %(default)s)")
    parser.option("predict", "--top", type=integer(1), default=1, metavar="N",
                  help="show the N most probable classes (default %(default)s)")
    parser.option("predict", "--invert", action=argparse.BooleanOptionalAction, default=None,
                  help="exchange dark and bright, or never (default: where the background is not the model's)")
    parser.option("predict", "--size", type=sizes((1, 2), "rows x columns, such as 28x28, or one number for a square"),
                  metavar="HxW", help="the model's image size, if its file does not say it")
    add_fit_option(parser, "predict", of_a_model=True)


def run(options: Namespace) -> Result:
    for file in map(Path, options.image):
        if file.suffix in (".npz", ".safetensors") and file.is_file():
            raise UsageError(f"IMAGE {file} is a model: --model {shlex.quote(str(file))}")
    path = existing_file(options.model, "--model", ": fastconv train makes one")
    files = [existing_file(name, "IMAGE") for name in options.image]
    model, trained_on = load_model(path)
    size = (options.size, options.size) if isinstance(options.size, int) else options.size
    framing = framing_of(options, path, trained_on, size=size)
    if framing.channels is None:
        framing = replace(framing, channels=_channels(model))
    predictions: list[dict[str, Any]] = []
    for file in files:
        try:
            image, inverted = framed(file, framing, options.invert)
            if not np.isfinite(image).all():
                raise ValueError(f"{file}: pixels must be finite, some are NaN or infinity")
            probability = probabilities(model, image[np.newaxis], path)[0]
        except (OSError, ValueError, TypeError) as error:
            # One bad file leaves the others their answer.
            print("fastconv:", printable(str(error)), file=sys.stderr, flush=True)
            predictions.append({"image": str(file), "error": str(error)})
            continue
        if inverted and options.invert is None:
            say(options, f"{printable(str(file))}: inverted, since the model was trained on the opposite background "
                         "(--no-invert)")  # fmt: skip
        classes = trained_on.classes or [str(number) for number in range(len(probability))]
        best = np.argsort(-probability, kind="stable")[: options.top]
        top = [{"class": classes[number], "probability": float(probability[number])} for number in best]
        predictions.append({"image": str(file), **top[0], "top": top, "inverted": inverted})
    width = max(len(printable(str(file))) for file in files)
    good = [entry for entry in predictions if "error" not in entry]
    lines = [
        f"{printable(entry['image']):<{width}}"
        + "".join(f"  {item['class']} {item['probability']:.4f}" for item in entry["top"])
        for entry in good
    ]
    exit_code = 0 if len(good) == len(files) else 1
    document = {"model": str(path), "predictions": predictions, "warnings": options.warnings}
    return Result(document, "\n".join(lines), exit_code)


def _channels(model: nn.Module) -> int:
    """Of the images that the first convolution takes."""
    return next((layer.in_channels for _, layer in model.named_modules() if isinstance(layer, nn.Conv2d)), 1)
