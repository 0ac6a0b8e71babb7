"""What a run was made with, as plain values by name: a run that is resumed must be made with the same."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastconv.data import ArrayDataset, DataLoader
from fastconv.nn.module import Module
from fastconv.optim import Optimizer, Schedule
from fastconv.training.described import checksum, described, described_layer
from fastconv.training.run import Parts
from fastconv.training.stopping import EarlyStopping


def settings_of(
    parts: Parts, loader: DataLoader, validation: DataLoader | None, stopping: EarlyStopping | None,
    sample_weight: NDArray[Any] | None
) -> dict[str, Any]:
    """By names that a message can show; the order is that in which differences are reported."""
    loss = parts.loss
    elsewhere = [parts, parts.optimizer, parts.schedule, *_parts_of(parts.model), *parts.optimizer.params]
    return {
        "seed": loader.seed,
        "batch_size": loader.batch_size,
        **_of_data(loader.dataset),
        "sample_weight": None if sample_weight is None else f"of checksum {checksum(sample_weight)}",
        "augment": described(loader.augment, elsewhere),
        **_of_model(parts.model),
        "loss": described(loss, elsewhere),
        "schedule": _named(parts.schedule, elsewhere, ("optimizer", "steps", "before", "base_lr",
                                                       *getattr(parts.schedule, "settings", ()))),
        **_of_optimizer(parts.optimizer, parts.schedule, elsewhere),
        "optimizer's parameters": _of_parameters(parts, loss),
        "clip_grad_norm": parts.clip_grad_norm,
        "pieces": parts.pieces if parts.ranks else None,
        "sync_batch_norm": parts.sync_batch_norm if parts.ranks else None,
        **_of_schedule(parts.schedule),
        "validation": None if validation is None else ", ".join(f"{name} {value}" for name, value in
                                                                _of_data(validation.dataset).items()),
        "early_stopping": described(stopping),
    }  # fmt: skip


def _of_data(dataset: ArrayDataset) -> dict[str, Any]:
    return {
        "images": len(dataset),
        "image shape": " x ".join(map(str, dataset.images.shape[1:])),
        "classes": len(dataset.classes),
        "checksum of the images": checksum(dataset.images),
        "checksum of the labels": checksum(dataset.labels),
    }


def _of_model(model: Module) -> dict[str, Any]:
    """For each layer its class and its attributes, without the layers inside, which stand for themselves."""
    elsewhere = _parts_of(model)
    return {f"layer {name}" if name else "model": described_layer(module, elsewhere)
            for name, module in model.named_modules()}


def _parts_of(model: Module) -> list[Any]:
    parameters = model.parameters()
    return [*(module for _, module in model.named_modules()), *parameters, *model.buffers(),
            *(parameter.data for parameter in parameters)]


def _of_optimizer(optimizer: Optimizer, schedule: Schedule | None, elsewhere: list[Any]) -> dict[str, Any]:
    """Without the changes that the schedule made."""
    values = {name: getattr(optimizer, name) for name in optimizer.settings}
    values |= schedule.unscheduled() if schedule else {}
    return {"optimizer": _named(optimizer, elsewhere, ("params", "state", *optimizer.settings)),
            **{name: _plain(value) for name, value in values.items()}}


def _of_parameters(parts: Parts, loss: Any) -> str:
    """The names of the optimiser's parameters in its order: its state goes by that order alone."""
    names = {id(value): f"loss.{name}" for name, value in getattr(loss, "__dict__", {}).items()}
    if hasattr(loss, "parameters"):
        names = {id(parameter): f"loss.{index}" for index, parameter in enumerate(loss.parameters())} | names
    names |= {id(parameter): name for name, parameter in parts.model.named_parameters()}
    return ", ".join(names.get(id(parameter), "one that is not in the model") for parameter in parts.optimizer.params)


def _of_schedule(schedule: Schedule | None) -> dict[str, Any]:
    names = (*schedule.settings, "base_lr") if schedule is not None else ()
    return {f"schedule's {name}": _plain(getattr(schedule, name)) for name in names}


def _named(value: Any, elsewhere: list[Any], left_out: tuple[str, ...]) -> str:
    """The class of an optimiser or a schedule, with what it has beside the attributes that are compared one by one."""
    others = [one for one in elsewhere if one is not value]
    return described(value, others, left_out).removesuffix("()")


def _plain(value: Any) -> Any:
    """What comes back from JSON as it went there."""
    return value if isinstance(value, (bool, int, float, str)) else described(value)
