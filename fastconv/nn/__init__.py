"""Layers, losses, initialisers and models: objects that hold parameters and call `fastconv.functional`.

    module          Parameter and Module: what every layer is
    state, blame    where a module finds its arrays; errors that name the layer
    sequential      Sequential: a model as a chain of layers
    fusing          which of them run together; folding: batch normalisation made part of weights
    containers      ModuleList, ModuleDict
    conv, conv_transpose, pooling, norm, padding, activation, linear    the layers; pooling1d and pooling3d those for
                    signals and volumes
    synchronised    batch normalisation of a part of a batch by the statistics of the whole
    loss            losses of classes and of numbers
    blocks, unet    what the ready-made models are made of
    joining         Residual, Concat: layers in which an input goes several ways
    unpooling       MaxUnpool; PoolUnpool: down, through a body, and up again
    conv, conv_transpose, pooling, activation, norm, linear, interpolation    the layers
    loss            NLLLoss, CrossEntropyLoss
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
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from fastconv.nn.blocks import BasicBlock, InvertedResidual
from fastconv.nn.containers import ModuleDict, ModuleList
from fastconv.nn.conv import Conv1d, Conv2d, Conv3d
from fastconv.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from fastconv.nn.folding import fold_batch_norm
from fastconv.nn.interpolation import Upsample
from fastconv.nn.joining import Concat, Residual
from fastconv.nn.linear import Dropout, Dropout2d, Flatten, Linear
from fastconv.nn.loss import BCEWithLogitsLoss, CrossEntropyLoss, HuberLoss, L1Loss, MSELoss, NLLLoss, SmoothL1Loss
from fastconv.nn.module import Module
from fastconv.nn.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm
from fastconv.nn.padding import ZeroPad2d
from fastconv.nn.parameter import Parameter
from fastconv.nn.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    LPPool2d,
    MaxPool2d,
)
from fastconv.nn.pooling1d import (
    AdaptiveAvgPool1d,
    AdaptiveMaxPool1d,
    AvgPool1d,
    GlobalAvgPool1d,
    GlobalMaxPool1d,
    LPPool1d,
    MaxPool1d,
)
from fastconv.nn.pooling3d import (
    AdaptiveAvgPool3d,
    AdaptiveMaxPool3d,
    AvgPool3d,
    GlobalAvgPool3d,
    GlobalMaxPool3d,
    LPPool3d,
    MaxPool3d,
)
from fastconv.nn.sequential import Sequential
from fastconv.nn.serialization import load, load_metadata, load_weights, save
from fastconv.nn.unet import UNet
from fastconv.nn.unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d, PoolUnpool

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCEWithLogitsLoss",
    "BasicBlock",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout2d",
    "ELU",
    "Flatten",
    "GELU",
    "GlobalAvgPool1d",
    "GlobalAvgPool2d",
    "GlobalAvgPool3d",
    "GlobalMaxPool1d",
    "GlobalMaxPool2d",
    "GlobalMaxPool3d",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "HuberLoss",
    "Identity",
    "InvertedResidual",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "PoolUnpool",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Tanh",
    "UNet",
    "Upsample",
    "ZeroPad2d",
    "fold_batch_norm",
    "init",
    "load",
    "load_metadata",
    "load_weights",
    "models",
    "save",
]


def __dir__() -> list[str]:
    return __all__
