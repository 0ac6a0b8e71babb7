"""What the pages on backends say about speed is what docs/adapters/speed.json says, by the program that writes it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).resolve().parents[1]
HOME = Path(fastconv.__file__).resolve().parents[1]

if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the documentation is part of a checkout, which is not here", allow_module_level=True)


def run(root, *arguments):
    """Runs the program of a checkout, with the fastconv that is tested."""
    return subprocess.run([sys.executable, "-m", "benchmarks.adapters.document", *arguments], cwd=root,
                          capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": str(HOME), "PYTHONDONTWRITEBYTECODE": "1"})


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a page whose figures are known."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "docs/adapters"
    folder.mkdir(parents=True)
    rows = [{"name": "a filter", "before": 0.5, "after": 0.0125}]
    figures = {"scipy": {"date": "2026-01-02", "cpu": "Some CPU", "threads": 1, "rows": rows}}
    (folder / "speed.json").write_text(json.dumps(figures))
    (folder / "scipy.md").write_text("# SciPy\n\n<!-- speed:begin -->\nold\n<!-- speed:end -->\n\nThe end.\n")
    return tmp_path


def test_the_pages_say_what_was_measured():
    done = run(ROOT, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_block_is_the_table_of_its_host(checkout):
    assert run(checkout, "--check").stdout == "not what speed.json says: docs/adapters/scipy.md\n"
    done = run(checkout)
    assert done.returncode == 0 and done.stdout == "written: docs/adapters/scipy.md\n"
    text = (checkout / "docs/adapters/scipy.md").read_text()
    assert "| a filter | 500 | 12.5 | 40.0 |\n" in text and "Some CPU, 1 thread, 2026-01-02" in text
    assert text.startswith("# SciPy\n") and text.endswith("<!-- speed:end -->\n\nThe end.\n") and "old" not in text
    assert run(checkout, "--check").returncode == 0


def test_a_host_that_is_not_there_is_named(checkout):
    done = run(checkout, "numpy")
    assert done.returncode == 2 and "there is no host 'numpy': it must be among autograd, cs231n" in done.stderr
