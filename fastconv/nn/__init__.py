"""Layers, losses, initialisers and models: objects that hold parameters and call `fastconv.functional`.

    module          Parameter and Module: what every layer is
    state, blame    where a module finds its arrays; errors that name the layer
    sequential      Sequential: a model as a chain of layers
    containers      ModuleList, ModuleDict
    blocks, unet    what the ready-made models are made of
    joining         Residual, Concat: layers in which an input goes several ways
    conv, conv_transpose, pooling, activation, norm, linear, interpolation    the layers
    loss            NLLLoss, CrossEntropyLoss
    init            initial weights by name, and the seed
    parts           whether model, optimiser and loss belong together
    models          ready-made models
    architecture    a model as JSON
    serialization   save and load
"""

from fastconv.nn import init, models
from fastconv.nn.activation import LeakyReLU, LogSoftmax, ReLU, ReLU6, Sigmoid, Softmax, Tanh
from fastconv.nn.blocks import BasicBlock, InvertedResidual
from fastconv.nn.containers import ModuleDict, ModuleList
from fastconv.nn.conv import Conv2d
from fastconv.nn.conv_transpose import ConvTranspose2d
from fastconv.nn.interpolation import Upsample
from fastconv.nn.joining import Concat, Residual
from fastconv.nn.linear import Dropout, Flatten, Linear
from fastconv.nn.loss import CrossEntropyLoss, NLLLoss
from fastconv.nn.module import Module, Parameter
from fastconv.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm
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
from fastconv.nn.unet import UNet

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BasicBlock",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Concat",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GlobalMaxPool2d",
    "GroupNorm",
    "InvertedResidual",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "UNet",
    "Upsample",
    "init",
    "load",
    "load_metadata",
    "load_weights",
    "models",
    "save",
]


def __dir__() -> list[str]:
    return __all__
