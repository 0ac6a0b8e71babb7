"""A small training: images, a trainer that learns them in a moment, and what two runs must have in common."""

import numpy as np

from fastconv import data, nn, optim
from fastconv.training import Trainer

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
IMAGES = (RNG.random((60, 1, 8, 8)) + np.eye(8)[None, None] * (LABELS == 1)[:, None, None, None]
          + np.eye(8)[::-1] * (LABELS == 2)[:, None, None, None]).astype(np.float32)  # fmt: skip
TRAIN, VALIDATION = (IMAGES[:44], LABELS[:44]), (IMAGES[44:], LABELS[44:])


def trainer(optimizer="SGD", schedule=None, dropout=0.3):
    rng = np.random.default_rng(1)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=rng), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Dropout(dropout, rng=2), nn.Linear(36, 3, rng=rng), nn.LogSoftmax())  # fmt: skip
    made = {"SGD": lambda: optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
            "Adam": lambda: optim.Adam(model.parameters(), lr=0.01)}[optimizer]()  # fmt: skip
    made_schedule = {
        None: lambda: None,
        "epochs": lambda: optim.CosineAnnealingLR(made, T_max=6),
        "batches": lambda: optim.OneCycleLR(made, max_lr=0.1, epochs=6, steps_per_epoch=5),
    }[schedule]()
    return Trainer(model, made, nn.NLLLoss(), made_schedule)


def fit(trainer, epochs=6, **options):
    options = dict(batch_size=10, validation=VALIDATION, progress=False, seed=3) | options
    return trainer.fit(TRAIN, epochs, **options)


def same_weights(first, second):
    for (name, a), (_, b) in zip(first.model.state_dict().items(), second.model.state_dict().items(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


def without_time(history):
    return {name: values for name, values in history.to_dict().items() if name != "seconds"}


class Interrupting(data.RandomAffine):
    """Ctrl-C after so many batches; its settings are the same with and without."""

    def __init__(self, after=-1):
        super().__init__()
        self._left = after

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_left"}

    def __call__(self, images, rng):
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return super().__call__(images, rng)
