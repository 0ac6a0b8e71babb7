"""How far a job is: a small file that is replaced as a whole, for whoever goes on with the job."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastconv._core.runtime import isa
from fastconv.config import __version__
from fastconv.functional.paths import checked_path
from fastconv.nn.serialization import write_atomically
from fastconv.scale.cutting import Piece
from fastconv.scale.source import Function
from fastconv.scale.target import Target
from fastconv.training.described import UNKNOWN, described

_FORMAT = 1
SECONDS = 15.0    # between two states: what was done since the last one is done again


class State:
    """The state of a job in a file, which is there from its first piece to its last one."""

    def __init__(self, path: str | os.PathLike[str], job: dict[str, Any], target: Target) -> None:
        self.path, self.job, self.target = _checked(path), job, target
        self.first: int | None = None    # the checksum of the first piece
        self._saved = time.monotonic()

    def resume(self, pieces: Sequence[Piece]) -> int:
        """How many pieces are done.

        Raises
        ------
        ValueError
            The file is of another job, or `out` does not hold what is done.
        """
        if not self.path.exists():
            return 0
        try:
            saved = json.loads(self.path.read_text())
            done, job, checksums = int(saved["done"]), dict(saved["job"]), list(saved["checksums"])
            if saved["format"] != _FORMAT or not 0 < done <= len(pieces) or len(checksums) != 2:
                raise ValueError("it is of another version of fastconv")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is not the state of a job: {error}") from error
        for name in [*self.job, *(name for name in job if name not in self.job)]:
            if job.get(name) != self.job.get(name):
                raise ValueError(f"{self.path} is of a job with {name} {job.get(name)}, this one has "
                                 f"{self.job.get(name)}: remove the file to begin anew")
            if str(job.get(name)).endswith(UNKNOWN):
                raise ValueError(f"{self.path} cannot be resumed, since nobody knows whether its job had the same "
                                 f"{name}: it is {job[name]}")
        if checksums != [self.target.checksum(*pieces[0]), self.target.checksum(*pieces[done - 1])]:
            raise ValueError(f"out does not hold the {done} pieces that {self.path} calls done: open it without "
                             "emptying it (a memory map with mode='r+', not 'w+'), or remove the file to begin anew")
        self.first = checksums[0]
        return done

    def finish(self, pieces: Sequence[Piece], done: int, now: bool = False) -> None:
        """So many pieces are done; that is written down now and then, or now."""
        if not done or not (now or time.monotonic() - self._saved >= SECONDS):
            return
        self.target.flush()
        if self.first is None:
            self.first = self.target.checksum(*pieces[0])
        document = {"format": _FORMAT, "done": done, "job": self.job,
                    "checksums": [self.first, self.target.checksum(*pieces[done - 1])]}

        def write(file: Any) -> None:
            file.write(json.dumps(document, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())

        write_atomically(self.path, write)
        self._saved = time.monotonic()

    def remove(self) -> None:
        """The job is done."""
        self.target.flush()
        self.path.unlink(missing_ok=True)


def _checked(state: str | os.PathLike[str]) -> Path:
    """The argument `state`."""
    path = checked_path(state, "state")
    if not path.parent.is_dir():
        raise ValueError(f"state must be in a folder that exists, got {str(path)!r}")
    if path.exists() and not path.is_file():
        raise ValueError(f"state must be a regular file, {str(path)!r} is a directory or a special file")
    return path


def described_job(source: Any, out: Any, function: Function, pieces: Sequence[Piece], window: Any) -> dict[str, Any]:
    """What two jobs must have in common for the one to go on with the other, as JSON has it."""
    given = getattr(function, "options", {})
    job = {"fastconv": __version__, "instruction set": isa.in_use(), "fn": described(function.function),
           **{name: described(value) for name, value in given.items()}, "window": described(window),
           "source": _described_array(source, True), "out": _described_array(out, False),
           "dtype": str(function.dtype), "pieces": len(pieces),
           "outputs of a piece": [last - first for first, last in pieces[0].outputs]}
    return {name: json.loads(json.dumps(value)) for name, value in job.items()}


def _described_array(array: Any, unchanged: bool) -> str:
    """Shape and dtype; of a memory map also its file, and when that was changed if it must not be."""
    text = f"{array.dtype} {tuple(array.shape)}"
    if isinstance(array, np.memmap) and array.filename is not None:
        text += f" at {array.offset} of {array.filename}"
        if unchanged:
            text += f", last changed at {os.stat(array.filename).st_mtime_ns}"
    return text
