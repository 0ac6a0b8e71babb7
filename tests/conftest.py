"""Which fastconv the tests run against: the installed one where there is one, never a source tree by accident.

Python puts the current folder first on its path (`python -m pytest`, `python -c`), so in a checkout the folder
`fastconv/` would shadow the installed package. A checkout is taken only where its core was compiled in place (an
editable install, `build_ext --inplace`) and FASTCONV_TEST_INSTALLED=1 does not forbid it; CI sets that.
"""

import os
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
INSTALLED_ONLY = os.environ.get("FASTCONV_TEST_INSTALLED") == "1"

if INSTALLED_ONLY or not list(CHECKOUT.glob("fastconv/_core/runtime/isa.*.so")):
    sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != CHECKOUT]

import fastconv  # noqa: E402 (the path comes first)

HOME = Path(fastconv.__file__).resolve().parents[1]

if INSTALLED_ONLY and HOME == CHECKOUT:
    pytest.exit(f"FASTCONV_TEST_INSTALLED=1, but fastconv comes from the source tree {HOME}", returncode=3)


def pytest_report_header():
    return f"fastconv: {fastconv.__version__} from {HOME}"


@pytest.fixture(autouse=True, scope="session")
def _away_from_the_checkout(tmp_path_factory):
    """Tests run in an empty folder; the processes they start import the same fastconv and write
    nothing into the checkout."""
    before = os.getcwd()
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(HOME)] + ([path] if path else []))
    os.chdir(tmp_path_factory.mktemp("cwd"))
    yield
    os.chdir(before)
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


@pytest.fixture
def cli(capsys):
    """The command line in this process, called with its arguments: (exit code, stdout, stderr)."""
    from fastconv.cli import main

    def call(*arguments):
        capsys.readouterr()
        return main(list(map(str, arguments))), *capsys.readouterr()

    return call
