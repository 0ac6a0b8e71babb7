"""fastconv: convolution and pooling for NumPy on CPUs, forward and backward, and a CNN library on top.

Arrays in, arrays out: `fc.conv2d`, `fc.max_pool2d`, `fc.relu`, ... and their `*_backward`. Layers and models are in
`fastconv.nn`, optimisers in `fastconv.optim`, data sets in `fastconv.data`, training in `fc.Trainer`.
"""

from fastconv import data, nn, optim
from fastconv.config import get_num_threads, num_threads, set_num_threads, show_config
from fastconv.functional.conv import conv2d, conv2d_backward, conv_output_size
from fastconv.functional.explain import explain
from fastconv.nn import load, load_weights, save
from fastconv.training import EarlyStopping, History, Trainer

__version__ = "0.1.0"

__all__ = [
    "EarlyStopping",
    "History",
    "Trainer",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "data",
    "explain",
    "get_num_threads",
    "load",
    "load_weights",
    "nn",
    "num_threads",
    "optim",
    "save",
    "set_num_threads",
    "show_config",
]
