"""A training that is steered while it runs: started, paused, made to take one step, reset, its settings changed.

One thread trains. What it is asked it does between two steps, and what others may see it publishes: how far it is, and
a copy of the model that nobody changes any more. So whoever predicts meanwhile does it with the weights of one step,
and a run has the same bits however often it was paused.
"""

from __future__ import annotations

import copy
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from fastconv import data, nn, walk
from fastconv.lecture.loop import Loop, Settings
from fastconv.training import History
from fastconv.training.datasets import check_datasets
from fastconv.walk.network import loss_of

__all__ = ["Progress", "Training"]

#: Seconds from one publication to the next, and how much longer than a publication itself it takes at least: what is
#: seen of a training takes little of its time, however large the model.
_PERIOD, _SHARE = 0.1, 50
#: Seconds after which `Training.progresses` says that there is nothing new.
_PATIENCE = 10.0


@dataclass(frozen=True, eq=False)
class Progress:
    """What others may see of a training, as it was after one of its steps.

    Attributes
    ----------
    number : int
        Of publications before this one.
    run : int
        How often it was reset.
    model : Module
        In evaluation mode; nobody changes it.
    settings : Settings
    running : bool
    losses : list of float
        Of its steps, the first `steps` of which are these; more will follow.
    steps, batch, batches : int
        Steps in all, in this epoch, and what it has.
    images_per_second : float
        While it trained, judgements left out.
    history : dict of str to list
        As `fastconv.History.to_dict` has it.
    predictions : walk.PredictionsWalk or None
        For the test images, after the last epoch that is done.
    error : str
        Why it cannot go on, or nothing.
    """

    number: int
    run: int
    model: nn.Module
    settings: Settings
    running: bool = False
    losses: list[float] = field(default_factory=list)
    steps: int = 0
    batch: int = 0
    batches: int = 0
    images_per_second: float = 0.0
    history: dict[str, list[Any]] = field(default_factory=lambda: History().to_dict())
    predictions: walk.PredictionsWalk | None = None
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether all epochs are."""
        return len(self.history["epoch"]) >= self.settings.epochs


class Training:
    """A training of a model by a thread of its own, which begins with the first thing that is asked of it.

    Parameters
    ----------
    model : Module
        A classifier, and the weights that each run begins with. It is not changed.
    read : callable
        ``read() -> (training images, test images)``: called once, when they are needed.
    settings : Settings, optional

    Attributes
    ----------
    progress : Progress
        The last that was published.
    """

    def __init__(self, model: nn.Module, read: Callable[[], tuple[data.ArrayDataset, data.ArrayDataset]],
                 settings: Settings | None = None) -> None:
        self._born = copy.deepcopy(model)
        self._read = read
        self._datasets: tuple[data.ArrayDataset, data.ArrayDataset] | None = None
        self._loop: Loop | None = None
        self._running = False
        self._error = ""
        self._due = 0.0
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._asked: queue.SimpleQueue[tuple[Callable[[], None] | None, Future[None]]] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self.progress = Progress(number=0, run=0, model=copy.deepcopy(model).eval(), settings=settings or Settings())

    # What is asked. Each waits until it is done, which takes a step at most, or the judgement behind an epoch.

    def start(self) -> Progress:
        """Go on, until it is paused or all epochs are done.

        Raises
        ------
        TypeError, ValueError
            If the model does not take the images, all epochs are done, or it cannot go on.
        """
        return self._ask(self._start)

    def pause(self) -> Progress:
        """Stop behind a step."""
        return self._ask(self._pause)

    def step(self) -> Progress:
        """Make one step and pause.

        Raises
        ------
        TypeError, ValueError
            As `start`.
        """
        return self._ask(self._step)

    def reset(self) -> Progress:
        """Pause, and begin again with the first weights."""
        return self._ask(self._reset)

    def set(self, /, **values: Any) -> Progress:
        """Change settings: see `Settings`.

        Raises
        ------
        TypeError, ValueError
            If there is no such setting, or a value is none for it: nothing has changed then.
        """
        return self._ask(lambda: self._set(values))

    def close(self) -> None:
        """End the thread, and with it what `progresses` gives."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._asked.put((None, Future()))
        if thread is not None:
            thread.join()

    def progresses(self) -> Iterator[Progress | None]:
        """What is published, from now on: what there is at once, then what is new, always the last there is; None where
        nothing was for some time."""
        seen = self.progress
        yield seen
        while True:
            with self._changed:
                if self.progress is seen:
                    self._changed.wait(_PATIENCE)
                new = self.progress
            yield None if new is seen else new
            seen = new

    # What the thread does.

    def _ask(self, action: Callable[[], None]) -> Progress:
        answer: Future[None] = Future()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="fastconv-training", daemon=True)
                self._thread.start()
            self._asked.put((action, answer))
        answer.result()
        return self.progress

    def _work(self) -> None:
        while True:
            try:
                action, answer = self._asked.get(block=not self._running)
            except queue.Empty:
                self._train()
                continue
            if action is None:
                self._running = False
                return
            try:
                action()
            except Exception as error:  # whoever asked is told
                answer.set_exception(error)
            else:
                answer.set_result(None)

    def _train(self) -> None:
        """One step, and what follows from it."""
        assert self._loop is not None
        try:
            ended = self._loop.step(self.progress.settings)
        except Exception as error:  # nobody waits for this step: it is told with the progress
            self._running, self._error = False, f"{error}" or type(error).__name__
            self._publish()
            return
        if len(self._loop.history) >= self.progress.settings.epochs:
            self._running = False
        if ended or not self._running or time.perf_counter() >= self._due:
            self._publish()

    def _start(self) -> None:
        self._ready()
        self._running = True
        self._publish()

    def _pause(self) -> None:
        self._running = False
        self._publish()

    def _step(self) -> None:
        self._ready()
        self._running = False
        self._train()

    def _reset(self) -> None:
        self._running, self._loop, self._error = False, None, ""
        self._publish(self.progress.run + 1)

    def _set(self, values: dict[str, Any]) -> None:
        self._publish(settings=self.progress.settings.changed(values))

    def _ready(self) -> None:
        """That a step can be made."""
        if self._error:
            raise ValueError(self._error)
        if self.progress.done:
            done = len(self.progress.history["epoch"])
            raise ValueError(f"epochs must be more than the {done} that are done, got {self.progress.settings.epochs}")
        if self._loop is None:
            if self._datasets is None:
                self._datasets = self._read()
                check_datasets(self._born, loss_of(self._born), *self._datasets)
            self._loop = Loop(self._born, *self._datasets, self.progress.settings)

    def _publish(self, run: int | None = None, settings: Settings | None = None) -> None:
        start, loop, last = time.perf_counter(), self._loop, self.progress
        model = copy.deepcopy(loop.model if loop else self._born).eval()
        far: dict[str, Any] = {} if loop is None else dict(
            losses=loop.losses, steps=len(loop.losses), batch=loop.batch, batches=loop.batches,
            images_per_second=loop.images_per_second, history=loop.history.to_dict(), predictions=loop.predictions)
        progress = Progress(number=last.number + 1, run=last.run if run is None else run, model=model,
                            settings=settings or last.settings, running=self._running, error=self._error, **far)
        with self._changed:
            self.progress = progress
            self._changed.notify_all()
        now = time.perf_counter()
        self._due = now + max(_PERIOD, _SHARE * (now - start))
