"""Sessions: what they take, what they refuse, what they keep."""

import itertools
import threading

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import assert_close, helper, model  # noqa: E402

import fastconv as fc  # noqa: E402
from fastconv.adapters.onnx import UnsupportedModel, load, session as sessions  # noqa: E402

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


W, B = numbers(5, 3, 3, 3), numbers(5)
NODES = [("Conv", ["x", "w", "b"], ["c"], dict(pads=[1, 1, 1, 1])), ("Relu", ["c"], ["r"]),
         ("GlobalAveragePool", ["r"], ["g"]), ("Flatten", ["g"], ["y"])]
NET = model(NODES, {"x": (np.float32, ("n", 3, "h", "w_"))}, ["y", "r"], {"w": W, "b": B})


def reference(x):
    r = np.maximum(fc.conv2d(x.astype(np.float64), W.astype(np.float64), B.astype(np.float64), padding=1), 0)
    return [r.mean((2, 3)).astype(np.float32), r.astype(np.float32)]


def test_arrays_by_name_by_place_and_in_a_dict(tmp_path):
    onnx.save(NET, tmp_path / "net.onnx")
    for given in (NET, str(tmp_path / "net.onnx"), tmp_path / "net.onnx", NET.SerializeToString()):
        session = load(given)
        assert session.input_names == ["x"] and session.output_names == ["y", "r"]
        x = numbers(2, 3, 7, 6)
        for results in (session.run({"x": x}), session(x), session(x=x), session({"x": x})):
            assert_close(results, reference(x))
        [r] = session.run({"x": x}, ["r"])
        assert_close([r], reference(x)[1:])


def test_results_stay_as_they_are():
    session = load(NET)
    x = numbers(1, 3, 8, 8)
    first = session.run({"x": x})
    kept = [array.copy() for array in first]
    session.run({"x": numbers(1, 3, 8, 8)})
    for array, before in zip(first, kept):
        np.testing.assert_array_equal(array, before)
        assert array.flags.owndata and array.flags.writeable


def test_inputs_of_any_strides_and_their_numbers_stay():
    session, x = load(NET), numbers(2, 9, 8, 3)
    view = x.transpose(0, 3, 1, 2)[:, :, ::-1]
    before = x.copy()
    assert_close(session.run({"x": view}), reference(view))
    np.testing.assert_array_equal(x, before)


def test_programs_are_kept_with_a_bound():
    session = load(NET)
    for size in range(1, sessions.MOST_PROGRAMS + 6):
        x = numbers(1, 3, size, 4)
        assert_close(session.run({"x": x}), reference(x))
    assert len(session._programs) == sessions.MOST_PROGRAMS
    x = numbers(1, 3, 1, 4)
    assert_close(session.run({"x": x}), reference(x))


def test_weights_are_prepared_once_for_programs_that_need_the_same():
    session = load(NET)
    session.run({"x": numbers(1, 3, 8, 8)})
    kept = len(session._prepared._kept)
    session.run({"x": numbers(1, 3, 8, 8)})
    assert len(session._prepared._kept) == kept


def test_bits_do_not_depend_on_threads():
    session, x = load(NET), numbers(4, 3, 40, 40)
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results.append(session.run({"x": x}))
    for each in results[1:]:
        for a, b in zip(each, results[0]):
            np.testing.assert_array_equal(a, b)


def test_threads_run_one_session_at_the_same_time():
    session, faults = load(NET), []
    inputs = [numbers(1, 3, 24, 24) for _ in range(6)]
    wanted = [session.run({"x": x}) for x in inputs]

    def work(index):
        for _ in range(30):
            for got, want in zip(session.run({"x": inputs[index]}), wanted[index]):
                if not np.array_equal(got, want):
                    faults.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_shape_that_is_an_input():
    proto = model([("Reshape", ["x", "shape"], ["y"])], {"x": (np.float32, (2, 6)), "shape": (np.int64, (2,))}, ["y"])
    session, x = load(proto), numbers(2, 6)
    for shape in ([3, 4], [4, 3], [-1, 2], [3, 4]):
        [y] = session.run({"x": x, "shape": np.array(shape)})
        np.testing.assert_array_equal(y, x.reshape(shape))


def test_a_shape_that_is_computed_from_an_input():
    proto = model([("Mul", ["s", "s"], ["t"]), ("Expand", ["x", "t"], ["y"])],
                  {"x": (np.float32, (1,)), "s": (np.int64, (2,))}, ["y"])
    session = load(proto)
    for size in ([1, 2], [3, 1]):
        [y] = session.run({"x": np.float32([7]), "s": np.array(size)})
        np.testing.assert_array_equal(y, np.full(np.square(size), 7, np.float32))


def test_an_input_that_is_an_output_and_an_output_that_is_constant():
    proto = model([("Identity", ["x"], ["y"]), ("Shape", ["x"], ["s"])], {"x": (np.float32, ("n", 2))}, ["y", "s"])
    x = numbers(3, 2)
    y, s = load(proto).run({"x": x})
    np.testing.assert_array_equal(y, x)
    assert not np.shares_memory(y, x) and s.tolist() == [3, 2]


def test_an_empty_batch():
    x = numbers(0, 3, 5, 4)
    y, r = load(NET).run({"x": x})
    assert y.shape == (0, 5) and r.shape == (0, 5, 5, 4)


def test_arrays_share_memory_only_when_they_are_not_needed_together():
    """Every step sees the arrays that earlier ones made for it, whatever other places are."""
    from fastconv.adapters.onnx.memory import plan

    session = load(NET)
    session.run({"x": numbers(1, 3, 16, 16)})
    [program] = session._programs.values()
    places = plan(program.steps, [value for _, value in program.inputs], program.outputs)
    assert places.nbytes <= places.unshared
    last = {}
    for time, step in enumerate(program.steps):
        for value in (*step.inputs, *step.outputs):
            last[id(value.root)] = time
    last.update({id(value.root): len(program.steps) for value in program.outputs})
    alive = {id(value): value for _, value in program.inputs}
    for time, step in enumerate(program.steps):
        alive.update({id(value): value for value in step.outputs})
        spans = sorted((places.offsets[key], places.offsets[key] + value.nbytes, key) for key, value in alive.items()
                       if last.get(key, -1) > time or value in step.outputs)
        for (_, end, _), (begin, _, _) in itertools.pairwise(spans):
            assert end <= begin
        alive = {key: value for key, value in alive.items() if last.get(key, -1) > time}


def test_what_a_session_says_of_its_steps():
    explanation = load(NET).explain({"x": numbers(1, 3, 8, 8)}, repeat=2)
    text = str(explanation)
    assert "Conv" in text and "1 x 5 x 8 x 8" in text and "us" in text and "%" in text
    assert [line.node.split()[0] for line in explanation.lines] == ["Conv", "GlobalAveragePool"]
    assert explanation.to_dict()["steps"][0]["shape"] == [1, 5, 8, 8] and explanation.seconds > 0


# ---------------------------------------------------------------------------------------------------------------------
# What is refused


@pytest.mark.parametrize(("inputs", "error", "message"), [
    ({}, ValueError, "lacks 'x'"),
    ({"z": 1}, ValueError, "must be among x, got 'z'"),
    ([1], TypeError, "must be a dict of arrays by name"),
    ({"x": np.zeros((1, 3, 4, 4))}, TypeError, r"must be float32, got float64: pass x.astype\(np.float32\)"),
    ({"x": np.zeros((1, 2, 4, 4), np.float32)}, ValueError, r"must have shape \(any, 3, any, any\), got \(1, 2"),
    ({"x": np.zeros((3, 4, 4), np.float32)}, ValueError, "must have shape"),
])
def test_wrong_inputs(inputs, error, message):
    with pytest.raises(error, match=message):
        load(NET).run(inputs)


def test_wrong_outputs_and_too_many_arrays():
    session = load(NET)
    with pytest.raises(ValueError, match="outputs must be among y, r, got 'q'"):
        session.run({"x": numbers(1, 3, 4, 4)}, ["q"])
    with pytest.raises(TypeError, match="the model has 1 inputs"):
        session(1, 2)


def test_all_operators_that_are_lacking_are_named_at_once():
    proto = helper.make_model(helper.make_graph(
        [helper.make_node("NonZero", ["x"], ["a"], name="first"), helper.make_node("Unique", ["x"], ["b"]),
         helper.make_node("NonZero", ["x"], ["c"], name="second"), helper.make_node("Relu", ["x"], ["y"])], "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])]))
    with pytest.raises(UnsupportedModel, match=r"NonZero \(2 nodes: 'first', 'second'\); Unique \(1 node: 'b'\)"):
        load(proto)


def test_what_is_no_model(tmp_path):
    with pytest.raises(TypeError, match="model must be a path, the bytes of a file or an onnx.ModelProto, got int"):
        load(3)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="not an? (valid )?ONNX model"):
        load(b"nonsense, and more of it")
    (tmp_path / "bad.onnx").write_bytes(NET.SerializeToString()[:200])
    with pytest.raises(ValueError, match="not an? (valid )?ONNX model"):
        load(tmp_path / "bad.onnx")


def test_an_opset_that_is_too_old():
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2]) for name in "xy")
    proto = helper.make_model(helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y]),
                              opset_imports=[helper.make_opsetid("", 5)])
    with pytest.raises(UnsupportedModel, match="opset 5: it must be 6 or later"):
        load(proto)


def test_a_node_that_does_not_fit_is_named():
    proto = model([helper.make_node("Conv", ["x", "w"], ["y"], name="the conv")], {"x": (np.float32, ("n", "c", 4, 4))},
                  ["y"], {"w": W})
    with pytest.raises(ValueError, match=r"node Conv 'the conv': weight must have shape"):
        load(proto).run({"x": numbers(1, 4, 4, 4)})


def test_without_the_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[onnx\]'"):
        load("model.onnx")


def test_functions_of_a_model_are_inlined():
    function = helper.make_function("local", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                    [helper.make_opsetid("", 17)])
    graph = helper.make_graph([helper.make_node("Twice", ["x"], ["y"], domain="local")], "g",
                              [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [2])],
                              [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])])
    proto = helper.make_model(graph, functions=[function],
                              opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    [y] = load(proto).run({"x": np.float32([1, 2])})
    assert y.tolist() == [2, 4]
