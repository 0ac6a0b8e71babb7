"""Model files of the command line: beside weights and layers, they say what images the model was trained on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import data, nn
from fastconv.data.framing import Framing


@dataclass(frozen=True)
class TrainedOn:
    """The images a model was trained on; None is what its file does not say.

    Attributes
    ----------
    input_shape : (int, int, int), optional
        Channels, rows, columns.
    classes : list of str, optional
    framing : Framing
        How pictures became these images.
    framing_known : bool
        Whether the file says it; files of earlier versions do not.
    source : str, optional
        The data set: "digits", or a path.
    """

    input_shape: tuple[int, int, int] | None = None
    classes: list[str] | None = None
    framing: Framing = Framing()
    framing_known: bool = False
    source: str | None = None

    @classmethod
    def of(cls, dataset: data.ArrayDataset, source: str) -> TrainedOn:
        channels, rows, columns = dataset.images.shape[1:]
        framing = Framing.of(dataset.images, dataset.fit)
        return cls((channels, rows, columns), dataset.classes, framing, True, source)

    @property
    def background(self) -> float:
        """The brightness around the images: black where they have no common one."""
        return self.framing.value_range[0] if self.framing.background is None else self.framing.background


def save_model(model: nn.Module, path: Path, trained_on: TrainedOn, about: Mapping[str, Any]) -> None:
    """Write a model that `load_model` reads; `about` is kept beside it."""
    metadata = {
        "input_shape": trained_on.input_shape,
        "classes": trained_on.classes,
        "framing": trained_on.framing.to_dict(),
        "data": trained_on.source and _seen_from(path.parent, trained_on.source),
    }
    nn.save(model, path, {**metadata, **about})


def load_model(path: Path) -> tuple[nn.Module, TrainedOn]:
    """A model and what its file says about the images, also where `fastconv.save` wrote it and it says nothing.

    Raises
    ------
    ValueError
        If the file is damaged, or what it says is not of its kind.
    """
    model, about = nn.load(path), nn.load_metadata(path)
    shape, classes, source = (about.get(name) for name in ("input_shape", "classes", "data"))
    if not (shape is None or (_is_list_of(int, shape) and len(shape) == 3 and min(shape) > 0)):
        raise ValueError(f"{path}: input_shape is {shape!r}, expected channels, rows, columns")
    if not (classes is None or (_is_list_of(str, classes) and classes)):
        raise ValueError(f"{path}: classes is {classes!r}, expected names")
    if not (source is None or isinstance(source, str)):
        raise ValueError(f"{path}: data is {source!r}, expected a name or a path")
    framing = _framing(path, shape, about)
    if shape is None and framing.size and framing.channels:
        shape = [framing.channels, *framing.size]
    if source not in (None, "digits"):
        source = _seen_from(Path(), os.path.join(path.parent, source))
    return model, TrainedOn(shape and tuple(shape), classes, framing, "framing" in about, source)


def probabilities(model: nn.Module, images: NDArray[np.float32], path: Path) -> NDArray[Any]:
    """What the model in a file thinks of images, (N, classes).

    Raises
    ------
    ValueError
        If that is not a number: what is made of it could not be told from an answer.
    """
    found = model.predict_proba(images)
    if wrong := int(np.count_nonzero(~np.isfinite(found).all(axis=-1))):
        raise ValueError(f"{path} gives no probabilities for {wrong} of {len(images)} images: "
                         "its weights or the images hold NaN, infinity or very large values")
    return found


def _framing(path: Path, shape: list[int] | None, about: Mapping[str, Any]) -> Framing:
    """What the file says; files of earlier versions say the background, and predict padded where it was known."""
    said = about.get("framing")
    if said is None:
        edge = about.get("background")
        if not (edge is None or isinstance(edge, (int, float))):
            raise ValueError(f"{path}: background is {edge!r}, expected a number")
        said = {} if edge is None else {"background": edge, "fit": "pad"}
    known = {"channels": shape[0], "size": shape[1:]} if shape and shape[0] in (1, 3) else {}
    try:
        return Framing.checked(**{**known, **said})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: framing is {said!r}: {error}") from error


def _seen_from(folder: Path, source: str) -> str:
    """The way from a folder to a data set: what moves together with the model is found again."""
    return source if source == "digits" else os.path.join(os.curdir, os.path.relpath(source, folder))


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
