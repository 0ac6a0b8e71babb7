"""Reports on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fastconv.training.history import History


class Progress:
    """Reports on stderr: a line after each epoch, and a bar within it where that is possible."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def bar(self, batches: Iterable[Any], epoch: int, done: int, total: int) -> Iterable[Any]:
        if not sys.stderr.isatty():
            return batches
        try:
            from tqdm import tqdm  # type: ignore[import-untyped]
        except ImportError:
            return batches
        return tqdm(batches, desc=f"epoch {epoch + 1}/{self.epochs}", initial=done, total=total, unit="batch",
                    leave=False, file=sys.stderr)

    def resumed(self, path: Path, done: int, before: int) -> None:
        longer = f" (it was a run of {before})" if before != self.epochs else ""
        print(f"going on from {path}: {done} of {self.epochs} epochs are done{longer}", file=sys.stderr, flush=True)

    def ranks(self, places: list[str]) -> None:
        """Which process each rank is: what starts them names that of a rank that dies."""
        for rank, place in enumerate(places):
            print(f"rank {rank} of {len(places)}: {place}", file=sys.stderr, flush=True)

    def line(self, history: History) -> None:
        last = {name: values[-1] for name, values in history.to_dict().items()}
        text = (f"epoch {last['epoch']:{len(str(self.epochs))}}/{self.epochs}  "
                f"loss {last['train_loss']:.4f}{_accuracy(last['train_accuracy'])}")
        if last["validation_loss"] is not None:
            text += f"  validation loss {last['validation_loss']:.4f}{_accuracy(last['validation_accuracy'])}"
        print(f"{text}  lr {last['lr']:.3g}  {last['seconds']:.2f} s", file=sys.stderr, flush=True)


def _accuracy(value: float | None) -> str:
    return "" if value is None else f"  accuracy {value:.4f}"
