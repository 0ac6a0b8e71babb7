"""Batch normalisation, forward and backward.

Below this file maps are always (N, C, ...) views with any strides. Means and variances are float64: where values lie
far from zero, a float32 mean is too coarse to be subtracted.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fastconv._core.norm import groups
from fastconv._core.runtime import memory
from fastconv.functional import checks
from fastconv.functional.activation import relu_backward
from fastconv.functional.foreign import shown
from fastconv.functional.maps import MapsFormat, affine_of, maps_view, small
from fastconv.functional.results import gradients
from fastconv.functional.typing import Array, ArrayLike, Gradients, Needs, Outs

Statistics = tuple[Array, Array]  # means and biased variances


def _rectifies(activation: Any) -> bool:
    return checks.choice(activation, "activation", (None, "relu")) is not None


def _both_running(running_mean: Any, running_var: Any, x: Array, channels: int, written: bool) -> tuple[Any, Any]:
    """The running statistics, in the dtype of x; or both in double precision, where they are only read."""
    mean = _running(running_mean, "running_mean", channels, written)
    var = _running(running_var, "running_var", channels, written)
    if written or not all(one is not None and one.dtype == np.float64 for one in (mean, var)):
        checks.same_dtype(x=x, running_mean=mean, running_var=var)
    return mean, var


def _running(value: Any, name: str, channels: int, written: bool) -> Any:
    """A running statistic: where it will be written, an array as it is."""
    if value is None:
        return None
    if written and not isinstance(value, np.ndarray):
        raise TypeError(f"{name} is updated in place and must be a NumPy array, got {shown(value)}")
    array = checks.shape(checks.array(value, name), name, (channels,), "(one for each channel of x)")
    if written and (array is not value or not array.flags.writeable):
        raise ValueError(f"{name} is updated in place and must be writable, aligned and in native byte order")
    return array


def _given(statistics: Any, channels: int) -> Statistics:
    """What `batch_norm` returned as statistics."""
    if not isinstance(statistics, tuple) or len(statistics) != 2:
        raise TypeError(f"statistics must be the two arrays that batch_norm(..., return_statistics=True) returns, "
                        f"got {shown(statistics)}")
    mean, var = (checks.shape(checks.array(one, "statistics"), "statistics", (channels,), "(one for each channel of x)")
                 for one in statistics)
    if mean.dtype != np.float64 or var.dtype != np.float64:
        raise TypeError(f"statistics must be float64, got {mean.dtype} and {var.dtype}")
    return mean, var


def _counted(view: Array) -> int:
    """Values of a channel; one alone has no variance."""
    count = view.size // view.shape[1] if view.size else 0
    if count == 1:
        raise ValueError(f"Expected more than 1 value per channel when training, got x of shape {view.shape}: "
                         "train with larger batches, or normalise with training=False")
    return count


def _as_row(statistic: Array) -> Array:
    """Of all images, as the drivers take it."""
    return np.ascontiguousarray(statistic, np.float64)[None]


def batch_norm(x: ArrayLike, running_mean: Any, running_var: Any, weight: ArrayLike | None = None,
               bias: ArrayLike | None = None, *, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
               data_format: MapsFormat | None = None, activation: Literal["relu"] | None = None,
               return_statistics: bool = False, out: Array | None = None) -> Any:
    """Batch normalisation: each channel shifted and scaled to mean 0 and variance 1, then by weight and bias.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training, mean and (biased) variance are those of the
    channel over all images and pixels of x; else the running ones.

    Parameters
    ----------
    x : array (N, C), (N, C, L), (N, C, H, W) or (N, C, D, H, W), float32 or float64
        Or with the channels last: see data_format. Any strides.
    running_mean, running_var : array (C,) or None
        In training they are updated in place, ``(1 - momentum) * running + momentum * new``, with the unbiased
        variance, or may both be None. Else they may both be float64, whatever x is.
    weight, bias : array (C,), optional
        By default 1 and 0.
    training : bool
        Whether x is normalised by its own mean and variance.
    momentum : float
        Share of the new statistics in the running ones, from 0 to 1.
    eps : float
        Added to the variance.
    data_format : {None, "NC", "NCL", "NLC", "NCHW", "NHWC", "NCDHW", "NDHWC"}
        Order of the axes of x and of the result; None: the channels are second.
    activation : {None, "relu"}
        Applied to the result while it is in the registers.
    return_statistics : bool
        Also return mean and variance, for `batch_norm_backward`.
    out : array, optional
        Filled and returned: writable, C-contiguous, of the shape and dtype of x, and apart from the inputs.

    Returns
    -------
    y : array
        Of the shape and dtype of x.
    statistics : (array (C,), array (C,))
        Only with ``return_statistics=True``: the mean and the biased variance that were subtracted and divided by,
        float64.

    Raises
    ------
    TypeError, ValueError
        Wrong dtypes or shapes; in training, a channel of one value. Nothing is computed or updated then.

    Notes
    -----
    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate
    shift", 2015. Sums are taken in double precision about a value near the mean (T. Chan, G. Golub and R. LeVeque,
    "Algorithms for computing the sample variance", 1983), so that values of mean 10,000 and deviation 1 lose nothing
    in float32. The result is the same bits for any number of threads. An empty batch updates nothing.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[1.0, 10.0], [3.0, 10.0]])
    >>> mean, var = np.zeros(2), np.ones(2)
    >>> fc.batch_norm(x, mean, var, training=True).round(3)
    array([[-1.,  0.],
           [ 1.,  0.]])
    >>> mean, var
    (array([0.2, 1. ]), array([1.1, 0.9]))
    """
    training = checks.flag(training, "training")
    return_statistics = checks.flag(return_statistics, "return_statistics")
    momentum = small(momentum, "momentum")
    if momentum > 1:
        raise ValueError(f"momentum must be from 0 to 1, got {momentum}")
    x = checks.array(x, "x")
    view = maps_view(x, data_format)
    channels = view.shape[1]
    running_mean, running_var = _both_running(running_mean, running_var, x, channels, training)
    if (running_mean is None) != (running_var is None) or (running_mean is None and not training):
        name = "running_mean" if running_mean is None else "running_var"
        raise ValueError(f"{name} must be an array, got None: both running statistics may be None, in training")
    affine = affine_of(x, weight, bias, channels, eps, _rectifies(activation))
    checks.out(out, x.shape, x.dtype, x, affine.weight, affine.bias, running_mean, running_var)
    count = _counted(view) if training else 0

    y = memory.empty(x.shape, x.dtype) if out is None else out
    mean, var = (np.zeros((1, channels)), np.zeros((1, channels))) if training else (_as_row(running_mean),
                                                                                      _as_row(running_var))
    if view.size:
        groups.forward(view, maps_view(y, data_format), (mean, var), training, affine)
    if count and running_mean is not None:
        with np.errstate(all="ignore"):
            updated = [(1 - momentum) * running.astype(np.float64) + momentum * new[0]
                       for running, new in ((running_mean, mean), (running_var, var * (count / (count - 1))))]
            running_mean[...], running_var[...] = updated
    return (y, (mean[0], var[0])) if return_statistics else y


def batch_norm_backward(grad_output: ArrayLike, x: ArrayLike, running_mean: ArrayLike | None,
                        running_var: ArrayLike | None, weight: ArrayLike | None = None, bias: ArrayLike | None = None,
                        *, training: bool = False, eps: float = 1e-5, data_format: MapsFormat | None = None,
                        activation: Literal["relu"] | None = None, statistics: Statistics | None = None,
                        needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `batch_norm` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of the forward call, of its shape.
    x, running_mean, running_var, weight, bias, training, eps, data_format, activation
        The arguments of the forward call. In training the running statistics are not looked at; the bias is only
        where there is an activation, to find out where it was 0.
    statistics : (array (C,), array (C,)), optional
        In training: what the forward call returned as such, which is computed again otherwise.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of x, (C,) and (C,); None where not needed.

    Raises
    ------
    TypeError, ValueError
        As `batch_norm`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.array([[1.0], [2.0], [4.0]])
    >>> grad_x, grad_weight, grad_bias = fc.batch_norm_backward(
    ...     np.array([[1.0], [0.0], [0.0]]), x, None, None, training=True)
    >>> grad_x.ravel().round(3), grad_weight.round(3), grad_bias
    (array([ 0.229, -0.344,  0.115]), array([-1.069]), array([1.]))
    """
    training, wanted = checks.flag(training, "training"), checks.needs(needs)
    grad_output, x = checks.array(grad_output, "grad_output"), checks.array(x, "x")
    checks.same_dtype(x=x, grad_output=grad_output)
    view = maps_view(x, data_format)
    channels = view.shape[1]
    checks.shape(grad_output, "grad_output", x.shape, "(that of the result)")
    running_mean, running_var = _both_running(running_mean, running_var, x, channels, False)
    rectified = _rectifies(activation)
    affine = affine_of(x, weight, bias, channels, eps, rectified)
    if statistics is not None:
        if not training:
            raise ValueError("statistics must be left at None with training=False: the running ones count")
        statistics = _given(statistics, channels)
    if training:
        _counted(view)
    elif running_mean is None or running_var is None:
        name = "running_mean" if running_mean is None else "running_var"
        raise ValueError(f"{name} must be an array, got None: both running statistics may be None, in training")

    grad_x, grad_weight, grad_bias = gradients(
        out, (x.shape, (channels,), (channels,)), wanted, x.dtype, grad_output, x, affine.weight, affine.bias,
        running_mean, running_var, *(statistics or ()))
    if not view.size:
        for gradient in (grad_weight, grad_bias):
            if gradient is not None:
                gradient.fill(0)
        return grad_x, grad_weight, grad_bias
    if rectified and not training:
        grad_output = relu_backward(grad_output, batch_norm(x, running_mean, running_var, weight, bias, eps=eps,
                                                            data_format=data_format))
        affine = affine_of(x, weight, bias, channels, eps)
    given = (running_mean, running_var) if not training else statistics
    known = ((np.empty((1, channels)), np.empty((1, channels))) if given is None
             else (_as_row(given[0]), _as_row(given[1])))
    groups.backward(maps_view(grad_output, data_format), view,
                    (None if grad_x is None else maps_view(grad_x, data_format), grad_weight, grad_bias),
                    known, given is None, training, affine)
    return grad_x, grad_weight, grad_bias
