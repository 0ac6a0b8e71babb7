"""Model files of the command line: beside weights and layers, they say what images the model was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastconv import data, nn
from fastconv.cli.pictures import background


@dataclass(frozen=True)
class TrainedOn:
    """The images a model was trained on; None is what its file does not say.

    Attributes
    ----------
    input_shape : (int, int, int), optional
        Channels, rows, columns.
    classes : list of str, optional
    background : float, optional
        See `fastconv.cli.pictures.background`.
    """

    input_shape: tuple[int, int, int] | None = None
    classes: list[str] | None = None
    background: float | None = None

    @classmethod
    def of(cls, dataset: data.ArrayDataset) -> TrainedOn:
        channels, rows, columns = dataset.images.shape[1:]
        return cls((channels, rows, columns), dataset.classes, background(dataset.images))


def save_model(model: nn.Module, path: Path, trained_on: TrainedOn, about: Mapping[str, Any]) -> None:
    """Write a model that `load_model` reads; `about` is kept beside it."""
    nn.save(model, path, {**asdict(trained_on), **about})


def load_model(path: Path) -> tuple[nn.Module, TrainedOn]:
    """A model and what its file says about the images, also where `fastconv.save` wrote it and it says nothing.

    Raises
    ------
    ValueError
        If the file is damaged, or what it says is not of its kind.
    """
    model, about = nn.load(path), nn.load_metadata(path)
    shape, classes, edge = (about.get(name) for name in ("input_shape", "classes", "background"))
    if not (shape is None or (_is_list_of(int, shape) and len(shape) == 3 and min(shape) > 0)):
        raise ValueError(f"{path}: input_shape is {shape!r}, expected channels, rows, columns")
    if not (classes is None or (_is_list_of(str, classes) and classes)):
        raise ValueError(f"{path}: classes is {classes!r}, expected names")
    if not (edge is None or isinstance(edge, (int, float))):
        raise ValueError(f"{path}: background is {edge!r}, expected a number")
    return model, TrainedOn(shape and tuple(shape), classes, edge)


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
