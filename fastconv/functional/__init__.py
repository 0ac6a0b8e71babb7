"""Stateless operations: arrays in, arrays out. The only floor that checks arguments (all in ``checks``)."""

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
from fastconv.functional.explain import explain
from fastconv.functional.linear import linear, linear_backward
from fastconv.functional.loss import cross_entropy, cross_entropy_backward, nll_loss, nll_loss_backward

__all__ = [
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "cross_entropy",
    "cross_entropy_backward",
    "explain",
    "flatten",
    "flatten_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "nll_loss",
    "nll_loss_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]
