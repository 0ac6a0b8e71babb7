"""What `fastconv train` reaches on the bundled digits, with three seeds, and the time that it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.libraries import LIBRARIES, Setting
from benchmarks.report import context

SEEDS = 0, 1, 2
THREADS = 2


def measure(options: list[str]) -> dict[str, Any]:
    """A report whose results have the test accuracy and the seconds of a seed; the options are those of the command."""
    import fastconv

    home = str(Path(fastconv.__file__).parents[1])  # what was imported here, and not what may stand in another folder
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))}
    results = []
    for seed in SEEDS:
        print(f"fastconv train, seed {seed}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-m", "fastconv", "train", "--json", "--quiet", "--seed", str(seed),
                                   "--threads", str(THREADS), *options],
                                  cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"fastconv train: {done.stderr}")
        answer = json.loads(done.stdout)
        epochs, seconds = len(answer["history"]["epoch"]), float(f"{answer['seconds']:.3g}")
        results.append({"operation": "training", "seed": seed, "epochs": epochs, "accuracy": answer["test"]["accuracy"],
                        "seconds": seconds})
    versions = {"fastconv": LIBRARIES["fastconv"](Setting(THREADS, "nchw", "float32")).version()}
    return {**context(), "versions": versions, "threads": THREADS, "results": results}
