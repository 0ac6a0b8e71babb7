"""`fastconv run`."""

import json

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import model  # noqa: E402


@pytest.fixture
def folder(tmp_path):
    onnx.save(model([("Add", ["a", "b"], ["y"]), ("Relu", ["y"], ["z"])],
                    {"a": (np.float32, (2,)), "b": (np.float32, (2,))}, ["y", "z"]), tmp_path / "m.onnx")
    np.save(tmp_path / "a.npy", np.float32([1, -4]))
    np.save(tmp_path / "b.npy", np.float32([2, 1]))
    np.savez(tmp_path / "both.npz", a=np.float32([1, -4]), b=np.float32([2, 1]))
    return tmp_path


@pytest.mark.parametrize("given", [("a.npy", "b.npy"), ("b={}/b.npy", "a.npy"), ("both.npz",)])
def test_outputs_are_written_and_described(cli, folder, given):
    options = [word for each in given for word in ("--input", each.format(folder) if "=" in each else folder / each)]
    code, stdout, stderr = cli("run", folder / "m.onnx", *options, "--output", folder / "y.npz")
    assert code == 0, stderr
    assert stdout.splitlines() == ["y: float32 2, -3 to 3", "z: float32 2, 0 to 3"]
    with np.load(folder / "y.npz") as written:
        assert written["y"].tolist() == [3, -3] and written["z"].tolist() == [3, 0]


def test_the_steps_and_json(cli, folder):
    code, stdout, _ = cli("run", folder / "m.onnx", "--input", folder / "both.npz", "--explain")
    assert code == 0 and "Add" in stdout and "steps" in stdout
    code, stdout, _ = cli("run", folder / "m.onnx", "--input", folder / "both.npz", "--explain", "--json")
    document = json.loads(stdout)
    assert document["outputs"]["z"] == {"shape": [2], "dtype": "float32", "min": 0.0, "max": 3.0}
    assert len(document["explanation"]["steps"]) >= 1


@pytest.mark.parametrize(("arguments", "message"), [
    (("none.onnx",), "MODEL none.onnx does not exist"),
    (("{0}/m.onnx",), "--input is missing for a, b: --input a=FILE.npy"),
    (("{0}/m.onnx", "--input", "{0}/a.npy"), "--input is missing for b"),
    (("{0}/m.onnx", "--input", "c={0}/a.npy"), "--input c: the model's inputs are a, b"),
    (("{0}/m.onnx", "--input", "{0}/none.npy"), "none.npy does not exist"),
    (("{0}/m.onnx", "--input", "{0}/both.npz", "--output", "y.txt"), "--output must be the name of an .npz file"),
])
def test_what_is_wrong_is_said_in_one_line(cli, folder, arguments, message):
    code, _, stderr = cli("run", *(each.format(folder) for each in arguments))
    assert code == 2 and message in stderr and stderr.count("\n") == 1
