"""Convolution in three dimensions, forward and backward: of volumes, or of films."""

from __future__ import annotations

from typing import Any

from fastconv._core.volume.geometry import VolumeProblem, Volumes
from fastconv._core.volume.gradient import bias_gradient
from fastconv._core.volume.plan import conv3d_plan, unavailable
from fastconv.functional.convolution import Convolutions
from fastconv.functional.prepared import ConvolutionPlan, planned_weights
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
    PaddingMode,
    Triple,
)


class VolumeConvolutions(Convolutions):
    """Those of volumes (N, C, D, H, W)."""

    axes = 3
    record = Volumes
    unavailable = staticmethod(unavailable)
    bias_gradient = staticmethod(bias_gradient)

    def problem(self, *sizes):
        return VolumeProblem(*sizes)

    def plan(self, problem, algorithm):
        return conv3d_plan(problem, algorithm)

    def __reduce__(self):
        return "VOLUMES"


VOLUMES = VolumeConvolutions()


def conv3d(x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Triple = 1,
           padding: Padding3d = 0, dilation: Triple = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
           padding_value: float = 0.0, data_format: DataFormat3d = "NCDHW", activation: Activation | None = None,
           algorithm: Algorithm = "auto", out: Array | None = None) -> Array:
    """Convolution (cross-correlation: the filters are not turned) of a batch of volumes, or of one volume.

    ``y[n, k, i, j, l] = bias[k] + sum over c, t, r, s of weight[k, c, t, r, s] * X[n, c, a, b, e]`` with
    ``a = i*sd + t*dd - front``, ``b = j*sh + r*dh - top`` and ``e = l*sw + s*dw - left``, where X is x continued beyond
    its border by the padding.

    Parameters
    ----------
    x : array (N, C, D, H, W) or (C, D, H, W), float32 or float64
        A batch or one volume; with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C). Any strides.
    weight : array (K, C/groups, T, R, S)
        K filters, in this order of axes whatever data_format says. Any strides.
    bias : array (K,), optional
        Added to each output channel.
    stride, dilation : int or (int, int, int)
        Step of the filter in planes, rows and columns, and distance of its neighbouring taps.
    padding : int, (int, int, int), ((front, back), (top, bottom), (left, right)), "same" or "valid"
        Planes, rows and columns added around the volume. "same" gives ceil(size / stride) outputs, with the odd one at
        the end; "valid" is no padding.
    groups, padding_mode, padding_value, activation, algorithm, out
        As in `conv2d`.
    data_format : {"NCDHW", "NDHWC"}
        Order of the axes of x and of the result.

    Returns
    -------
    array (N, K, OD, OH, OW) or (K, OD, OH, OW); (N, OD, OH, OW, K) or (OD, OH, OW, K) with NDHWC
        Of the dtype of x, with ``OD = floor((D + front + back - dilation (T - 1) - 1) / stride) + 1``.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Notes
    -----
    It is computed as convolutions of planes, whose results for the taps along the depth are added up in the output;
    where axes join, or there is one channel, as one convolution of images. Memory, threads and accuracy are those of
    `conv2d`; an algorithm asked for by name must be able to add up: "fft" is, of filters of one tap along the depth.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> x = np.ones((1, 2, 4, 8, 8), np.float32)
    >>> y = fc.conv3d(x, np.ones((3, 2, 3, 3, 3), np.float32), padding=1)
    >>> y.shape
    (1, 3, 4, 8, 8)
    >>> y[0, 0, :, 4, 4].round(3)
    array([36., 54., 54., 36.], dtype=float32)
    """
    call, x, weight, bias = VOLUMES.find_call(x, weight, bias, stride, padding, dilation, groups, padding_mode,
                                              padding_value, data_format, activation, algorithm)
    return call.run(x, weight, bias, out)


def conv3d_backward(grad_output: Any, x: Any, weight: Any, *, stride: Triple = 1, padding: Padding3d = 0,
                    dilation: Triple = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                    padding_value: float = 0.0, data_format: DataFormat3d = "NCDHW",
                    needs: Needs = (True, True, True), out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `conv3d` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array
        Gradient with respect to the result of ``conv3d(x, weight, ...)``, and of its shape.
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
    >>> x, weight = np.ones((2, 3, 4, 8, 8)), np.ones((4, 3, 3, 3, 3))
    >>> y = fc.conv3d(x, weight, padding=1)
    >>> grad_x, grad_weight, grad_bias = fc.conv3d_backward(np.ones_like(y), x, weight, padding=1)
    >>> grad_x.shape, grad_weight.shape, grad_bias
    ((2, 3, 4, 8, 8), (4, 3, 3, 3, 3), array([512., 512., 512., 512.]))
    """
    return VOLUMES.backward(grad_output, x, weight, stride, padding, dilation, groups, padding_mode, padding_value,
                            data_format, needs, out)


def plan_conv3d(x_shape: tuple[int, ...], weight: ArrayLike, bias: ArrayLike | None = None, *, stride: Triple = 1,
                padding: Padding3d = 0, dilation: Triple = 1, groups: int = 1, padding_mode: PaddingMode = "constant",
                padding_value: float = 0.0, data_format: DataFormat3d = "NCDHW", activation: Activation | None = None,
                algorithm: Algorithm = "auto") -> Conv3dPlan[Any]:
    """A `conv3d` with fixed weights, for volumes of one shape: the weights are packed once.

    Parameters
    ----------
    x_shape : tuple of int
        (N, C, D, H, W) or (C, D, H, W); with ``data_format="NDHWC"`` (N, D, H, W, C) or (D, H, W, C).
    weight : array (K, C/groups, T, R, S)
        Copied, to C order: later changes to it do not reach the plan.
    bias : array (K,), optional
        Copied.
    stride, padding, dilation, groups, padding_mode, padding_value, data_format, activation, algorithm
        As `conv3d`.

    Returns
    -------
    Conv3dPlan
        Called with x, or with x and ``out=``, it returns what `conv3d` would with that copy, to the same bits.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> plan = fc.plan_conv3d((1, 8, 4, 16, 16), np.ones((16, 8, 3, 3, 3), np.float32), padding="same")
    >>> plan.output_shape
    (1, 16, 4, 16, 16)
    >>> plan(np.ones((1, 8, 4, 16, 16), np.float32))[0, 0, :, 8, 8].round(3)
    array([144., 216., 216., 144.], dtype=float32)
    """
    return planned_weights(Conv3dPlan, VOLUMES, x_shape, weight, bias, dict(
        stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=padding_mode,
        padding_value=padding_value, data_format=data_format, activation=activation, algorithm=algorithm))


class Conv3dPlan(ConvolutionPlan[Float]):
    """What `plan_conv3d` returns. Attributes: x_shape, output_shape, dtype, algorithm, reason.

    A copy or a pickle of it is planned anew where it arrives, for the instruction set there.
    """

    made_by = staticmethod(plan_conv3d)
