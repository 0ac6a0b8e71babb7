"""Models in files: weights under PyTorch's names, and the architecture, so that `load` needs nothing but the file.

Two formats, chosen by the ending: ``.npz`` (NumPy's, without pickle) and ``.safetensors`` (Hugging Face's,
needs the package of that name). Both hold one array for each parameter and buffer, and one JSON text:
the modules with their constructors' arguments (see `fastconv.nn.architecture`), and what the caller adds. In a ``.npz``
file the text is an array of its bytes, so that all items are arrays of numbers. Loading runs no code from the file:
a layer is looked up among `fastconv.nn`'s own and the classes that the caller gives.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.functional.paths import checked_path, refuse_all_but_files
from fastconv.nn.architecture import build, describe, unknown_classes
from fastconv.nn.module import Module
from fastconv.nn.prefixes import state_from
from fastconv.nn.recognise import by_content, by_ending, unknown_dtype

#: The key of the JSON text, beside the parameters' names.
_DOCUMENT = "fastconv.json"

#: What NumPy has of safetensors' dtypes.
_DTYPES = frozenset(("BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64"))


def save(model: Module, path: str | os.PathLike, metadata: Mapping[str, Any] | None = None, *,
         architecture: bool = True) -> None:
    """Write a model's weights and architecture to a file.

    Parameters
    ----------
    model : Module
        Classes of one's own are kept as the name of the class and what `Module.settings` returns, by default the
        attributes of the same names as the constructor's arguments: numbers, text, modules, and lists, tuples and dicts
        of these.
    path : str or path
        Ends in ``.npz`` or ``.safetensors``. A file of that name is replaced, whole or not at all.
    metadata : dict, optional
        More to keep, anything JSON can hold (class names, the input shape): `load_metadata` returns it.
    architecture : bool
        Whether `load` shall be able to make the model anew; without it the file holds the arrays alone, which
        `load_weights` reads.

    Raises
    ------
    TypeError
        If a class of one's own does not keep its arguments, or one of them is not of these kinds;
        if metadata is not for JSON. Nothing is written.

    Notes
    -----
    In a ``.npz`` file the architecture and the metadata are an array of bytes named ``fastconv.json``. PyTorch's way to
    the rest is ``state = {name: torch.from_numpy(array) for name, array in np.load(path).items()}``, then
    ``state.pop("fastconv.json")`` and ``module.load_state_dict(state)``.

    Examples
    --------
    >>> import fastconv as fc, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "lenet.npz")
    >>> fc.save(fc.nn.models.lenet5(), path)
    >>> model = fc.load(path)
    >>> model[0]
    Conv2d(1, 6, 5, padding=2)
    """
    if not isinstance(model, Module):
        raise TypeError(f"model must be a fastconv.nn module, got {type(model).__name__}")
    path = checked_path(path, "path")
    suffix = _suffix(path)
    described = describe(model) if checks.flag(architecture, "architecture") else None
    document = {"format": 1, "architecture": described, "metadata": dict(metadata or {})}
    try:
        text = json.dumps(document, default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(f"metadata must hold only what JSON can: {error}") from error
    if suffix == ".npz":
        write_npz(path, model.state_dict(), text)
    else:
        content = _safetensors().numpy.save(model.state_dict(), {_DOCUMENT: text})
        write_atomically(path, lambda file: file.write(content))


def load(path: str | os.PathLike, classes: Iterable[type[Module]] = ()) -> Module:
    """The model in a file that `save` wrote, in evaluation mode (``model.train()`` to train it further).

    Parameters
    ----------
    path : str or path
    classes : list of classes, optional
        The modules of one's own in the model, such as ``[Residual]``. A file can make objects of these and of
        `fastconv.nn`'s, with the arguments that stand in it, and nothing else.

    Raises
    ------
    ValueError
        If the file is damaged, holds weights only, is a checkpoint of a training, or needs a class that is not given.
        The message has what to write instead.

    Examples
    --------
    >>> import fastconv as fc, numpy as np, os, tempfile
    >>> from fastconv import nn
    >>> class Residual(nn.Module):
    ...     def __init__(self, inner):
    ...         self.inner = inner
    ...     def forward(self, x):
    ...         return x + self.inner(x)
    >>> path = os.path.join(tempfile.mkdtemp(), "block.npz")
    >>> fc.save(nn.Sequential(Residual(nn.Linear(4, 4)), nn.ReLU()), path)
    >>> fc.load(path, classes=[Residual])
    Sequential(
      (0): Residual(Linear(4, 4))
      (1): ReLU()
    )
    """
    own = _by_name(classes)
    arrays, document = _read(checked_path(path, "path"))
    weights = f"build the model, then model.load_state_dict({state_from('fastconv.load_weights(path)', arrays)})"
    if "checkpoint" in document:
        raise ValueError(f"{path} is a checkpoint of a training, not a model: go on with Trainer.fit(..., "
                         f"checkpoint={str(path)!r}, resume=True), "
                         "on the command line with the options of that training and fastconv train --resume. "
                         f"For its weights alone {weights}")
    architecture = document.get("architecture")
    if architecture is None:
        raise ValueError(f"{path} holds weights only: {weights}")
    try:
        missing = [name for name in unknown_classes(architecture, own) if name.isidentifier()]
        model = None if missing else _built(architecture, own, arrays)
    except (TypeError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a model: {error}") from error
    if model is None:
        names = ", ".join(missing)
        raise ValueError(f"{path} has modules of the class{'es' if len(missing) > 1 else ''} {names}: write "
                         f"fc.load({str(path)!r}, classes=[{names}]). Without {'them' if len(missing) > 1 else 'it'} "
                         f"the file holds weights only: {weights}")
    return model.eval()


def _built(architecture: Any, own: Mapping[str, type[Module]], arrays: Mapping[str, NDArray[Any]]) -> Module:
    model = build(architecture, own)
    model.load_state_dict(arrays)
    return model


def load_weights(path: str | os.PathLike) -> dict[str, NDArray[Any]]:
    """The arrays in a ``.npz`` or ``.safetensors`` file by name, whoever wrote it: for `Module.load_state_dict`.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    return _read(checked_path(path, "path"))[0]


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """What the caller of `save` added; empty for a file that something else wrote."""
    metadata = _read(checked_path(path, "path"))[1].get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], document: str) -> None:
    """Arrays and one JSON text as a ``.npz`` file."""
    if reserved := sorted({_DOCUMENT, "file", "allow_pickle"} & arrays.keys()):
        raise ValueError(f"a .npz file has no room for an array named {reserved[0]!r}: give the parameter, "
                         "buffer or module another name, or write a .safetensors file")
    content: dict[str, Any] = {**arrays, _DOCUMENT: np.frombuffer(document.encode(), np.uint8)}
    write_atomically(path, lambda file: np.savez(file, **content))


def read_npz(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and document of a ``.npz`` file; the document is empty if there is none."""
    refuse_all_but_files(path)
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: _array(file, name) for name in file.files}
        if wrong := [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]:
            raise ValueError(f"{wrong[0]} in it is no array")
        document = arrays.pop(_DOCUMENT, np.array("{}"))  # text, as older versions wrote it, or the bytes of text
        return arrays, _parse(bytes(document).decode() if document.dtype == np.uint8 else str(document))
    except Exception as error:  # zip, zlib and NumPy each have their own for damaged files
        raise ValueError(f"{path} is not a readable .npz file: {by_content(path, content) or error}") from error


def _array(file: Any, name: str) -> Any:
    try:
        return file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise ValueError(f"{name!r} in it has dtype object, and is a pickle, which could run any code: "
                         "write it with np.savez as numbers, such as array.astype(np.float32)") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a new file, then give it the name `path`: a reader sees the old file or the new, never half.

    What is there and is no regular file, such as a directory or a named pipe, is refused.
    """
    if path.exists():
        refuse_all_but_files(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no directory {path.parent}")
    new = _beside(path)
    try:
        with open(new, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    except OSError as error:
        if error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error    # of a full disk nobody else knows the file
    finally:
        new.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """The error that `write_atomically` would end in, before there is anything to write: begins the new file and takes
    it away again. What permissions say is not enough: they say nothing of names, nor of places such as ``/proc``."""
    new = _beside(path)
    try:
        open(new, "wb").close()
    finally:
        new.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def _suffix(path: Path, advice: str = "") -> str:
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"path must end in .npz or .safetensors, got {str(path)!r}{advice}")
    return path.suffix


def _read(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    if _suffix(path, by_ending(path)) == ".npz":
        return read_npz(path)
    library = _safetensors()
    refuse_all_but_files(path)
    try:
        with library.safe_open(path, framework="numpy") as file:
            for name in file.keys():
                if (dtype := file.get_slice(name).get_dtype()) not in _DTYPES:
                    raise ValueError(unknown_dtype(name, dtype, path))
            arrays = {name: file.get_tensor(name) for name in file.keys()}
            return arrays, _parse((file.metadata() or {}).get(_DOCUMENT, "{}"))
    except OSError:
        raise
    except Exception as error:  # safetensors raises its own
        with open(path, "rb") as start:
            content = start.read(4096)
        raise ValueError(f"{path} is not a readable .safetensors file: {by_content(path, content) or error}") from error


def _parse(text: str) -> dict[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError(f"{_DOCUMENT} must hold an object")
    return document


def _by_name(classes: Any) -> dict[str, type[Module]]:
    """The classes that `load` was given, checked."""
    if isinstance(classes, type) or not isinstance(classes, Iterable):
        raise TypeError(f"classes must be a list of classes, such as [Block], got {shown(classes)}")
    own: dict[str, type[Module]] = {}
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, Module)):
            raise TypeError(f"classes must be subclasses of nn.Module, such as [Block], got {shown(one)}")
        if own.setdefault(one.__name__, one) is not one:
            raise ValueError(f"classes must have different names, got two named {one.__name__}")
    return own


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("a .safetensors file needs the package safetensors: pip install fastconv[safetensors], "
                          "or use a .npz file") from error
    return safetensors
