"""The fully connected layer: matrix products, of rows as they lie in memory where that is quicker,
else by convolution's driver."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastconv._core.pointwise import elementwise
from fastconv._core.pointwise.bias_gradient import bias_gradient
from fastconv._core.product import dot, forward as gemm, row_sums
from fastconv._core.runtime import memory
from fastconv._core.runtime.memo import Memo
from fastconv.functional import checks, expressions, results
from fastconv.functional.typing import Array, Gradients, Needs, Outs

# Where weight is transposed in memory: from this many rows on the lanes of the vectors run over the rows, below it over
# the output features. For 400 -> 120 features in float32 64 rows take 78 us against 87, and 1 row 28 us against 17.
FEW_ROWS = 16

# Of rows that are copied together and of a part of a gradient that is added up, where rows are not evenly spaced.
BLOCK_BYTES = 1 << 20

# For arguments that were checked: the shape of the result; which gradients are wanted.
_shapes, _gradients = Memo(arrays=3), Memo(arrays=3)


def _rows(array):
    if array.ndim == 2:
        return array
    return array.reshape(-1, array.shape[-1]) if array.size else array.reshape(0, array.shape[-1])


def _evenly_spaced(array):
    """Whether the rows of an array with more dimensions are a view of it."""
    distance = None
    for size, stride in zip(array.shape[-2::-1], array.strides[-2::-1]):
        if size != 1 and distance is not None and stride != distance:
            return False
        if size != 1:
            distance = size * stride
    return True


def _pieces(*arrays):
    """Indices of the leading dimensions, so that the rows of each piece are views, or small enough to be copied."""
    for array in arrays:
        if array.ndim > 2 and array.nbytes > BLOCK_BYTES and not _evenly_spaced(array):
            break
    else:
        return (...,)
    longest = max(array.shape[-1] * array.itemsize for array in arrays)
    return elementwise.pieces(arrays[0].shape[:-1], max(1, BLOCK_BYTES // longest))


def _arguments(x: Any, weight: Any, **others: Any) -> tuple[Array, ...]:
    x, weight = checks.array(x, "x"), checks.array(weight, "weight")
    others = {name: value if value is None else checks.array(value, name) for name, value in others.items()}
    checks.same_dtype(x=x, weight=weight, **others)
    if weight.ndim != 2:
        raise ValueError(f"weight must be (out_features, in_features), got shape {weight.shape}")
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"x must have {weight.shape[1]} features in its last dimension, as weight has "
                         f"(shape {weight.shape}), got shape {x.shape}"
                         f"{expressions.rows(x.shape, weight.shape[1], weight.shape)}")
    return x, weight, *others.values()


def linear(x: Any, weight: Any, bias: Any = None, *, out: Array | None = None) -> Array:
    """Fully connected layer: ``y = x weight^T + bias``.

    Parameters
    ----------
    x : array (N, in_features), float32 or float64
        More leading dimensions, or none, are allowed. Any strides. Any size may be 0; without features the result is
        the bias.
    weight : array (out_features, in_features)
        As in PyTorch. Any strides.
    bias : array (out_features,), optional
    out : array, optional
        Filled and returned, as in `conv2d`.

    Returns
    -------
    array (N, out_features)
        With the leading dimensions of x.

    Raises
    ------
    ValueError, TypeError
        Shapes that do not fit together; dtypes that differ or are not float32 or float64.

    Notes
    -----
    The bits of the result do not depend on the number of threads (those of ``x @ weight.T`` may).

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.linear(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.5, 0.0]))
    array([[11.5, 17. ]])
    """
    shape = _shapes.find(x, weight, bias)
    if shape is None:
        x, weight, bias = _arguments(x, weight, bias=bias)
        if bias is not None:
            bias = np.ascontiguousarray(checks.shape(bias, "bias", weight.shape[:1],
                                                     "(one number for each output feature)",
                                                     expressions.for_each(bias.shape, weight.shape[0])))
        shape = (*x.shape[:-1], weight.shape[0])
        checks.fits_memory(shape, x.dtype)
        _shapes.keep(shape, x, weight, bias)
    result = memory.empty(shape, x.dtype) if out is None else checks.out(out, shape, x.dtype, x, weight, bias)
    if not x.shape[-1]:
        result[...] = 0 if bias is None else bias
    elif result.size:
        if x.ndim == 2:
            _multiply(x, weight, bias, result)
        else:
            for piece in _pieces(x):
                _multiply(_rows(x[piece]), weight, bias, _rows(result[piece]))
    return result


def _multiply(rows, weight, bias, y):
    if rows.strides[1] == weight.strides[1] == weight.itemsize and dot.pays(*rows.shape):
        dot.product(rows, weight, bias, y)
    elif len(rows) < FEW_ROWS:
        gemm.product(rows, weight.T, bias, y, True)
    else:
        gemm.product(weight, rows.T, bias, y.T, False)


def linear_backward(grad_output: Any, x: Any, weight: Any, *, needs: Needs = (True, True, True),
                    out: Outs[Any] | None = None) -> Gradients:
    """Gradients of `linear` with respect to x, weight and bias.

    Parameters
    ----------
    grad_output : array (N, out_features)
        Gradient with respect to the result of the forward call, of its shape.
    x, weight : array
        The arguments of the forward call.
    needs : (bool, bool, bool)
        Which of the three gradients are wanted.
    out : (array or None, array or None, array or None), optional
        The arrays that the gradients go to, as in `conv2d_backward`.

    Returns
    -------
    grad_x, grad_weight, grad_bias : array or None
        ``grad_output weight``, ``grad_output^T x`` and the sum of the rows of grad_output; None where not needed.

    Examples
    --------
    >>> import numpy as np, fastconv as fc
    >>> fc.linear_backward(np.array([[1.0]]), np.array([[2.0, 3.0]]), np.array([[4.0, 5.0]]))
    (array([[4., 5.]]), array([[2., 3.]]), array([1.]))
    """
    # Three constants, in a tuple that may be new.
    flags = needs if type(needs) is tuple and len(needs) == 3 else (needs,)
    wanted = _gradients.find(grad_output, x, weight, *flags)
    if wanted is None:
        x, weight, grad_output = _arguments(x, weight, grad_output=checks.array(grad_output, "grad_output"))
        wanted = checks.needs(needs)
        checks.shape(grad_output, "grad_output", (*x.shape[:-1], weight.shape[0]), "(that of the result)")
        _gradients.keep(wanted, grad_output, x, weight, *flags)
    grad_x, grad_weight, grad_bias = results.gradients(
        out, (x.shape, weight.shape, weight.shape[:1]), wanted, x.dtype, grad_output, x, weight)
    if grad_x is not None and not grad_output.size:
        grad_x.fill(0)
    elif grad_x is not None and grad_x.size:
        for piece in _pieces(grad_output):
            _product(_rows(grad_output[piece]), weight, _rows(grad_x[piece]))
    if grad_weight is not None:
        _weight_gradient(grad_output, x, grad_weight)
    if grad_bias is not None:
        _bias_gradient(grad_output, grad_bias)
    return grad_x, grad_weight, grad_bias


def _product(a, b, y):
    """y = a b."""
    if row_sums.pays(a, b):
        row_sums.product(a, b, y)
    else:
        gemm.product(a, b, None, y, False)


def _weight_gradient(grad_output, x, grad_weight):
    if not x.size or not grad_output.size:
        grad_weight.fill(0)
        return
    pieces = list(_pieces(grad_output, x))
    if len(pieces) == 1:
        _product(_rows(grad_output).T, _rows(x), grad_weight)
        return
    grad_weight.fill(0)
    for part, some in _parts(grad_weight):
        more = memory.empty(part.shape, part.dtype)
        for piece in pieces:
            _product(_rows(grad_output[piece])[:, some].T, _rows(x[piece]), more)
            part += more


def _bias_gradient(grad_output, grad_bias):
    if not grad_output.size:
        grad_bias.fill(0)
        return
    pieces = list(_pieces(grad_output))
    if len(pieces) == 1:
        bias_gradient(_rows(grad_output)[:, :, None, None], grad_bias)
        return
    for part, some in _parts(grad_bias):
        more, total = memory.empty(part.shape, part.dtype), np.zeros(len(part))
        for piece in pieces:
            bias_gradient(_rows(grad_output[piece])[:, some, None, None], more)
            total += more
        part[...] = total


def _parts(gradient):
    """Parts of a gradient along its first axis, and which they are."""
    at_once = max(1, BLOCK_BYTES * len(gradient) // gradient.nbytes)
    for first in range(0, len(gradient), at_once):
        some = slice(first, first + at_once)
        yield gradient[some], some
