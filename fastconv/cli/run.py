"""``fastconv run MODEL``: the outputs of an ONNX model, computed by the runner of `fastconv.adapters.onnx`."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from fastconv.cli.arguments import Parser, UsageError, existing_file
from fastconv.cli.output import Result, printable

_DESCRIPTION = """\
Computes the outputs of an ONNX model. Inputs are .npy files, in the order of the model's inputs or as NAME=FILE, or one
.npz file with an array for each name. Without --output the form and the range of each output is printed.

    fastconv run model.onnx --input x.npy --output y.npz
    fastconv run model.onnx --input image=x.npy --explain

Needs the package onnx (pip install 'fastconv[onnx]')."""


def add_options(parser: Parser) -> None:
    parser.description = _DESCRIPTION
    parser.positionals("MODEL", 1, 1, "an .onnx file")
    parser.option("run", "--input", action="append", default=[], metavar="[NAME=]FILE",
                  help="a .npy file for each input of the model, or one .npz file")
    parser.option("run", "--output", metavar="FILE", help="the .npz file to write, an array for each output")
    parser.option("run", "--explain", action="store_true",
                  help="print for each step its shape, how it is computed, and its share of the time")


def run(options: Namespace) -> Result:
    path = existing_file(options.model[0], "MODEL")
    files = [_named(given) for given in options.input]
    from fastconv.adapters.onnx.session import load

    session = load(path)
    arrays = _inputs(files, session.input_names)
    document: dict[str, Any] = {"model": str(path)}
    lines = []
    if options.explain:
        explanation = session.explain(arrays)
        document["explanation"] = explanation.to_dict()
        lines.append(str(explanation))
    outputs = dict(zip(session.output_names, session.run(arrays)))
    document["outputs"] = {name: _form(array) for name, array in outputs.items()}
    lines += [_line(name, array) for name, array in outputs.items()]
    if options.output:
        target = Path(options.output)
        if target.suffix != ".npz":
            raise UsageError(f"--output must be the name of an .npz file, got {options.output!r}")
        np.savez(target, allow_pickle=False, **outputs)
        document["output"] = str(target)
    return Result(document, "\n".join(lines))


def _named(given: str) -> tuple[str | None, Path]:
    """NAME=FILE, or a file alone."""
    name, equals, file = given.partition("=")
    if equals and not Path(given).exists():
        return name, existing_file(file, "--input")
    return None, existing_file(given, "--input")


def _inputs(files: list[tuple[str | None, Path]], names: list[str]) -> dict[str, np.ndarray]:
    """The arrays of the files by the names of the inputs."""
    arrays: dict[str, np.ndarray] = {}
    for name, file in files:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            free = [each for each in names if each not in arrays]
            if name is None and not free:
                raise UsageError(f"--input {file}: the model has only {len(names)} inputs ({', '.join(names)})")
            arrays[free[0] if name is None else name] = found
        else:
            with found:
                arrays.update(found)
    for name in arrays:
        if name not in names:
            raise UsageError(f"--input {printable(name)}: the model's inputs are {', '.join(names)}")
    lacking = [name for name in names if name not in arrays]
    if lacking:
        raise UsageError(f"--input is missing for {', '.join(lacking)}: --input {lacking[0]}=FILE.npy")
    return arrays


def _form(array: np.ndarray) -> dict[str, Any]:
    form: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    if array.size and array.dtype.kind in "iuf" and np.isfinite(array).all():
        form.update(min=array.min().item(), max=array.max().item())
    return form


def _line(name: str, array: np.ndarray) -> str:
    form = _form(array)
    span = f", {form['min']:.6g} to {form['max']:.6g}" if "min" in form else ""
    return f"{printable(name)}: {array.dtype} {' x '.join(map(str, array.shape)) or '()'}{span}"
