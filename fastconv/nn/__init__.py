"""Layers, losses, initialisers and models: objects that hold parameters and call `fastconv.functional`.

    module          Parameter and Module: what every layer is
    state, blame    where a module finds its arrays; errors that name the layer
    sequential      Sequential: a model as a chain of layers
    containers      ModuleList, ModuleDict
    conv, pooling, padding, activation, linear    the layers
    loss            losses of classes and of numbers
    init            initial weights by name, and the seed
    parts           whether model, optimiser and loss belong together
    models          ready-made models
    architecture    a model as JSON
    serialization   save and load
"""

from fastconv.nn import init, models
from fastconv.nn.activation import (
    ELU,
    GELU,
    Hardsigmoid,
    Hardswish,
    Identity,
    LeakyReLU,
    LogSoftmax,
    PReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from fastconv.nn.containers import ModuleDict, ModuleList
from fastconv.nn.conv import Conv2d
from fastconv.nn.linear import Dropout, Dropout2d, Flatten, Linear
from fastconv.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from fastconv.nn.module import Module, Parameter
from fastconv.nn.padding import ZeroPad2d
from fastconv.nn.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
)
from fastconv.nn.sequential import Sequential
from fastconv.nn.serialization import load, load_metadata, load_weights, save

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "ELU",
    "Flatten",
    "GELU",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "Hardsigmoid",
    "Hardswish",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "ZeroPad2d",
    "init",
    "load",
    "load_metadata",
    "load_weights",
    "models",
    "save",
]


def __dir__() -> list[str]:
    return __all__
