"""fastconv: convolution and pooling for NumPy on CPUs, forward and backward, and a CNN library on top.

Arrays in, arrays out: `fc.conv2d`, `fc.max_pool2d`, `fc.relu`, ... and their `*_backward`. Layers and models are in
`fastconv.nn`, optimisers in `fastconv.optim`, data sets in `fastconv.data`, training in `fc.Trainer`.
"""

from fastconv import data, nn, optim
from fastconv.config import __version__, get_num_threads, num_threads, set_num_threads, show_config
from fastconv.functional import (
    conv2d,
    conv2d_backward,
    conv_output_size,
    cross_entropy,
    cross_entropy_backward,
    explain,
    flatten,
    flatten_backward,
    leaky_relu,
    leaky_relu_backward,
    linear,
    linear_backward,
    log_softmax,
    log_softmax_backward,
    nll_loss,
    nll_loss_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from fastconv.nn import load, load_weights, save
from fastconv.training import EarlyStopping, History, Trainer

__all__ = [
    "ConvExplanation",
    "EarlyStopping",
    "History",
    "Trainer",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "cross_entropy",
    "cross_entropy_backward",
    "data",
    "explain",
    "flatten",
    "flatten_backward",
    "get_num_threads",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "load",
    "load_weights",
    "log_softmax",
    "log_softmax_backward",
    "nll_loss",
    "nll_loss_backward",
    "nn",
    "num_threads",
    "optim",
    "planned",
    "relu",
    "relu_backward",
    "save",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]
