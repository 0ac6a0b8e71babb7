"""Ready-made models."""

from __future__ import annotations

from typing import Any

from fastconv.functional import checks
from fastconv.functional.typing import FloatDType
from fastconv.nn.activation import LogSoftmax, ReLU
from fastconv.nn.conv import Conv2d
from fastconv.nn.init import Initialiser, InitName, Rng, generator
from fastconv.nn.linear import Flatten, Linear
from fastconv.nn.pooling import MaxPool2d
from fastconv.nn.sequential import Sequential

__all__ = ["lenet5"]


def __dir__() -> list[str]:
    return __all__


def lenet5(
    in_channels: int = 1,
    classes: int = 10,
    input_size: int = 28,
    *,
    init: InitName | Initialiser = "he_uniform",
    rng: Rng = None,
    dtype: FloatDType = "float32",
) -> Sequential:
    """LeNet-5 with ReLU and max pooling, returning log-probabilities: train it with `NLLLoss`.

    Two convolutions of 5 x 5 (6 and 16 filters), each followed by ReLU and 2 x 2 max pooling, then three fully
    connected layers (120, 84, `classes`).

    Parameters
    ----------
    in_channels, classes : int
    input_size : int
        Rows and columns of the square images, at least 12.
    init, rng, dtype
        As of `Conv2d`.

    Notes
    -----
    Source: Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document recognition",
    1998; there with tanh, trainable average pooling, and without the first padding on images of 32 x 32.

    Examples
    --------
    >>> from fastconv import nn
    >>> print(nn.models.lenet5().summary((1, 28, 28)).parameters)
    61706
    """
    checks.integer(input_size, "input_size", 12)
    rng = generator(rng)
    born: dict[str, Any] = dict(init=init, rng=rng, dtype=dtype)
    last = (input_size // 2 - 4) // 2
    return Sequential(
        Conv2d(in_channels, 6, 5, padding=2, **born), ReLU(), MaxPool2d(2),
        Conv2d(6, 16, 5, **born), ReLU(), MaxPool2d(2),
        Flatten(),
        Linear(16 * last * last, 120, **born), ReLU(),
        Linear(120, 84, **born), ReLU(),
        Linear(84, checks.integer(classes, "classes", 1), **born), LogSoftmax(),
    )  # fmt: skip
