"""Optimisers: how a parameter moves along its gradient, and learning-rate schedules.

=============  ============================================================================================
`optimizer`    `Optimizer`, what all optimisers share: the order of a step, state
`ranges`       numbers in the ranges that settings have
`sgd`          `SGD`
`adam`         `Adam`, `AdamW`
`rmsprop`      `RMSprop`
`adagrad`      `Adagrad`
`clip`         `clip_grad_norm_`, `clip_grad_value_`
`schedule`     `Schedule`, `StepLR`, `CosineAnnealingLR`
`one_cycle`    `OneCycleLR`
=============  ============================================================================================

Keywords, update rules and the meaning of schedules are PyTorch's. The arithmetic of a step is one pass over memory for
each parameter, in place, compiled. A call that fails, whatever the reason, has changed nothing: neither parameters nor
state nor rates.
"""

from fastconv.optim.adagrad import Adagrad
from fastconv.optim.adam import Adam, AdamW
from fastconv.optim.clip import clip_grad_norm_, clip_grad_value_
from fastconv.optim.one_cycle import OneCycleLR
from fastconv.optim.optimizer import Optimizer
from fastconv.optim.rmsprop import RMSprop
from fastconv.optim.schedule import CosineAnnealingLR, Schedule, StepLR
from fastconv.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "CosineAnnealingLR", "OneCycleLR", "Optimizer", "RMSprop", "Schedule",
           "StepLR", "clip_grad_norm_", "clip_grad_value_"]


def __dir__() -> list[str]:
    return __all__
