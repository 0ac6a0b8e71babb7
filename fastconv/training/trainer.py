"""The trainer: the steps of a run, epoch by epoch."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data import Augmentation, DataLoader, DataWarning, TargetDataset
from fastconv.data.datasets import as_float32
from fastconv.data.doubts import check_finite, doubts
from fastconv.functional import checks
from fastconv.functional.foreign import read
from fastconv.functional.loss import IGNORED
from fastconv.nn.loss import Loss, sample_weights
from fastconv.nn.module import Module
from fastconv.nn.parts import check_parts, warn_of_probabilities
from fastconv.optim import Optimizer, Schedule, clip_grad_norm_
from fastconv.optim.ranges import above_zero
from fastconv.training import checkpoint as checkpoints
from fastconv.training.alone import alone
from fastconv.training.datasets import check_datasets, dataset_of, pair_kind
from fastconv.training.history import History
from fastconv.training.interrupt import gated, uninterrupted
from fastconv.training.progress import Progress
from fastconv.training.rates import RateSearch, find_rate
from fastconv.training.run import Run, prepare, state_of
from fastconv.training.settings import settings_of
from fastconv.training.stopping import LOWER_IS_BETTER, EarlyStopping, early_stopping as stopping_of


class DivergedError(FloatingPointError):
    """The loss or a parameter became infinite or not a number.

    Attributes
    ----------
    history : History
        The epochs before. Model, optimiser, schedule and generators are as they were after the last of them (as before
        `Trainer.fit`, where there is none); with ``EarlyStopping(restore_best=True)`` the model has its best weights.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history


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

    Raises
    ------
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
    ) -> None:
        if not isinstance(model, Module):
            raise TypeError(f"model must be a fastconv.nn module, got {type(model).__name__}")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"optimizer must be a fastconv.optim optimizer, got {type(optimizer).__name__}")
        if isinstance(loss, type) or not (callable(loss) and hasattr(loss, "backward")):
            raise TypeError(f"loss must be a loss such as nn.NLLLoss(), got {loss!r}")
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
            A ``.npz`` file that is written after each epoch, and on Ctrl-C (which is then raised as usual).
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
        check_parts(self.model, self.optimizer, self.loss)  # a layer may have been replaced since the trainer was made
        epochs = checks.integer(epochs, "epochs", 0)
        checks.flag(progress, "progress")
        checks.flag(resume, "resume")
        loader = DataLoader(dataset_of(train_set, "train_set", self.loss), batch_size, shuffle=True, seed=seed,
                            augment=augment)
        if not len(loader):
            raise ValueError("train_set must hold at least one image")
        check_finite(loader.dataset, "train_set")
        validator = (None if validation is None
                     else DataLoader(dataset_of(validation, "validation", self.loss), batch_size))
        if validator is not None:
            if not len(validator):
                raise ValueError("validation must hold at least one image")
            check_finite(validator.dataset, "validation")
        stopping = stopping_of(early_stopping, validation is not None)
        if stopping and stopping.monitor.endswith("accuracy") and loader.dataset.labels.dtype.kind == "f":
            raise ValueError(f"early_stopping must not watch {stopping.monitor} where the targets are numbers: "
                             "write fc.EarlyStopping(monitor='validation_loss')")
        weights = None if sample_weight is None else self._checked_weights(sample_weight, len(loader.dataset))
        path = checkpoints.checkpoint_path(checkpoint, resume)
        settings = settings_of(self, loader, validator, stopping, weights) if path else {}
        for doubt in doubts(loader.dataset):
            warnings.warn(doubt, DataWarning, stacklevel=2)
        report = Progress(epochs) if progress else None
        run, before, load = Run(), 0, None
        if path and resume:
            self._check_schedule(epochs, len(loader), 0)
            run, before, load = checkpoints.resume(path, settings, epochs, self, len(loader))
        else:
            self._check_schedule(epochs, len(loader), self.schedule.steps if self.schedule else 0)
            prepare(self, state_of(self, run), len(loader))  # A run that diverges goes back to this.
        check_datasets(self.model, self.loss, loader.dataset, None if validator is None else validator.dataset)
        if path and load:
            load()
            if report:
                report.resumed(path, run.epoch, before)

        def save() -> None:
            if path:
                checkpoints.write(path, settings, epochs, state_of(self, run))

        good = copy.deepcopy(state_of(self, run))
        try:
            while run.epoch < epochs and not run.stopped:
                self._train_epoch(run, loader, report, weights)
                start = time.perf_counter()
                scores = self.evaluate(validator.dataset) if validator is not None else {}
                run.seconds += time.perf_counter() - start
                with uninterrupted():
                    self._end_epoch(run, scores, stopping)
                    save()
                    good = copy.deepcopy(state_of(self, run))
                if report:
                    report.line(run.history)
        except KeyboardInterrupt:
            with uninterrupted():
                save()
            raise
        except DivergedError:
            with uninterrupted():
                run, load = prepare(self, good, len(loader))
                load()
                self._finish(run)
            raise
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
        loss, correct, judged, images = 0.0, 0, 0, 0
        shared = [self, self.optimizer, self.schedule, *(module for _, module in self.model.named_modules())]
        with self.model.evaluating(), alone(self.loss, shared) as loss_of:
            for x, y in loader:
                output = self.model(x)
                loss += float(loss_of(output, y)) * len(y)
                right, looked_at = _hits(output, y, self.loss)
                correct, judged, images = correct + right, judged + looked_at, images + len(y)
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

    def _check_schedule(self, epochs: int, batches: int, done: int) -> None:
        """Whether the schedule has enough steps for the epochs, `done` of them gone."""
        schedule = self.schedule
        if schedule is None or schedule.total_steps is None:
            return
        wanted = epochs * (batches if schedule.interval == "batch" else 1)
        if done + wanted > schedule.total_steps:
            gone = f", of which {done} are done" if done else ""
            raise ValueError(f"epochs must fit the schedule: {epochs} take {wanted} steps of "
                             f"it, {type(schedule).__name__} was made for total_steps={schedule.total_steps}{gone}")

    def _checked_weights(self, sample_weight: Any, count: int) -> NDArray[np.float64]:
        """The argument `sample_weight` of a run."""
        if not isinstance(self.loss, Loss):
            raise TypeError("sample_weight needs a loss of fastconv.nn, whose mean is weighted, "
                            f"got {type(self.loss).__name__}")
        weights = sample_weights(sample_weight, count)
        if not weights.any():
            raise ValueError("sample_weight must be above 0 for some images, all are 0")
        return weights

    def _train_epoch(self, run: Run, loader: DataLoader, report: Progress | None,
                     weights: NDArray[np.float64] | None) -> None:
        """The batches of the present epoch that are not done yet."""
        order = None if weights is None else loader.order(run.epoch)
        batches: Iterable[Any] = loader.batches(run.epoch, run.batch)
        if report:
            batches = report.bar(batches, run.epoch, run.batch, len(loader))
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

    def _step(self, run: Run, x: NDArray[Any], y: NDArray[Any], weights: NDArray[np.float64] | None = None) -> None:
        self.optimizer.zero_grad()
        output = self.model(x)
        if weights is not None and not weights.any():  # a batch that counts for nothing teaches nothing
            self._count(run, output, y, 0.0)
            return
        value = float(self.loss(output, y) if weights is None else self.loss(output, y, weights))
        if not math.isfinite(value):
            raise _diverged(run, f"the loss of batch {run.batch + 1} is {value}")
        self.model.backward(self.loss.backward(), needs_input_grad=False)
        if self.clip_grad_norm is not None:
            norm = clip_grad_norm_(self.optimizer.params, self.clip_grad_norm)
            if not math.isfinite(norm):
                raise _diverged(run, f"the norm of the gradients of batch {run.batch + 1} is {norm}")
        self.optimizer.step()
        self._count(run, output, y, value)

    def _count(self, run: Run, output: NDArray[Any], y: NDArray[Any], value: float) -> None:
        """That a batch is done."""
        right, looked_at = _hits(output, y, self.loss)
        run.batch, run.images, run.loss = run.batch + 1, run.images + len(y), run.loss + value * len(y)
        run.correct, run.judged = run.correct + right, run.judged + looked_at
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


def _hits(output: NDArray[Any], labels: NDArray[Any], loss: Any) -> tuple[int, int]:
    """How many labels a model's output has right, and of how many that count; none where the targets are numbers."""
    if labels.dtype.kind == "f":
        return 0, 0
    right = output.argmax(axis=1 if labels.ndim > 1 else -1) == labels
    counting = labels != getattr(loss, "ignore_index", IGNORED)
    return int(np.count_nonzero(right & counting)), int(np.count_nonzero(counting))


def _diverged(run: Run, what: str) -> DivergedError:
    return DivergedError(f"the training diverged in epoch {run.epoch + 1}, {what}: try a lower learning rate, "
                         "and see that images are about 0 to 1", run.history)
