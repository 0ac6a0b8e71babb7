"""Transposed convolution of signals: forward, backward, and with weights that stay. That of images of one row."""

from __future__ import annotations

from typing import Any

from fastconv.functional.prepared import ConvolutionPlan, planned_weights
from fastconv.functional.transposed import SIGNALS
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
    Single,
)

_known = SIGNALS.calls.find  # as of conv2d: a small call that comes again goes no further


def conv_transpose1d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Single = 1,
                     padding: Padding1d = 0, output_padding: Single = 0, output_size: Single | None = None,
                     dilation: Single = 1, groups: int = 1, data_format: DataFormat1d = "NCL",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array:
    """Transposed convolution of a batch of signals, or of one: each sample adds its filter to the result.

    ``y[n, k, i*stride + s*dilation - left] += weight[c, k, s] * x[n, c, i]`` for all c, i, s, from ``bias[k]`` on; what
    would lie outside of y is left out. It is the adjoint of `conv1d`, as `conv_transpose2d` is that of `conv2d`.

    Parameters
    ----------
    x : array (N, C, L) or (C, L), float32 or float64
        A batch or one signal; with ``data_format="NLC"`` (N, L, C) or (L, C). Any strides.
    weight : array (C, K/groups, S)
        A filter for each channel of x and of the result. Any strides.
    bias : array (K,), optional
        Added to each channel of the result.
    stride, dilation : int or (int,)
        Samples of the result from one of x to the next, and from one tap of the filter to the next.
    padding : int, (int,), (left, right), ((left, right),), "same" or "valid"
        Samples that are cut off the result; with "same" it has stride times those of x.
    output_padding, output_size : int or (int,)
        Samples that come to the result at its end; or its size instead: see `conv_transpose2d`.
    groups, activation, algorithm, out
        As in `conv_transpose2d`.
    data_format : {"NCL", "NLC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, K, OL) or (K, OL); (N, OL, K) or (OL, K) with NLC
        Of the dtype of x, with ``OL = (L - 1) stride - left - right + dilation (S - 1) + output_padding + 1``.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose2d`.

    Notes
    -----
    Memory, threads and accuracy are those of `conv_transpose2d`, of which this is the case of one row.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.conv_transpose1d(np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 3)), stride=2)
    array([[[1., 1., 3., 2., 5., 3., 3.]]])
    """
    call = _known(x, weight, bias, stride, padding, output_padding, output_size, dilation, groups, data_format,
                  activation, algorithm)
    if call is None:
        call, x, weight, bias = SIGNALS.find_call(x, weight, bias, stride, padding, output_padding, output_size,
                                                  dilation, groups, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv_transpose1d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Single = 1, padding: Padding1d = 0,
                              output_padding: Single = 0, output_size: Single | None = None, dilation: Single = 1,
                              groups: int = 1, data_format: DataFormat1d = "NCL",
                              needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv_transpose1d` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv_transpose1d(x, weight, ...)``, and of its shape.
    x, weight : array
        The arguments of the forward call.
    stride, padding, output_padding, output_size, dilation, groups, data_format
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
        As `conv_transpose1d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, weight = np.ones((2, 3, 8)), np.ones((3, 4, 5))
    >>> y = fc.conv_transpose1d(x, weight, padding=2)
    >>> [gradient.shape for gradient in fc.conv_transpose1d_backward(np.ones_like(y), x, weight, padding=2)]
    [(2, 3, 8), (3, 4, 5), (4,)]
    """
    return SIGNALS.backward(grad_output, x, weight, stride, padding, output_padding, output_size, dilation, groups,
                            data_format, needs, out)


def plan_conv_transpose1d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Single = 1, padding: Padding1d = 0, output_padding: Single = 0,
                          output_size: Single | None = None, dilation: Single = 1, groups: int = 1,
                          data_format: DataFormat1d = "NCL", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose1dPlan[Any]:
    """A `conv_transpose1d` with fixed weights, for signals of one shape: the weights are packed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, L) or (C, L); with ``data_format="NLC"`` (N, L, C) or (L, C).
    weight : array (C, K/groups, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, output_padding, output_size, dilation, groups, data_format, activation, algorithm
        As `conv_transpose1d`.

    Returns
    -------
    ConvTranspose1dPlan
        Called with x, or with x and ``out=``, it returns what `conv_transpose1d` would, with
        that copy of the weights, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose1d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> plan = fc.plan_conv_transpose1d((1, 8, 100), np.ones((8, 4, 4), np.float32), stride=2, padding=1)
    >>> plan.output_shape
    (1, 4, 200)
    """
    return planned_weights(ConvTranspose1dPlan, SIGNALS, x_shape, weight, bias, dict(
        stride=stride, padding=padding, output_padding=output_padding, output_size=output_size, dilation=dilation,
        groups=groups, data_format=data_format, activation=activation, algorithm=algorithm))


class ConvTranspose1dPlan(ConvolutionPlan[Float]):
    """What `plan_conv_transpose1d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv_transpose1d)
