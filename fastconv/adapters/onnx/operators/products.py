"""Matrix products: on fastconv's kernels where they are of floats, else NumPy's."""

from __future__ import annotations

import functools
import math
import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastconv._core.product import dot, forward as product
from fastconv.adapters.onnx.graph import Node
from fastconv.adapters.onnx.operators.arithmetic import FLOATS, activated, broadcast, same_dtype
from fastconv.adapters.onnx.operators.shapes import Transpose, reshaped
from fastconv.adapters.onnx.program import Builder, Value

# Where b is turned in memory: from so many rows on the lanes of the vectors run over the rows, as in `linear`.
FEW_ROWS = 16


def Gemm(builder: Builder, node: Node, a: Value, b: Value, c: Value | None = None) -> Value:
    """alpha A B + beta C, of matrices that may be turned."""
    same_dtype(*(value for value in (a, b, c) if value is not None))
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError(f"A and B must be matrices, got shapes {a.shape} and {b.shape}")
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)
    a = turned(builder, a) if node.attributes.get("transA", 0) else a
    b = turned(builder, b) if node.attributes.get("transB", 0) else b
    if alpha != 1:
        a, b = (a, _times(builder, b, alpha)) if b.constant is not None else (_times(builder, a, alpha), b)
    if c is not None and beta != 1:
        c = _times(builder, c, beta)
    activation = node.attributes.get("activation")
    as_bias = c is not None and c.size == b.shape[1] and c.ndim and c.shape[-1] == b.shape[1]
    y = multiplied(builder, a, b, c if as_bias else None)
    if c is not None and not as_bias:
        y = broadcast(builder, np.add, y, c)
    return y if activation is None else activated(builder, y, *activation)


def turned(builder: Builder, matrix: Value) -> Value:
    return builder.view(matrix, matrix.shape[::-1], lambda array: array.T, tuple(1 - axis for axis in matrix.order))


def _times(builder: Builder, value: Value, factor: float) -> Value:
    return broadcast(builder, np.multiply, value, builder.constant(value.dtype.type(factor)))


def multiplied(builder: Builder, a: Value, b: Value, bias: Value | None = None) -> Value:
    """a b + bias of two matrices; the bias has a number for each column."""
    if a.shape[1] != b.shape[0]:
        raise ValueError(f"A of shape {a.shape} and B of shape {b.shape} do not fit: A must have as many columns as B "
                         "has rows")
    out = builder.new((a.shape[0], b.shape[1]), a.dtype)
    given = [a, b] if bias is None else [a, b, bias]
    if a.dtype not in FLOATS or 0 in (*a.shape, *b.shape):
        builder.emit(lambda *arrays: functools.partial(_by_numpy, *arrays), given, [out], "NumPy")
        return out
    if not all(value.lies((0, 1)) or value.lies((1, 0)) for value in (a, b)):
        a, b = builder.plain(a), builder.plain(b)
    rows, depth = a.shape
    if b.constant is not None and dot.pays(rows, depth):
        # Rows of both are read as they lie: that is quick where b is turned in memory.
        b = builder.in_memory_order(b, (1, 0))
        given[1] = b

        def by_rows(a: np.ndarray, b: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
            *bias, y = others
            return functools.partial(dot.product, a, b.T, bias[0].reshape(-1) if bias else None, y)

        if a.plain:
            builder.emit(by_rows, given, [out], "products of rows")
            return out

    def bind(a: np.ndarray, b: np.ndarray, *others: np.ndarray) -> Callable[[], Any]:
        *bias, y = others
        offsets = bias[0].reshape(-1) if bias else None
        if rows < FEW_ROWS or b.strides[1] == b.itemsize:
            return functools.partial(product.product, a, b, offsets, y, True)
        return functools.partial(product.product, b.T, a.T, offsets, y.T, False)

    builder.emit(bind, given, [out], "product")
    return out


def _by_numpy(a: np.ndarray, b: np.ndarray, *others: np.ndarray) -> None:
    *bias, y = others
    y[...] = np.matmul(a, b)
    if bias:
        y += bias[0]


def MatMul(builder: Builder, node: Node, a: Value, b: Value) -> Value:
    """The product of matrices, or of stacks of them, as NumPy has it."""
    same_dtype(a, b)
    if b.ndim == 2 and a.ndim >= 2 and a.size and a.plain:
        # All rows of a stack as those of one matrix.
        shape = (*a.shape[:-1], b.shape[1])
        rows = builder.view(a, (a.size // a.shape[-1], a.shape[-1]), lambda x: x.reshape(-1, x.shape[-1]))
        y = multiplied(builder, rows, b, None)
        return builder.view(y, shape, lambda array: array.reshape(shape))
    first, second = builder.plain(a), builder.plain(b)
    out = builder.new(_shape(a, b), a.dtype)
    if a.dtype not in FLOATS or a.ndim < 2 or b.ndim < 2 or 0 in (*a.shape, *b.shape):
        builder.emit(lambda *arrays: functools.partial(np.matmul, *arrays), [first, second], [out], "NumPy")
        return out

    def bind(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> Callable[[], Any]:
        stack = y.shape[:-2]
        a, b = np.broadcast_to(a, (*stack, *a.shape[-2:])), np.broadcast_to(b, (*stack, *b.shape[-2:]))
        calls = [functools.partial(product.product, a[i], b[i], None, y[i], False) for i in np.ndindex(stack)]
        return calls[0] if len(calls) == 1 else functools.partial(_all, calls)

    builder.emit(bind, [first, second], [out], "product")
    return out


def _shape(a: Value, b: Value) -> tuple[int, ...]:
    """That of the product: one of vectors lacks the axis that a vector lacks."""
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.ndim > 1 else ()
    if 0 in (a.ndim, b.ndim) or a.shape[-1] != (b.shape[-2] if b.ndim > 1 else b.shape[0]):
        raise ValueError(f"A of shape {a.shape} and B of shape {b.shape} do not fit: the last axis of A must be as "
                         "long as the last but one of B")
    return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *rows, *columns)


def _all(calls: Sequence[Callable[[], Any]]) -> None:
    for call in calls:
        call()


def Einsum(builder: Builder, node: Node, *values: Value) -> Value:
    """Sums of products by the letters of their axes; of two arrays a stack of matrix products, where they have that
    form."""
    same_dtype(*values)
    terms, result = _letters(node.attributes["equation"].replace(" ", ""), [value.ndim for value in values])
    sizes = {letter: n for term, value in zip(terms, values) for letter, n in zip(term, value.shape)}
    if len(terms) != len(values) or any(value.shape != tuple(sizes.get(letter) for letter in term)
                                        for term, value in zip(terms, values)):
        raise ValueError(f"equation {node.attributes['equation']!r} does not fit inputs of shapes "
                         f"{', '.join(str(value.shape) for value in values)}")
    plain = len(terms) == 2 and all(len(set(term)) == len(term) for term in (*terms, result))
    if not plain or not set(terms[0]) ^ set(terms[1]) <= set(result):
        out = builder.new([sizes[letter] for letter in result], values[0].dtype)
        equation = f"{','.join(terms)}->{result}"
        builder.emit(lambda *arrays: functools.partial(np.einsum, equation, *arrays[:-1], out=arrays[-1]), values,
                     [out], "NumPy")
        return out
    a, b = terms
    stack = [letter for letter in result if letter in a and letter in b]
    summed = [letter for letter in a if letter in b and letter not in result]
    rows, columns = ([letter for letter in term if letter not in (*stack, *summed)] for term in (a, b))

    def turned_to(letters: Sequence[str], value: Value, term: Sequence[str]) -> Value:
        return Transpose(builder, node.like("Transpose", [], [], perm=[term.index(each) for each in letters]), value)

    def matrices(value: Value, term: str, first: list[str], second: list[str]) -> Value:
        sides = [math.prod(sizes[letter] for letter in group) for group in (first, second)]
        return reshaped(builder, turned_to([*stack, *first, *second], value, term),
                        [*(sizes[letter] for letter in stack), *sides])

    y = MatMul(builder, node, matrices(values[0], a, rows, summed), matrices(values[1], b, summed, columns))
    letters = [*stack, *rows, *columns]
    return turned_to(result, reshaped(builder, y, [sizes[letter] for letter in letters]), letters)


def _letters(equation: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """The letters of each input, and of the result: where it is not said, those that stand once, by the alphabet. An
    ellipsis stands for letters of its own, as many as an input has axes left."""
    unused = [letter for letter in string.ascii_letters if letter not in equation]
    left, arrow, result = equation.partition("->")
    terms, most = [], ""
    for term, ndim in zip(left.split(","), ndims):
        count = max(ndim - len(term.replace("...", "")), 0)
        hidden = "".join(unused[len(unused) - count:])    # the last axes of all are the same ones
        most = max(most, hidden, key=len) if "..." in term else most
        terms.append(term.replace("...", hidden))
    if not arrow:
        result = "..." + "".join(sorted(letter for letter in set(left) - set(",.") if left.count(letter) == 1))
    return terms + left.split(",")[len(terms):], result.replace("...", most)


OPERATORS = {"Einsum": Einsum, "Gemm": Gemm, "MatMul": MatMul}
