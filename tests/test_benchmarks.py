"""The benchmarks: their layers make sense, and the comparison with the peers runs and reports."""

import json
import math
import os
import re
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


INEXACT_TORCH = """
from types import SimpleNamespace as Names
import fastconv

def conv2d(x, weight, bias, stride, padding, dilation, groups):
    return fastconv.conv2d(x, weight, bias, stride=tuple(stride), padding=tuple(padding), groups=groups) * 1.0001

from_numpy = set_num_threads = set_grad_enabled = lambda value: value
nn, ops = Names(functional=Names(conv2d=conv2d)), Names(aten=Names(convolution_backward=None))
"""


def run(*arguments, first=()):
    """Runs Python with the benchmarks and the fastconv that is tested, not one that the checkout may hold."""
    path = os.pathsep.join(map(str, [*first, HOME, ROOT]))
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def compare(*arguments, **settings):
    done = run("-m", "benchmarks.compare", *arguments, **settings)
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
    for layer in [*layers.CONV.values(), *layers.LARGE.values()]:
        assert layer.c % layer.groups == 0 and layer.k % layer.groups == 0
        size = fc.conv_output_size((layer.h, layer.w), (layer.r, layer.s), layer.stride, layer.padding)
        assert layer.y_shape == (layer.n, layer.k, *size)
    for layer in layers.TRANSPOSED.values():
        size = fc.conv_output_size(layer.y_shape[2:], (layer.r, layer.s), layer.stride, layer.padding)
        assert (layer.h, layer.w) == size
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


def test_transposed_layers(tmp_path):
    file = tmp_path / "speed.json"
    compare("--libraries", "fastconv,torch,jax,onnxruntime", "--ops", "conv_transpose", "--only", "dcgan-2-b64",
            "--rounds", "1", "--json", file)
    report = json.loads(file.read_text())
    rows = {row["operation"]: row for row in report["results"]}
    assert list(rows) == ["conv_transpose", "conv_transpose_planned", "conv_transpose_grad_x",
                          "conv_transpose_grad_weight"]
    assert all(error < 2e-5 for row in rows.values() for error in row["errors"].values())
    assert set(rows["conv_transpose"]["errors"]) == set(report["versions"])


def test_fastconv_alone(tmp_path):
    file = tmp_path / "speed.json"
    printed = compare("--libraries", "fastconv", "--only", "lenet-2", "--rounds", "1", "--ops", "forward,planned",
                      "--json", file)
    report = json.loads(file.read_text())
    assert [(row["operation"], row["layer"], row["ratio"]) for row in report["results"]] == [
        ("forward", "lenet-2", None), ("planned", "lenet-2", None)]
    assert all(0 < row["seconds"]["fastconv"] < 1 for row in report["results"])
    assert all(row["errors"]["fastconv"] < 2e-5 for row in report["results"])
    assert [report[name] for name in ("threads", "layout", "dtype", "geometric_means")] == [1, "nchw", "float32", {}]
    assert report["versions"]["fastconv"].startswith(fc.__version__)
    assert str(HOME) in printed and "lenet-2" in printed


def test_small_calls_and_large_filters(tmp_path):
    file = tmp_path / "speed.json"
    compare("--libraries", "fastconv,scipy", "--ops", "large,small", "--first", "2", "--rounds", "1", "--json", file)
    rows = json.loads(file.read_text())["results"]
    assert [(row["operation"], row["layer"]) for row in rows] == [
        ("large", "blur-31"), ("large", "blur-63"), ("small", "conv2d"), ("small", "conv2d-plan")]
    assert all(0 < row["seconds"]["fastconv"] < 1 for row in rows)
    for row in rows[:2]:
        assert set(row["errors"]) == {"fastconv"} | ({"scipy"} if find_spec("scipy") else set())
        assert all(error < 2e-5 for error in row["errors"].values())


def test_networks_take_training_steps_and_predict(tmp_path):
    file = tmp_path / "speed.json"
    compare("--libraries", "fastconv", "--ops", "networks", "--only", "lenet", "--rounds", "1", "--json", file)
    rows = json.loads(file.read_text())["results"]
    assert [(row["operation"], row["layer"]) for row in rows] == [
        ("training_step", "lenet-net-64"), ("training_step", "lenet-net-1"), ("prediction", "lenet-net-64"),
        ("prediction", "lenet-net-1")]
    assert all(0 < row["seconds"]["fastconv"] < 1 for row in rows)


@pytest.mark.parametrize("library",
                         ["fastconv", "torch", pytest.param("torch-compiled", marks=pytest.mark.slow), "jax"])
def test_every_library_learns_in_the_same_training_steps(library):
    """Thirty steps on one image make its label all but certain; before, all ten are as likely."""
    if find_spec(library.split("-")[0]) is None:
        pytest.skip(f"{library} is not installed")
    done = run("-c", f"""if True:
        import numpy as np
        from benchmarks.libraries import LIBRARIES, Setting
        from benchmarks.networks import NETWORKS
        network = NETWORKS["lenet-net-1"]
        images, target = np.random.default_rng(0).random((1, *network.image)), np.array([3])
        calls = LIBRARIES["{library}"](Setting(1, "nchw", "float64")).network(network, images, target)
        for _ in range(30):
            calls["training_step"]()
        print(float(np.asarray(calls["prediction"]())[0, 3]))
        """)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) > np.log(0.9)


def test_scipy_computes_the_layers_of_large_filters():
    """Dense, depthwise and in groups, beside the reference, which sums the largest one's filters in frequencies."""
    pytest.importorskip("scipy", reason="SciPy is not installed")
    done = run("-c", """if True:
        import numpy as np
        from benchmarks.accuracy import convolve, relative_error
        from benchmarks.layers import ConvLayer
        from benchmarks.libraries import LIBRARIES, ConvArrays, Setting
        from benchmarks.worker import draw
        scipy = LIBRARIES["scipy"](Setting(1, "nchw", "float64"))
        for layer in (ConvLayer(2, 3, 11, 9, 4, 5, 5, padding=2),
                      ConvLayer(2, 4, 15, 13, 6, 11, 11, padding=5, groups=2),
                      ConvLayer(2, 4, 9, 12, 4, 7, 7, padding=3, groups=4),
                      ConvLayer(1, 4, 9, 9, 6, 3, 3, padding=1, groups=2)):
            arrays = ConvArrays(*draw("float64", layer.x_shape, layer.weight_shape, (layer.k,), layer.y_shape))
            print(relative_error(scipy.large(layer, arrays)["large"](), convolve(layer, arrays)))
        """)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4 and all(float(error) < 1e-12 for error in done.stdout.split())


def test_beside_torch_with_pooling_and_a_chart(tmp_path):
    for package in ("torch", "matplotlib"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    data, picture = tmp_path / "speed.json", tmp_path / "speed.png"
    compare("--libraries", "fastconv,torch", "--only", "mnist-pool", "--rounds", "2", "--json", data,
            "--chart", picture)
    report = json.loads(data.read_text())
    operations = ["max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward"]
    assert [row["operation"] for row in report["results"]] == operations
    for row in report["results"]:
        assert row["ratio"] == row["seconds"]["torch"] / row["seconds"]["fastconv"]
        assert math.isclose(report["geometric_means"][row["operation"]], row["ratio"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_chart_needs_another_library(tmp_path):
    if find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    done = run("-m", "benchmarks.compare", "--libraries", "fastconv", "--chart", tmp_path / "speed.svg")
    assert done.returncode == 2 and "argument --chart: draws other libraries beside fastconv" in done.stderr


def test_the_readme_installs_every_peer():
    done = run("-c",
               "from benchmarks.libraries import LIBRARIES; print(*(kind.package for kind in LIBRARIES.values()))")
    peers = set(done.stdout.split()) - {"fastconv", "numpy"}
    line, = re.findall(r"pip install (torch .*?)(?: *#.*)?$", (ROOT / "README.md").read_text(), re.M)
    assert set(line.split()) == peers | {"onnx", "matplotlib"}


def test_a_missing_library_is_a_note(tmp_path):
    """A jax that is not there, whether installed or not: a module of its name that cannot be imported."""
    (tmp_path / "jax.py").write_text("raise ImportError('no jax here')\n")
    printed = compare("--libraries", "fastconv,jax", "--only", "lenet-2", "--rounds", "1", "--ops", "forward",
                      first=[tmp_path])
    assert "# jax: not installed (no jax here)" in printed


@pytest.mark.parametrize("failing, said", [("raise RuntimeError('out of tiles')", "RuntimeError: out of tiles"),
                                           ("__import__('os')._exit(5)", "exit code 5")])
def test_a_library_that_fails_is_a_note(tmp_path, failing, said):
    """The first layer has a time of it, the others have those that go on."""
    failing = f"    if weight.shape[2] == 3: {failing}\n"
    (tmp_path / "torch.py").write_text(INEXACT_TORCH.replace("    return", failing + "    return"))
    (tmp_path / "torch-1.0.dist-info").mkdir()
    (tmp_path / "torch-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    file = tmp_path / "speed.json"
    printed = compare("--libraries", "fastconv,torch", "--first", "4", "--rounds", "1", "--ops", "forward",
                      "--json", file, first=[tmp_path])
    assert f"# torch: failed at mnist-1: {said}" in printed
    rows = json.loads(file.read_text())["results"]
    assert [(row["layer"], sorted(row["seconds"])) for row in rows] == [
        ("lenet-1", ["fastconv", "torch"]), ("lenet-2", ["fastconv", "torch"]),
        ("mnist-1", ["fastconv"]), ("mnist-2", ["fastconv"])]


def test_a_library_that_cannot_is_a_note():
    """ncnn takes neither NHWC nor float64, whether installed or not; torch takes both, but has nothing planned."""
    chosen = ["--libraries", "fastconv,numpy,ncnn", "--only", "lenet-2", "--rounds", "1"]
    printed = compare(*chosen, "--ops", "forward,planned", "--layout", "nhwc", "--dtype", "float64")
    assert "# ncnn: left out, not in nhwc and float64" in printed and "NHWC, float64" in printed
    printed = compare(*chosen[:1], "fastconv,numpy", *chosen[2:], "--ops", "planned")
    assert "# numpy: left out, has none of planned" in printed


@pytest.mark.parametrize("layout, dtype, limit", [("nchw", "float64", 1e-12), ("nhwc", "float32", 2e-5)])
def test_results_are_compared_with_float64(tmp_path, layout, dtype, limit):
    """Layers of one group and of many; NumPy is always there to be beside fastconv."""
    file = tmp_path / "speed.json"
    compare("--libraries", "fastconv,numpy", "--only", "mobile", "--rounds", "1", "--ops", "forward", "--json", file,
            "--layout", layout, "--dtype", dtype)
    rows = json.loads(file.read_text())["results"]
    assert len(rows) == 4
    for row in rows:
        assert all(0 <= row["errors"][library] < limit for library in ("fastconv", "numpy"))  # 0: added up alike
        assert row["inexact"] == [] and row["ratio"] == row["seconds"]["numpy"] / row["seconds"]["fastconv"]


def test_an_inexact_peer_has_a_star_and_is_not_the_best(tmp_path):
    """A torch that is quicker than NumPy, and 1e-4 off."""
    (tmp_path / "torch.py").write_text(INEXACT_TORCH)
    (tmp_path / "torch-1.0.dist-info").mkdir()
    (tmp_path / "torch-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.0\n")
    file = tmp_path / "speed.json"
    printed = compare("--libraries", "fastconv,torch,numpy", "--only", "lenet-2", "--rounds", "1", "--ops", "forward",
                      "--json", file, first=[tmp_path])
    row, = json.loads(file.read_text())["results"]
    assert row["inexact"] == ["torch"] and math.isclose(row["errors"]["torch"], 1e-4, rel_tol=1e-2)
    assert row["ratio"] == row["seconds"]["numpy"] / row["seconds"]["fastconv"]
    assert "* off by more than 2e-05: not counted as the best peer" in printed


@pytest.mark.parametrize("arguments, message", [
    (["--threads", "0"], "argument --threads: '0' is not a whole number from 1 to 1024"),
    (["--rounds", "two"], "argument --rounds: 'two' is not a whole number"),
    (["--ops", "forward,backward"],
     "argument --ops: 'backward' is not one of forward, planned, grad_x, grad_weight, pool, large, networks, small"),
    (["--libraries", "opencv"],
     "argument --libraries: 'opencv' is not one of fastconv, torch, torch-compiled, jax, numpy, scipy, onnxruntime"),
    (["--ops", "small", "--layout", "nhwc"], "argument --layout: small calls are in nchw only"),
    (["--first", "0"], "argument --first: '0' is not a whole number from 1 to 1000"),
    (["--layout", "NHWC"], "argument --layout: 'NHWC' is not one of nchw, nhwc"),
    (["--dtype", "float16"], "argument --dtype: 'float16' is not one of float32, float64"),
    (["--only", "alexnet"], "argument --only: no layer has 'alexnet' in its name, they are lenet-1"),
    (["--json", "nowhere/speed.json"], "argument --json: 'nowhere/speed.json' is in a folder that does not exist"),
    (["--chart", "."], "argument --chart: '.' is a folder"),
    (["--fast"], "unrecognized arguments: --fast"),
])
def test_bad_arguments_are_one_line(arguments, message):
    done = run("-m", "benchmarks.compare", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda path: path.stem)
def test_the_modules_that_a_benchmark_takes_from_are_there(path):
    """Those of the adapters need their hosts, so that not all can be imported here."""
    for module in re.findall(r"^from (benchmarks[\w.]*) import ", path.read_text(), re.M):
        file = ROOT.joinpath(*module.split("."))
        assert file.with_suffix(".py").exists() or (file / "__init__.py").exists(), module
