"""Every picture of `fastconv.plots`, of the same small data each time."""

import numpy as np

from fastconv import data, nn, plots


def model():
    return nn.models.lenet5(rng=0)


def image():
    return data.digits("test").images[0]


def some_images():
    return data.digits("test").images[:64], data.digits("test").labels[:64]


def pictures():
    """What makes each of them: by name."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 7)).astype(np.float32)
    weight = rng.standard_normal((2, 3, 3, 3)).astype(np.float32)
    return {
        "convolution": lambda: plots.ConvolutionDisplay.from_arrays(x, weight, padding=1, padding_value=2.0,
                                                                    at=(1, 2)),
        "convolution of a model": lambda: plots.ConvolutionDisplay.from_model(model(), image(), layer=1, k=3,
                                                                             channel=2),
        "channel sum": lambda: plots.ChannelSumDisplay.from_arrays(x, weight, padding=1),
        "channel sum of a model": lambda: plots.ChannelSumDisplay.from_model(model(), image(), layer=1),
        "output size": lambda: plots.OutputSizeDisplay.from_sizes(8, 3, 2, (0, 1)),
        "activation": lambda: plots.ActivationDisplay.from_arrays(x, nn.Tanh(), channel=2),
        "activation of a model": lambda: plots.ActivationDisplay.from_model(model(), image(), channel=5),
        "flatten": lambda: plots.FlattenDisplay.from_arrays(x),
        "flatten of a model": lambda: plots.FlattenDisplay.from_model(model(), image()),
        "network": lambda: plots.ModelDisplay.from_model(model(), image()),
        "loss": lambda: plots.LossDisplay.from_model(model(), image(), 7),
        "gradients": lambda: plots.GradientDisplay.from_model(model(), image(), 7),
        "update": lambda: plots.UpdateDisplay.from_model(model(), data.digits("test").images[:8],
                                                 data.digits("test").labels[:8], layer=1, k=3, channel=2),
        "uses of pixels": lambda: plots.PixelUseDisplay.from_sizes((6, 8), 3, padding=(0, 1)),
        "shuffled pixels": lambda: plots.ShuffledPixelsDisplay.from_arrays(*some_images(), *some_images(), epochs=1),
        "feature maps": lambda: plots.FeatureMapDisplay.from_model(model(), image()),
        "filters": lambda: plots.FilterDisplay.from_model(model(), layer=1),
        "pooling": lambda: plots.PoolingDisplay.from_arrays(x, 2),
        "averages": lambda: plots.PoolingDisplay.from_arrays(x, 3, stride=2, kind="average"),
        "prediction": lambda: plots.PredictionDisplay.from_model(model(), image(), label=7),
        "confusion": lambda: plots.ConfusionMatrixDisplay.from_model(model(), *some_images()),
        "mistakes": lambda: plots.MistakesDisplay.from_model(model(), *some_images()),
        "patches": lambda: plots.TopPatchesDisplay.from_model(model(), some_images()[0], layer=1),
        "filters on their way": lambda: plots.FilterHistoryDisplay.from_model(model(), *some_images(), batch_size=16),
        "learning rates": lambda: plots.LearningRateDisplay.from_arrays([0.01, 0.1, 1.0], [2.3, 1.1, 9.0],
                                                                              suggestion=0.1),
        "history": lambda: plots.HistoryDisplay.from_history({"epoch": [1, 2], "train_loss": [0.9, 0.4],
                                                      "validation_loss": [None, 0.5], "lr": [0.05, 0.05]}),
    }
