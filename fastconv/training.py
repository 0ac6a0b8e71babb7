"""Training: epochs over batches with progress, history, validation, early stopping, and checkpoints.

A run is a function of the model, the data and the seed: the batches of an epoch depend on the seed and the epoch's
number alone, and a checkpoint holds everything else that a later step depends on. So a run that was broken off, even
within an epoch, ends with the same bits as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv.data import DataLoader
from fastconv.functional import checks
from fastconv.nn.loss import CrossEntropyLoss, NLLLoss
from fastconv.nn.module import Module
from fastconv.nn.parts import check_parts
from fastconv.nn.serialization import read_npz, write_npz
from fastconv.optim import Optimizer, Schedule

__all__ = ["EarlyStopping", "History", "Trainer"]


@dataclass
class History:
    """What each epoch gave: lists of equal length, one entry an epoch.

    Attributes
    ----------
    epoch : list of int
        From 1.
    train_loss, train_accuracy : list of float
        Means over the epoch's images, each as the model was when it saw the image.
    validation_loss, validation_accuracy : list of float or None
        After the epoch; None without validation.
    lr : list of float
        The learning rate of the epoch's last step.
    seconds : list of float
        Validation included.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    validation_accuracy: list[float | None] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.epoch)

    def to_dict(self) -> dict[str, list[Any]]:
        """The lists by name, for JSON or a table (``pandas.DataFrame(history.to_dict())``)."""
        return asdict(self)

    def append(self, **values: Any) -> None:
        """Add one epoch: a value for each list."""
        for name, value in values.items():
            getattr(self, name).append(value)


_LOWER_IS_BETTER = {"validation_loss": True, "validation_accuracy": False, "train_loss": True, "train_accuracy": False}


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when an epoch's figure has not become better for some time.

    Parameters
    ----------
    patience : int
        Stop after this many epochs in a row without a new best.
    monitor : {"validation_loss", "validation_accuracy", "train_loss", "train_accuracy"}
    min_delta : float
        What counts as better: by more than this.
    restore_best : bool
        Whether the model ends with the weights of its best epoch instead of its last.
    """

    patience: int = 5
    monitor: Literal["validation_loss", "validation_accuracy", "train_loss", "train_accuracy"] = "validation_loss"
    min_delta: float = 0.0
    restore_best: bool = False

    def __post_init__(self) -> None:
        checks.integer(self.patience, "patience", 1)
        checks.choice(self.monitor, "monitor", tuple(_LOWER_IS_BETTER))
        if not checks.number(self.min_delta, "min_delta") >= 0:
            raise ValueError(f"min_delta must be at least 0, got {self.min_delta}")
        checks.flag(self.restore_best, "restore_best")


@dataclass
class _Run:
    """Where a run is: epochs done, batches done in the present one, and sums over these."""

    epoch: int = 0
    batch: int = 0
    images: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    history: History = field(default_factory=History)
    best: float = math.inf
    best_weights: dict[str, NDArray] | None = None
    epochs_without_best: int = 0
    stopped: bool = False


class Trainer:
    """Trains a classifier.

    Parameters
    ----------
    model : Module
    optimizer : Optimizer
        Of the model's parameters.
    loss : NLLLoss or CrossEntropyLoss
        Or anything with ``loss(output, labels) -> mean over the batch`` and ``loss.backward() -> grad_output``.
    schedule : Schedule, optional
        Of the optimiser's learning rate; stepped after each epoch or batch, as its `interval` says.

    Raises
    ------
    ValueError
        If the optimiser has parameters that are not the model's (nor the loss's), or the loss takes log-probabilities and the
        model returns something else.

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
        loss: NLLLoss | CrossEntropyLoss | Any,
        schedule: Schedule | None = None,
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
        check_parts(model, optimizer, loss)
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.schedule = schedule

    def fit(
        self,
        train_set: Any,
        epochs: int,
        batch_size: int = 64,
        *,
        validation: Any = None,
        augment: Callable | None = None,
        seed: int = 0,
        progress: bool = True,
        early_stopping: EarlyStopping | int | None = None,
        checkpoint: str | os.PathLike | None = None,
        resume: bool = False,
    ) -> History:
        """Train for a number of epochs; the model is left in evaluation mode.

        Parameters
        ----------
        train_set : dataset or (images, labels)
            See `fastconv.data`.
        epochs : int
            Of the whole run, those before a checkpoint included.
        batch_size : int
        validation : dataset or (images, labels), optional
            Evaluated after each epoch.
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
            Continue the run in the file `checkpoint`. Model, optimizer, data, batch size and seed must be made as they
            were; the result has the same bits as if there had been no interruption.

        Returns
        -------
        History

        Raises
        ------
        ValueError
            If an argument, or the checkpoint, does not fit; nothing is trained.
        KeyboardInterrupt
            On Ctrl-C: never within a step, so that the model is as some step left it.
        """
        epochs = checks.integer(epochs, "epochs", 0)
        checks.flag(progress, "progress")
        loader = DataLoader(train_set, batch_size, shuffle=True, seed=seed, augment=augment)
        if not len(loader):
            raise ValueError("train_set must hold at least one image")
        if validation is not None and not len(DataLoader(validation, batch_size)):
            raise ValueError("validation must hold at least one image")
        stopping = _early_stopping(early_stopping, validation is not None)
        path = _checkpoint_path(checkpoint, resume)
        run = self._load(path, loader) if path and resume else _Run()
        report = _Progress(epochs) if progress else None
        try:
            while run.epoch < epochs and not run.stopped:
                self._train_epoch(run, loader, report)
                start = time.perf_counter()
                scores = self.evaluate(validation) if validation is not None else {}
                run.seconds += time.perf_counter() - start
                with _uninterrupted():
                    self._end_epoch(run, scores, stopping)
                    if path:
                        self._save(path, run, loader)
                if report:
                    report.line(run.history)
        except KeyboardInterrupt:
            if path:
                with _uninterrupted():
                    self._save(path, run, loader)
            raise
        if run.best_weights is not None:
            self.model.load_state_dict(run.best_weights)
        self.model.eval()
        return run.history

    def evaluate(self, dataset: Any, batch_size: int = 256) -> dict[str, float]:
        """Mean loss and accuracy over a dataset or a pair (images, labels), in evaluation mode.

        Returns
        -------
        dict
            ``{"loss": float, "accuracy": float}``.
        """
        loader = DataLoader(dataset, batch_size)
        if not len(loader):
            raise ValueError("dataset must hold at least one image")
        loss, correct, images = 0.0, 0, 0
        loss_of = copy.copy(self.loss)  # that of the trainer remembers what a training in another thread needs
        with self.model.evaluating():
            for x, y in loader:
                output = self.model(x)
                loss += float(loss_of(output, y)) * len(y)
                correct += _hits(output, y)
                images += len(y)
        return {"loss": loss / images, "accuracy": correct / images}

    def predict(self, x: ArrayLike, batch_size: int = 256) -> NDArray:
        """The class of each image, (N,): see `Module.predict`."""
        return self.model.predict(x, batch_size)

    def _train_epoch(self, run: _Run, loader: DataLoader, report: _Progress | None) -> None:
        """The batches of the present epoch that are not done yet."""
        batches: Iterable = loader.batches(run.epoch, run.batch)
        if report:
            batches = report.bar(batches, run.epoch, run.batch, len(loader))
        self.model.train()
        start, before = time.perf_counter(), run.seconds
        for x, y in batches:
            with _uninterrupted():
                self._step(run, x, y)
                run.seconds = before + time.perf_counter() - start

    def _step(self, run: _Run, x: NDArray, y: NDArray) -> None:
        self.optimizer.zero_grad()
        output = self.model(x)
        value = self.loss(output, y)
        self.model.backward(self.loss.backward(), needs_input_grad=False)
        self.optimizer.step()
        run.batch += 1
        run.images += len(y)
        run.loss += float(value) * len(y)
        run.correct += _hits(output, y)
        self._schedule_step("batch")

    def _end_epoch(self, run: _Run, scores: dict[str, float], stopping: EarlyStopping | None) -> None:
        """Write the epoch into the history, decide whether to stop, and start the next."""
        run.history.append(
            epoch=run.epoch + 1,
            train_loss=run.loss / run.images,
            train_accuracy=run.correct / run.images,
            validation_loss=scores.get("loss"),
            validation_accuracy=scores.get("accuracy"),
            lr=self.optimizer.lr,
            seconds=run.seconds,
        )
        if stopping:
            value = getattr(run.history, stopping.monitor)[-1]
            value = value if _LOWER_IS_BETTER[stopping.monitor] else -value
            if value < run.best - stopping.min_delta:
                run.best, run.epochs_without_best = value, 0
                if stopping.restore_best:
                    run.best_weights = copy.deepcopy(self.model.state_dict())
            else:
                run.epochs_without_best += 1
                run.stopped = run.epochs_without_best >= stopping.patience
        run.epoch += 1
        run.batch = run.images = run.correct = 0
        run.loss = run.seconds = 0.0
        self._schedule_step("epoch")

    def _schedule_step(self, interval: str) -> None:
        if self.schedule is not None and self.schedule.interval == interval:
            self.schedule.step()

    def _generators(self) -> dict[str, np.random.Generator]:
        """The random generators inside the model (Dropout has one), by name."""
        return {
            f"{name}.{attribute}": value
            for name, module in self.model.named_modules()
            for attribute, value in vars(module).items()
            if isinstance(value, np.random.Generator)
        }

    def _save(self, path: Path, run: _Run, loader: DataLoader) -> None:
        state = {
            "run": {**vars(run), "history": run.history.to_dict()},
            "data": _data_settings(loader),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "generators": {name: rng.bit_generator.state for name, rng in self._generators().items()},
        }
        arrays: dict[str, NDArray] = {}
        document = json.dumps({"format": 1, "checkpoint": _without_arrays(state, "", arrays)})
        write_npz(path, arrays, document)

    def _load(self, path: Path, loader: DataLoader) -> _Run:
        arrays, document = read_npz(path)
        try:
            state = _with_arrays(document["checkpoint"], arrays)
            run = _Run(**{**state["run"], "history": History(**state["run"]["history"])})
            saved, schedule, generators = state["data"], state["schedule"], state["generators"]
            model, optimizer = state["model"], state["optimizer"]
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a checkpoint: {error!r}") from error
        for name, value in _data_settings(loader).items():
            if saved.get(name) != value:
                raise ValueError(f"{path} is of a run with {name} {saved.get(name)}, this one has {value}")
        if (schedule is None) != (self.schedule is None):
            raise ValueError(f"{path} is of a run {'without' if schedule is None else 'with'} a schedule")
        if set(generators) != set(self._generators()):
            raise ValueError(f"{path} is of another model: it has the random generators {sorted(generators)}, this one "
                             f"{sorted(self._generators())}")
        self.model.load_state_dict(model)
        self.optimizer.load_state_dict(optimizer)
        if self.schedule:
            self.schedule.load_state_dict(schedule)
        for name, rng in self._generators().items():
            rng.bit_generator.state = generators[name]
        return run


class _Progress:
    """Reports on stderr: a line after each epoch, and a bar within it where that is possible."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def bar(self, batches: Iterable, epoch: int, done: int, total: int) -> Iterable:
        if not sys.stderr.isatty():
            return batches
        try:
            from tqdm import tqdm  # type: ignore[import-untyped]
        except ImportError:
            return batches
        return tqdm(batches, desc=f"epoch {epoch + 1}/{self.epochs}", initial=done, total=total, unit="batch",
                    leave=False, file=sys.stderr)

    def line(self, history: History) -> None:
        last = {name: values[-1] for name, values in history.to_dict().items()}
        text = (f"epoch {last['epoch']:{len(str(self.epochs))}}/{self.epochs}  "
                f"loss {last['train_loss']:.4f}  accuracy {last['train_accuracy']:.4f}")
        if last["validation_loss"] is not None:
            text += f"  validation loss {last['validation_loss']:.4f}  accuracy {last['validation_accuracy']:.4f}"
        print(f"{text}  lr {last['lr']:.3g}  {last['seconds']:.2f} s", file=sys.stderr, flush=True)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the end of the block: what is inside happens whole."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    waiting: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if waiting:
        raise KeyboardInterrupt


def _hits(output: NDArray, labels: NDArray) -> int:
    return int(np.count_nonzero(output.argmax(axis=-1) == labels))


def _data_settings(loader: DataLoader) -> dict[str, int]:
    return {"seed": loader.seed, "batch_size": loader.batch_size, "images": len(loader.dataset)}


def _early_stopping(value: EarlyStopping | int | None, validated: bool) -> EarlyStopping | None:
    if value is None:
        return None
    stopping = value if isinstance(value, EarlyStopping) else EarlyStopping(checks.integer(value, "early_stopping", 1))
    if stopping.monitor.startswith("validation") and not validated:
        raise ValueError(f"early_stopping on {stopping.monitor} needs validation, got None")
    return stopping


def _checkpoint_path(checkpoint: str | os.PathLike | None, resume: bool) -> Path | None:
    if checkpoint is None:
        if checks.flag(resume, "resume"):
            raise ValueError("resume needs checkpoint, the file to continue from, got None")
        return None
    path = Path(checkpoint)
    if path.suffix != ".npz":
        raise ValueError(f"checkpoint must end in .npz, got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint must be in a folder that exists, got {str(path)!r}")
    if checks.flag(resume, "resume") and not path.is_file():
        raise ValueError(f"checkpoint must be an existing file to resume from, got {str(path)!r}")
    return path


def _without_arrays(tree: Any, key: str, arrays: dict[str, NDArray]) -> Any:
    """A nested state for JSON: each array moves to `arrays`, under its path, and leaves ``{"array": path}``."""
    if isinstance(tree, np.ndarray):
        arrays[key] = tree
        return {"array": key}
    if isinstance(tree, dict):
        return {name: _without_arrays(value, f"{key}/{name}" if key else name, arrays) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_arrays(value, f"{key}/{index}", arrays) for index, value in enumerate(tree)]
    return tree


def _with_arrays(tree: Any, arrays: dict[str, NDArray]) -> Any:
    """What `_without_arrays` took apart."""
    if isinstance(tree, dict):
        if set(tree) == {"array"}:
            return arrays[tree["array"]]
        return {name: _with_arrays(value, arrays) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(value, arrays) for value in tree]
    return tree
