"""The end of a training that learns nothing any more."""

from __future__ import annotations

from fastconv.training.history import History


class DivergedError(FloatingPointError):
    """The loss or a parameter became infinite or not a number.

    Attributes
    ----------
    history : History
        The epochs before. Model, optimiser, schedule and generators are as they were after the last of them (as before
        `Trainer.fit`, where there is none); with ``EarlyStopping(restore_best=True)`` the model has its best weights.
    """

    def __init__(self, message: str, history: History) -> None:
        super().__init__(message)
        self.history = history
