"""``fastconv plot HISTORY``: the curves of a training, in the terminal or as a picture."""

from __future__ import annotations

import shutil
from argparse import Namespace

from fastconv.cli.arguments import Parser, UsageError, check_place, existing_file, integer
from fastconv.cli.blocks import in_colour
from fastconv.cli.curves import charts, draw, picture_path
from fastconv.cli.output import Result, say
from fastconv.training import History

_DESCRIPTION = """\
Draws loss, accuracy and learning rate of a training against its epochs, from the table that fastconv train --history
or History.save wrote: as characters, or with --out as a picture."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("HISTORY", 1, 1, "a .csv file of fastconv train --history")
    parser.option("plot", "--out", type=picture_path, metavar="FILE",
                  help="draw a picture into this file, .png, .svg or .pdf, with Matplotlib")
    parser.option("plot", "--width", type=integer(20, 10_000), metavar="N",
                  help="characters in a line (default: the terminal's, or 80)")


def run(options: Namespace) -> Result:
    path = existing_file(options.history[0], "HISTORY", ": fastconv train --history FILE writes one")
    if path.suffix != ".csv":
        raise UsageError(f"HISTORY must end in .csv, got {path}")
    if options.out is not None:
        check_place(options.out, "--out")
    history = History.load(path)
    if not len(history):
        raise ValueError(f"{path}: there is no epoch in it")
    document = {"history": history.to_dict(), "out": options.out and str(options.out)}
    if options.out is not None:
        draw(history, options.out)
        say(options, f"drawn {options.out}")
        return Result(document, "")
    columns = options.width or shutil.get_terminal_size((80, 24)).columns
    return Result(document, "\n".join(charts(history, columns, in_colour())))
