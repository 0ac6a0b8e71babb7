"""A library in a process of its own, which lives as long as it is asked: see `benchmarks.worker`."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Any

from benchmarks import CHECKOUT


class Failed(Exception):
    """The process ended: the last line of what it wrote to stderr, or its exit code."""


class Process:
    """The process of a library for the comparison with these arguments; `about` is what it said of itself."""

    def __init__(self, library: str, args: argparse.Namespace, **environment: str) -> None:
        threads = dict.fromkeys(("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(args.threads))
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(CHECKOUT)]))
        self._complaints = tempfile.TemporaryFile()
        self._process = subprocess.Popen([sys.executable, "-m", "benchmarks.worker"], text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=self._complaints,
                                         env={**os.environ, **threads, **environment, "PYTHONPATH": path})
        try:
            self.about = self._ask({"library": library, "operations": args.operations, "threads": args.threads,
                                    "layout": args.layout, "dtype": args.dtype})
        except BaseException:
            self.end()
            raise

    def prepare(self, layer: str) -> None:
        self._ask({"layer": layer})

    def times(self, seconds: float) -> dict[str, float]:
        """By operation the shortest time of a call of the layer, of those that fit into so many seconds."""
        times: dict[str, float] = self._ask({"seconds": seconds})["times"]
        return times

    def errors(self) -> dict[str, float]:
        """By operation the relative error of the layer's result."""
        errors: dict[str, float] = self._ask({"check": True})["errors"]
        return errors

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:  # it has ended, and the next line says so
            pass
        line = self._process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._complaints.seek(0)
        last = self._complaints.read().decode(errors="replace").strip().splitlines()[-1:]
        raise Failed(last[0] if last else f"exit code {code}")

    def end(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.end()
