"""What a run was made with, as plain values by name: a run that is resumed must be made with the same."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.data import ArrayDataset, DataLoader
from fastconv.nn.module import Module
from fastconv.optim import Optimizer, Schedule
from fastconv.training.run import Parts
from fastconv.training.stopping import EarlyStopping

# An object inside an object inside ...: deeper than this only its class counts.
_DEEPEST = 5


def settings_of(
    parts: Parts, loss: Any, loader: DataLoader, validation: DataLoader | None, stopping: EarlyStopping | None
) -> dict[str, Any]:
    """By names that a message can show; the order is that in which differences are reported."""
    return {
        "seed": loader.seed,
        "batch_size": loader.batch_size,
        **_of_data(loader.dataset),
        "augment": described(loader.augment),
        **_of_model(parts.model),
        "loss": described(loss),
        "schedule": described(parts.schedule and type(parts.schedule)),
        **_of_optimizer(parts.optimizer, parts.schedule),
        "optimizer's parameters": _of_parameters(parts, loss),
        **_of_schedule(parts.schedule),
        "validation": None if validation is None else ", ".join(f"{name} {value}" for name, value in
                                                                _of_data(validation.dataset).items()),
        "early_stopping": described(stopping),
    }  # fmt: skip


def described(value: Any, depth: int = 0) -> str:
    """What a value is, in words that are the same in every process:
    the class of an object and its public attributes."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
        return repr(value)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        value = value.tolist()
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype} {value.shape} {_checksum(value)}"
    if isinstance(value, (list, tuple, set, frozenset)):
        inside = [described(item, depth + 1) for item in value]
        return f"[{', '.join(inside if isinstance(value, (list, tuple)) else sorted(inside))}]"
    if isinstance(value, functools.partial):
        return f"partial({described([value.func, value.args, value.keywords], depth + 1)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {described(item, depth + 1)}' for key, item in value.items())}}}"
    if hasattr(value, "__qualname__"):  # a function or a class
        return str(value.__qualname__)
    return f"{type(value).__qualname__}({_attributes(vars(value), depth) if hasattr(value, '__dict__') else ''})"


def _attributes(values: Mapping[str, Any], depth: int = 0) -> str:
    if depth >= _DEEPEST:
        return "..."
    return ", ".join(f"{name}={described(value, depth + 1)}"
                     for name, value in values.items() if not name.startswith("_"))


def _of_data(dataset: ArrayDataset) -> dict[str, Any]:
    return {
        "images": len(dataset),
        "image shape": " x ".join(map(str, dataset.images.shape[1:])),
        "classes": len(dataset.classes),
        "checksum of the images": _checksum(dataset.images),
        "checksum of the labels": _checksum(dataset.labels),
    }


def _of_model(model: Module) -> dict[str, Any]:
    """For each layer its class and its settings, without the layers inside, which stand for themselves."""
    return {
        f"layer {name}" if name else "model": f"{type(module).__qualname__}("
        + _attributes({key: value for key, value in module.settings().items() if not _holds_modules(value)}) + ")"
        for name, module in model.named_modules()
    }  # fmt: skip


def _holds_modules(value: Any) -> bool:
    if isinstance(value, Mapping):
        value = list(value.values())
    return isinstance(value, Module) or (isinstance(value, (list, tuple)) and any(map(_holds_modules, value)))


def _of_optimizer(optimizer: Optimizer, schedule: Schedule | None) -> dict[str, Any]:
    """Without the changes that the schedule made."""
    values = {name: getattr(optimizer, name) for name in optimizer.settings} | (schedule.before if schedule else {})
    return {"optimizer": type(optimizer).__name__, **{name: _plain(value) for name, value in values.items()}}


def _of_parameters(parts: Parts, loss: Any) -> str:
    """The names of the optimiser's parameters in its order: its state goes by that order alone."""
    names = {id(value): f"loss.{name}" for name, value in getattr(loss, "__dict__", {}).items()}
    if hasattr(loss, "parameters"):
        names = {id(parameter): f"loss.{index}" for index, parameter in enumerate(loss.parameters())} | names
    names |= {id(parameter): name for name, parameter in parts.model.named_parameters()}
    return ", ".join(names.get(id(parameter), "one that is not in the model") for parameter in parts.optimizer.params)


def _of_schedule(schedule: Schedule | None) -> dict[str, Any]:
    names = schedule.settings if schedule is not None else ()
    return {f"schedule's {name}": _plain(getattr(schedule, name)) for name in names}


def _plain(value: Any) -> Any:
    """What comes back from JSON as it went there."""
    return value if isinstance(value, (bool, int, float, str)) else described(value)


def _checksum(array: NDArray[Any]) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data):08x}"
