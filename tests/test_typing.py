"""What ships is typed: stubs say the same as their modules, type checkers take a right program and find the
mistakes of a wrong one."""

import ast
import importlib
import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

import fastconv
from fastconv import _core, functional, nn
from fastconv._core.planner import plan
from fastconv.functional import checks, convolution, resizing, typing

CORE = Path(_core.__file__).parent
COMPILED = sorted(f"{path.parent.name}.{path.name.split('.')[0]}" for path in CORE.glob("*/*.so"))

# A user's program, strictly typed: every line passes.
# `reveal_type` stands where the type matters, with what it must be.
RIGHT = Path(__file__).with_name("typed_program.py").read_text()

# One mistake a line: each must be an error of its own.
PROLOGUE = """\
import numpy as np
import fastconv as fc
from fastconv import data, nn, optim
x, w = np.zeros((1, 3, 8, 8), np.float32), np.zeros((4, 3, 3, 3), np.float32)
doubles = np.zeros((1, 3, 8, 8))
plan = fc.plan_conv2d((1, 3, 8, 8), w)
"""
MISTAKES = """\
fc.conv2d(x, w, padding="sme")
fc.conv2d(x, w, stride="two")
fc.conv2d(x, w, stride=1.5)
fc.conv2d(x, w, stride=(1, 2, 3))
fc.conv2d(x, w, data_format="NWHC")
fc.conv2d(x, w, activation="rleu")
fc.conv2d(x, w, algorithm="winogard")
fc.conv2d(x, w, padding_mode="zeros")
fc.conv2d(x, w, padding_value="0")
fc.conv2d(x, w, 1, 2)
fc.conv2d(x, w, strides=1)
fc.conv2d(x)
fc.conv2d(x, w, out=[1.0])
fc.conv2d_backward(x, x, w, data_format="nhwc")
fc.conv2d_backward(x, x, w, needs=True)
fc.plan_conv2d((1, 3, 8, 8), w, activation="gelu")
fc.plan_conv2d(8, w)
fc.conv_output_size(8, 3, padding="ful")
fc.explain((3, 8, 8), (4, 3, 3, 3), dtype="float16")
fc.explain((3, 8, 8), (4, 3, 3, 3), algorithm="fast")
fc.max_pool2d(x, 2, padding="full")
fc.max_pool2d(x, "2")
fc.avg_pool2d(x, 2, data_format="CHWN")
fc.max_pool2d_backward(x, x, 8, 2)
fc.adaptive_avg_pool2d(x, 1, data_format="HWC")
fc.global_max_pool2d(x, data_format="HWC")
fc.nll_loss(x, [0], reduction="average")
fc.cross_entropy_backward(x, [0], reduction="avg")
fc.softmax(x, axis="last")
fc.leaky_relu(x, negative_slope="0.1")
fc.interpolate(x, 16, mode="cubic")
fc.interpolate(x, "16")
fc.add(x, x, activation="gelu")
plan(x, out=doubles)
plan.algorithm.nonsense
fc.import_module
fc.Any
nn.Conv2d(3, 4, 3, padding="sme")
nn.Conv2d(3, 4, 3, data_format="NWHC")
nn.Conv2d(3, 4, 3, padding_mode="mirror")
nn.Conv2d(3, 4, 3, init="he_unifrom")
nn.Conv2d(3, 4, 3, dtype="flaot32")
nn.Linear(3, 4, init="kaiming")
nn.MaxPool2d(2, data_format="nchw")
nn.AvgPool2d("2")
nn.Upsample(16, mode="cubic")
nn.Residual(nn.ReLU(), activation="gelu")
nn.models.lenet5(init="he")
optim.OneCycleLR(optim.SGD([], lr=1.0), 1.0, 10, anneal_strategy="cosine")
fc.EarlyStopping(monitor="accuracy")
data.digits("validation")
fc.show_config("json")
number: str = fc.relu(x)
integers: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = fc.max_pool2d(x, 2)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the checked scripts lie, and mypy's cache, which saves it from reading NumPy's stubs again."""
    return tmp_path_factory.mktemp("typing")


def run_mypy(folder, *arguments):
    pytest.importorskip("mypy", reason="mypy is not installed")
    return subprocess.run([sys.executable, "-m", "mypy", "--cache-dir", "cache", *arguments],
                          capture_output=True, text=True, cwd=folder)


def mypy(script, folder):
    """The lines of a script that mypy calls wrong, the types that it reveals by line, and its report."""
    (folder / "script.py").write_text(script)
    done = run_mypy(folder, "--strict", "script.py")
    assert done.returncode in (0, 1), done.stdout + done.stderr
    errors = {int(line) for line in re.findall(r"^script\.py:(\d+): error:", done.stdout, re.M)}
    revealed = {int(line): kind for line, kind in re.findall(r'^script\.py:(\d+): note: Revealed type is "(.*)"$',
                                                             done.stdout, re.M)}
    return errors, revealed, done.stdout


def pyright(script, folder):
    """The same of pyright."""
    command = shutil.which("pyright")
    if command is None:
        pytest.skip("pyright is not installed")
    path = folder / "script.py"
    path.write_text(script)
    done = subprocess.run([command, "--outputjson", "--pythonpath", sys.executable, str(path)],
                          capture_output=True, text=True, cwd=folder)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = [(entry["severity"], entry["range"]["start"]["line"] + 1, entry["message"])
             for entry in json.loads(done.stdout)["generalDiagnostics"]]
    errors = {line for severity, line, _ in found if severity == "error"}
    revealed = {line: re.search(r'is "(.*)"$', message, re.S).group(1) for severity, line, message in found
                if severity == "information" and message.startswith("Type of")}
    return errors, revealed, done.stdout


def short(kind):
    """A type as the checkers show it, in the words of the program's comments."""
    kind = re.sub(r"(numpy\.|_typing\.|_nbit_base\.|fastconv\.functional\.\w+\.)", "", kind)
    kind = kind.replace("floating[_32Bit]", "float32").replace("signedinteger[_64Bit]", "int64")
    return re.sub(r"ndarray\[tuple\[Any, \.\.\.\], dtype\[(\w+)\]\]", r"\1[...]", kind)


def test_the_package_says_that_it_is_typed():
    assert (Path(fastconv.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_users_program_passes_and_has_its_dtypes(folder, checker):
    errors, revealed, report = checker(RIGHT, folder)
    assert not errors, report
    expected = {number: line.split("  # ")[1] for number, line in enumerate(RIGHT.splitlines(), 1)
                if "reveal_type(" in line}
    assert {line: short(kind) for line, kind in revealed.items()} == expected and len(expected) > 30


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_each_mistake_is_found(folder, checker):
    errors, _, report = checker(PROLOGUE + MISTAKES, folder)
    before = PROLOGUE.count("\n")
    missed = [line for number, line in enumerate(MISTAKES.splitlines(), before + 1) if number not in errors]
    assert not missed and min(errors) > before, report


def test_the_package_is_clean(folder):
    done = run_mypy(folder, "-p", "fastconv")
    assert done.returncode == 0, done.stdout


def test_the_stub_of_the_operations_says_what_they_take():
    """Names, kinds and defaults of the arguments of each overload;
    a default may be missing where it makes the overload."""
    stubs = [ast.parse(path.read_text()) for path in Path(functional.__file__).parent.glob("*.pyi")]
    seen = set()
    for node in [node for stub in stubs for node in stub.body]:
        if not isinstance(node, ast.FunctionDef):
            continue
        seen.add(node.name)
        signature = inspect.signature(getattr(functional, node.name))
        spec, positional = node.args, node.args.args
        defaults = [None] * (len(positional) - len(spec.defaults)) + spec.defaults + spec.kw_defaults
        for argument, default in zip(positional + spec.kwonlyargs, defaults, strict=True):
            real = signature.parameters[argument.arg]
            assert (real.kind is inspect.Parameter.KEYWORD_ONLY) == (argument in spec.kwonlyargs), (
                node.name, argument.arg)
            assert default is None or ast.literal_eval(default) == real.default, (node.name, argument.arg)
            assert (default is not None or real.default is inspect.Parameter.empty
                    or argument.arg in CHOOSES), (node.name, argument.arg)
        left_out = set(signature.parameters) - {argument.arg for argument in positional + spec.kwonlyargs}
        assert left_out <= CHOOSES, (node.name, left_out)
    assert seen == set(functional.__all__) - {"conv_output_size", "explain"}  # these have their types where they are


# Arguments whose value decides the type of the result.
CHOOSES = {"needs", "return_indices", "return_statistics", "reduction"}


@pytest.mark.parametrize(("type_", "values"), [
    (typing.Algorithm, plan.ALGORITHMS), (typing.PaddingMode, checks.PADDING_MODES),
    (typing.DataFormat, checks.DATA_FORMATS), (typing.Reduction, checks.REDUCTIONS),
    (typing.Activation, convolution.ACTIVATIONS[1:]), (typing.InterpolationMode, resizing.MODES),
    (nn.init.InitName, tuple(nn.init._BY_NAME))])
def test_the_literals_are_what_is_accepted(type_, values):
    assert get_args(type_) == values


@pytest.mark.parametrize("name", COMPILED)
def test_a_stub_says_what_the_module_has(name):
    module = importlib.import_module(f"fastconv._core.{name}")
    path = CORE / f"{name.replace('.', '/')}.pyi"
    assert path.exists(), "a compiled module needs its stub beside it"
    stub = ast.parse(path.read_text())
    declared = {node.name: [argument.arg for argument in node.args.args]
                for node in stub.body if isinstance(node, ast.FunctionDef)}
    public = {key: value for key, value in vars(module).items()
              if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
              and not inspect.isclass(value)}
    assert declared == {key: list(inspect.signature(value).parameters) for key, value in public.items()}
