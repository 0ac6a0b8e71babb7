"""Operators at their corners: beside plain loops in float64, or what the standard says."""

import numpy as np
import pytest
import reference

pytestmark = pytest.mark.adapters
pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import assert_close, expected, helper, model  # noqa: E402

from fastconv.adapters.onnx import Backend, load  # noqa: E402

RNG = np.random.default_rng(0)


def numbers(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def run(op, arrays, outputs=1, opset=17, fixed=(), **attributes):
    """The results of one node; the arrays at the places `fixed` are constants."""
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(arrays)]
    given = {name: array for name, array in zip(names, arrays) if name}
    constants = {names[i]: given.pop(names[i]) for i in fixed}
    proto = model([(op, names, [f"y{i}" for i in range(outputs)], attributes)],
                  {name: (array.dtype, array.shape) for name, array in given.items()},
                  [f"y{i}" for i in range(outputs)], constants, opset)
    return proto, given, load(proto).run(given)


def run_unchecked(op, arrays, **attributes):
    """As `run`, of what onnx's own inference of shapes refuses."""
    names = [f"x{i}" for i in range(len(arrays))]
    return Backend.run_node(helper.make_node(op, names, ["y0", "y1"][:1 + (op == "TopK")], **attributes), arrays,
                            opset_version=17)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("fixed", [(), (1, 2)])
@pytest.mark.parametrize(("groups", "stride", "dilation", "pads"), [
    (1, (1, 1), (1, 1), (1, 1, 1, 1)), (2, (2, 1), (1, 2), (0, 1, 2, 3)), (4, (1, 2), (1, 1), (1, 0, 1, 0)),
])
def test_convolution(dtype, fixed, groups, stride, dilation, pads):
    x, w, b = numbers(2, 4, 9, 8, dtype=dtype), numbers(8, 4 // groups, 3, 3, dtype=dtype), numbers(8, dtype=dtype)
    _, _, [y] = run("Conv", [x, w, b], fixed=fixed, group=groups, strides=stride, dilations=dilation, pads=pads)
    wanted = reference.conv2d(x.astype(np.float64), w.astype(np.float64), b.astype(np.float64), stride=stride,
                              padding=((pads[0], pads[2]), (pads[1], pads[3])), dilation=dilation, groups=groups)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, wanted, rtol=1e-5 if dtype == np.float32 else 1e-12,
                               atol=1e-5 if dtype == np.float32 else 1e-12)


RUNTIME = {
    "the last window would start in padding": ("MaxPool", [numbers(1, 2, 5, 7)], 1, dict(
        kernel_shape=[2, 2], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1)),
    "positions": ("MaxPool", [numbers(2, 3, 6, 7)], 2, dict(kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])),
    "positions by columns": ("MaxPool", [numbers(2, 3, 6, 7)], 2, dict(kernel_shape=[3, 2], storage_order=1)),
    "positions of rows": ("MaxPool", [numbers(2, 3, 9)], 2, dict(kernel_shape=[3], dilations=[2])),
    "positions of volumes": ("MaxPool", [numbers(2, 2, 4, 5, 3)], 2, dict(kernel_shape=[2, 2, 2])),
    "maxima of integers": ("MaxPool", [RNG.integers(0, 255, (1, 2, 6, 6)).astype(np.uint8)], 1, dict(
        kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
    "much padding": ("AveragePool", [numbers(1, 2, 5, 5)], 1, dict(kernel_shape=[3, 3], pads=[2, 2, 2, 2],
                                                                   count_include_pad=1)),
    "padding before": ("AveragePool", [numbers(1, 2, 6, 5)], 1, dict(kernel_shape=[2, 2], auto_pad="SAME_LOWER")),
    "convolution, padding before": ("Conv", [numbers(1, 2, 6, 5), numbers(3, 2, 2, 2)], 1,
                                    dict(auto_pad="SAME_LOWER")),
    "padding before, with a stride": ("Conv", [numbers(1, 2, 7, 5), numbers(3, 2, 4, 3)], 1,
                                      dict(auto_pad="SAME_LOWER", strides=[2, 3])),
    "transposed to a size": ("ConvTranspose", [numbers(1, 3, 4, 4), numbers(3, 2, 3, 3)], 1,
                             dict(strides=[2, 2], output_shape=[8, 8])),
    "transposed to a size, upper": ("ConvTranspose", [numbers(1, 3, 4, 4), numbers(3, 2, 3, 3)], 1,
                                    dict(strides=[2, 2], auto_pad="SAME_UPPER")),
    "transposed rows": ("ConvTranspose", [numbers(2, 3, 7), numbers(3, 2, 3)], 1, dict(strides=[2])),
    "transposed volumes": ("ConvTranspose", [numbers(1, 3, 3, 4, 2), numbers(3, 2, 2, 3, 2)], 1,
                           dict(strides=[2, 1, 2], pads=[0, 1, 0, 0, 0, 1])),
    "a matrix that is turned": ("Gemm", [numbers(5, 4), numbers(3, 5), numbers(4, 3)], 1,
                                dict(transA=1, transB=1, alpha=0.5, beta=2.0)),
    "a column of offsets": ("Gemm", [numbers(4, 5), numbers(5, 3), numbers(4, 1)], 1, {}),
    "one offset": ("Gemm", [numbers(4, 5), numbers(5, 3), numbers(1)], 1, {}),
    "stacks of matrices": ("MatMul", [numbers(2, 1, 4, 5), numbers(3, 5, 6)], 1, {}),
    "a vector and matrices": ("MatMul", [numbers(5), numbers(3, 5, 6)], 1, {}),
    "a matrix and a vector": ("MatMul", [numbers(4, 5), numbers(5)], 1, {}),
    "vectors": ("MatMul", [numbers(5), numbers(5)], 1, {}),
    "integers": ("MatMul", [RNG.integers(-5, 5, (3, 4)), RNG.integers(-5, 5, (4, 2))], 1, {}),
    "quotients of integers": ("Div", [np.array([7, -7, 7, -7]), np.array([2, 2, -2, -2])], 1, {}),
    "remainders": ("Mod", [np.array([7, -7, 7, -7]), np.array([3, 3, -3, -3])], 1, {}),
    "powers of integers": ("Pow", [np.array([2, 3, -2]), np.array([3, 2, 3])], 1, {}),
    "the error function": ("Erf", [np.linspace(-7, 7, 101, dtype=np.float32)], 1, {}),
    "instances": ("InstanceNormalization", [numbers(2, 3, 4, 5), numbers(3), numbers(3)], 1, {}),
    "local responses": ("LRN", [numbers(2, 7, 3, 3)], 1, dict(size=3, alpha=0.5, beta=0.7, bias=1.5)),
    "depth to space": ("DepthToSpace", [numbers(1, 8, 2, 3)], 1, dict(blocksize=2, mode="CRD")),
    "space to depth": ("SpaceToDepth", [numbers(1, 2, 4, 6)], 1, dict(blocksize=2)),
    "clipped integers": ("Clip", [np.arange(6, dtype=np.int32), np.array(2, np.int32), np.array(4, np.int32)], 1, {}),
    "the largest, with equal ones": ("TopK", [RNG.integers(0, 4, (3, 9)).astype(np.float32), np.array([5])], 2, {}),
    "the smallest": ("TopK", [RNG.integers(0, 4, (5, 2, 3)), np.array([4])], 2, dict(axis=0, largest=0)),
    "scattered rows": ("ScatterND", [numbers(4, 3, 2), np.array([[[3], [0]], [[1], [-3]]]), numbers(2, 2, 3, 2)], 1,
                       {}),
    "scattered sums": ("ScatterND", [numbers(4, 3), np.array([[1, 2], [1, 2], [0, -1]]), numbers(3)], 1,
                       dict(reduction="add")),
    "scattered elements": ("ScatterElements", [numbers(3, 4), np.array([[0, 2, 1], [-1, 0, 0]]), numbers(2, 3)], 1,
                           {}),
    "scattered sums of elements": ("ScatterElements", [numbers(3, 4), np.array([[1, 1, 3], [0, 0, 0]]), numbers(2, 3)],
                                   1, dict(axis=1, reduction="add")),
    "gathered places": ("GatherND", [numbers(2, 3, 4), np.array([[1, -1], [0, 2]])], 1, {}),
    "gathered places of each": ("GatherND", [numbers(2, 3, 4), np.array([[[0, 1], [2, 3]], [[1, 0], [-1, 2]]])], 1,
                                dict(batch_dims=1)),
    "one of each row": ("OneHot", [np.array([[0, 2], [-1, 7]]), np.array(3), np.array([1.5, -2], np.float32)], 1,
                        dict(axis=1)),
    "a triangle": ("Trilu", [numbers(2, 4, 5), np.array(1)], 1, dict(upper=0)),
    "a product by letters": ("Einsum", [numbers(2, 3, 4, 5), numbers(6, 4, 2, 5)], 1, dict(equation="nhcq,kcnq->nkhc")),
    "all sums by letters": ("Einsum", [numbers(2, 3, 4), numbers(4, 3, 5)], 1, dict(equation="b i j, jik")),
    "a diagonal by letters": ("Einsum", [numbers(4, 4, 2)], 1, dict(equation="iik->ki")),
    "three by letters": ("Einsum", [numbers(2, 3), numbers(3, 4), numbers(4, 2)], 1, dict(equation="ij,jk,kl->il")),
    "sums of one alone by letters": ("Einsum", [numbers(2, 3), numbers(3, 4)], 1, dict(equation="ij,jk->k")),
    "an ellipsis": ("Einsum", [numbers(2, 3, 4), numbers(2, 4, 6)], 1, dict(equation="...ij,...jk->...ik")),
    "an ellipsis, and no result": ("Einsum", [numbers(2, 5, 3), numbers(3)], 1, dict(equation="...j,j")),
    **{f"between pixels, {mode} {padding} {aligned}": (
        "GridSample", [numbers(2, 3, 5, 6), 1.4 * numbers(2, 4, 7, 2)], 1,
        dict(mode=mode, padding_mode=padding, align_corners=aligned))
       for mode in ("bilinear", "nearest") for padding in ("zeros", "border", "reflection") for aligned in (0, 1)},
    "celu": ("Celu", [numbers(3, 7)], 1, dict(alpha=0.7)),
    "what is infinite": ("IsInf", [np.array([1, np.inf, -np.inf, np.nan], np.float32)], 1, dict(detect_negative=0)),
    "gathered elements": ("GatherElements", [numbers(3, 4), RNG.integers(-3, 3, (2, 4))], 1, {}),
}


@pytest.mark.parametrize("name", RUNTIME)
def test_beside_onnx_runtime(name):
    op, arrays, outputs, attributes = RUNTIME[name]
    opset = 18 if "reduction" in attributes else 17
    proto, given, got = run(op, arrays, outputs, opset, **attributes)
    assert_close(got, expected(proto, given))


@pytest.mark.parametrize(("op", "arrays", "attributes", "message"), [
    ("Einsum", [numbers(2, 3)], dict(equation="ijk->i"), "does not fit inputs of shapes \\(2, 3\\)"),
    ("TopK", [numbers(2, 3), np.array([4])], {}, "k must be in 0 to the 3 elements"),
    ("ScatterND", [numbers(4, 3), np.array([[1]]), numbers(1, 2)], {}, "updates must have shape \\(1, 3\\)"),
])
def test_what_cannot_be_is_refused_by_name(op, arrays, attributes, message):
    with pytest.raises(ValueError, match=message):
        run_unchecked(op, arrays, **attributes)


def test_a_maximum_keeps_what_is_not_a_number():
    """ONNX Runtime leaves it out."""
    _, _, [y] = run("MaxPool", [np.float32([[[1, np.nan, 2, 0, 5, 6]]])], kernel_shape=[2], strides=[2])
    np.testing.assert_array_equal(y, np.float32([[[np.nan, 2, 6]]]))


@pytest.mark.parametrize("opset", [7, 9, 12, 13, 17])
def test_softmax_of_every_opset(opset):
    x = numbers(2, 3, 4)
    for axis in (0, 1, 2, *((-1,) if opset > 10 else ())):
        _, _, [y] = run("Softmax", [x], opset=opset, axis=axis)
        rows = x.astype(np.float64)
        rows = rows.reshape(int(np.prod(x.shape[:axis % 3])), -1) if opset < 13 else rows
        along = 1 if opset < 13 else axis
        e = np.exp(rows - rows.max(along, keepdims=True))
        np.testing.assert_allclose(y, (e / e.sum(along, keepdims=True)).reshape(x.shape), rtol=1e-6)


@pytest.mark.parametrize(("op", "function"), [("Add", np.add), ("Mul", np.multiply), ("Sub", np.subtract),
                                              ("Div", np.divide)])
def test_the_broadcasting_of_opset_6(op, function):
    x, y = numbers(2, 3, 4, 5), np.abs(numbers(3, 4)) + 1
    for fixed in ((), (1,)):
        _, _, [got] = run(op, [x, y], opset=6, fixed=fixed, broadcast=1, axis=1)
        np.testing.assert_allclose(got, function(x, y.reshape(3, 4, 1)), rtol=1e-6)
    _, _, [got] = run(op, [x, x[0, 0] + 9], opset=6, broadcast=1)
    np.testing.assert_allclose(got, function(x, x[0, 0] + 9), rtol=1e-6)


def test_averages_of_dilated_windows_with_padding_counted():
    x = numbers(1, 1, 6, 6)
    _, _, [y] = run("AveragePool", [x], opset=19, kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1],
                    count_include_pad=1)
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    wanted = sum(padded[..., i:i + 6, j:j + 6] for i in (0, 2) for j in (0, 2)) / 4
    np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("op", "arrays", "attributes", "message"), [
    ("Conv", [numbers(1, 3, 4, 4), numbers(2, 3, 3, 3), numbers(3)], {}, r"B must have shape \(2,\)"),
    ("Conv", [numbers(1, 3, 2, 2), numbers(2, 3, 3, 3)], {}, "does not fit"),
    ("Conv", [numbers(1, 3, 4, 4), numbers(2, 3, 3, 3)], dict(strides=[1]), "strides must have 2 numbers"),
    ("Transpose", [numbers(2, 3)], dict(perm=[0, 0]), "perm must be an order of 2 axes"),
    ("Concat", [numbers(2, 3), numbers(3, 2)], dict(axis=0), "must have one shape but for axis 0"),
    ("Gemm", [numbers(2, 3), numbers(4, 5)], {}, "do not fit"),
    ("Reshape", [numbers(2, 3), np.array([4, -1])], {}, "cannot have shape"),
    ("Add", [numbers(2, 3), numbers(2, 3, dtype=np.float64)], {}, "must be of one type"),
])
def test_what_does_not_fit(op, arrays, attributes, message):
    """The shapes of the inputs are left open, so that the onnx package does not see it before."""
    from onnx_graphs import helper, onnx

    names = [f"x{i}" for i in range(len(arrays))]
    typed = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
             for name, array in zip(names, arrays)]
    graph = helper.make_graph([helper.make_node(op, names, ["y"], **attributes)], "g", typed,
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    with pytest.raises((TypeError, ValueError), match=message):
        load(proto).run(dict(zip(names, arrays)))
