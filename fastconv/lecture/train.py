"""The calls ``train``, which steers the page's training, and ``weights``, and the stream ``events``, which tells how it
gets on."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import nn, walk
from fastconv.functional import checks
from fastconv.lecture.images import Sections
from fastconv.lecture.page import Page
from fastconv.lecture.training import Progress

__all__ = ["events", "train", "weights"]

_ACTIONS = ("start", "pause", "step", "reset", "set")
#: Numbers of filters, and rows and columns of a mistake, that an event brings.
_MOST_WEIGHTS, _MOST_SIDE = 2**14, 64
_MISTAKES = 12


def train(page: Page, head: Mapping[str, Any], sections: Sections) -> tuple[dict[str, Any], dict[str, Any]]:
    """Do ``head["action"]``: start, pause, step, reset, or set ``head["settings"]``; see `training.Training`.

    Returns how it is then, as `events` tells it.
    """
    action = checks.choice(head.get("action"), "action", _ACTIONS)
    settings = head.get("settings", {})
    if not isinstance(settings, dict):
        raise TypeError(f"settings must be an object, got {settings!r}")
    progress = page.training.set(**settings) if action == "set" else getattr(page.training, action)()
    return _state(page, progress), {}


def weights(page: Page, head: Mapping[str, Any], sections: Sections) -> bytes:
    """The weights of the model as they are now, for `fastconv.load_weights`."""
    file = io.BytesIO()
    arrays: dict[str, Any] = page.model.state_dict()
    np.savez(file, **arrays)
    return file.getvalue()


def events(page: Page) -> Iterator[bytes]:
    """What is new, as one server-sent event each time: where the run is, losses and epochs since the last event, the
    filters, and after an epoch the confusion matrix and the worst mistakes. The first has all there is."""
    run, losses, epochs = -1, 0, 0
    judged: walk.PredictionsWalk | None = None
    for progress in page.training.progresses():
        if progress is None:
            yield b": still here\n\n"  # whoever has gone is noticed
            continue
        if progress.run != run:
            run, losses, epochs, judged = progress.run, 0, 0, None
        document = {
            **_state(page, progress),
            "first": losses,
            "losses": progress.losses[losses:progress.steps],
            "history": {name: [_plain(value) for value in values[epochs:]]
                        for name, values in progress.history.items()},
            "filters": _filters(progress.model),
        }
        if progress.predictions is not None and progress.predictions is not judged:
            judged = progress.predictions
            document |= {"confusion": judged.confusion.tolist(), "mistakes": _mistakes(judged)}
        losses, epochs = progress.steps, len(progress.history["epoch"])
        yield b"data: " + json.dumps(document, allow_nan=False).encode() + b"\n\n"


def _state(page: Page, progress: Progress) -> dict[str, Any]:
    """Where a run is, and Python that runs it from its start to its end."""
    lr, momentum, batch_size, epochs, seed = astuple(progress.settings)
    loss = "NLLLoss" if page.model.returns == "log-probabilities" else "CrossEntropyLoss"
    code = ["import fastconv as fc", "from fastconv import data, nn, optim, walk", "", page.written,
            page.shown.reading,
            f"trainer = fc.Trainer(model, optim.SGD(model.parameters(), {lr!r}, {momentum!r}), nn.{loss}())",
            f"history = trainer.fit(train, {epochs}, {batch_size}, validation=test, seed={seed})",
            "print(history.validation_accuracy)",
            "print(walk.predictions(model, test.images, test.labels).confusion)"]
    return {"code": "\n".join(code), "number": progress.number, "run": progress.run, "running": progress.running,
            "done": progress.done, "steps": progress.steps, "batch": progress.batch, "batches": progress.batches,
            "epochs": len(progress.history["epoch"]), "images_per_second": progress.images_per_second,
            "settings": asdict(progress.settings), "error": progress.error}


def _filters(model: nn.Module) -> list[dict[str, Any]]:
    """The filters of the convolutions, as many of the first as an event has room for."""
    found, room = [], _MOST_WEIGHTS
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            weight = layer.weight.data
            room -= weight.size
            if room < 0:
                break
            found.append({"path": name, "shape": list(weight.shape), "values": _text(weight)})
    return found


def _mistakes(judged: walk.PredictionsWalk) -> list[dict[str, Any]]:
    found = []
    for number in judged.mistakes[:_MISTAKES]:
        image = judged.x[number]
        every = math.ceil(max(image.shape[1:]) / _MOST_SIDE)
        image = image[:, ::every, ::every]
        taken = int(judged.predictions[number])
        found.append({"number": int(number), "label": int(judged.labels[number]), "taken": taken,
                      "probability": _plain(judged.probabilities[number, taken]),
                      "probability_of_label": _plain(judged.probabilities[number, judged.labels[number]]),
                      "shape": list(image.shape), "values": _text(image)})
    return found


def _text(array: NDArray[Any]) -> str:
    """Its float32, as they lie in memory, in letters."""
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()


def _plain(value: Any) -> Any:
    """A number as JSON has it, None where it is not finite."""
    if value is None or isinstance(value, int):
        return value
    return float(value) if math.isfinite(value) else None
