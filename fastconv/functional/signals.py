"""Convolution in one dimension, forward and backward: that of images of one row.

A signal (N, C, L) is seen as (N, C, 1, L), and a filter (K, C/groups, S) as (K, C/groups, 1, S); nothing is copied.
"""

from __future__ import annotations

import functools
from typing import Any

from fastconv._core.problem.geometry import ConvProblem
from fastconv._core.runtime.arrays import as_rows
from fastconv.functional.convolution import Convolutions
from fastconv.functional.prepared import ConvolutionPlan, planned_weights
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat1d,
    Float,
    Gradients,
    Needs,
    Outs,
    Padding1d,
    PaddingMode,
    Single,
)


class Signals(Convolutions):
    """Those of signals (N, C, L)."""

    axes = 1
    filters = staticmethod(functools.partial(as_rows, channels_last=False))

    def problem(self, x_shape, weight_shape, stride, pads, dilation, groups, output_size, *kind):
        (n, c, size), (k, own, taps) = x_shape, weight_shape
        return ConvProblem((n, c, 1, size), (k, own, 1, taps), (1, *stride), ((0, 0), *pads), (1, *dilation), groups,
                           (1, *output_size), *kind)

    def output_shape(self, problem):
        n, k, _, size = problem.output_shape
        return n, k, size

    def view(self, batched, data_format):
        return functools.partial(as_rows, channels_last=data_format == "NLC")

    def __reduce__(self):
        return "SIGNALS"


SIGNALS = Signals()
_known = SIGNALS.calls.find


def conv1d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Single = 1,
           padding: Padding1d = 0, dilation: Single = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
           padding_value: float = 0.0, data_format: DataFormat1d = "NCL", activation: Activation | None = None,
           algorithm: Algorithm = "auto", out: Array | None = None) -> Array:
    """Convolution (cross-correlation: the filters are not turned) of a batch of signals, or of one signal.

    ``y[n, k, i] = bias[k] + sum over c, s of weight[k, c, s] * X[n, c, i*stride + s*dilation - left]``, where X is x
    continued beyond its ends by the padding.

    Parameters
    ----------
    x : array (N, C, L) or (C, L), float32 or float64
        A batch or one signal; with ``data_format="NLC"`` (N, L, C) or (L, C). Any strides.
    weight : array (K, C/groups, S)
        K filters, in this order of axes whatever data_format says. Any strides.
    bias : array (K,), optional
        Added to each output channel.
    stride, dilation : int or (int,)
        Step of the filter, and distance of its neighbouring taps.
    padding : int, (int,), (left, right), ((left, right),), "same" or "valid"
        Samples added at the ends: ``((2 * dilation, 0),)`` is the causal padding of a filter of 3. "same" gives
        ceil(L / stride) outputs, with the odd sample at the end; "valid" is no padding.
    groups, padding_mode, padding_value, activation, algorithm, out
        As in `conv2d`.
    data_format : {"NCL", "NLC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, K, OL) or (K, OL); (N, OL, K) or (OL, K) with NLC
        Of the dtype of x, with ``OL = floor((L + left + right - dilation (S - 1) - 1) / stride) + 1``.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Notes
    -----
    Memory, threads and accuracy are those of `conv2d`, of which this is the case of one row. Winograd's algorithm does
    not serve it.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.arange(6.0).reshape(1, 1, 6)
    >>> fc.conv1d(x, np.array([[[-1.0, 1.0]]]))
    array([[[1., 1., 1., 1., 1.]]])
    >>> fc.conv1d(x, np.ones((4, 1, 3)), padding=((4, 0),), dilation=2).shape
    (1, 4, 6)
    """
    call = _known(x, weight, bias, stride, padding, dilation, groups, padding_mode, padding_value, data_format,
                  activation, algorithm)
    if call is None:
        call, x, weight, bias = SIGNALS.find_call(x, weight, bias, stride, padding, dilation, groups, padding_mode,
                                                  padding_value, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv1d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Single = 1, padding: Padding1d = 0,
                    dilation: Single = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat1d = "NCL",
                    needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv1d` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv1d(x, weight, ...)``, and of its shape.
    x, weight : array
        The arguments of the forward call.
    stride, padding, dilation, groups, padding_mode, padding_value, data_format
        The options of the forward call. Its fused activation, if any, is undone before: see `relu_backward`.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        Of the shapes of x, weight and (K,); None where not needed.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, weight = np.ones((2, 3, 16)), np.ones((4, 3, 5))
    >>> y = fc.conv1d(x, weight, padding=2)
    >>> grad_x, grad_weight, grad_bias = fc.conv1d_backward(np.ones_like(y), x, weight, padding=2)
    >>> grad_x.shape, grad_weight.shape, grad_bias
    ((2, 3, 16), (4, 3, 5), array([32., 32., 32., 32.]))
    """
    return SIGNALS.backward(grad_output, x, weight, stride, padding, dilation, groups, padding_mode, padding_value,
                            data_format, needs, out)


def plan_conv1d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Single = 1,
                padding: Padding1d = 0, dilation: Single = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                padding_value: float = 0.0, data_format: DataFormat1d = "NCL", activation: Activation | None = None,
                algorithm: Algorithm = "auto") -> Conv1dPlan[Any]:
    """A `conv1d` with fixed weights, for signals of one shape: the weights are packed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, L) or (C, L); with ``data_format="NLC"`` (N, L, C) or (L, C).
    weight : array (K, C/groups, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, dilation, groups, padding_mode, padding_value, data_format, activation, algorithm
        As `conv1d`.

    Returns
    -------
    Conv1dPlan
        Called with x, or with x and ``out=``, it returns what `conv1d` would with that copy, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> plan = fc.plan_conv1d((1, 8, 100), np.ones((16, 8, 5), np.float32), padding="same")
    >>> plan.output_shape
    (1, 16, 100)
    >>> plan(np.ones((1, 8, 100), np.float32))[0, 0, :3].round(3)
    array([24., 32., 40.], dtype=float32)
    """
    return planned_weights(Conv1dPlan, SIGNALS, x_shape, weight, bias, dict(
        stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=padding_mode,
        padding_value=padding_value, data_format=data_format, activation=activation, algorithm=algorithm))


class Conv1dPlan(ConvolutionPlan[Float]):
    """What `plan_conv1d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv1d)
