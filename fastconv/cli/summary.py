"""``fastconv summary``: the layers of a model with their shapes, see `fastconv.nn.Sequential.summary`."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from fastconv import nn
from fastconv.cli.arguments import Parser, UsageError, existing_file, sizes
from fastconv.cli.models import load_model
from fastconv.cli.networks import NETWORKS
from fastconv.cli.output import Result


def add_options(parser: Parser) -> None:
    parser.positionals("MODEL", 0, 1, f"a model file, or a network by its name: {', '.join(NETWORKS)} "
                                      "(default lenet5)", tuple(NETWORKS))
    parser.option("summary", "--input", type=sizes((3,), "channels x rows x columns, such as 3x224x224"),
                  metavar="CxHxW", help="shape of an image (default: what the model was trained on)")


def run(options: Namespace) -> Result:
    name = options.model[0] if options.model else "lenet5"
    shape: Any = options.input
    if name in NETWORKS:
        network = NETWORKS[name]
        shape = shape or network.usual
        model = network.make(shape[0], 10 if max(shape[1:]) < 100 else 1000, max(shape[1:]), options.seed)
    else:
        path = existing_file(name, "MODEL", f": or one of {', '.join(NETWORKS)}")
        model, trained_on = load_model(path)
        shape = shape or trained_on.input_shape
        if shape is None:
            raise UsageError(f"--input is missing: {path} does not say what images it takes, write CxHxW")
    if not isinstance(model, nn.Sequential):
        raise UsageError(f"MODEL must be a Sequential, whose layers can be listed, {name} is a {type(model).__name__}")
    try:
        table = model.summary(shape)
    except (TypeError, ValueError) as error:
        raise UsageError(f"--input {'x'.join(map(str, shape))} does not fit {name}: {error}") from error
    rows = [row.__dict__ for row in table.rows]
    document = {"model": name, "input_shape": list(shape), "layers": rows, "parameters": table.parameters,
                "multiply_adds": table.multiply_adds}
    return Result(document, str(table))
