"""When to stop before the last epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fastconv.functional import checks

#: The figures that can be watched, and whether less is better.
LOWER_IS_BETTER = {"validation_loss": True, "validation_accuracy": False, "train_loss": True, "train_accuracy": False}


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
        checks.choice(self.monitor, "monitor", tuple(LOWER_IS_BETTER))
        if not checks.number(self.min_delta, "min_delta") >= 0:
            raise ValueError(f"min_delta must be at least 0, got {self.min_delta}")
        checks.flag(self.restore_best, "restore_best")


def early_stopping(value: EarlyStopping | int | None, validated: bool) -> EarlyStopping | None:
    """The argument `early_stopping` of a run; an integer is the patience."""
    if value is None:
        return None
    stopping = value if isinstance(value, EarlyStopping) else EarlyStopping(checks.integer(value, "early_stopping", 1))
    if stopping.monitor.startswith("validation") and not validated:
        raise ValueError(f"early_stopping on {stopping.monitor} needs validation, got None")
    return stopping
