"""Everything that the documentation shows runs: the README's blocks, the examples, and the docstrings."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from processes import run_python

import fastconv

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"

checkout = pytest.mark.skipif(not README.exists(), reason="the source tree is not here")


def readme_blocks():
    return re.findall(r"^```python\n(.*?)^```", README.read_text(), re.S | re.M) if README.exists() else []


@checkout
def test_the_readme_has_an_example_of_ten_lines_for_each_kind_of_user():
    assert len(readme_blocks()) == 3
    assert all(len(block.splitlines()) <= 10 for block in readme_blocks())


@pytest.mark.parametrize("block", readme_blocks(), ids=["arrays", "swap", "lecture"][:len(readme_blocks())])
def test_a_readme_example_runs(block):
    if "scipy" in block:
        pytest.importorskip("scipy", reason="SciPy is not installed")
    run_python("-c", block)


@checkout
def test_the_readme_names_only_what_exists():
    missing = []
    for path in set(re.findall(r"`((?:fc|nn|optim|data)(?:\.\w+)+)", README.read_text())):
        value = fastconv
        for name in path.removeprefix("fc.").split("."):
            try:
                value = getattr(value, name)
            except AttributeError:
                missing.append(path)
                break
    assert not missing


@checkout
@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/design.md", "docs/kernels.md"])
def test_links_and_files_exist(page):
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert ((ROOT / page).parent / target).exists(), target
    for path in re.findall(r"`((?:src_c|fastconv|tests|docs|examples)/[\w/.*]*)`", text):
        assert (ROOT / path).exists(), path


@checkout
def test_the_lecture_in_functions_learns():
    printed = run_python(str(ROOT / "examples/train_digits.py"), "--epochs", "2")
    assert float(re.search(r"epoch 2: .* test accuracy ([\d.]+)", printed).group(1)) > 0.9


@checkout
def test_fastconv_takes_the_place_of_scipy_and_im2col():
    pytest.importorskip("scipy", reason="SciPy is not installed")
    assert run_python(str(ROOT / "examples/swap_scipy.py")).count("fastconv") == 2


def public_modules():
    found = [fastconv.__name__]
    found += [info.name for info in pkgutil.walk_packages(fastconv.__path__, "fastconv.")
              if "._core" not in info.name and not info.name.endswith("__main__")]
    return found


@pytest.mark.parametrize("name", public_modules())
def test_docstrings_run(name, monkeypatch, tmp_path):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    threads = fastconv.get_num_threads()
    try:
        result = doctest.testmod(module)
    finally:
        fastconv.set_num_threads(threads)
    assert result.failed == 0


def test_every_public_operation_has_a_full_docstring():
    for name in fastconv.__all__:
        value = getattr(fastconv, name)
        if inspect.isfunction(value) and value.__module__.startswith("fastconv.functional"):
            for section in ("Parameters", "Returns", "Examples"):
                assert f"{section}\n    ---" in (value.__doc__ or ""), f"{name} has no {section}"
