"""The gradient of a batch, computed by several ranks, piece by piece: the same bits on any number of them.

A piece of a batch is what a batch is without ranks: the model runs forward and back on its images, normalised by their
own statistics, with random numbers that depend on the epoch, the batch and the piece alone. What is added up over the
pieces, gradients and what each of them adds to running statistics, goes through `buckets`.
"""

from __future__ import annotations

import copy
import math
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.data import DataLoader
from fastconv.nn.loss import Loss
from fastconv.nn.module import Module
from fastconv.nn.parameter import Parameter, telling
from fastconv.nn.synchronised import synchronised
from fastconv.training.buckets import Buckets
from fastconv.training.cut import Cut
from fastconv.training.lockstep import Lockstep
from fastconv.training.ranks import AGREED, Ranks
from fastconv.training.run import Parts, generators_of
from fastconv.training.scores import hits


@dataclass(frozen=True)
class Outcome:
    """What a batch gave; it is the same on all ranks.

    Attributes
    ----------
    loss : float
    images, right, judged : int
        How many there are, how many labels are right, and of how many.
    counts : bool
        Whether there is something to learn from it: by the weights of its images there may be nothing.
    interrupted : bool
        Whether one of the ranks is to stop.
    """

    loss: float
    images: int
    right: int
    judged: int
    counts: bool
    interrupted: bool


class Together:
    """What several ranks need for the steps of a run.

    Parameters
    ----------
    parts : Parts
    ranks : Ranks
    loader : DataLoader
    weights : array (N,), optional
        Of the images.
    """

    def __init__(self, parts: Parts, ranks: Ranks, loader: DataLoader, weights: NDArray[np.float64] | None) -> None:
        self.parts, self.ranks, self.loader, self.weights = parts, ranks, loader, weights
        self._own = _View(parts.model, parts.optimizer.params)
        params = self._own.params
        arrays = {index: params[index].data for index in [*reversed(self._own.early.values()), *self._own.late]}
        self._comms = [ranks.comm.Dup() for _ in range(4)]
        self._buckets = Buckets({**_changes(self._own.state()), **arrays}, *self._comms[:2])
        self._lockstep: Lockstep | None = None
        if parts.sync_batch_norm:
            most = -(-parts.pieces // ranks.size)
            self._lockstep = Lockstep(most, self._comms[3])
            self._views = [self._own.copy() for _ in range(most)]

    def __enter__(self) -> Together:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        if self._lockstep is not None:
            self._lockstep.close()
        if kind is None or issubclass(kind, AGREED):
            for comm in self._comms:
                comm.Free()

    def gradient(self, epoch: int, batch: int, order: NDArray[np.int64], interrupted: bool) -> Outcome:
        """Leaves the gradient of a batch in the parameters, and the running statistics after it in the model.

        Parameters
        ----------
        epoch, batch : int
        order : array
            In which the epoch takes the images.
        interrupted : bool
            Whether this rank is to stop, which the others have to know.
        """
        rank, size = self.ranks.rank, self.ranks.size
        chosen = order[batch * self.loader.batch_size : (batch + 1) * self.loader.batch_size]
        weights = None if self.weights is None else self.weights[chosen]
        cut = Cut(len(chosen), self.parts.pieces)
        step = _Step((epoch, batch), cut, chosen, weights,
                     self._shares(cut, self.loader.dataset.labels[chosen], weights), self._own.state())
        counts = [len(cut.pieces_of(other, size)) for other in range(size)]
        notes = np.zeros(size, self._kind_of_notes(max(counts)))
        own = notes[rank : rank + 1]
        self._buckets.begin(cut)
        if self._lockstep is None:
            for row, piece in enumerate(cut.pieces_of(rank, size)):
                self._piece(step, piece, self._own, own["given"][0], own["figures"][0, row])
        else:
            self._side_by_side(self._lockstep, step, counts, own)
        own["stop"] = interrupted
        self._comms[2].Allgather(own.view(np.uint8).copy(), notes.view(np.uint8))
        self._take(self._buckets.finish(), step.before, np.any(notes["given"], axis=0))
        figures = np.concatenate([some[:count] for some, count in zip(notes["figures"], counts)])
        learns = any(step.shares)
        loss = sum(share * figure for share, figure in zip(step.shares, figures[:, 0].tolist()) if share)
        return Outcome(loss if learns or weights is not None else math.nan, len(chosen), int(figures[:, 1].sum()),
                       int(figures[:, 2].sum()), learns, bool(notes["stop"].any()))

    def end_epoch(self, interrupted: bool) -> None:
        """That an epoch is over: all ranks must have the same weights, and none of them be interrupted."""
        weights = 0
        for parameter in self.parts.optimizer.params:
            weights = zlib.crc32(np.ascontiguousarray(parameter.data).reshape(-1).view(np.uint8).data, weights)
        self.ranks.check_equal(weights)
        if any(self.ranks.comm.allgather(interrupted)):
            raise KeyboardInterrupt

    def _kind_of_notes(self, pieces: int) -> np.dtype[Any]:
        """What a rank tells the others of a batch: whether it is to stop, which parameters were given a gradient, and
        of each piece the loss, how many labels are right, and of how many."""
        return np.dtype([("stop", "?"), ("given", "?", (len(self.parts.optimizer.params),)),
                         ("figures", "f8", (pieces, 3))])

    def _shares(self, cut: Cut, labels: NDArray[Any], weights: NDArray[np.float64] | None) -> list[float]:
        """What each piece counts for in the loss of the batch."""
        loss, shares = self.parts.loss, []
        for piece in range(cut.count):
            some = cut.images_of(piece)
            shares.append(loss.counted(labels[some], None if weights is None else weights[some])
                          if isinstance(loss, Loss) else float(some.stop - some.start))
        if getattr(loss, "reduction", "mean") == "sum":
            return shares
        total = math.fsum(shares)
        return [share / total for share in shares] if total else shares

    def _side_by_side(self, lockstep: Lockstep, step: _Step, counts: list[int], own: Any) -> None:
        """All pieces of this rank at once. A rank without one goes along with the first piece, for nothing."""
        run = step.cut.pieces_of(self.ranks.rank, self.ranks.size)
        if run:
            works = [partial(self._piece, step, piece, view, own["given"][0], own["figures"][0, row])
                     for row, (piece, view) in enumerate(zip(run, self._views))]
        else:
            works = [partial(self._piece, step, 0, self._views[0], None, None)]
        with synchronised(lockstep.meet):
            lockstep.run(works, counts)

    def _piece(self, step: _Step, piece: int, view: _View, given: Any, figures: Any) -> None:
        """A piece, forward and back: its gradients go to the buckets, which parameters have one and what it gave to
        the notes; or to nobody, where there are no notes."""
        put = self._buckets.put if given is not None else _to_nobody
        some, share, loss = step.cut.images_of(piece), step.shares[piece], self.parts.loss
        x, y = self.loader.part(step.chosen[some], *step.key, piece)
        view.set_state(step.before)
        with view.seeded((*step.key, piece)):
            output = view.model(x)
        for name, change in _changes(view.state(), step.before, share, piece == 0).items():
            put(name, piece, change)
        for parameter in view.params:
            parameter.grad = None
        value, grad = 0.0, np.zeros_like(output)
        if share:
            value = float(loss(output, y, *(() if step.weights is None else (step.weights[some],))))
            grad = loss.backward()
            grad = grad * grad.dtype.type(share)
        late = {*view.late}
        missing = {*view.early.values(), *late}

        def take(index: int, share: float = 1.0) -> None:
            array = view.params[index].grad
            if given is not None:
                given[index] |= array is not None
            if array is not None and index in late:  # its layer may be anybody's, and go on to use the array
                array = array * array.dtype.type(share)
            elif array is not None:
                array.flags.writeable = False  # what is done to a gradient that has left would be lost
            put(index, piece, array)
            missing.discard(index)

        def told(parameter: Parameter) -> None:
            if (index := view.early.get(id(parameter))) is not None:
                take(index)

        for index in view.beside:  # of the loss: what another piece does next must not come between
            take(index, share)
        with telling(told):
            view.model.backward(grad, needs_input_grad=False)
        for index in sorted(missing):
            take(index)
        if figures is not None:
            figures[:] = value, *hits(output, y, loss)

    def _take(self, sums: dict[Any, NDArray[Any]], before: dict[str, NDArray[Any]], given: Any) -> None:
        """The sums over all pieces, as gradients and as state."""
        for index, parameter in enumerate(self.parts.optimizer.params):
            parameter.grad = sums[index] if given[index] else None
        self._own.set_state({name: array + sums[name] for name, array in before.items()})


@dataclass(frozen=True)
class _Step:
    """A batch: its epoch and number, its pieces, its images and their weights, what the pieces count for, and the
    model's buffers before it."""

    key: tuple[int, int]
    cut: Cut
    chosen: NDArray[np.int64]
    weights: NDArray[np.float64] | None
    shares: list[float]
    before: dict[str, NDArray[Any]]


class _View:
    """A model, or a copy of it, and the parameters that an optimiser has of it and beside it, in its order.

    What is in the model is found once, and not in every piece.
    """

    def __init__(self, model: Module, params: list[Any]) -> None:
        self.model, self.params = model, params
        self._buffers = {f"{path}.{name}": (module, name)
                         for path, module in model.named_modules() for name in module._buffer_names}
        self._bits = [generator.bit_generator for generator in generators_of(model).values()]
        complete = _complete_at_once(model)
        own = {id(parameter) for parameter in model.parameters()}
        #: The places of those that may leave while the backward pass goes on, by identity; and of the others.
        self.early = {id(param): index for index, param in enumerate(params) if id(param) in complete}
        self.late = [index for index, param in enumerate(params) if id(param) not in complete]
        self.beside = [index for index in self.late if id(params[index]) not in own]

    def copy(self) -> _View:
        """Another model with the arrays of the same parameters."""
        shared = {id(param.data): param.data for param in self.model.parameters()}
        model = copy.deepcopy(self.model, shared).train()
        copies = dict(zip(map(id, self.model.parameters()), model.parameters()))
        return _View(model, [copies.get(id(param), param) for param in self.params])

    def state(self) -> dict[str, NDArray[Any]]:
        """Copies of the buffers."""
        return {key: getattr(module, name).copy() for key, (module, name) in self._buffers.items()}

    def set_state(self, state: dict[str, NDArray[Any]]) -> None:
        for key, (module, name) in self._buffers.items():
            getattr(module, name)[...] = state[key]

    @contextmanager
    def seeded(self, key: tuple[int, ...]) -> Iterator[None]:
        """Inside, the random generators of the model are in states that theirs and the key determine."""
        states = [one.state for one in self._bits]
        for index, one in enumerate(self._bits):
            base = np.random.Generator(copy.deepcopy(one)).integers(2**63, size=2).tolist()
            one.state = type(one)(np.random.SeedSequence(base, spawn_key=(*key, index))).state
        try:
            yield
        finally:
            for one, state in zip(self._bits, states):
                one.state = state


def _to_nobody(key: Any, piece: int, array: Any) -> None:
    """Where the arrays of a piece go that is not this rank's."""


def _changes(state: dict[str, NDArray[Any]], before: dict[str, NDArray[Any]] | None = None, share: float = 1.0,
             first: bool = True) -> dict[str, NDArray[Any]]:
    """What a piece adds to the buffers: to numbers its share of their change; to counts and truth values, on which the
    pieces agree, the first piece all of it."""
    changes = {}
    for name, array in state.items():
        numbers = array.dtype.kind == "f"
        change = np.zeros(array.shape, array.dtype if numbers else np.float64)
        if before is not None and (numbers or first):
            np.subtract(array, before[name], out=change, dtype=change.dtype)
            change *= change.dtype.type(share if numbers else 1.0)
        changes[name] = change
    return changes


def _complete_at_once(model: Module) -> set[int]:
    """The parameters, by identity, that a backward pass gives one gradient, which is all of it: those of one layer of
    fastconv's own."""
    holders: Counter[int] = Counter()
    known = set()
    for _, module in model.named_modules():
        inside = [id(value) for value in vars(module).values() if isinstance(value, Parameter)]
        holders.update(inside)
        if type(module).__module__.startswith("fastconv.nn.") and "backward" not in vars(module):
            known.update(inside)
    return {one for one in known if holders[one] == 1}
