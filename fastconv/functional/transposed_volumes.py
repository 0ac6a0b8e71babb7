"""Transposed convolution of volumes: forward, backward, and with weights that stay."""

from __future__ import annotations

from typing import Any

from fastconv._core.volume.geometry import VolumeProblem, Volumes
from fastconv._core.volume.gradient import bias_gradient
from fastconv._core.volume.plan import conv3d_plan
from fastconv._core.volume.transposed import transposed_plan3d, unavailable
from fastconv.functional.prepared import ConvolutionPlan, planned_weights
from fastconv.functional.transposed import TransposedConvolutions
from fastconv.functional.typing import (
    Activation,
    Algorithm,
    Array,
    ArrayLike,
    DataFormat3d,
    Float,
    Gradients,
    Needs,
    Outs,
    Padding3d,
    Triple,
)


class TransposedVolumes(TransposedConvolutions):
    """Those of volumes (N, C, D, H, W)."""

    axes = 3
    record = Volumes
    unavailable = staticmethod(unavailable)
    bias_gradient = staticmethod(bias_gradient)

    def problem(self, *sizes):
        return VolumeProblem(*sizes)

    def transposed_plan(self, problem, algorithm):
        return transposed_plan3d(problem, algorithm)

    def plan(self, problem):
        return conv3d_plan(problem, "auto")


VOLUMES = TransposedVolumes()
_known = VOLUMES.calls.find


def conv_transpose3d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Triple = 1,
                     padding: Padding3d = 0, output_padding: Triple = 0, output_size: Triple | None = None,
                     dilation: Triple = 1, groups: int = 1, data_format: DataFormat3d = "NCDHW",
                     activation: Activation | None = None, algorithm: Algorithm = "auto",
                     out: Array | None = None) -> Array:
    """Transposed convolution of a batch of volumes, or of one: each pixel adds its filter to the result.

    ``y[n, k, h*sd + t*dd - front, i*sh + r*dh - top, j*sw + s*dw - left] += weight[c, k, t, r, s] * x[n, c, h, i, j]``
    for all c, h, i, j, t, r, s, from ``bias[k]`` on; what would lie outside of y is left out. It is the adjoint of
    `conv3d`, as `conv_transpose2d` is that of `conv2d`.

    Parameters
    ----------
    x : array (N, C, D, H, W) or (C, D, H, W), float32 or float64
        A batch or one volume; with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C). Any strides.
    weight : array (C, K/groups, T, R, S)
        A filter for each channel of x and of the result. Any strides.
    bias : array (K,), optional
        Added to each channel of the result.
    stride, dilation : int or (int, int, int)
        Planes, rows and columns of the result from one pixel of x to the next, and from one tap to the next.
    padding : int, (int, int, int), ((front, back), (top, bottom), (left, right)), "same" or "valid"
        Planes, rows and columns that are cut off the result; with "same" it has stride times those of x.
    output_padding, output_size : int or (int, int, int)
        What comes to the result at its end; or its size instead: see `conv_transpose2d`.
    groups, activation, algorithm, out
        As in `conv_transpose2d`.
    data_format : {"NCDHW", "NDHWC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, K, OD, OH, OW) or (K, OD, OH, OW); (N, OD, OH, OW, K) or (OD, OH, OW, K) with NDHWC
        Of the dtype of x, with ``OD = (D - 1) stride - front - back + dilation (T - 1) + output_padding + 1``.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.conv_transpose3d(np.ones((1, 8, 4, 4, 4)), np.ones((8, 4, 2, 2, 2)), stride=2).shape
    (1, 4, 8, 8, 8)
    """
    call = _known(x, weight, bias, stride, padding, output_padding, output_size, dilation, groups, data_format,
                  activation, algorithm)
    if call is None:
        call, x, weight, bias = VOLUMES.find_call(x, weight, bias, stride, padding, output_padding, output_size,
                                                  dilation, groups, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv_transpose3d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Triple = 1, padding: Padding3d = 0,
                              output_padding: Triple = 0, output_size: Triple | None = None, dilation: Triple = 1,
                              groups: int = 1, data_format: DataFormat3d = "NCDHW",
                              needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv_transpose3d` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv_transpose3d(x, weight, ...)``, and of its shape.
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
        As `conv_transpose3d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x, weight = np.ones((2, 3, 4, 4, 4)), np.ones((3, 4, 3, 3, 3))
    >>> y = fc.conv_transpose3d(x, weight, padding=1)
    >>> [gradient.shape for gradient in fc.conv_transpose3d_backward(np.ones_like(y), x, weight, padding=1)]
    [(2, 3, 4, 4, 4), (3, 4, 3, 3, 3), (4,)]
    """
    return VOLUMES.backward(grad_output, x, weight, stride, padding, output_padding, output_size, dilation, groups,
                            data_format, needs, out)


def plan_conv_transpose3d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *,
                          stride: Triple = 1, padding: Padding3d = 0, output_padding: Triple = 0,
                          output_size: Triple | None = None, dilation: Triple = 1, groups: int = 1,
                          data_format: DataFormat3d = "NCDHW", activation: Activation | None = None,
                          algorithm: Algorithm = "auto") -> ConvTranspose3dPlan[Any]:
    """A `conv_transpose3d` with fixed weights, for volumes of one shape: the weights are packed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, D, H, W) or (C, D, H, W); with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C).
    weight : array (C, K/groups, T, R, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, output_padding, output_size, dilation, groups, data_format, activation, algorithm
        As `conv_transpose3d`.

    Returns
    -------
    ConvTranspose3dPlan
        Called with x, or with x and ``out=``, it returns what `conv_transpose3d` would, with
        that copy of the weights, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv_transpose3d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> plan = fc.plan_conv_transpose3d((1, 8, 4, 9, 9), np.ones((8, 4, 2, 2, 2), np.float32), stride=2)
    >>> plan.output_shape
    (1, 4, 8, 18, 18)
    """
    return planned_weights(ConvTranspose3dPlan, VOLUMES, x_shape, weight, bias, dict(
        stride=stride, padding=padding, output_padding=output_padding, output_size=output_size, dilation=dilation,
        groups=groups, data_format=data_format, activation=activation, algorithm=algorithm))


class ConvTranspose3dPlan(ConvolutionPlan[Float]):
    """What `plan_conv_transpose3d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv_transpose3d)
