"""What mpiexec starts in the tests of training by MPI:

    rank_program.py KIND OPTIMIZER END.npz [CHECKPOINT.npz [resume]]

Rank 0 writes the model's state to END.npz. "endless" is "long", but has no end: its ranks wait to be killed.
"""

import os
import sys
import time

import numpy as np
from mpi4py import MPI

import fastconv as fc
from fastconv import data, nn, optim

COMM = MPI.COMM_WORLD
DIGITS = data.digits()
KIND, OPTIMIZER, END, CHECKPOINT, RESUME = [*sys.argv[1:], "", ""][:5]
ENDLESS = KIND == "endless"
if ENDLESS:
    KIND = "long"


class Augment(data.RandomAffine):
    """Slow where a run is to be killed; fails on rank 1 where it is to fail."""

    def __call__(self, images, rng):
        if KIND == "long":
            time.sleep(0.005)
        if KIND == "failing" and COMM.rank == 1:
            raise ValueError("the disk is gone")
        return super().__call__(images, rng)


def small_network():
    rng = np.random.default_rng(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, rng=rng), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.1, rng=1),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(144, 10, rng=rng))


def main():
    model, images, batch_size = small_network(), 500, 30
    if KIND == "lenet":
        layers = list(nn.models.lenet5(rng=0).layers.values())
        model, images, batch_size = nn.Sequential(*layers[:-2], nn.Dropout(0.2, rng=1), *layers[-2:]), 395, 16
    if KIND == "resnet":
        model, images, batch_size = nn.models.resnet_small(10, 1, rng=0), 99, 8
    make = {"SGD": lambda: optim.SGD(model.parameters(), 0.02, 0.9),
            "Adam": lambda: optim.Adam(model.parameters(), 0.002)}[OPTIMIZER]
    loss = nn.NLLLoss() if model.returns == "log-probabilities" else nn.CrossEntropyLoss()
    trainer = fc.Trainer(model, make(), loss, comm=COMM, sync_batch_norm=KIND == "synchronised")
    if KIND in ("threads", "bound"):
        if KIND == "bound":
            cpus = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cpus[COMM.rank]})
            fc.set_num_threads(1)
        with trainer.ranks.threads():
            counts = COMM.gather(fc.get_num_threads())
        if COMM.rank == 0:
            print(*counts)
        return
    train_set = (DIGITS.images[:images, :, 6:-6, 6:-6] if KIND == "resnet" else DIGITS.images[:images],
                 DIGITS.labels[:images])
    trainer.fit(train_set, {"long": 6, "resnet": 4}.get(KIND, 2), batch_size, augment=Augment(shift=1, rotate=10),
                validation=train_set if KIND == "long" else None, progress=KIND == "long",
                checkpoint=CHECKPOINT or None, resume=bool(RESUME))
    if ENDLESS:
        time.sleep(120)
    if COMM.rank == 0:
        np.savez(END, **model.state_dict())


main()
