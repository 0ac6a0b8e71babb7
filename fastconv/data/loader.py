"""`DataLoader`: a dataset in batches, shuffled and augmented in a way that a resumed training repeats exactly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data.augment import Augmentation
from fastconv.data.datasets import ArrayDataset
from fastconv.functional import checks
from fastconv.functional.foreign import shown

__all__ = ["DataLoader"]


class DataLoader:
    """Batches ``(x, y)`` of a dataset, one pass (epoch) for each iteration.

    The order of an epoch depends on `seed` and the number of the epoch alone, and the augmentation of a batch on these
    two and the number of the batch. So nothing but `epoch` needs to be remembered for a training to go on, on any
    machine, with the very batches it would have seen.

    Parameters
    ----------
    dataset : ArrayDataset or (images, labels)
        A pair of arrays is made an `ArrayDataset`.
    batch_size : int
        Images in a batch; the last one has what is left.
    shuffle : bool
        A new order for each epoch.
    seed : int
        Of the shuffling and the augmentation.
    augment : callable, optional
        ``augment(images, rng) -> images``, called for each batch: see `fastconv.data.RandomAffine`.
    drop_last : bool
        Leave out the last batch when it is not full.

    Attributes
    ----------
    epoch : int
        Number of the next epoch. It is counted up when a pass is over, not when it is broken off; it can be set.

    Raises
    ------
    ValueError, TypeError
        When an argument is not of its kind.

    Examples
    --------
    >>> from fastconv import data
    >>> loader = data.DataLoader(data.digits(), batch_size=64, shuffle=True, augment=data.RandomAffine())
    >>> len(loader)
    63
    >>> for x, y in loader:
    ...     pass
    >>> x.shape, x.dtype, y.shape, y.dtype
    ((32, 1, 28, 28), dtype('float32'), (32,), dtype('int64'))
    >>> loader.epoch
    1
    """

    def __init__(
        self,
        dataset: ArrayDataset | tuple[ArrayLike, ArrayLike],
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 0,
        augment: Augmentation | None = None,
        drop_last: bool = False,
    ) -> None:
        if isinstance(dataset, tuple) and len(dataset) == 2:
            dataset = ArrayDataset(*dataset)
        if not isinstance(dataset, ArrayDataset):
            raise TypeError(f"dataset must be an ArrayDataset or a pair (images, labels), got {type(dataset).__name__}")
        if augment is not None and not callable(augment):
            raise TypeError(f"augment must be callable as (images, rng) -> images or None, got {shown(augment)}")
        self.dataset = dataset
        self.batch_size: int = checks.integer(batch_size, "batch_size", 1, maximum=None)
        self.shuffle: bool = checks.flag(shuffle, "shuffle")
        self.seed: int = checks.integer(seed, "seed", 0, maximum=None)
        self.augment = augment
        self.drop_last: bool = checks.flag(drop_last, "drop_last")
        self._epoch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    @epoch.setter
    def epoch(self, value: int) -> None:
        self._epoch = checks.integer(value, "epoch", 0, maximum=None)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        epoch = self.epoch
        yield from self.batches(epoch)
        self.epoch = epoch + 1

    def batches(self, epoch: int, start: int = 0,
                step: int = 1) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """The batches of one epoch, from number `start` on: how a training that stopped within an epoch goes on.

        Parameters
        ----------
        epoch, start : int
            Numbers of the epoch and of the first batch, from 0. The attribute `epoch` is neither used nor changed.
        step : int
            From one batch to the next: of so many that share the batches, each takes its own.

        Yields
        ------
        x : ndarray
            (n, C, H, W) float32, C-contiguous, the caller's own: writing to it leaves the dataset as it is.
        y : ndarray
            (n,) int64.

        Examples
        --------
        >>> from fastconv import data
        >>> loader = data.DataLoader(data.digits("test"), batch_size=100, shuffle=True)
        >>> len(list(loader.batches(epoch=3, start=8)))
        2
        """
        epoch, start = checks.integer(epoch, "epoch", 0, maximum=None), checks.integer(start, "start", 0, maximum=None)
        return self._generate(epoch, start, checks.integer(step, "step", 1, maximum=None))

    def order(self, epoch: int) -> NDArray[np.int64]:
        """The numbers of the images in the order in which an epoch takes them."""
        epoch, count = checks.integer(epoch, "epoch", 0, maximum=None), len(self.dataset)
        return self._rng(epoch).permutation(count) if self.shuffle else np.arange(count)

    def part(self, chosen: NDArray[np.int64], *key: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Some images, by their numbers in the dataset, with their labels.

        Parameters
        ----------
        chosen : array (n,), int64
            Such as some of `order`.
        *key : int
            The augmentation depends on `seed` and these numbers alone; a batch has those of its epoch and its own.

        Examples
        --------
        Half of a batch:

        >>> from fastconv import data
        >>> loader = data.DataLoader(data.digits("test"), batch_size=100, shuffle=True)
        >>> x, y = loader.part(loader.order(epoch=3)[:50], 3, 0, 0)
        >>> x.shape, y.shape
        ((50, 1, 28, 28), (50,))
        """
        shape = (len(chosen), *self.dataset.images.shape[1:])
        x: NDArray[Any] = self.dataset.images[chosen]
        if self.augment is not None:
            x = np.ascontiguousarray(self.augment(x, self._rng(*key)), np.float32)
            if x.shape != shape:
                raise ValueError(f"augment must keep the shape {shape}, got {x.shape}")
        return x, self.dataset.labels[chosen]

    def _generate(self, epoch: int, start: int,
                  step: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        order = self.order(epoch)
        for batch in range(start, len(self), step):
            yield self.part(order[batch * self.batch_size : (batch + 1) * self.batch_size], epoch, batch)

    def _rng(self, *key: int) -> np.random.Generator:
        """The generator of an epoch's order ``(epoch,)``, or of the augmentation of a batch ``(epoch, batch)`` or of a
        piece of it ``(epoch, batch, piece)``."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))

    def state_dict(self) -> dict[str, int]:
        """What a checkpoint needs to go on from here: ``{"seed": ..., "epoch": ...}``."""
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from what `state_dict` gave.

        Raises
        ------
        ValueError, TypeError
            When `state` has other keys, or values that are not counts; nothing is changed then.
        """
        if set(state) != {"seed", "epoch"}:
            raise ValueError(f"state must have the keys 'seed' and 'epoch', got {sorted(state)}")
        seed, epoch = (
            checks.integer(state["seed"], "seed", 0, maximum=None),
            checks.integer(state["epoch"], "epoch", 0, maximum=None),
        )
        self.seed, self.epoch = seed, epoch
