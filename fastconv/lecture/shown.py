"""The images that a page trains on and those that it shows: the bundled digits, or somebody's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastconv import data
from fastconv.data.framing import Framing

__all__ = ["Shown"]


@dataclass(frozen=True, eq=False)
class Shown:
    """Two data sets.

    Attributes
    ----------
    train, test : ArrayDataset
    own : bool
        Whether they are somebody's own, which are as the model takes them.
    reading : str
        A line of Python that makes them, as ``train`` and ``test``.
    """

    train: data.ArrayDataset
    test: data.ArrayDataset
    own: bool
    reading: str

    @classmethod
    def of(cls, datasets: Any, reading: str | None) -> Shown:
        """Of what a user gives, None for the bundled digits.

        Raises
        ------
        TypeError, ValueError
            If they are no two data sets with images.
        """
        if datasets is None:
            return cls(data.digits(), data.digits("test"), False, 'train, test = data.digits(), data.digits("test")')
        if not (isinstance(datasets, (tuple, list)) and len(datasets) == 2
                and all(isinstance(one, data.ArrayDataset) for one in datasets)):
            raise TypeError("datasets must be two ArrayDatasets, to train on and to test on, such as "
                            f'(data.load("pets"), data.load("pets", "test")), got {datasets!r}')
        train, test = datasets
        for name, dataset in (("train on", train), ("test on", test)):
            if not len(dataset) or dataset.images.shape[1:] != train.images.shape[1:]:
                raise ValueError(f"datasets must have images of one shape to {name}, got {dataset!r} beside {train!r}")
        return cls(train, test, True, reading or "train, test = ...  # the datasets that were given to fc.lecture")

    @property
    def framing(self) -> Framing:
        """How a picture becomes an image like these."""
        return Framing.of(self.train.images, self.train.fit)
