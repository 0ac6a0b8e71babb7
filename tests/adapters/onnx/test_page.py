"""The page, the example and the docstrings run."""

import re
from pathlib import Path

import numpy as np
import pytest
from processes import run_python

pytestmark = pytest.mark.adapters
onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")

from onnx_graphs import model  # noqa: E402

from fastconv.adapters.onnx.operators import OPERATORS  # noqa: E402

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/adapters/onnx.md"

checkout = pytest.mark.skipif(not PAGE.exists(), reason="the source tree is not here")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.S | re.M) if PAGE.exists() else []


@checkout
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_of_the_page_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_python("-c", block)


@checkout
def test_the_page_names_every_operator():
    text = PAGE.read_text()
    words = set(re.findall(r"\w+", text))
    comparisons = {"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"}
    reductions = {name for name in OPERATORS if name.startswith("Reduce")}
    assert set(OPERATORS) - words - comparisons - reductions == set()


@checkout
def test_the_example_runs():
    printed = run_python(str(ROOT / "examples/onnx_model.py"))
    differences = [float(each) for each in re.findall(r"largest difference: (\S+)", printed)]
    assert len(differences) == 2 and max(differences) < 1e-4 and printed.count(" ms") == 4


def test_the_examples_of_the_docstrings_run(tmp_path, monkeypatch):
    """Which the doctests leave out, since they need the package onnx and a file."""
    from fastconv.adapters.onnx import load, ops

    monkeypatch.chdir(tmp_path)
    onnx.save(model([("Relu", ["x"], ["y"])], {"x": (np.float32, (1, 3, 32, 32))}, ["y"]), "model.onnx")
    for function in (load, ops):
        lines = re.findall(r"^ *>>> (.*?)(?: *# doctest.*)?$", function.__doc__, re.M)
        assert len(lines) >= 2
        exec("\n".join(lines), {})

