"""What docs/scale.md says is what docs/scale.json says, and the model of a step does what it should."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are part of a checkout, which is not here", allow_module_level=True)


@pytest.fixture(scope="module")
def scale():
    """The module `benchmarks.scale`, from its file: the checkout stays off this process's path."""
    text = (ROOT / "benchmarks/scale.py").read_text().replace("from benchmarks import CHECKOUT\n",
                                                              f"CHECKOUT = Path({str(ROOT)!r})\n")
    module = module_from_spec(spec_from_file_location("scale", ROOT / "benchmarks/scale.py"))
    exec(compile(text, "scale.py", "exec"), module.__dict__)
    return module


def test_the_page_says_what_was_measured(scale):
    page = (ROOT / "docs/scale.md").read_text()
    assert scale.document(json.loads((ROOT / "docs/scale.json").read_text()), page) == page


def test_a_step_is_what_it_is_made_of(scale):
    work = scale.Work(forward=1.0, backward=2.0, adding=0.5, update=0.25, size=8.0)
    free = scale.Link(0.0, 0.0, float("inf"))
    assert scale.step(work, free, 1, 8) == 8 * 3.5 + 0.25
    assert scale.step(work, free, 4, 8) == 2 * 3.5 + 0.25
    assert scale.step(work, free, 3, 8) == 3 * 3.5 + 0.25, "the rank with the most pieces"
    slow = free._replace(bandwidth=0.5)  # 2 seconds a bucket on two ranks, the first ready after a quarter of a second
    assert scale.step(work, slow, 2, 2) == pytest.approx(3.5 - 2 + 0.25 + 8 * 2 + 0.25)
    fast = free._replace(bandwidth=8.0)  # only the last bucket is not hidden
    assert scale.step(work, fast, 2, 2) == pytest.approx(3.5 + 1 / 8 + 0.25)
    assert scale.step(work, free._replace(latency=1e-3), 2, 2) > scale.step(work, free, 2, 2)
