"""Layers, losses, initialisers and models: objects that hold parameters and call `fastconv.functional`.

    module       Parameter and Module: what every layer is
    sequential   Sequential: a model as a chain of layers
    conv, pooling, activation, linear      the layers
    loss         NLLLoss, CrossEntropyLoss
    init         initial weights by name, and the seed
    models       ready-made models
"""

from . import init, models
from .activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from .conv import Conv2d
from .linear import Dropout, Flatten, Linear
from .loss import CrossEntropyLoss, NLLLoss
from .module import Module, Parameter
from .pooling import AvgPool2d, MaxPool2d
from .sequential import Sequential
from .serialization import load, load_metadata, load_weights, save

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "init",
    "models",
]
