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
    "adaptive_avg_pool1d",
    "adaptive_avg_pool1d_backward",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "adaptive_avg_pool3d",
    "adaptive_avg_pool3d_backward",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_backward",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_backward",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_backward",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "conv1d",
    "conv1d_backward",
    "avg_pool3d",
    "avg_pool3d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "conv3d",
    "conv3d_backward",
    "conv_output_size",
    "cross_entropy",
    "cross_entropy_backward",
    "explain",
    "flatten",
    "flatten_backward",
    "global_avg_pool1d",
    "global_avg_pool1d_backward",
    "global_avg_pool2d",
    "global_avg_pool2d_backward",
    "global_avg_pool3d",
    "global_avg_pool3d_backward",
    "global_max_pool1d",
    "global_max_pool1d_backward",
    "global_max_pool2d",
    "global_max_pool2d_backward",
    "global_max_pool3d",
    "global_max_pool3d_backward",
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
    "lp_pool1d",
    "lp_pool1d_backward",
    "lp_pool2d",
    "lp_pool2d_backward",
    "lp_pool3d",
    "lp_pool3d_backward",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "max_unpool1d",
    "max_unpool1d_backward",
    "max_unpool2d",
    "max_unpool2d_backward",
    "max_unpool3d",
    "max_unpool3d_backward",
    "nll_loss",
    "nll_loss_backward",
    "plan_conv1d",
    "plan_conv2d",
    "plan_conv3d",
    "relu",
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
    "conv1d": "fastconv.functional.signals",
    "conv1d_backward": "fastconv.functional.signals",
    "conv3d": "fastconv.functional.volumes",
    "conv3d_backward": "fastconv.functional.volumes",
    "explain": "fastconv.functional.explanation",
    "plan_conv1d": "fastconv.functional.signals",
    "plan_conv3d": "fastconv.functional.volumes",
    **{f"{kind}_pool{axes}d{suffix}": f"fastconv.functional.pooling{axes}d"
       for kind in ("max", "avg", "adaptive_max", "adaptive_avg", "global_max", "global_avg")
       for axes in (1, 3) for suffix in ("", "_backward")},
    **{f"lp_pool{axes}d{suffix}": "fastconv.functional.lp_pooling"
       for axes in (1, 2, 3) for suffix in ("", "_backward")},
    **{f"max_unpool{axes}d{suffix}": "fastconv.functional.unpooling"
       for axes in (1, 2, 3) for suffix in ("", "_backward")},
    "batch_norm": "fastconv.functional.batch_normalisation",
    "batch_norm_backward": "fastconv.functional.batch_normalisation",
    "explain": "fastconv.functional.explanation",
    "group_norm": "fastconv.functional.layer_normalisation",
    "group_norm_backward": "fastconv.functional.layer_normalisation",
    "layer_norm": "fastconv.functional.layer_normalisation",
    "layer_norm_backward": "fastconv.functional.layer_normalisation",
}


def __getattr__(name: str) -> Any:
    if name in LATER:
        value = globals()[name] = getattr(import_module(LATER[name]), name)
        return value
    raise AttributeError(f"module 'fastconv.functional' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
