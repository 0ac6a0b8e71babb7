"""Pictures as a model takes them: data sets read in its shape and its framing, and what the user may say about both."""

from __future__ import annotations

import shlex
from argparse import ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastconv import data
from fastconv.cli.arguments import Parser, UsageError, choice
from fastconv.cli.models import TrainedOn
from fastconv.cli.output import say, warn
from fastconv.data.framing import FITS, Framing
from fastconv.data.sources import exists, is_image_folder

_FIT = ("how image files of other proportions are made to fit: stretch, or pad with the colour of their border "
        "(default: stretch")  # fmt: skip


def add_data_option(parser: Parser, default: str | None, meaning: str) -> None:
    """``--data``; `meaning` says in the help what the default is."""
    parser.option("data", "--data", type=_source, default=default, metavar="SOURCE",
                  help="digits (the bundled sample); a directory with the files of MNIST or CIFAR-10, "
                       "or with a folder of images for each class (also in folders train, test, val, ...); "
                       f"or an .npz file (default: {meaning})")


def _source(text: str) -> str:
    """A type of option: a data set. An empty path would be the current folder."""
    if not text:
        raise ArgumentTypeError("must be a data set, got '' (write . for the current folder)")
    return text


def add_fit_option(parser: Parser, group: str, of_a_model: bool) -> None:
    """``--fit``: of a training, or of a model whose file does not say it."""
    parser.option(group, "--fit", type=choice(*FITS), metavar="HOW",
                  help=f"{_FIT}; for model files that do not say it)"
                  if of_a_model else f"{_FIT}, and the model file says so)")


def read_dataset(source: str, split: Any, **settings: Any) -> data.ArrayDataset:
    """`fastconv.data.load`, for a source that the user has named.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    """
    try:
        return data.load(source, split, **settings)
    except FileNotFoundError as error:
        raise UsageError(f"--data {error}") from error


def read_dataset_as(trained_on: TrainedOn, source: str, split: Any) -> data.ArrayDataset:
    """A part of a data set as a model takes it.

    Parameters
    ----------
    trained_on : TrainedOn
        Image files are framed so; other images must be of this shape.
    source, split
        As of `fastconv.data.load`.

    Raises
    ------
    UsageError
        If there is nothing at `source`.
    ValueError
        If the images are of another shape.
    """
    framing = trained_on.framing.to_dict() if is_image_folder(source) else {}
    dataset = read_dataset(source, split, classes=trained_on.classes, **framing)
    shape = trained_on.input_shape
    if shape is not None and dataset.images.shape[1:] != shape:
        raise ValueError(f"the model takes images of {by(shape)}, those of {source} are {by(dataset.images.shape[1:])} "
                         "(channels x rows x columns)")
    return dataset


def framing_of(options: Namespace, path: Path, trained_on: TrainedOn, **said: Any) -> Framing:
    """How pictures are framed for a model: as its file says, and where it does not say it as the user does.

    Parameters
    ----------
    options : Namespace
        Has ``fit``, the user's or None.
    path : path
        Of the model's file.
    trained_on : TrainedOn
    **said
        More attributes of a framing that the user says, or None.

    Raises
    ------
    UsageError
        If the user says something else than the file, or a size that no picture has.
    """
    framing = trained_on.framing
    said["fit"] = options.fit
    for name, value in said.items():
        known = getattr(framing, name) if name != "fit" or trained_on.framing_known else None
        if None not in (value, known) and value != known:
            told, takes = (by(size) if isinstance(size, tuple) else size for size in (value, known))
            raise UsageError(f"--{name} {told}: {path} was trained with {takes}, leave the option away")
    try:
        framing = replace(framing, **{name: value for name, value in said.items() if value is not None})
    except ValueError as error:
        raise UsageError(f"--{error}") from error
    if framing.size is not None and not trained_on.framing_known and options.fit is None:
        hint = "--fit stretch, if it was trained on image files" if framing.fit == "pad" else "or --fit pad"
        warn(options,
             f"{path} does not say how pictures were made to fit: {framing.fit or 'stretch'} is taken ({hint})")
    return framing


def data_of(options: Namespace, path: Path, trained_on: TrainedOn) -> str:
    """The data set to measure a model on: the user's, else the one that it was trained on.

    Raises
    ------
    UsageError
        If its file does not say it, or it is not there; the message has the command to write.
    """
    command = f"fastconv evaluate {shlex.quote(str(path))} --data"
    if options.data is not None:
        return str(options.data)
    if trained_on.source is None:
        raise UsageError(f"{path} does not say what it was trained on: {command} SOURCE, "
                         f"or {command} digits for the bundled digits")
    if not exists(trained_on.source):
        raise UsageError(f"{path} was trained on {trained_on.source}, which is not there: {command} SOURCE")
    if trained_on.source != "digits":
        say(options, f"data: {trained_on.source}, on which {path} was trained (--data)")
    return trained_on.source


def by(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
