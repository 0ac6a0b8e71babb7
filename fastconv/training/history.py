"""What each epoch of a run gave."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class History:
    """What each epoch gave: lists of equal length, one entry an epoch.

    Attributes
    ----------
    epoch : list of int
        From 1.
    train_loss, train_accuracy : list of float
        Means over the epoch's images, each as the model was when it saw the image. The accuracy of maps is that of
        their pixels; where the targets are numbers it is None.
    validation_loss, validation_accuracy : list of float or None
        After the epoch; None without validation.
    lr : list of float
        The learning rate that the epoch's last step took.
    seconds : list of float
        Validation included.
    """

    epoch: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float | None] = field(default_factory=list)
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
