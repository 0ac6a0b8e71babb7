"""The signatures of the operations as type checkers see them: results have the dtype of the arguments.

Beside them in the modules stands what a reader needs; `tests/test_typing.py` keeps the two in step. Operations that
are imported when they are first used have their signatures in a stub beside their module.
"""

from typing import Any, Literal, overload

import numpy as np

from fastconv.functional.addition import add as add
from fastconv.functional.batch_normalisation import batch_norm as batch_norm, batch_norm_backward as batch_norm_backward
from fastconv.functional.clipping import relu6 as relu6, relu6_backward as relu6_backward
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
from fastconv.functional.interpolation import interpolate as interpolate, interpolate_backward as interpolate_backward
from fastconv.functional.layer_normalisation import (
    group_norm as group_norm,
    group_norm_backward as group_norm_backward,
    layer_norm as layer_norm,
    layer_norm_backward as layer_norm_backward,
)
from fastconv.functional.linear import linear as linear, linear_backward as linear_backward
from fastconv.functional.loss import (
    cross_entropy as cross_entropy,
    cross_entropy_backward as cross_entropy_backward,
    nll_loss as nll_loss,
    nll_loss_backward as nll_loss_backward,
)
from fastconv.functional.lp_pooling import (
    lp_pool1d as lp_pool1d,
    lp_pool1d_backward as lp_pool1d_backward,
    lp_pool2d as lp_pool2d,
    lp_pool2d_backward as lp_pool2d_backward,
    lp_pool3d as lp_pool3d,
    lp_pool3d_backward as lp_pool3d_backward,
)
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
from fastconv.functional.pooling1d import (
    adaptive_avg_pool1d as adaptive_avg_pool1d,
    adaptive_avg_pool1d_backward as adaptive_avg_pool1d_backward,
    adaptive_max_pool1d as adaptive_max_pool1d,
    adaptive_max_pool1d_backward as adaptive_max_pool1d_backward,
    avg_pool1d as avg_pool1d,
    avg_pool1d_backward as avg_pool1d_backward,
    global_avg_pool1d as global_avg_pool1d,
    global_avg_pool1d_backward as global_avg_pool1d_backward,
    global_max_pool1d as global_max_pool1d,
    global_max_pool1d_backward as global_max_pool1d_backward,
    max_pool1d as max_pool1d,
    max_pool1d_backward as max_pool1d_backward,
)
from fastconv.functional.pooling3d import (
    adaptive_avg_pool3d as adaptive_avg_pool3d,
    adaptive_avg_pool3d_backward as adaptive_avg_pool3d_backward,
    adaptive_max_pool3d as adaptive_max_pool3d,
    adaptive_max_pool3d_backward as adaptive_max_pool3d_backward,
    avg_pool3d as avg_pool3d,
    avg_pool3d_backward as avg_pool3d_backward,
    global_avg_pool3d as global_avg_pool3d,
    global_avg_pool3d_backward as global_avg_pool3d_backward,
    global_max_pool3d as global_max_pool3d,
    global_max_pool3d_backward as global_max_pool3d_backward,
    max_pool3d as max_pool3d,
    max_pool3d_backward as max_pool3d_backward,
)
from fastconv.functional.prepared import Conv2dPlan
from fastconv.functional.rectifier import prelu as prelu, prelu_backward as prelu_backward
from fastconv.functional.signals import conv1d as conv1d, conv1d_backward as conv1d_backward, plan_conv1d as plan_conv1d
from fastconv.functional.transposed_images import (
    conv_transpose2d as conv_transpose2d,
    conv_transpose2d_backward as conv_transpose2d_backward,
    plan_conv_transpose2d as plan_conv_transpose2d,
)
from fastconv.functional.transposed_signals import (
    conv_transpose1d as conv_transpose1d,
    conv_transpose1d_backward as conv_transpose1d_backward,
    plan_conv_transpose1d as plan_conv_transpose1d,
)
from fastconv.functional.transposed_volumes import (
    conv_transpose3d as conv_transpose3d,
    conv_transpose3d_backward as conv_transpose3d_backward,
    plan_conv_transpose3d as plan_conv_transpose3d,
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
    Outs,
    Padding,
    PaddingMode,
    Pair,
    Rooms,
)
from fastconv.functional.unpooling import (
    max_unpool1d as max_unpool1d,
    max_unpool1d_backward as max_unpool1d_backward,
    max_unpool2d as max_unpool2d,
    max_unpool2d_backward as max_unpool2d_backward,
    max_unpool3d as max_unpool3d,
    max_unpool3d_backward as max_unpool3d_backward,
)
from fastconv.functional.volumes import conv3d as conv3d, conv3d_backward as conv3d_backward, plan_conv3d as plan_conv3d

LATER: dict[str, str]

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
    "add",
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool3d",
    "avg_pool3d_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_backward",
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv3d",
    "conv3d_backward",
    "conv_output_size",
    "conv_transpose1d",
    "conv_transpose1d_backward",
    "conv_transpose2d",
    "conv_transpose2d_backward",
    "conv_transpose3d",
    "conv_transpose3d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "elu",
    "elu_backward",
    "explain",
    "flatten",
    "flatten_backward",
    "gelu",
    "gelu_backward",
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
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "huber_loss",
    "huber_loss_backward",
    "interpolate",
    "interpolate_backward",
    "l1_loss",
    "l1_loss_backward",
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
    "mse_loss",
    "mse_loss_backward",
    "nll_loss",
    "nll_loss_backward",
    "plan_conv1d",
    "plan_conv2d",
    "plan_conv3d",
    "plan_conv_transpose1d",
    "plan_conv_transpose2d",
    "plan_conv_transpose3d",
    "prelu",
    "prelu_backward",
    "relu",
    "relu6",
    "relu6_backward",
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
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                    out: Outs[Float] | None = None) -> tuple[NDArray[Float], NDArray[Float], NDArray[Float]]: ...
@overload
def conv2d_backward(grad_output: NDArray[Float], x: NDArray[Float], weight: NDArray[Float], *, stride: Pair = 1,
                    padding: Padding = 0, dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW", needs: Needs,
                    out: Outs[Float] | None = None,
                    ) -> tuple[NDArray[Float] | Any, NDArray[Float] | Any, NDArray[Float] | Any]: ...
@overload
def conv2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1, padding: Padding = 0,
                    dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW",
                    out: Outs[Any] | None = None) -> tuple[Array, Array, Array]: ...
@overload
def conv2d_backward(grad_output: ArrayLike, x: ArrayLike, weight: ArrayLike, *, stride: Pair = 1, padding: Padding = 0,
                    dilation: Pair = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat = "NCHW", needs: Needs,
                    out: Outs[Any] | None = None) -> tuple[Array | Any, Array | Any, Array | Any]: ...
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
def max_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               dilation: Pair = 1, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[False] = False, wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               dilation: Pair = 1, ceil_mode: bool = False, data_format: DataFormat = "NCHW",
               return_indices: Literal[True], wide_padding: bool = False,
               out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: Literal[False] = False,
               wide_padding: bool = False, out: Array | None = None) -> Array: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: Literal[True],
               wide_padding: bool = False, out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def max_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
               ceil_mode: bool = False, data_format: DataFormat = "NCHW", return_indices: bool,
               wide_padding: bool = False, out: Any = None) -> Any: ...
@overload
def max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                        kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1,
                        ceil_mode: bool = False, data_format: DataFormat = "NCHW", wide_padding: bool = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, dilation: Pair = 1, ceil_mode: bool = False,
                        data_format: DataFormat = "NCHW", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def avg_pool2d(x: NDArray[Float], kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Pair = 1, data_format: DataFormat = "NCHW", wide_padding: bool = False,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool2d(x: ArrayLike, kernel_size: Pair, *, stride: Pair | None = None, padding: Padding = 0,
               ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
               dilation: Pair = 1, data_format: DataFormat = "NCHW", wide_padding: bool = False,
               out: Array | None = None) -> Array: ...
@overload
def avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Pair = 1,
                        data_format: DataFormat = "NCHW", wide_padding: bool = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], kernel_size: Pair, *,
                        stride: Pair | None = None, padding: Padding = 0, ceil_mode: bool = False,
                        count_include_pad: bool = True, divisor_override: int | None = None, dilation: Pair = 1,
                        data_format: DataFormat = "NCHW", wide_padding: bool = False,
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool2d(x: NDArray[Float], output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[False] = False,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool2d(x: NDArray[Float], output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[True],
                        out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[False] = False, out: Array | None = None) -> Array: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        return_indices: Literal[True],
                        out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def adaptive_max_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW", return_indices: bool,
                        out: Any = None) -> Any: ...
@overload
def adaptive_max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...],
                                 output_size: Pair, *, data_format: DataFormat = "NCHW",
                                 out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool2d(x: NDArray[Float], output_size: Pair, *, data_format: DataFormat = "NCHW",
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool2d(x: ArrayLike, output_size: Pair, *, data_format: DataFormat = "NCHW",
                        out: Array | None = None) -> Array: ...
@overload
def adaptive_avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW",
                                 out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def adaptive_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], output_size: Pair, *,
                                 data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...
@overload
def global_max_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW", return_indices: Literal[False] = False,
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW", return_indices: Literal[True],
                      out: Rooms[Float] | None = None) -> tuple[NDArray[Float], NDArray[np.int64]]: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", return_indices: Literal[False] = False,
                      out: Array | None = None) -> Array: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", return_indices: Literal[True],
                      out: Rooms[Any] | None = None) -> tuple[Array, NDArray[np.int64]]: ...
@overload
def global_max_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", return_indices: bool,
                      out: Any = None) -> Any: ...
@overload
def global_max_pool2d_backward(grad_output: NDArray[Float], indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_max_pool2d_backward(grad_output: ArrayLike, indices: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool2d(x: NDArray[Float], *, data_format: DataFormat = "NCHW",
                      out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool2d(x: ArrayLike, *, data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...
@overload
def global_avg_pool2d_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW",
                               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def global_avg_pool2d_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *,
                               data_format: DataFormat = "NCHW", out: Array | None = None) -> Array: ...

@overload
def relu(x: NDArray[Float], *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def relu(x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def relu_backward(grad_output: NDArray[Float], x: NDArray[Float], *,
                  out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def relu_backward(grad_output: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def sigmoid(x: NDArray[Float], *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def sigmoid(x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def sigmoid_backward(grad_output: NDArray[Float], y: NDArray[Float], *,
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def sigmoid_backward(grad_output: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def tanh(x: NDArray[Float], *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def tanh(x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def tanh_backward(grad_output: NDArray[Float], y: NDArray[Float], *,
                  out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def tanh_backward(grad_output: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def leaky_relu(x: NDArray[Float], negative_slope: float = 0.01, *,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def leaky_relu(x: ArrayLike, negative_slope: float = 0.01, *, out: Array | None = None) -> Array: ...
@overload
def leaky_relu_backward(grad_output: NDArray[Float], x: NDArray[Float], negative_slope: float = 0.01, *,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def leaky_relu_backward(grad_output: ArrayLike, x: ArrayLike, negative_slope: float = 0.01, *,
                        out: Array | None = None) -> Array: ...
@overload
def softmax(x: NDArray[Float], axis: int = -1, *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def softmax(x: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array: ...
@overload
def softmax_backward(grad_output: NDArray[Float], y: NDArray[Float], axis: int = -1, *,
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array: ...
@overload
def log_softmax(x: NDArray[Float], axis: int = -1, *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def log_softmax(x: ArrayLike, axis: int = -1, *, out: Array | None = None) -> Array: ...
@overload
def log_softmax_backward(grad_output: NDArray[Float], y: NDArray[Float], axis: int = -1, *,
                         out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def log_softmax_backward(grad_output: ArrayLike, y: ArrayLike, axis: int = -1, *,
                         out: Array | None = None) -> Array: ...
@overload
def flatten(x: NDArray[Float], *, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def flatten(x: ArrayLike, *, out: Array | None = None) -> Array: ...
@overload
def flatten_backward(grad_output: NDArray[Float], input_shape: tuple[int, ...], *,
                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def flatten_backward(grad_output: ArrayLike, input_shape: tuple[int, ...], *, out: Array | None = None) -> Array: ...
