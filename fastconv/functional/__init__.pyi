"""The signatures of the operations as type checkers see them: results have the dtype of the arguments.

Beside them in the modules stands what a reader needs; `tests/test_typing.py` keeps the two in step. Operations that
are imported when they are first used have their signatures in a stub beside their module.
"""

from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.addition import add as add
from fastconv.functional.clipping import relu6 as relu6, relu6_backward as relu6_backward
from fastconv.functional.batch_normalisation import (
    batch_norm as batch_norm,
    batch_norm_backward as batch_norm_backward,
)
from fastconv.functional.conv import conv_output_size as conv_output_size
from fastconv.functional.transposed_images import (
    conv_transpose2d as conv_transpose2d,
    conv_transpose2d_backward as conv_transpose2d_backward,
    plan_conv_transpose2d as plan_conv_transpose2d,
)
from fastconv.functional.explanation import explain as explain
from fastconv.functional.interpolation import interpolate as interpolate, interpolate_backward as interpolate_backward
from fastconv.functional.layer_normalisation import (
    group_norm as group_norm,
    group_norm_backward as group_norm_backward,
    layer_norm as layer_norm,
    layer_norm_backward as layer_norm_backward,
)
from fastconv.functional.prepared import Conv2dPlan
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

LATER: dict[str, str]

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
def nll_loss(log_probs: NDArray[Float], target: ArrayLike, *, reduction: Literal["mean", "sum"] = "mean") -> Float: ...
@overload
def nll_loss(log_probs: NDArray[Float], target: ArrayLike, *, reduction: Literal["none"]) -> NDArray[Float]: ...
@overload
def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, reduction: Literal["none"]) -> Array: ...
@overload
def nll_loss(log_probs: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean") -> Any: ...
@overload
def nll_loss_backward(log_probs: NDArray[Float], target: ArrayLike, *, reduction: Reduction = "mean",
                      grad_output: ArrayLike = 1.0) -> NDArray[Float]: ...
@overload
def nll_loss_backward(log_probs: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                      grad_output: ArrayLike = 1.0) -> Array: ...
@overload
def cross_entropy(logits: NDArray[Float], target: ArrayLike, *, reduction: Literal["mean", "sum"] = "mean",
                  label_smoothing: float = 0.0) -> Float: ...
@overload
def cross_entropy(logits: NDArray[Float], target: ArrayLike, *, reduction: Literal["none"],
                  label_smoothing: float = 0.0) -> NDArray[Float]: ...
@overload
def cross_entropy(logits: ArrayLike, target: ArrayLike, *, reduction: Literal["none"],
                  label_smoothing: float = 0.0) -> Array: ...
@overload
def cross_entropy(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                  label_smoothing: float = 0.0) -> Any: ...
@overload
def cross_entropy_backward(logits: NDArray[Float], target: ArrayLike, *, reduction: Reduction = "mean",
                           label_smoothing: float = 0.0, grad_output: ArrayLike = 1.0) -> NDArray[Float]: ...
@overload
def cross_entropy_backward(logits: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean",
                           label_smoothing: float = 0.0, grad_output: ArrayLike = 1.0) -> Array: ...
