"""The numbers behind every picture: what a convolution, a pooling or a whole network does, step by step, as arrays.

Nothing is drawn here. Pictures, page, terminal and course all read these, so they cannot disagree; and every number is
a kernel's own result, by the direct sum where products are shown.

======================== ===========================================================================================
``convolution``          one image under filters: padding, each position of the window, products, maps, formula
``convolution_backward`` the way back through it: the pixels and gradients that each weight's gradient is the sum of
``pooling``              one image cut into windows: what each holds, its winner or mean
``activation``           an activation as a curve with its slope, and what it makes of maps
``forward``              one image through a network, layer by layer, and what it is taken for
``backward``             the way back: the loss, and at each layer its rule, the gradient before and behind it
``update``               one step of gradient descent: parameters before and after, and the loss of the same images
``training``             the loop: the loss of each batch, and a layer's filters on the way
``shuffled_pixels``      the same digits with their pixels shuffled: what convolution loses by it, and a row does not
``predictions``          many images: what they are taken for, ``confusion`` of classes, the worst mistakes
``top_patches``          the patches of images that the filters of a layer answer to most strongly
``check_gradients``      a layer's backward beside finite differences
``finite_difference``    one number of a model's gradient beside what the loss does when it is moved
``FILTERS``              blur, Sobel and others, to be slid over an image
``output_size``          OH = (H + 2P - FH) / S + 1 with its terms, every position of the window, what none visits
======================== ===========================================================================================
"""

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
