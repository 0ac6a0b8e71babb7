"""The signatures of the operations as type checkers see them: results have the dtype of the arguments.

Beside them in the modules stands what a reader needs; `tests/test_typing.py` keeps the two in step. Operations that
are imported when they are first used have their signatures in a stub beside their module.
"""

from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.conv import conv_output_size as conv_output_size
from fastconv.functional.curves import (
    elu as elu,
    elu_backward as elu_backward,
    gelu as gelu,
    gelu_backward as gelu_backward,
    hardsigmoid as hardsigmoid,
    hardsigmoid_backward as hardsigmoid_backward,
    hardswish as hardswish,
    hardswish_backward as hardswish_backward,
    silu as silu,
    silu_backward as silu_backward,
    softplus as softplus,
    softplus_backward as softplus_backward,
)
from fastconv.functional.explanation import explain as explain
from fastconv.functional.pair_losses import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_backward as binary_cross_entropy_with_logits_backward,
    huber_loss as huber_loss,
    huber_loss_backward as huber_loss_backward,
    l1_loss as l1_loss,
    l1_loss_backward as l1_loss_backward,
    mse_loss as mse_loss,
    mse_loss_backward as mse_loss_backward,
    smooth_l1_loss as smooth_l1_loss,
    smooth_l1_loss_backward as smooth_l1_loss_backward,
)
from fastconv.functional.prepared import Conv2dPlan
from fastconv.functional.rectifier import (
    prelu as prelu,
    prelu_backward as prelu_backward,
)
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat,
    Float,
    NDArray,
    Needs,
    Padding,
    PaddingMode,
    Pair,
    Reduction,
)

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

@overload
def conv2d(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None, *, stride: Pair = 1,
           padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
           padding_value: float = 0.0, data_format: DataFormat = "NCHW", activation: Activation | None = None,
           algorithm: Algorithm = "auto", out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def conv2d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1, padding: Padding = 0,
           dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant", padding_value: float = 0.0,
           data_format: DataFormat = "NCHW", activation: Activation | None = None, algorithm: Algorithm = "auto",
           out: Array | None = None) -> Array: ...
@overload
def conv2d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *, stride: Pair = 1,
                    padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0,
                    data_format: DataFormat = "NCHW") -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def conv2d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *, stride: Pair = 1,
                    padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                    needs: Needs) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def conv2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1, padding: Padding = 0,
                    dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW") -> tuple[Array, Array, Array]: ...
@overload
def conv2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1, padding: Padding = 0,
                    dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                    needs: Needs) -> tuple[Array | Any, Array | Any, Array | Any]: ...
@overload
def plan_conv2d(x_shape: tuple[int, ...], weight: NDArray[Float], bias: NDArray[Float] | None = None, *,
                stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1, groups: int = 1,
                padding_mode: PaddingMode = "constant", padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                activation: Activation | None = None, algorithm: Algorithm = "auto") -> Conv2dPlan[Float]: ...
@overload
def plan_conv2d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Pair = 1,
                padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                padding_value: float = 0.0, data_format: DataFormat = "NCHW", activation: Activation | None = None,
                algorithm: Algorithm = "auto") -> Conv2dPlan[Any]: ...

@overload
def linear(x: NDArray[Float], weight: NDArray[Float], bias: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def linear(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Array: ...
@overload
def linear_backward(grad_output: NDArray[Float], x: NDArray[Float],
                    weight: NDArray[Float]) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def linear_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *,
                    needs: Needs) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def linear_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike) -> tuple[Array, Array, Array]: ...
@overload
def linear_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *,
                    needs: Needs) -> tuple[Array | Any, Array | Any, Array | Any]: ...

@overload
def max_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               dilation: Pair = 1, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[False] = False) -> NDArray[Float]: ...
@overload
def max_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               dilation: Pair = 1, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[True]) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[False] = False) -> Array: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[True]) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: bool) -> Any: ...
@overload
def max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                        kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
                        ceil_mode: bool = False, data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
                        data_format: DataFormat = "NCHW") -> Array: ...
@overload
def avg_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True,
               data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def avg_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> Array: ...
@overload
def avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, data_format: DataFormat = "NCHW") -> Array: ...
@overload
def adaptive_max_pool2d(x: NDArray[Float], output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[False] = False) -> NDArray[Float]: ...
@overload
def adaptive_max_pool2d(x: NDArray[Float], output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[True]) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[False] = False) -> Array: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[True]) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: bool) -> Any: ...
@overload
def adaptive_max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def adaptive_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW") -> Array: ...
@overload
def adaptive_avg_pool2d(x: NDArray[Float], output_size: Pair, *,
                        data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def adaptive_avg_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW") -> Array: ...
@overload
def adaptive_avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def adaptive_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW") -> Array: ...
@overload
def global_max_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW",
                      return_indices: Literal[False] = False) -> NDArray[Float]: ...
@overload
def global_max_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW",
                      return_indices: Literal[True]) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW",
                      return_indices: Literal[False] = False) -> Array: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW",
                      return_indices: Literal[True]) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", return_indices: bool) -> Any: ...
@overload
def global_max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def global_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW") -> Array: ...
@overload
def global_avg_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def global_avg_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW") -> Array: ...
@overload
def global_avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW") -> NDArray[Float]: ...
@overload
def global_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW") -> Array: ...

@overload
def relu(x: NDArray[Float]) -> NDArray[Float]: ...
@overload
def relu(x: ArrayLike) -> Array: ...
@overload
def relu_backward(grad_output: NDArray[Float], x: NDArray[Float]) -> NDArray[Float]: ...
@overload
def relu_backward(grad_output: ArrayLike, x: ArrayLike) -> Array: ...
@overload
def sigmoid(x: NDArray[Float]) -> NDArray[Float]: ...
@overload
def sigmoid(x: ArrayLike) -> Array: ...
@overload
def sigmoid_backward(grad_output: NDArray[Float], y: NDArray[Float]) -> NDArray[Float]: ...
@overload
def sigmoid_backward(grad_output: ArrayLike, y: ArrayLike) -> Array: ...
@overload
def tanh(x: NDArray[Float]) -> NDArray[Float]: ...
@overload
def tanh(x: ArrayLike) -> Array: ...
@overload
def tanh_backward(grad_output: NDArray[Float], y: NDArray[Float]) -> NDArray[Float]: ...
@overload
def tanh_backward(grad_output: ArrayLike, y: ArrayLike) -> Array: ...
@overload
def leaky_relu(x: NDArray[Float], negative_slope: float = 0.01) -> NDArray[Float]: ...
@overload
def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> Array: ...
@overload
def leaky_relu_backward(grad_output: NDArray[Float], x: NDArray[Float],
                        negative_slope: float = 0.01) -> NDArray[Float]: ...
@overload
def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01) -> Array: ...
@overload
def softmax(x: NDArray[Float], axis: int = -1) -> NDArray[Float]: ...
@overload
def softmax(x: ArrayLike, axis: int = -1) -> Array: ...
@overload
def softmax_backward(grad_output: NDArray[Float], y: NDArray[Float], axis: int = -1) -> NDArray[Float]: ...
@overload
def softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1) -> Array: ...
@overload
def log_softmax(x: NDArray[Float], axis: int = -1) -> NDArray[Float]: ...
@overload
def log_softmax(x: ArrayLike, axis: int = -1) -> Array: ...
@overload
def log_softmax_backward(grad_output: NDArray[Float], y: NDArray[Float], axis: int = -1) -> NDArray[Float]: ...
@overload
def log_softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1) -> Array: ...
@overload
def flatten(x: NDArray[Float]) -> NDArray[Float]: ...
@overload
def flatten(x: ArrayLike) -> Array: ...
@overload
def flatten_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...]) -> NDArray[Float]: ...
@overload
def flatten_backward(grad_output: ArrayLike, input_shape: tuple[int, ...]) -> Array: ...

@overload
def nll_loss(log_probs: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
             ignore_index: int = -100, reduction: Literal["mean", "sum"] = "mean", out: None = None) -> Float: ...
@overload
def nll_loss(log_probs: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
             ignore_index: int = -100, reduction: Literal["none"],
             out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None, ignore_index: int = -100,
             reduction: Literal["none"], out: Array | None = None) -> Array: ...
@overload
def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None, ignore_index: int = -100,
             reduction: Reduction = "mean", out: Array | None = None) -> Any: ...
@overload
def nll_loss_backward(log_probs: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
                      ignore_index: int = -100, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def nll_loss_backward(log_probs: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                      ignore_index: int = -100, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                      out: Array | None = None) -> Array: ...
@overload
def cross_entropy(logits: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
                  ignore_index: int = -100, reduction: Literal["mean", "sum"] = "mean", label_smoothing: float = 0.0,
                  out: None = None) -> Float: ...
@overload
def cross_entropy(logits: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
                  ignore_index: int = -100, reduction: Literal["none"], label_smoothing: float = 0.0,
                  out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def cross_entropy(logits: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None, ignore_index: int = -100,
                  reduction: Literal["none"], label_smoothing: float = 0.0, out: Array | None = None) -> Array: ...
@overload
def cross_entropy(logits: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None, ignore_index: int = -100,
                  reduction: Reduction = "mean", label_smoothing: float = 0.0, out: Array | None = None) -> Any: ...
@overload
def cross_entropy_backward(logits: NDArray[Float], target: ArrayLike, *, weight: NDArray[Float] | None = None,
                           ignore_index: int = -100, reduction: Reduction = "mean", label_smoothing: float = 0.0,
                           grad_output: ArrayLike = 1.0, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def cross_entropy_backward(logits: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                           ignore_index: int = -100, reduction: Reduction = "mean", label_smoothing: float = 0.0,
                           grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array: ...
