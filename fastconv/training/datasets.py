"""The datasets of a run, checked before its first step: what an epoch would fail on is seen before it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.data import ArrayDataset
from fastconv.functional.foreign import shown
from fastconv.nn.loss import CrossEntropyLoss, NLLLoss
from fastconv.nn.module import Module


def dataset_of(value: Any, name: str) -> ArrayDataset:
    """The argument `name` of a run, a dataset or a pair (images, labels), as a dataset;
    errors have the name of the argument."""
    if isinstance(value, tuple) and len(value) == 2:
        try:
            return ArrayDataset(*value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{name}: {error}") from error
    if not isinstance(value, ArrayDataset):
        raise TypeError(f"{name} must be an ArrayDataset or a pair (images, labels), got {shown(value)}")
    return value


def check_datasets(model: Module, loss: Any, train_set: ArrayDataset, validation: ArrayDataset | None) -> None:
    """Whether all images have one shape, which the model takes, and the model an output for every label.

    One image goes through the model in evaluation mode, which writes nothing. A loss of one's own may take labels for
    something else than numbers of outputs, they are left to it.

    Raises
    ------
    ValueError
        With the name of the argument, `train_set` or `validation`; and what the model raises for an image.
    """
    shape = train_set.images.shape[1:]
    if validation is not None and validation.images.shape[1:] != shape:
        raise ValueError(f"validation must hold images of shape {shape}, as train_set does, "
                         f"got {validation.images.shape[1:]}")
    with model.evaluating(), np.errstate(over="ignore", invalid="ignore"):
        output = model(train_set.images[:1])
    if not isinstance(loss, (NLLLoss, CrossEntropyLoss)) or output.ndim != 2:
        return
    for name, dataset in (("train_set", train_set), ("validation", validation)):
        if dataset is not None and dataset.labels.max() >= output.shape[1]:
            _refuse_labels(dataset, name, output.shape[1])


def _refuse_labels(dataset: ArrayDataset, name: str, outputs: int) -> None:
    lowest, highest = int(dataset.labels.min()), int(dataset.labels.max())
    hint = ": where the classes are counted from 1, pass labels - 1" if lowest >= 1 and highest == outputs else ""
    raise ValueError(f"{name}: labels must be below {outputs}, the number of the model's outputs, "
                     f"got {highest} for image {int(dataset.labels.argmax())}{hint}")
