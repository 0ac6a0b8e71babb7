"""Checkpoints: a run's settings and state in a ``.npz`` file, and what is wrong with a file that cannot be resumed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional.foreign import shown
from fastconv.functional.paths import checked_path
from fastconv.nn.serialization import check_writable, read_npz, write_npz
from fastconv.training.described import UNKNOWN, checksum
from fastconv.training.run import Parts, Run, prepare

_FORMAT = 2


def checkpoint_path(checkpoint: str | os.PathLike[str] | None, resume: bool) -> Path | None:
    """The arguments `checkpoint` and `resume` of a run, checked."""
    if checkpoint is None:
        if resume:
            raise ValueError("resume needs checkpoint, the file to continue from, got None")
        return None
    path = checked_path(checkpoint, "checkpoint")
    if path.suffix != ".npz":
        raise ValueError(f"checkpoint must end in .npz, got {str(path)!r}")
    if not os.path.isdir(path.parent):  # a Path's own is an error where a name is too long
        raise ValueError(f"checkpoint must be in a folder that exists, got {str(path)!r}")
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"checkpoint must be a regular file, {str(path)!r} is a directory or a special file")
    if resume and not os.path.exists(path):
        raise ValueError(f"checkpoint must be an existing file to resume from, got {str(path)!r}")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError("checkpoint must be a file that can be written, "
                         f"got {shown(str(path))}: {error.strerror}") from error
    return path


class Writer:
    """Writes the states of a run, one after the other, behind its back: until a file is safe on a disk a small network
    makes dozens of steps. Without a path it writes nothing.

    What went wrong comes with the next call.
    """

    def __init__(self, path: Path | None, settings: Mapping[str, Any], epochs: int) -> None:
        self._path, self._settings, self._epochs = path, settings, epochs
        self._thread: Thread | None = None
        self._error: BaseException | None = None

    def begin(self, state: Mapping[str, Any]) -> None:
        """Begin to write a state, which must stay as it is until `wait`; the one before is on the disk then."""
        self.wait()
        if self._path is None:
            return
        thread = Thread(target=self._write, args=(self._path, state))
        try:
            thread.start()
        except RuntimeError:  # there is no thread left, or the interpreter is about to end
            self._write(self._path, state)
        else:
            self._thread = thread

    def wait(self) -> None:
        """Until all that was begun is on the disk."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self, path: Path, state: Mapping[str, Any]) -> None:
        try:
            arrays: dict[str, NDArray[Any]] = {}
            document = {"format": _FORMAT, "settings": self._settings, "epochs": self._epochs,
                        "checkpoint": _without_arrays(state, "", arrays)}
            document["checksum"] = _checksum(json.loads(json.dumps(document)), arrays)
            write_npz(path, arrays, json.dumps(document))
        except BaseException as error:  # it belongs to who waits
            self._error = error


def resume(
    path: Path, settings: Mapping[str, Any], epochs: int, parts: Parts, batches: int
) -> tuple[Run, int, Callable[[], None]]:
    """Everything that can fail of going on from a file, without changing anything.

    Parameters
    ----------
    path : path
    settings : dict
        Of the present run, see `settings_of`.
    epochs : int
        Of the present run.
    parts : Parts
    batches : int
        In an epoch.

    Returns
    -------
    run : Run
        Where the run was.
    epochs : int
        That the run was made for.
    load : callable
        Puts the state into the parts; cannot fail.

    Raises
    ------
    ValueError
        If the file is damaged, of another version, or of another run: the message names what differs.
    """
    arrays, document = read_npz(path)
    found = document.get("format") if "checkpoint" in document else None
    if found == 1:
        raise ValueError(f"{path} is a checkpoint of an earlier version of fastconv, which does not say what its run "
                         "was made with: finish the run with that version, or train anew")
    if found != _FORMAT:
        kind = "is a model" if "architecture" in document else f"is of an unknown format {found!r}" if document else (
            "holds arrays alone")
        raise ValueError(f"{path} is not a checkpoint of a training, it {kind}")
    saved, before = document.get("settings"), document.get("epochs")
    if not isinstance(saved, dict) or not isinstance(before, int):
        raise ValueError(f"{path} is damaged: it does not say what its run was made with")
    _compare(path, saved, settings, before, epochs)
    try:
        run, load = prepare(parts, _with_arrays(document["checkpoint"], arrays), batches)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} cannot be resumed: {error}") from error
    if document.pop("checksum", None) != _checksum(document, arrays):
        raise ValueError(f"{path} is damaged: it was changed after it was written, or is of an earlier version "
                         "of fastconv (its checksum is another)")
    if run.epoch + (run.batch > 0) > epochs:
        raise ValueError(f"{path} is of a run that is in epoch {run.epoch + (run.batch > 0)} already, "
                         f"epochs must be at least that, got {epochs}")
    return run, before, load


def _compare(path: Path, saved: Mapping[str, Any], own: Mapping[str, Any], before: int, epochs: int) -> None:
    for name in [*own, *(name for name in saved if name not in own)]:
        if saved.get(name) != own.get(name):
            message = f"{path} is of a run with {name} {saved.get(name)}, this one has {own.get(name)}"
            if name not in saved:
                message += " (the file does not say it: it is damaged, or of an earlier version of fastconv)"
            if name.startswith("schedule's") and before != epochs:
                message += (f" (that run was of {before} epochs, this one is of {epochs}: "
                            "a run goes on for more epochs only with a schedule made as it was, "
                            "StepLR for example, or none)")
            raise ValueError(message)
    for name, value in own.items():
        if isinstance(value, str) and value.endswith(UNKNOWN):
            raise ValueError(f"{path} cannot be resumed, since nobody knows whether its run had the same {name}: "
                             f"it is {value}; a class may leave out what does not count by __getstate__")


def _checksum(document: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of all that a file says: an entry that was taken out or changed may look as one that a run could have had."""
    inside = {name: (array.dtype.str, array.shape, checksum(array)) for name, array in sorted(arrays.items())}
    return f"{zlib.crc32(json.dumps([document, inside], sort_keys=True).encode()):08x}"


def _without_arrays(tree: Any, key: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """A nested state for JSON: each array moves to `arrays`, under its path, and leaves ``{"array": path}``."""
    if isinstance(tree, np.ndarray):
        arrays[key] = tree
        return {"array": key}
    if isinstance(tree, dict):
        return {name: _without_arrays(value, f"{key}/{name}" if key else name, arrays) for name, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_without_arrays(value, f"{key}/{index}", arrays) for index, value in enumerate(tree)]
    return tree


def _with_arrays(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """What `_without_arrays` took apart."""
    if isinstance(tree, dict):
        key = tree.get("array")
        if len(tree) == 1 and isinstance(key, str):
            if key not in arrays:
                raise ValueError(f"the array {key} is missing")
            return arrays[key]
        return {name: _with_arrays(value, arrays) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_with_arrays(value, arrays) for value in tree]
    return tree
