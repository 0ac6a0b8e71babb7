"""``fastconv evaluate MODEL``: accuracy, loss and confusion matrix on a data set."""

from __future__ import annotations

import shlex
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastconv import data, nn, walk
from fastconv.cli.arguments import Parser, UsageError, choice, existing_file
from fastconv.cli.models import load_model, probabilities
from fastconv.cli.output import Result
from fastconv.cli.pictures import add_data_option, add_fit_option, data_of, framing_of, read_dataset_as
from fastconv.data.doubts import check_finite
from fastconv.data.images import is_image
from fastconv.data.sources import is_image_folder


def add_options(parser: Parser) -> None:
    parser.positionals("MODEL", 1, 1, "a file that fastconv train or fastconv.save wrote")
    add_data_option(parser, None, "what the model was trained on")
    parser.option("data", "--split", type=choice("test", "train", "validation", "all"), default="test", metavar="PART",
                  help="test (default), train, validation or all. Validation is the part of that name in the data "
                       "(folders val, valid, dev, ...; not what train --validation held out, which lies in train); "
                       "where there is only one of test and validation, it is both. "
                       "Data without parts are divided as in training: train 80 %%, test 20 %%")
    add_fit_option(parser, "data", of_a_model=True)


def run(options: Namespace) -> Result:
    path = existing_file(options.model[0], "MODEL")
    if is_image(path):
        raise UsageError(f"MODEL must be a model's file, {path} is an image: fastconv predict {shlex.quote(str(path))}")
    model, trained_on = load_model(path)
    source = data_of(options, path, trained_on)
    if is_image_folder(source):
        trained_on = replace(trained_on, framing=framing_of(options, path, trained_on))
    dataset = read_dataset_as(trained_on, source, options.split)
    check_finite(dataset, f"{source}, {options.split} part")
    document, line = score(model, dataset, options.split, path)
    return Result({"model": str(path), "data": source, "split": options.split, **document,
                   "warnings": options.warnings}, line)


def score(model: nn.Module, dataset: data.ArrayDataset, split: str, path: Path) -> tuple[dict[str, Any], str]:
    """How good a model, of the file `path`, is: as a document, and as the line to print.

    The loss is the mean of -log of the probability of the right class. ``confusion[i][j]`` counts the images of
    ``classes[i]`` that the model takes for ``classes[j]``.
    """
    if not len(dataset):
        raise ValueError(f"there is no image in the {split} part of the data")
    probability = probabilities(model, dataset.images, path)
    labels, found, classes = dataset.labels, probability.argmax(axis=1), probability.shape[1]
    if len(dataset.classes) > classes:
        raise ValueError(f"the model knows {classes} classes, the data have {len(dataset.classes)}")
    right = probability[np.arange(len(labels)), labels].astype(np.float64)
    accuracy = float(np.mean(found == labels))
    document = {
        "accuracy": accuracy,
        "loss": float(-np.mean(np.log(np.maximum(right, np.finfo(np.float64).tiny)))),
        "images": len(labels),
        "classes": [*dataset.classes, *map(str, range(len(dataset.classes), classes))],
        "confusion": walk.confusion(labels, found, classes).tolist(),
    }
    return document, f"{split} accuracy {accuracy:.4f} ({len(labels)} images)"
