from typing import Any, Literal, overload

from fastconv.functional.typing import Array, ArrayLike, Float, NDArray, Reduction

@overload
def mse_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["mean", "sum"] = "mean",
             out: None = None) -> Float: ...
@overload
def mse_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["none"],
             out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def mse_loss(x: ArrayLike, target: ArrayLike, *, reduction: Literal["none"], out: Array | None = None) -> Array: ...
@overload
def mse_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", out: Array | None = None) -> Any: ...
@overload
def mse_loss_backward(x: NDArray[Float], target: NDArray[Float], *, reduction: Reduction = "mean",
                      grad_output: ArrayLike = 1.0, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def mse_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                      out: Array | None = None) -> Array: ...
@overload
def l1_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["mean", "sum"] = "mean",
            out: None = None) -> Float: ...
@overload
def l1_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["none"],
            out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Literal["none"], out: Array | None = None) -> Array: ...
@overload
def l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", out: Array | None = None) -> Any: ...
@overload
def l1_loss_backward(x: NDArray[Float], target: NDArray[Float], *, reduction: Reduction = "mean",
                     grad_output: ArrayLike = 1.0, out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def l1_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", grad_output: ArrayLike = 1.0,
                     out: Array | None = None) -> Array: ...
@overload
def huber_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["mean", "sum"] = "mean",
               delta: float = 1.0, out: None = None) -> Float: ...
@overload
def huber_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["none"], delta: float = 1.0,
               out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def huber_loss(x: ArrayLike, target: ArrayLike, *, reduction: Literal["none"], delta: float = 1.0,
               out: Array | None = None) -> Array: ...
@overload
def huber_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", delta: float = 1.0,
               out: Array | None = None) -> Any: ...
@overload
def huber_loss_backward(x: NDArray[Float], target: NDArray[Float], *, reduction: Reduction = "mean",
                        delta: float = 1.0, grad_output: ArrayLike = 1.0,
                        out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def huber_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", delta: float = 1.0,
                        grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array: ...
@overload
def smooth_l1_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["mean", "sum"] = "mean",
                   beta: float = 1.0, out: None = None) -> Float: ...
@overload
def smooth_l1_loss(x: NDArray[Float], target: NDArray[Float], *, reduction: Literal["none"], beta: float = 1.0,
                   out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def smooth_l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Literal["none"], beta: float = 1.0,
                   out: Array | None = None) -> Array: ...
@overload
def smooth_l1_loss(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", beta: float = 1.0,
                   out: Array | None = None) -> Any: ...
@overload
def smooth_l1_loss_backward(x: NDArray[Float], target: NDArray[Float], *, reduction: Reduction = "mean",
                            beta: float = 1.0, grad_output: ArrayLike = 1.0,
                            out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def smooth_l1_loss_backward(x: ArrayLike, target: ArrayLike, *, reduction: Reduction = "mean", beta: float = 1.0,
                            grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array: ...
@overload
def binary_cross_entropy_with_logits(x: NDArray[Float], target: NDArray[Float], *,
                                     weight: NDArray[Float] | None = None, pos_weight: NDArray[Float] | None = None,
                                     reduction: Literal["mean", "sum"] = "mean", out: None = None) -> Float: ...
@overload
def binary_cross_entropy_with_logits(x: NDArray[Float], target: NDArray[Float], *,
                                     weight: NDArray[Float] | None = None, pos_weight: NDArray[Float] | None = None,
                                     reduction: Literal["none"],
                                     out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def binary_cross_entropy_with_logits(x: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                                     pos_weight: ArrayLike | None = None, reduction: Literal["none"],
                                     out: Array | None = None) -> Array: ...
@overload
def binary_cross_entropy_with_logits(x: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                                     pos_weight: ArrayLike | None = None, reduction: Reduction = "mean",
                                     out: Array | None = None) -> Any: ...
@overload
def binary_cross_entropy_with_logits_backward(x: NDArray[Float], target: NDArray[Float], *,
                                              weight: NDArray[Float] | None = None,
                                              pos_weight: NDArray[Float] | None = None, reduction: Reduction = "mean",
                                              grad_output: ArrayLike = 1.0,
                                              out: NDArray[Float] | None = None) -> NDArray[Float]: ...
@overload
def binary_cross_entropy_with_logits_backward(x: ArrayLike, target: ArrayLike, *, weight: ArrayLike | None = None,
                                              pos_weight: ArrayLike | None = None, reduction: Reduction = "mean",
                                              grad_output: ArrayLike = 1.0, out: Array | None = None) -> Array: ...
