"""Where Dask is missing, the adapter says what to install."""

import subprocess
import sys

SCRIPT = """
import sys
sys.modules["dask"] = None
try:
    import fastconv.adapters.dask
except ImportError as error:
    print(error)
"""


def test_what_to_install_is_said():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.stdout.strip() == "fastconv.adapters.dask needs Dask: pip install fastconv[dask]", done.stderr
