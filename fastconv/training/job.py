"""The arguments of a run, checked before anything changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data import Augmentation, DataLoader
from fastconv.data.doubts import check_finite
from fastconv.functional import checks
from fastconv.nn.loss import Loss, sample_weights
from fastconv.nn.parts import check_parts
from fastconv.optim import Schedule
from fastconv.training import checkpoint as checkpoints
from fastconv.training.datasets import check_datasets, dataset_of
from fastconv.training.progress import Progress
from fastconv.training.run import Parts, Run, prepare, state_of
from fastconv.training.settings import settings_of
from fastconv.training.stopping import EarlyStopping, early_stopping as stopping_of


def _nothing() -> None:
    """What a run that begins has to load."""


@dataclass
class Job:
    """The arguments of a run, checked: what is trained on and judged by, how long, and where it is written."""

    epochs: int
    loader: DataLoader
    validator: DataLoader | None
    stopping: EarlyStopping | None
    weights: NDArray[np.float64] | None
    path: Path | None
    settings: dict[str, Any]
    report: Progress | None
    run: Run
    load: Callable[[], None] = _nothing  # puts the state of a run that goes on into its parts


def begin(trainer: Parts, train_set: Any, epochs: int, batch_size: int, validation: Any,
          sample_weight: ArrayLike | None, augment: Augmentation | None, seed: int, progress: bool,
          early_stopping: EarlyStopping | int | None, checkpoint: str | os.PathLike[str] | None, resume: bool) -> Job:
    """The arguments of `fit`, after all that can be wrong with them; nothing has changed yet."""
    check_parts(trainer.model, trainer.optimizer, trainer.loss)  # a layer may have been replaced since it was made
    epochs = checks.integer(epochs, "epochs", 0)
    checks.flag(progress, "progress")
    checks.flag(resume, "resume")
    loader = DataLoader(dataset_of(train_set, "train_set", trainer.loss), batch_size, shuffle=True, seed=seed,
                        augment=augment)
    if not len(loader):
        raise ValueError("train_set must hold at least one image")
    check_finite(loader.dataset, "train_set")
    validator = (None if validation is None
                 else DataLoader(dataset_of(validation, "validation", trainer.loss), batch_size))
    if validator is not None:
        if not len(validator):
            raise ValueError("validation must hold at least one image")
        check_finite(validator.dataset, "validation")
    stopping = stopping_of(early_stopping, validation is not None)
    if stopping and stopping.monitor.endswith("accuracy") and loader.dataset.labels.dtype.kind == "f":
        raise ValueError(f"early_stopping must not watch {stopping.monitor} where the targets are numbers: "
                         "write fc.EarlyStopping(monitor='validation_loss')")
    weights = None if sample_weight is None else _checked_weights(trainer, sample_weight, len(loader.dataset))
    leads = trainer.ranks is None or trainer.ranks.leads
    path = checkpoints.checkpoint_path(checkpoint, resume) if leads else None
    settings = settings_of(trainer, loader, validator, stopping, weights) if path or trainer.ranks else {}
    report = Progress(epochs) if progress and leads else None
    job = Job(epochs, loader, validator, stopping, weights, path, settings, report, Run())
    schedule = trainer.schedule
    _check_schedule(schedule, epochs, len(loader), schedule.steps if schedule and not resume else 0)
    if path and resume:
        job.run, before, load = checkpoints.resume(path, settings, epochs, trainer, len(loader))

        def load_and_report() -> None:
            load()
            if report:
                report.resumed(path, job.run.epoch, before)

        job.load = load_and_report
    else:
        prepare(trainer, state_of(trainer, job.run), len(loader))  # A run that diverges goes back to this.
    check_datasets(trainer.model, trainer.loss, loader.dataset, None if validator is None else validator.dataset)
    return job


def _check_schedule(schedule: Schedule | None, epochs: int, batches: int, done: int) -> None:
    """Whether the schedule has enough steps for the epochs, `done` of them gone."""
    if schedule is None or schedule.total_steps is None:
        return
    wanted = epochs * (batches if schedule.interval == "batch" else 1)
    if done + wanted > schedule.total_steps:
        gone = f", of which {done} are done" if done else ""
        raise ValueError(f"epochs must fit the schedule: {epochs} take {wanted} steps of "
                         f"it, {type(schedule).__name__} was made for total_steps={schedule.total_steps}{gone}")


def _checked_weights(trainer: Parts, sample_weight: Any, count: int) -> NDArray[np.float64]:
    """The argument `sample_weight` of a run."""
    if not isinstance(trainer.loss, Loss):
        raise TypeError("sample_weight needs a loss of fastconv.nn, whose mean is weighted, "
                        f"got {type(trainer.loss).__name__}")
    weights = sample_weights(sample_weight, count)
    if not weights.any():
        raise ValueError("sample_weight must be above 0 for some images, all are 0")
    return weights
