"""What is shown of the adapters runs: the example of each, where its host is installed, with equal results."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("autograd", "dask", "keras", "mygrad", "pytensor", "sklearn")
PAGES = [name for name in (*PACKAGES, "cs231n", "dlfs") if (ROOT / f"docs/adapters/{name}.md").exists()]
WITH_HOSTS = [pytest.param(name, marks=[
    pytest.mark.adapters, pytest.mark.skipif(find_spec(name) is None, reason=f"{name} is not installed")])
    if name in PACKAGES else name for name in PAGES]


@pytest.mark.parametrize("name", WITH_HOSTS)
def test_an_example_runs(name):
    assert "fastconv" in run_python(ROOT / f"examples/swap_{name}.py")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_example_and_its_benchmark(name):
    text = (ROOT / f"docs/adapters/{name}.md").read_text()
    assert f"benchmarks.adapters.{name}" in text and (ROOT / f"benchmarks/adapters/{name}.py").exists()
    assert f"(../../examples/swap_{name}.py)" in text


@pytest.mark.parametrize("name", WITH_HOSTS)
def test_what_a_page_shows_runs(name):
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / f"docs/adapters/{name}.md").read_text(), re.S | re.M):
        run_python("-c", block)
