"""The datasets of a run, checked before its first step: what an epoch would fail on is seen before it is trained."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv.data import ArrayDataset, TargetDataset
from fastconv.functional.foreign import shown
from fastconv.nn.loss import ClassLoss, Loss, PairLoss
from fastconv.nn.module import Module


def pair_kind(loss: Any, targets: Any) -> type[ArrayDataset]:
    """What a pair (images, targets) is for a loss: labels, or numbers or maps."""
    numbers = isinstance(loss, PairLoss) or (np.ndim(targets) > 1 and np.asarray(targets).dtype.kind == "f")
    maps = isinstance(loss, Loss) and np.ndim(targets) > 2
    return TargetDataset if numbers or maps else ArrayDataset


def dataset_of(value: Any, name: str, loss: Any) -> ArrayDataset:
    """The argument `name` of a run, a dataset or a pair (images, labels), as a dataset;
    errors have the name of the argument."""
    if isinstance(value, tuple) and len(value) == 2:
        try:
            return pair_kind(loss, value[1])(*value)
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
    for name, dataset in (("train_set", train_set), ("validation", validation)):
        if dataset is None or not isinstance(loss, Loss):
            continue
        if isinstance(loss, PairLoss) or dataset.labels.dtype.kind == "f":
            _check_numbers(dataset, name, output.shape[1:])
        elif dataset.labels.ndim > 1:
            _check_maps(dataset, name, output.shape, loss.ignore_index if isinstance(loss, ClassLoss) else None)
        elif output.ndim == 2 and dataset.labels.max() >= output.shape[1]:
            _refuse_labels(dataset, name, output.shape[1])


def _check_numbers(dataset: ArrayDataset, name: str, shape: tuple[int, ...]) -> None:
    """Targets of the shape of the model's outputs, all finite."""
    targets = dataset.labels
    if targets.dtype.kind != "f":
        raise ValueError(f"{name}: targets must be numbers for this loss, such as (images, targets) with float32 "
                         f"targets, got class numbers {targets.dtype}")
    if targets.shape[1:] != shape:
        hint = ": write targets[:, None]" if shape == (1,) and targets.ndim == 1 else ""
        raise ValueError(f"{name}: targets must have the shape of the model's outputs, (N, "
                         f"{', '.join(map(str, shape))}), got {targets.shape}{hint}")
    if not np.isfinite(targets).all():
        raise ValueError(f"{name}: targets must be finite, they hold NaN or infinity")


def _check_maps(dataset: ArrayDataset, name: str, shape: tuple[int, ...], ignored: int | None) -> None:
    """A class number for each position of the model's outputs."""
    targets = dataset.labels
    if targets.shape[1:] != shape[2:]:
        raise ValueError(f"{name}: targets must have a class number for each position of the model's outputs, "
                         f"of shape {shape[1:]} for an image: {('N', *shape[2:])}, got {targets.shape}")
    wrong = targets[((targets < 0) | (targets >= shape[1])) & (targets != ignored)]
    if wrong.size:
        raise ValueError(f"{name}: targets must be class numbers from 0 to {shape[1] - 1}, or {ignored} for what does "
                         f"not count, got {wrong[0]}")


def _refuse_labels(dataset: ArrayDataset, name: str, outputs: int) -> None:
    lowest, highest = int(dataset.labels.min()), int(dataset.labels.max())
    hint = ": where the classes are counted from 1, pass labels - 1" if lowest >= 1 and highest == outputs else ""
    raise ValueError(f"{name}: labels must be below {outputs}, the number of the model's outputs, "
                     f"got {highest} for image {int(dataset.labels.argmax())}{hint}")
