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
    "avg_pool2d",
    "avg_pool2d_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "cross_entropy",
    "cross_entropy_backward",
    "elu",
    "elu_backward",
    "explain",
    "flatten",
    "flatten_backward",
    "gelu",
    "gelu_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "huber_loss",
    "huber_loss_backward",
    "l1_loss",
    "l1_loss_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse_loss",
    "mse_loss_backward",
    "nll_loss",
    "nll_loss_backward",
    "plan_conv2d",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "smooth_l1_loss",
    "smooth_l1_loss_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]


#: What fewer programs use is imported when it is first used, from these modules.
LATER = {
    "binary_cross_entropy_with_logits": "fastconv.functional.pair_losses",
    "binary_cross_entropy_with_logits_backward": "fastconv.functional.pair_losses",
    "elu": "fastconv.functional.curves",
    "elu_backward": "fastconv.functional.curves",
    "explain": "fastconv.functional.explanation",
    "gelu": "fastconv.functional.curves",
    "gelu_backward": "fastconv.functional.curves",
    "hardsigmoid": "fastconv.functional.curves",
    "hardsigmoid_backward": "fastconv.functional.curves",
    "hardswish": "fastconv.functional.curves",
    "hardswish_backward": "fastconv.functional.curves",
    "huber_loss": "fastconv.functional.pair_losses",
    "huber_loss_backward": "fastconv.functional.pair_losses",
    "l1_loss": "fastconv.functional.pair_losses",
    "l1_loss_backward": "fastconv.functional.pair_losses",
    "mse_loss": "fastconv.functional.pair_losses",
    "mse_loss_backward": "fastconv.functional.pair_losses",
    "prelu": "fastconv.functional.rectifier",
    "prelu_backward": "fastconv.functional.rectifier",
    "silu": "fastconv.functional.curves",
    "silu_backward": "fastconv.functional.curves",
    "smooth_l1_loss": "fastconv.functional.pair_losses",
    "smooth_l1_loss_backward": "fastconv.functional.pair_losses",
    "softplus": "fastconv.functional.curves",
    "softplus_backward": "fastconv.functional.curves",
}


def __getattr__(name: str) -> Any:
    if name in LATER:
        value = globals()[name] = getattr(import_module(LATER[name]), name)
        return value
    raise AttributeError(f"module 'fastconv.functional' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
