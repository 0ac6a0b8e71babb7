"""The benchmarks: their layers make sense, and the comparison with the peers runs and reports."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import fastconv as fc

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(fc.__file__).resolve().parents[1]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are part of a checkout, which is not here", allow_module_level=True)


def run(module, *arguments, first=()):
    """Runs a module of the benchmarks against the fastconv that is tested, not one that the checkout may hold."""
    path = os.pathsep.join(map(str, [*first, HOME, ROOT]))
    return subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def compare(*arguments, **settings):
    done = run("benchmarks.compare", *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def layers():
    """The module `benchmarks.layers`, from its file: the checkout stays off this process's path."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("benchmark_layers", ROOT / "benchmarks/layers.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_layers_fit_their_formulas(layers):
    for layer in layers.CONV.values():
        assert layer.c % layer.groups == 0 and layer.k % layer.groups == 0
        size = fc.conv_output_size((layer.h, layer.w), (layer.r, layer.s), layer.stride, layer.padding)
        assert layer.y_shape == (layer.n, layer.k, *size)
    for layer in layers.POOL.values():
        size = fc.conv_output_size((layer.h, layer.w), layer.kernel, layer.stride, layer.padding)
        assert layer.y_shape == (layer.n, layer.c, *size)


def test_work_of_a_layer_by_hand(layers):
    layer = layers.ConvLayer(n=2, c=4, h=5, w=6, k=8, r=3, s=3, stride=2, padding=1, groups=2)  # 3 x 3 outputs
    assert layers.conv_flops(layer) == 2 * (2 * 8 * 3 * 3) * (2 * 3 * 3)
    assert layers.conv_bytes(layer) == 4 * (2 * 4 * 5 * 6 + 8 * 2 * 3 * 3 + 2 * 8 * 3 * 3)
    assert layers.pool_bytes(layers.PoolLayer(1, 2, 4, 4, kernel=2, stride=2), itemsize=8) == 8 * (32 + 8)


def test_every_layer_runs_as_it_stands_in_the_table(layers):
    for layer in layers.CONV.values():
        one = layer._replace(n=1)
        y = fc.conv2d(np.zeros(one.x_shape, np.float32), np.zeros(one.weight_shape, np.float32), stride=one.stride,
                      padding=one.padding, groups=one.groups)
        assert y.shape == one.y_shape


def test_fastconv_alone(tmp_path):
    file = tmp_path / "speed.json"
    printed = compare("--libraries", "fastconv", "--only", "lenet-2", "--rounds", "1", "--ops", "forward,planned", "--json", file)
    report = json.loads(file.read_text())
    assert [(row["operation"], row["layer"], row["ratio"]) for row in report["results"]] == [
        ("forward", "lenet-2", None), ("planned", "lenet-2", None)]
    assert all(0 < row["seconds"]["fastconv"] < 1 for row in report["results"])
    assert report["threads"] == 1 and report["geometric_means"] == {}
    assert report["versions"]["fastconv"].startswith(fc.__version__)
    assert str(HOME) in printed and "lenet-2" in printed


def test_beside_torch_with_pooling_and_a_chart(tmp_path):
    for package in ("torch", "matplotlib"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    data, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    compare("--libraries", "fastconv,torch", "--only", "mnist-pool", "--rounds", "2", "--json", data, "--chart", picture)
    report = json.loads(data.read_text())
    operations = ["max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward"]
    assert [row["operation"] for row in report["results"]] == operations
    for row in report["results"]:
        assert row["ratio"] == row["seconds"]["torch"] / row["seconds"]["fastconv"]
        assert math.isclose(report["geometric_means"][row["operation"]], row["ratio"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_missing_library_is_a_note(tmp_path):
    """A jax that is not there, whether installed or not: a module of its name that cannot be imported."""
    (tmp_path / "jax.py").write_text("raise ImportError('no jax here')\n")
    printed = compare("--libraries", "fastconv,jax", "--only", "lenet-2", "--rounds", "1", "--ops", "forward", first=[tmp_path])
    assert "# jax: not installed (no jax here)" in printed


@pytest.mark.parametrize("arguments, message", [
    (["--threads", "0"], "argument --threads: '0' is not a whole number from 1 to 1024"),
    (["--rounds", "two"], "argument --rounds: 'two' is not a whole number"),
    (["--ops", "forward,backward"], "argument --ops: 'backward' is not one of forward, planned, grad_x, grad_weight, pool"),
    (["--libraries", "numpy"], "argument --libraries: 'numpy' is not one of fastconv, torch, onnxruntime, jax, openvino"),
    (["--only", "alexnet"], "argument --only: no layer has 'alexnet' in its name, they are lenet-1"),
    (["--json", "nowhere/speed.json"], "argument --json: 'nowhere/speed.json' is in a folder that does not exist"),
    (["--chart", "."], "argument --chart: '.' is a folder"),
    (["--fast"], "unrecognized arguments: --fast"),
])
def test_bad_arguments_are_one_line(arguments, message):
    done = run("benchmarks.compare", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
