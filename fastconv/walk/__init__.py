"""The numbers behind every picture: a convolution, a pooling, a network on its way forward and back.

Nothing is drawn here. Pictures, page, terminal and course all read these, so they cannot disagree; and every number is
a kernel's own result, by the direct sum where products are shown.

======================== ===================================================================================="""

from fastconv.walk.activation import ACTIVATIONS, ActivationWalk, activation
from fastconv.walk.conv import Cell, ConvolutionWalk, convolution
from fastconv.walk.conv_gradients import ConvolutionBackwardWalk, Tap, convolution_backward
from fastconv.walk.filters import FILTERS
from fastconv.walk.gradients import FiniteDifference, GradientCheck, check_gradients, finite_difference
from fastconv.walk.network import BackwardWalk, ForwardWalk, LayerWalk, UpdateWalk, backward, forward, update
from fastconv.walk.patches import PatchesWalk, top_patches
from fastconv.walk.pool import PoolingWalk, Window, pooling
from fastconv.walk.predictions import PredictionsWalk, confusion, predictions
from fastconv.walk.shuffled import ShuffledWalk, shuffled_pixels
from fastconv.walk.sizes import OutputSize, output_size
from fastconv.walk.training import TrainingWalk, training

__all__ = [
    "ACTIVATIONS",
    "FILTERS",
    "ActivationWalk",
    "BackwardWalk",
    "Cell",
    "ConvolutionBackwardWalk",
    "ConvolutionWalk",
    "FiniteDifference",
    "ForwardWalk",
    "GradientCheck",
    "LayerWalk",
    "OutputSize",
    "PatchesWalk",
    "PoolingWalk",
    "PredictionsWalk",
    "ShuffledWalk",
    "Tap",
    "TrainingWalk",
    "UpdateWalk",
    "Window",
    "activation",
    "backward",
    "check_gradients",
    "confusion",
    "convolution",
    "convolution_backward",
    "finite_difference",
    "forward",
    "output_size",
    "pooling",
    "predictions",
    "shuffled_pixels",
    "top_patches",
    "training",
    "update",
]


def __dir__() -> list[str]:
    return sorted(__all__)
