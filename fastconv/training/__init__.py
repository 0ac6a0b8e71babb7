"""Training: epochs over batches with progress, history, validation, early stopping, and checkpoints.

============  =============================================================================================
`trainer`     `Trainer`: the steps of a run
`job`         the arguments of a run, checked
`datasets`    what it trains on and is judged by, checked before the first step
`history`     `History`, what each epoch gave
`stopping`    `EarlyStopping`
`rates`       `RateSearch`, learning rates that were tried
`run`         where a run is, and the state that a later step depends on
`settings`    what a run was made with, for a resumed run to be compared
`described`   any value in words that are the same in every process
`checkpoint`  both in a file, and what is wrong with a file
`alone`       a loss for an evaluation, which shares nothing with that of a training
`progress`    lines and bars on stderr
`interrupt`   Ctrl-C between steps, not within
`diverged`    `DivergedError`, with which a training ends that learns nothing any more
`scores`      how many labels an output has right
`together`    the gradient of a batch, computed by several ranks; with
`ranks`       what they are, and what they agree on
`cut`         the pieces of a batch, and the tree along which they are added up
`buckets`     arrays on their way from rank to rank, and their sums
`lockstep`    pieces side by side, for batch normalisation over the whole batch
============  =============================================================================================

A run is a function of the model, the data and the seed: the batches of an epoch depend on the seed and the epoch's
number alone, and a checkpoint holds everything else that a later step depends on. So a run that was broken off, even
within an epoch, ends with the same bits as one that was not. With ranks the same holds, and the result does not depend
on their number: a batch is cut into pieces that do not, and these are added up in an order that does not.
"""

from fastconv.training.diverged import DivergedError
from fastconv.training.history import History
from fastconv.training.rates import RateSearch
from fastconv.training.stopping import EarlyStopping
from fastconv.training.trainer import Trainer

__all__ = ["DivergedError", "EarlyStopping", "History", "RateSearch", "Trainer"]


def __dir__() -> list[str]:
    return __all__
