"""Pictures of every notion of the lecture, with Matplotlib (``pip install 'fastconv[plot]'``).

Each is a display, as in scikit-learn: `from_arrays` or `from_model` computes what there is to see, `plot` draws it,
into an axes that is given or a figure of its own, `describe` says its numbers in words. Matplotlib is imported by
`plot`, and nothing is ever shown or set for others: ``display.figure_.savefig("maps.png")`` or a notebook does that.

=========================  ===========================================================================================
`ConvolutionDisplay`       a filter's slice over its patch: products, their sum, and the cell of the feature map
`ChannelSumDisplay`        each channel under its slice, the channel maps, and their sum
`OutputSizeDisplay`        the window's positions along a row: padding, stride, and what no window visits
`FeatureMapDisplay`        all maps of a network for one image, layer by layer
`FilterDisplay`            the slices of a layer's filters
`ActivationDisplay`        an activation and its slope, a map before and after, all numbers as a histogram
`PoolingDisplay`           an image cut into windows, each window's winner or mean
`FlattenDisplay`           maps laid one behind the other into one row of numbers
`ModelDisplay`             the layers of a network as stacks, with shape, parameters and formula
`PredictionDisplay`        an image and the probabilities of its classes
`LossDisplay`              -log p of the true class on its curve, and the gradient p - onehot
`GradientDisplay`          the gradient through every layer on the way back, with the rule of each
`UpdateDisplay`            a filter before and after one step of gradient descent
`ConfusionMatrixDisplay`   how many images of each class are taken for each
`MistakesDisplay`          the images that a network is most wrong about
`TopPatchesDisplay`        the patches of images that each filter answers to most strongly
`FilterHistoryDisplay`     filters from their initialisation on, as they are learnt
`LearningRateDisplay`      the loss while the learning rate grows, and where it falls fastest
`HistoryDisplay`           loss, accuracy and learning rate of a training
=========================  ===========================================================================================

Numbers are the kernels' (`fastconv.walk`). Weights, maps and gradients are red where positive and blue where negative,
with limits symmetric about 0; padding is hatched.
"""

from fastconv.plots.activation import ActivationDisplay
from fastconv.plots.convolution import ChannelSumDisplay, ConvolutionDisplay, OutputSizeDisplay
from fastconv.plots.flatten import FlattenDisplay
from fastconv.plots.gradients import GradientDisplay, UpdateDisplay
from fastconv.plots.history import HistoryDisplay
from fastconv.plots.loss import LossDisplay
from fastconv.plots.maps import FeatureMapDisplay, FilterDisplay
from fastconv.plots.mistakes import ConfusionMatrixDisplay, MistakesDisplay
from fastconv.plots.model import ModelDisplay
from fastconv.plots.patches import TopPatchesDisplay
from fastconv.plots.pooling import PoolingDisplay
from fastconv.plots.prediction import PredictionDisplay
from fastconv.plots.training import FilterHistoryDisplay, LearningRateDisplay

__all__ = [
    "ActivationDisplay",
    "ChannelSumDisplay",
    "ConfusionMatrixDisplay",
    "ConvolutionDisplay",
    "FeatureMapDisplay",
    "FilterDisplay",
    "FilterHistoryDisplay",
    "FlattenDisplay",
    "GradientDisplay",
    "HistoryDisplay",
    "LearningRateDisplay",
    "LossDisplay",
    "MistakesDisplay",
    "ModelDisplay",
    "OutputSizeDisplay",
    "PoolingDisplay",
    "PredictionDisplay",
    "TopPatchesDisplay",
    "UpdateDisplay",
]


def __dir__() -> list[str]:
    return sorted(__all__)
