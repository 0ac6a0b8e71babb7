"""What is shown of the adapters runs: the example of each, where its host is installed, with equal results."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from processes import run_python

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.stem for path in (ROOT / "docs/adapters").glob("*.md"))
PACKAGES = {"sklearn", "autograd", "keras", "mygrad", "pytensor"}


@pytest.mark.parametrize("name", [name for name in PAGES if (ROOT / f"examples/swap_{name}.py").exists()])
def test_an_example_runs(name):
    if name in PACKAGES and find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    assert "fastconv" in run_python(ROOT / f"examples/swap_{name}.py")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_example_and_its_benchmark(name):
    text = (ROOT / f"docs/adapters/{name}.md").read_text()
    assert f"benchmarks.adapters.{name}" in text and (ROOT / f"benchmarks/adapters/{name}.py").exists()
    if (ROOT / f"examples/swap_{name}.py").exists():
        assert f"(../../examples/swap_{name}.py)" in text
