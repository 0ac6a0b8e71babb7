"""The data set that a network is trained on, by ``fastconv train`` or on the page of ``fastconv lecture``."""

from __future__ import annotations

from argparse import Namespace
from typing import NamedTuple

from fastconv import data
from fastconv.cli.arguments import Parser, UsageError, choice, integer
from fastconv.cli.models import TrainedOn
from fastconv.cli.networks import NETWORKS
from fastconv.cli.pictures import add_data_option, add_fit_option, by, read_dataset, read_dataset_as
from fastconv.data.sources import exists, has_validation, is_image_folder


class Sources(NamedTuple):
    """Images to train on, those to measure on after each epoch if the source has such a part, those to test on, and
    what a model's file says of them."""

    train: data.ArrayDataset
    validation: data.ArrayDataset | None
    test: data.ArrayDataset
    trained_on: TrainedOn

    def code(self, source: str) -> str:
        """A line of Python that reads what is trained and tested on."""
        framing = self.trained_on.framing.to_dict() if is_image_folder(source) else {}
        said = "".join(f", {name}={value!r}" for name, value in {**framing, "classes": self.train.classes}.items())
        return f'train, test = (data.load({source!r}, part{said}) for part in ("train", "test"))'


def add_source_options(parser: Parser, of_a_model: bool) -> None:
    """``--data``, and how its image files become images; `of_a_model` where a model may say that."""
    add_data_option(parser, *(None, "what the model was trained on") if of_a_model else ("digits", "digits"))
    parser.option("data", "--size", type=integer(12, 4096), metavar="N",
                  help="resize images to N x N; for folders of image files")
    parser.option("data", "--channels", type=choice("1", "3"), metavar="C",
                  help="1 (grey) or 3 (colour); for folders of image files")
    add_fit_option(parser, "data", of_a_model)


def check_source_options(options: Namespace) -> None:
    """That what is said of image files is said of image files.

    Raises
    ------
    UsageError
        If it is not.
    """
    for name in ("size", "channels", "fit"):
        if getattr(options, name) is not None and exists(options.data) and not is_image_folder(options.data):
            raise UsageError(f"--{name} is for folders of image files, got --data {options.data}")


def read_sources(options: Namespace, network: str) -> Sources:
    """The parts of a data set in one shape, which a network can take.

    Raises
    ------
    UsageError
        If there is nothing of that name.
    ValueError
        If the network does not take such images.
    """
    made = {"size": options.size, "channels": options.channels and int(options.channels), "fit": options.fit}
    train_set = read_dataset(options.data, "train", **{name: value for name, value in made.items() if value})
    shape = train_set.images.shape[1:]
    title, smallest = NETWORKS[network][:2]
    square = "square " if network == "lenet5" else ""
    if (square and shape[1] != shape[2]) or min(shape[1:]) < smallest:
        raise ValueError(f"{title} takes {square}images of at least {smallest} x {smallest} pixels, "
                         f"those of {options.data} are {by(shape)} (channels x rows x columns); "
                         "--size resizes image files")
    return read_sources_as(TrainedOn.of(train_set, options.data), options.data, train_set)


def read_sources_as(trained_on: TrainedOn, source: str, train_set: data.ArrayDataset | None = None) -> Sources:
    """The parts of a data set as a model takes them; `train_set` if it has been read already."""
    return Sources(train_set if train_set is not None else read_dataset_as(trained_on, source, "train"),
                   read_dataset_as(trained_on, source, "validation") if has_validation(source) else None,
                   read_dataset_as(trained_on, source, "test"), trained_on)
