"""The trainer: the steps of a run, epoch by epoch."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data import Augmentation, DataLoader, DataWarning, TargetDataset
from fastconv.data.datasets import as_float32
from fastconv.data.doubts import check_finite, doubts
from fastconv.functional import checks
from fastconv.functional.foreign import read, shown
from fastconv.nn.loss import Loss
from fastconv.nn.module import Module
from fastconv.nn.parts import check_parts, warn_of_probabilities
from fastconv.optim import Optimizer, Schedule, clip_grad_norm_
from fastconv.optim.ranges import above_zero
from fastconv.training import checkpoint as checkpoints
from fastconv.training.alone import alone
from fastconv.training.datasets import check_datasets, dataset_of, pair_kind
from fastconv.training.diverged import DivergedError
from fastconv.training.history import History
from fastconv.training.interrupt import Gate, gated, uninterrupted
from fastconv.training.job import Job, begin as begin_job
from fastconv.training.ranks import Ranks
from fastconv.training.rates import RateSearch, find_rate
from fastconv.training.run import Run, prepare, state_of
from fastconv.training.scores import hits
from fastconv.training.stopping import LOWER_IS_BETTER, EarlyStopping
from fastconv.training.together import Together


class Trainer:
    """Trains a model: a classifier, or with a loss of numbers a regression, or with maps for labels a segmentation.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
        Of the model's parameters.
    loss : a loss of `fastconv.nn`
        Or anything with ``loss(output, labels) -> mean over the batch`` and ``loss.backward() -> grad_output``.
    schedule : Schedule, optional
        Of the optimiser's learning rate; stepped after each epoch or batch, as its `interval` says.
    clip_grad_norm : float, optional
        The norm of the gradients of all the optimiser's parameters is held to this before each step: see
        `fastconv.optim.clip_grad_norm_`. A norm that is not finite ends the training as a loss that is not does.
    comm : mpi4py.MPI.Intracomm, optional
        The ranks that train together, such as ``MPI.COMM_WORLD``; each of them makes the same trainer and calls the
        same methods. Every batch is cut into pieces, each rank computes some of them, and the model ends with the same
        bits on any number of ranks. Rank 0 alone reports and writes checkpoints. See ``docs/scale.md``.
    pieces : int
        How many pieces of a batch there are, with `comm`; more ranks than that have nothing to do.
    sync_batch_norm : bool
        Whether, with `comm`, batch normalisation takes the statistics of the whole batch, for which the ranks exchange
        them in each such layer. Otherwise those of a piece, and running ones follow the mean over the pieces.

    Raises
    ------
    TypeError
        If an argument is not of its kind, as a `comm` that is not mpi4py's.
    ValueError
        If the optimiser has parameters that are not the model's (nor the loss's), or the loss takes log-probabilities
        and the model returns something else.

    Examples
    --------
    >>> import fastconv as fc
    >>> from fastconv import data, nn, optim
    >>> model = nn.models.lenet5(rng=0)
    >>> trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05, momentum=0.9), loss=nn.NLLLoss())
    >>> history = trainer.fit(data.digits(), epochs=1, batch_size=64, progress=False)
    >>> trainer.evaluate(data.digits("test"))["accuracy"] > 0.8
    True
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        loss: Loss | Any,
        schedule: Schedule | None = None,
        *,
        clip_grad_norm: float | None = None,
        comm: Any = None,
        pieces: int = 8,
        sync_batch_norm: bool = False,
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"model must be a fastconv.nn module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a fastconv.optim optimizer, got {type(optimizer).__name__}")
        if isinstance(loss, type) or not (callable(loss) and hasattr(loss, "backward")):
            raise TypeError(f"loss must be a loss such as nn.NLLLoss(), got {shown(loss)}")
        if schedule is not None and not isinstance(schedule, Schedule):
            raise TypeError(f"schedule must be a fastconv.optim schedule or None, got {type(schedule).__name__}")
        if schedule is not None and schedule.optimizer is not optimizer:
            raise ValueError("schedule must be of the same optimizer that the trainer gets, it is of another")
        if clip_grad_norm is not None:
            clip_grad_norm = above_zero(clip_grad_norm, "clip_grad_norm")
        check_parts(model, optimizer, loss)
        warn_of_probabilities(model, loss)
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.schedule = schedule
        self.clip_grad_norm = clip_grad_norm
        self.pieces = checks.integer(pieces, "pieces", 1)
        self.sync_batch_norm = checks.flag(sync_batch_norm, "sync_batch_norm")
        self.ranks = None if comm is None else Ranks(comm)

    def fit(
        self,
        train_set: Any,
        epochs: int,
        batch_size: int = 64,
        *,
        validation: Any = None,
        sample_weight: ArrayLike | None = None,
        augment: Augmentation | None = None,
        seed: int = 0,
        progress: bool = True,
        early_stopping: EarlyStopping | int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> History:
        """Train for a number of epochs; the model is left in evaluation mode.

        Parameters
        ----------
        train_set : dataset or (images, labels)
            See `fastconv.data`. For a loss of numbers, such as `fastconv.nn.MSELoss`, (images, targets) with targets in
            the shape of the model's outputs; for outputs (N, classes, H, W), labels (N, H, W).
        epochs : int
            Of the whole run, those before a checkpoint included.
        batch_size : int
        validation : dataset or (images, labels), optional
            Evaluated after each epoch.
        sample_weight : array (N,), optional
            How much each image of `train_set` counts in the loss of its batch, which is the mean by these weights; with
            the losses of `fastconv.nn`.
        augment : callable, optional
            ``augment(images, rng) -> images`` for each batch, see `fastconv.data`.
        seed : int
            Of the order of the images, and the augmentation.
        progress : bool
            Whether to report on stderr: a line after each epoch, and a bar within it if tqdm is installed and stderr is
            a terminal.
        early_stopping : EarlyStopping or int, optional
            An integer is the patience.
        checkpoint : path, optional
            A ``.npz`` file that is written after each epoch, while the next one goes on, and on Ctrl-C (which is then
            raised as usual).
        resume : bool
            Continue the run in the file `checkpoint`; the result has the same bits as if there had been
            no interruption. Model, optimizer, schedule, loss, data, augmentation, validation, early stopping, batch
            size and seed must be made as they were then: the file knows their settings, and a checksum of the data.
            Of functions and classes of one's own it knows code, closures, defaults, globals that are read, private
            attributes and arrays too; so the same version of Python is needed where there are such. What cannot be
            compared (an iterator, an open file, a lock, a random generator outside the model's layers, whose state is
            not kept) is refused by name, unless its class leaves it out by ``__getstate__``. What changes from step to
            step in objects of one's own is only kept where it is a parameter, a buffer or a generator of a module.
            What may differ is the number of threads, and `epochs`: a run goes on for more epochs without a schedule,
            or with one that is made as it was (`StepLR`, and `CosineAnnealingLR` with the same `T_max`, but no
            `OneCycleLR`, which has an end).

        Returns
        -------
        History

        Warns
        -----
        fastconv.data.DataWarning
            If images or labels look wrong, as images of 0 to 255 do; with the expression that mends it.

        Raises
        ------
        TypeError, ValueError
            If an argument, or the checkpoint, does not fit, the optimizer has parameters that a layer of the model had
            before it was replaced, images are not finite, those of `validation` have another shape, a label is not
            below the number of the model's outputs, or the schedule ends before the run:
            nothing has changed then, neither the model nor the optimizer nor the schedule nor a generator.
        DivergedError
            If the loss or a parameter is no longer finite (a `FloatingPointError`): the model is as the last good epoch
            left it, and so is the checkpoint.
        KeyboardInterrupt
            On Ctrl-C: never within a step, so that the model is as some step left it.
        """
        begin = partial(begin_job, self, train_set, epochs, batch_size, validation, sample_weight, augment, seed,
                        progress, early_stopping, checkpoint, resume)
        if self.ranks is None:
            job = begin()
            _warn(job)
            job.load()
            return self._run(job)
        with gated() as gate, gate, self.ranks.threads():  # Ctrl-C is for all ranks, when they have agreed on it
            job = self.ranks.agree(begin)
            if self.ranks.leads:
                _warn(job)
            self.ranks.check_alike(job.settings | {"epochs": job.epochs})
            with self.ranks.guarded():
                job.load()
                self._follow(job)
                with Together(self, self.ranks, job.loader, job.weights) as together:
                    return self._run(job, together, gate)

    def _follow(self, job: Job) -> None:
        """Take the run and its state from rank 0: the others may have begun with other weights, or without a file."""
        assert self.ranks is not None
        state = self.ranks.comm.bcast(state_of(self, job.run) if self.ranks.leads else None)
        places = self.ranks.places()
        if not self.ranks.leads:
            job.run, load = prepare(self, state, len(job.loader))
            load()
        elif job.report:
            job.report.ranks(places)

    def _run(self, job: Job, together: Together | None = None, gate: Gate | None = None) -> History:
        """The epochs that are left."""
        run, writer = job.run, checkpoints.Writer(job.path, job.settings, job.epochs)
        good = copy.deepcopy(state_of(self, run))
        try:
            while run.epoch < job.epochs and not run.stopped:
                if together is None or gate is None:
                    self._train_epoch(run, job)
                else:
                    self._train_epoch_together(run, job, together, gate)
                start = time.perf_counter()
                scores = self.evaluate(job.validator.dataset) if job.validator is not None else {}
                run.seconds += time.perf_counter() - start
                with uninterrupted():
                    self._end_epoch(run, scores, job.stopping)
                    good = copy.deepcopy(state_of(self, run))
                    writer.begin(good)
                if job.report:
                    job.report.line(run.history)
                if together is not None and gate is not None:
                    together.end_epoch(gate.waiting)
        except KeyboardInterrupt:
            with uninterrupted():
                writer.begin(state_of(self, run))
            raise
        except DivergedError:
            with uninterrupted():
                run, load = prepare(self, good, len(job.loader))
                load()
                self._finish(run)
            raise
        finally:
            with uninterrupted():
                writer.wait()
        self._finish(run)
        return run.history

    def evaluate(self, dataset: Any, batch_size: int = 256) -> dict[str, float]:
        """Mean loss and accuracy over a dataset or a pair (images, labels), in evaluation mode.

        Returns
        -------
        dict
            ``{"loss": float, "accuracy": float}``; the accuracy of maps is that of their pixels, and there is none
            where the targets are numbers.
        """
        if isinstance(dataset, tuple) and len(dataset) == 2 and pair_kind(self.loss, dataset[1]) is TargetDataset:
            dataset = TargetDataset(*dataset)
        loader = DataLoader(dataset, batch_size)
        if not len(loader):
            raise ValueError("dataset must hold at least one image")
        found: list[tuple[float, int, int, int]] = []
        batches = loader.batches(0, *((self.ranks.rank, self.ranks.size) if self.ranks else ()))
        shared = [self, self.optimizer, self.schedule, *(module for _, module in self.model.named_modules())]

        def judge() -> None:
            with self.model.evaluating(), alone(self.loss, shared) as loss_of:
                for x, y in batches:
                    output = self.model(x)
                    found.append((float(loss_of(output, y)) * len(y), *hits(output, y, self.loss), len(y)))

        if self.ranks:
            self.ranks.agree(judge)
            found = self.ranks.in_turn(found)
        else:
            judge()
        loss, correct, judged, images = map(sum, zip(*found))
        return {"loss": loss / images, **({"accuracy": correct / judged} if judged else {})}

    def predict(self, x: ArrayLike, batch_size: int = 256) -> NDArray[np.int64]:
        """The class of each image, (N,): see `Module.predict`; uint8 is divided by 255, as in training."""
        return self.model.predict(as_float32(read(x, "x"), "x"), batch_size)

    def lr_find(self, train_set: Any, *, lowest: float = 1e-6, highest: float = 10.0, steps: int = 100,
                batch_size: int = 64, augment: Augmentation | None = None, seed: int = 0) -> RateSearch:
        """Try learning rates: a short run in which the rate grows from step to step, until the loss runs away.

        Model, optimiser and generators are afterwards as they were before, and no schedule is stepped.

        Parameters
        ----------
        train_set, batch_size, augment, seed
            As for `fit`.
        lowest, highest : float
            The first rate, and the last; each is by the same factor above the one before.
        steps : int
            At least 3.

        Returns
        -------
        RateSearch
            ``search.suggestion`` is the rate at which the loss falls fastest, ``search.plot()`` draws the curve.

        Raises
        ------
        TypeError, ValueError
            If an argument does not fit, as for `fit`.

        Notes
        -----
        Source: L. N. Smith, "Cyclical learning rates for training neural networks", 2017.

        Examples
        --------
        >>> import fastconv as fc
        >>> from fastconv import data, nn, optim
        >>> model = nn.models.lenet5(rng=0)
        >>> trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05), loss=nn.NLLLoss())
        >>> search = trainer.lr_find(data.digits(), steps=60)
        >>> 1e-4 < search.suggestion < 1
        True
        """
        loader = DataLoader(dataset_of(train_set, "train_set", self.loss), batch_size, shuffle=True, seed=seed,
                            augment=augment)
        if not len(loader):
            raise ValueError("train_set must hold at least one image")
        check_finite(loader.dataset, "train_set")
        check_datasets(self.model, self.loss, loader.dataset, None)
        return find_rate(self, loader, lowest, highest, steps)

    def _train_epoch(self, run: Run, job: Job) -> None:
        """The batches of the present epoch that are not done yet."""
        loader, weights = job.loader, job.weights
        order = None if weights is None else loader.order(run.epoch)
        batches: Iterable[Any] = loader.batches(run.epoch, run.batch)
        if job.report:
            batches = job.report.bar(batches, run.epoch, run.batch, len(loader))
        self.model.train()
        start, before = time.perf_counter(), run.seconds
        # A loss that is not finite is an error of its own.
        with gated() as gate, np.errstate(over="ignore", invalid="ignore"):
            for x, y in batches:
                first = run.batch * loader.batch_size
                some = () if order is None else (weights[order[first : first + len(y)]],)  # type: ignore[index]
                with gate:
                    self._step(run, x, y, *some)
                    run.seconds = before + time.perf_counter() - start

    def _train_epoch_together(self, run: Run, job: Job, together: Together, gate: Gate) -> None:
        """The same with other ranks, who have to know of a Ctrl-C before they stop."""
        batches: Iterable[int] = range(run.batch, len(job.loader))
        if job.report:
            batches = job.report.bar(batches, run.epoch, run.batch, len(job.loader))
        order = job.loader.order(run.epoch)
        self.model.train()
        start, before = time.perf_counter(), run.seconds
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in batches:
                outcome = together.gradient(run.epoch, batch, order, gate.waiting)
                if outcome.counts or not math.isfinite(outcome.loss):
                    self._update(run, outcome.loss)
                self._count(run, outcome.loss, outcome.images, outcome.right, outcome.judged)
                run.seconds = before + time.perf_counter() - start
                if outcome.interrupted:
                    raise KeyboardInterrupt

    def _step(self, run: Run, x: NDArray[Any], y: NDArray[Any], weights: NDArray[np.float64] | None = None) -> None:
        self.optimizer.zero_grad()
        output = self.model(x)
        if weights is not None and not weights.any():  # a batch that counts for nothing teaches nothing
            self._count(run, 0.0, len(y), *hits(output, y, self.loss))
            return
        value = float(self.loss(output, y) if weights is None else self.loss(output, y, weights))
        if math.isfinite(value):
            self.model.backward(self.loss.backward(), needs_input_grad=False)
        self._update(run, value)
        self._count(run, value, len(y), *hits(output, y, self.loss))

    def _update(self, run: Run, value: float) -> None:
        """One step of the optimiser, after a look at the loss and the gradients that it goes along."""
        if not math.isfinite(value):
            raise _diverged(run, f"the loss of batch {run.batch + 1} is {value}")
        if self.clip_grad_norm is not None:
            norm = clip_grad_norm_(self.optimizer.params, self.clip_grad_norm)
            if not math.isfinite(norm):
                raise _diverged(run, f"the norm of the gradients of batch {run.batch + 1} is {norm}")
        self.optimizer.step()

    def _count(self, run: Run, value: float, images: int, right: int, judged: int) -> None:
        """That a batch is done."""
        run.batch, run.images, run.loss = run.batch + 1, run.images + images, run.loss + value * images
        run.correct, run.judged = run.correct + right, run.judged + judged
        run.lr = self.optimizer.lr
        self._schedule_step("batch")

    def _end_epoch(self, run: Run, scores: dict[str, float], stopping: EarlyStopping | None) -> None:
        """Write the epoch into the history, decide whether to stop, and start the next."""
        if not math.isfinite(scores.get("loss", 0.0)):
            raise _diverged(run, f"the loss of the validation is {scores['loss']}")
        for index, parameter in enumerate(self.optimizer.params):
            if not np.isfinite(parameter.data).all():
                raise _diverged(run, f"parameter {parameter.name or index} is not finite")
            for name in self.optimizer.buffers:
                if not np.isfinite(self.optimizer.state[index].get(name, 0.0)).all():
                    raise _diverged(run, f"the optimizer's {name} of parameter {parameter.name or index} is not finite")
        run.history.append(
            epoch=run.epoch + 1,
            train_loss=run.loss / run.images,
            train_accuracy=run.correct / run.judged if run.judged else None,
            validation_loss=scores.get("loss"),
            validation_accuracy=scores.get("accuracy"),
            lr=run.lr,
            seconds=run.seconds,
        )
        if stopping:
            value = getattr(run.history, stopping.monitor)[-1]
            value = value if LOWER_IS_BETTER[stopping.monitor] else -value
            if value < run.best - stopping.min_delta:
                run.best, run.epochs_without_best = value, 0
                if stopping.restore_best:
                    run.best_weights = copy.deepcopy(self.model.state_dict())
            else:
                run.epochs_without_best += 1
                run.stopped = run.epochs_without_best >= stopping.patience
        run.epoch += 1
        run.batch = run.images = run.correct = run.judged = 0
        run.loss = run.seconds = 0.0
        self._schedule_step("epoch")

    def _finish(self, run: Run) -> None:
        """The model as a run leaves it."""
        if run.best_weights is not None:
            self.model.load_state_dict(run.best_weights)
        self.model.eval()

    def _schedule_step(self, interval: str) -> None:
        if self.schedule is not None and self.schedule.interval == interval:
            self.schedule.step()


def _warn(job: Job) -> None:
    """Of images or labels that look wrong, in the name of who has called `fit`."""
    for doubt in doubts(job.loader.dataset):
        warnings.warn(doubt, DataWarning, stacklevel=3)


def _diverged(run: Run, what: str) -> DivergedError:
    return DivergedError(f"the training diverged in epoch {run.epoch + 1}, {what}: try a lower learning rate, "
                         "and see that images are about 0 to 1", run.history)
