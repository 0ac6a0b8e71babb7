"""Where a run is, and everything that a later step depends on: as one nested dictionary,
and back, whole or not at all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.nn.module import Module
from fastconv.optim import Optimizer, Schedule
from fastconv.training.history import History
from fastconv.training.ranks import Ranks


class Parts(Protocol):
    """What is trained, and what trains it; `fastconv.Trainer` has them."""

    model: Module
    optimizer: Optimizer
    loss: Any
    schedule: Schedule | None
    clip_grad_norm: float | None
    pieces: int
    sync_batch_norm: bool
    ranks: Ranks | None


@dataclass
class Run:
    """Where a run is: epochs done, batches done in the present one, and what these gave."""

    epoch: int = 0
    batch: int = 0
    images: int = 0
    loss: float = 0.0
    correct: int = 0
    judged: int = 0
    seconds: float = 0.0
    lr: float = 0.0
    history: History = field(default_factory=History)
    best: float = math.inf
    best_weights: dict[str, NDArray[Any]] | None = None
    epochs_without_best: int = 0
    stopped: bool = False


def state_of(parts: Parts, run: Run) -> dict[str, Any]:
    """The run, the model, the optimiser, the schedule and the generators: the arrays themselves, not copies."""
    return {
        "run": {**vars(run), "history": run.history.to_dict()},
        "model": parts.model.state_dict(),
        "beside": _beside(parts),
        "optimizer": parts.optimizer.state_dict(),
        "schedule": parts.schedule.state_dict() if parts.schedule else None,
        "generators": {name: rng.bit_generator.state for name, rng in generators_of(parts.model).items()},
    }


def prepare(parts: Parts, state: Any, batches: int) -> tuple[Run, Callable[[], None]]:
    """Everything that can fail of putting a state back, without changing anything: the run, and what does the rest.

    Parameters
    ----------
    parts : Parts
    state : dict
        Of `state_of`.
    batches : int
        In an epoch.

    Raises
    ------
    TypeError, ValueError
        If the state is not of these parts, or a part of it is missing or not of its kind.
    """
    names = {"run", "model", "beside", "optimizer", "schedule", "generators"}
    if not isinstance(state, Mapping) or set(state) != names:
        raise ValueError(f"its state must have {sorted(names)}, got "
                         f"{sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__}")
    own, beside = parts.model.state_dict(), _beside(parts)
    _check_arrays(state["model"], own)
    _check_arrays(state["beside"], beside)
    for name, array in {**own, **beside}.items():
        if not array.flags.writeable:
            raise ValueError(f"nothing can be loaded into the model: its {name} is read-only")
    run = _run(state["run"], own, batches)
    loads = [parts.optimizer.prepare_load(state["optimizer"])]
    if (state["schedule"] is None) != (parts.schedule is None):
        raise ValueError(f"its run is {'without' if state['schedule'] is None else 'with'} a schedule")
    if parts.schedule is not None:
        loads.append(parts.schedule.prepare_load(state["schedule"]))
    generators = generators_of(parts.model)
    _check_generators(state["generators"], generators)

    def load() -> None:
        parts.model.load_state_dict(state["model"])
        for name, array in beside.items():
            array[...] = state["beside"][name]
        for one in loads:
            one()
        for name, rng in generators.items():
            rng.bit_generator.state = state["generators"][name]

    return run, load


def _beside(parts: Parts) -> dict[str, NDArray[Any]]:
    """The parameters that the optimiser has beside those of the model (a loss may have some), by their place there."""
    own = {id(parameter) for parameter in parts.model.parameters()}
    return {f"parameter {index} of the optimizer": parameter.data
            for index, parameter in enumerate(parts.optimizer.params) if id(parameter) not in own}


def generators_of(model: Module) -> dict[str, np.random.Generator]:
    """The random generators inside the model (Dropout has one), by name."""
    return {
        f"{name}.{attribute}": value
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, np.random.Generator)
    }


def _check_arrays(saved: Any, own: Mapping[str, NDArray[Any]]) -> None:
    if not isinstance(saved, Mapping):
        raise TypeError(f"the model's state must map names to arrays, got {type(saved).__name__}")
    wrong = [f"missing {name}" for name in own.keys() - saved.keys()]
    wrong += [f"unknown {name}" for name in saved.keys() - own.keys()]
    for name in own.keys() & saved.keys():
        array, wanted = saved[name], own[name]
        if not isinstance(array, np.ndarray):
            wrong.append(f"{name} is no array")
        elif (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
            wrong.append(f"{name} is {array.dtype} of shape {array.shape}, "
                         f"must be {wanted.dtype} of shape {wanted.shape}")
    if wrong:
        raise ValueError("its state does not fit the model: " + "; ".join(sorted(wrong)))


def _check_generators(saved: Any, own: Mapping[str, np.random.Generator]) -> None:
    """Each state is tried on a new generator of the same kind."""
    if not isinstance(saved, Mapping) or set(saved) != set(own):
        raise ValueError(f"it is of another model: it has the random generators {sorted(saved)}, "
                         f"this one {sorted(own)}")
    for name, rng in own.items():
        try:
            type(rng.bit_generator)().state = saved[name]
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"its state of the random generator {name} is not one of "
                             f"{type(rng.bit_generator).__name__}: {error}") from error


def _run(saved: Any, own: Mapping[str, NDArray[Any]], batches: int) -> Run:
    names = {entry.name for entry in fields(Run)}
    if isinstance(saved, Mapping) and "images" in saved:  # before there were maps, images were what is judged
        saved = {"judged": saved["images"], **saved}
    if not isinstance(saved, Mapping) or set(saved) != names:
        raise ValueError(f"its run must have {sorted(names)}")
    for name in ("epoch", "batch", "images", "correct", "judged", "epochs_without_best"):
        checks.integer(saved[name], f"its run: {name}", 0, None)
    for name in ("loss", "seconds", "lr", "best"):
        checks.number(saved[name], f"its run: {name}")
    checks.flag(saved["stopped"], "its run: stopped")
    if saved["batch"] > batches:
        raise ValueError(f"its run: batch must be at most {batches}, got {saved['batch']}")
    if saved["best_weights"] is not None:
        _check_arrays(saved["best_weights"], own)
    return Run(**{**saved, "history": _history(saved["history"], saved["epoch"])})


def _history(saved: Any, epochs: int) -> History:
    names = {entry.name for entry in fields(History)}
    if not isinstance(saved, Mapping) or set(saved) != names:
        raise ValueError(f"its history must have {sorted(names)}")
    for name, values in saved.items():
        if not isinstance(values, list) or len(values) != epochs:
            raise ValueError(f"its history: {name} must be a list of {epochs} entries, one for each epoch")
        for value in values:
            if value is not None or not (name.startswith("validation") or name == "train_accuracy"):
                checks.number(value, f"its history: {name}")
    return History(**{name: list(values) for name, values in saved.items()})
