"""Optimisers: how a parameter moves along its gradient, and learning-rate schedules.

=============  ============================================================================================
`optimizer`    `Optimizer`, what all optimisers share: the order of a step, state
`ranges`       numbers in the ranges that settings have
`sgd`          `SGD`
`adam`         `Adam`, `AdamW`
`schedule`     `Schedule`, `StepLR`, `CosineAnnealingLR`
`one_cycle`    `OneCycleLR`
=============  ============================================================================================

Keywords, update rules and the meaning of schedules are PyTorch's. The arithmetic of a step is one pass over memory for
each parameter, in place, compiled. A call that fails, whatever the reason, has changed nothing: neither parameters nor
state nor rates.
"""

from fastconv.optim.adam import Adam, AdamW
from fastconv.optim.one_cycle import OneCycleLR
from fastconv.optim.optimizer import Optimizer
from fastconv.optim.schedule import CosineAnnealingLR, Schedule, StepLR
from fastconv.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "CosineAnnealingLR", "OneCycleLR", "Optimizer", "Schedule", "StepLR"]


def __dir__() -> list[str]:
    return __all__
