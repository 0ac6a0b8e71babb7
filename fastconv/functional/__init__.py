"""Stateless operations: arrays in, arrays out. The only floor that checks arguments (all in ``checks``)."""

from importlib import import_module
from typing import Any

from fastconv.functional.activation import (
    flatten,
    flatten_backward,
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from fastconv.functional.conv import conv2d, conv2d_backward, conv_output_size
from fastconv.functional.global_pooling import (
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from fastconv.functional.linear import linear, linear_backward
from fastconv.functional.loss import (
    cross_entropy,
    cross_entropy_backward,
    nll_loss,
    nll_loss_backward,
)
from fastconv.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from fastconv.functional.prepared import plan_conv2d

__all__ = [
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "add",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "explain",
    "flatten",
    "flatten_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "interpolate",
    "interpolate_backward",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "nll_loss",
    "nll_loss_backward",
    "plan_conv2d",
    "plan_conv_transpose2d",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]


#: What fewer programs use is imported when it is first used, from these modules.
LATER = {
    "add": "fastconv.functional.addition",
    "batch_norm": "fastconv.functional.batch_normalisation",
    "batch_norm_backward": "fastconv.functional.batch_normalisation",
    "conv_transpose2d": "fastconv.functional.transposed_images",
    "conv_transpose2d_backward": "fastconv.functional.transposed_images",
    "explain": "fastconv.functional.explanation",
    "group_norm": "fastconv.functional.layer_normalisation",
    "group_norm_backward": "fastconv.functional.layer_normalisation",
    "interpolate": "fastconv.functional.interpolation",
    "interpolate_backward": "fastconv.functional.interpolation",
    "layer_norm": "fastconv.functional.layer_normalisation",
    "layer_norm_backward": "fastconv.functional.layer_normalisation",
    "plan_conv_transpose2d": "fastconv.functional.transposed_images",
    "relu6": "fastconv.functional.clipping",
    "relu6_backward": "fastconv.functional.clipping",
}


def __getattr__(name: str) -> Any:
    if name in LATER:
        value = globals()[name] = getattr(import_module(LATER[name]), name)
        return value
    raise AttributeError(f"module 'fastconv.functional' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
