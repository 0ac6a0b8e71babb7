"""The commands: their names, what each does in a line, and their parsers."""

from __future__ import annotations

import importlib
from types import ModuleType

from fastconv.cli.arguments import Parser

COMMANDS = {
    "train": "train a network, by default a LeNet-5 on the bundled handwritten digits",
    "evaluate": "measure a saved model on a data set",
    "predict": "class and probability of image files",
    "explain": "what a convolution of given shapes does: output size, algorithm, operations, memory",
    "summary": "the layers of a saved model, or of a network by its name: shapes, parameters, multiply-adds",
    "slide": "one position of a filter over an image: the patch, the products, their sum",
    "maps": "what a saved model makes of an image, layer by layer, drawn in the terminal",
    "plot": "the curves of a training, drawn in the terminal or as a picture",
    "lecture": "show the lecture in the browser: a filter that slides, a digit to draw, a model from inside",
    "run": "compute the outputs of an ONNX model from .npy files",
    "adapters": "projects that fastconv can serve as their backend, and the line that switches each on",
    "info": "what this build can do and what it uses",
    "completion": "print a script that completes commands and options in a shell",
}


def load_command(name: str) -> tuple[ModuleType, Parser]:
    """The module of a command, with its `run`, and the command's parser."""
    command = importlib.import_module(f"fastconv.cli.{name}")
    parser = Parser(name, COMMANDS[name])
    command.add_options(parser)
    parser.add_common_options()
    return command, parser
