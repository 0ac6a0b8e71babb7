"""The signatures of `loss` as type checkers see them: results have the dtype of the arguments."""

from typing import Any, Literal, overload

from fastconv.functional.typing import Array, ArrayLike, Float, NDArray, Reduction

IGNORED: int

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
