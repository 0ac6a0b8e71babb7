"""Models in files: weights under PyTorch's names, and the architecture, so that `load` needs nothing but the file.

Two formats, chosen by the ending: ``.npz`` (NumPy's, without pickle) and ``.safetensors`` (Hugging Face's, needs the
package of that name). Both hold one array for each parameter, and one JSON text: the layers with their constructors'
arguments, and what the caller adds. Loading runs no code from the file: a layer is looked up among `fastconv.nn`'s own.
"""

from __future__ import annotations

import inspect
import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from fastconv.functional.foreign import shown
from fastconv.nn.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Tanh
from fastconv.nn.conv import Conv2d
from fastconv.nn.linear import Dropout, Flatten, Linear
from fastconv.nn.module import Module
from fastconv.nn.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    MaxPool2d,
)
from fastconv.nn.recognise import by_content, by_ending, unknown_dtype
from fastconv.nn.sequential import Sequential

#: The key of the JSON text, beside the parameters' names.
_DOCUMENT = "fastconv.json"

#: What NumPy has of safetensors' dtypes.
_DTYPES = frozenset(("BOOL", "U8", "I8", "U16", "I16", "F16", "U32", "I32", "F32", "U64", "I64", "F64"))

_LAYERS: dict[str, type[Module]] = {
    layer.__name__: layer
    for layer in (AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d,
                  GlobalMaxPool2d, LeakyReLU, Linear, LogSoftmax, MaxPool2d, ReLU, Sigmoid, Softmax, Tanh)
}  # fmt: skip


def save(model: Module, path: str | os.PathLike, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model's weights and architecture to a file.

    Parameters
    ----------
    model : Module
        A model with layers of one's own is saved too, but only `load_weights` can read it back.
    path : str or path
        Ends in ``.npz`` or ``.safetensors``. A file of that name is replaced, whole or not at all.
    metadata : dict, optional
        More to keep, anything JSON can hold (class names, the input shape): `load_metadata` returns it.

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
    path = _path(path)
    suffix = _suffix(path)
    document = {"format": 1, "architecture": _describe(model), "metadata": dict(metadata or {})}
    try:
        text = json.dumps(document, default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise TypeError(f"metadata must hold only what JSON can: {error}") from error
    if suffix == ".npz":
        write_npz(path, model.state_dict(), text)
    else:
        content = _safetensors().numpy.save(model.state_dict(), {_DOCUMENT: text})
        write_atomically(path, lambda file: file.write(content))


def load(path: str | os.PathLike) -> Module:
    """The model in a file that `save` wrote, in evaluation mode (``model.train()`` to train it further).

    Raises
    ------
    ValueError
        If the file is damaged, or holds weights only.
    """
    arrays, document = _read(_path(path))
    architecture = document.get("architecture")
    if architecture is None:
        raise ValueError(f"{path} holds weights only: build the model, then "
                         "model.load_state_dict(fastconv.load_weights(path))")
    try:
        model = _build(architecture)
        model.load_state_dict(arrays)
    except (TypeError, ValueError, MemoryError, RecursionError) as error:
        raise ValueError(f"{path} does not describe a model: {error}") from error
    return model.eval()


def load_weights(path: str | os.PathLike) -> dict[str, NDArray]:
    """The arrays in a ``.npz`` or ``.safetensors`` file by name, whoever wrote it: for `Module.load_state_dict`.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    return _read(_path(path))[0]


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """What the caller of `save` added; empty for a file that something else wrote."""
    metadata = _read(_path(path))[1].get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def write_npz(path: Path, arrays: Mapping[str, NDArray], document: str) -> None:
    """Arrays and one JSON text as a ``.npz`` file."""
    content: dict[str, Any] = {**arrays, _DOCUMENT: np.array(document)}
    write_atomically(path, lambda file: np.savez(file, **content))


def read_npz(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """Arrays and document of a ``.npz`` file; the document is empty if there is none."""
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        if wrong := [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]:
            raise ValueError(f"{wrong[0]} in it is no array")
        return arrays, _parse(str(arrays.pop(_DOCUMENT, "{}")))
    except Exception as error:  # zip, zlib and NumPy each have their own for damaged files
        raise ValueError(f"{path} is not a readable .npz file: {by_content(path, content) or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a new file, then give it the name `path`: a reader sees the old file or the new, never half."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(new, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path must be a str or a path, got {shown(path)}")
    return Path(path)


def _suffix(path: Path, advice: str = "") -> str:
    if path.suffix not in (".npz", ".safetensors"):
        raise ValueError(f"path must end in .npz or .safetensors, got {str(path)!r}{advice}")
    return path.suffix


def _read(path: Path) -> tuple[dict[str, NDArray], dict[str, Any]]:
    if _suffix(path, by_ending(path)) == ".npz":
        return read_npz(path)
    library = _safetensors()
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


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError("a .safetensors file needs the package safetensors: pip install fastconv[safetensors], "
                          "or use a .npz file") from error
    return safetensors


def _describe(module: Module) -> dict[str, Any] | None:
    """The module as JSON, None if it is not of `fastconv.nn`'s own classes only."""
    if type(module) is Sequential:
        layers = {name: _describe(layer) for name, layer in module.layers.items()}
        return None if None in layers.values() else {"layer": "Sequential", "layers": layers}
    name = type(module).__name__
    return {"layer": name, **module.settings()} if type(module) is _LAYERS.get(name) else None


def _build(description: Any) -> Module:
    """The module that `_describe` described; its weights are zero."""
    if not isinstance(description, dict):
        raise ValueError(f"a layer must be an object, got {description!r}")
    settings = dict(description)
    name = settings.pop("layer", None)
    if name == "Sequential":
        layers = settings.get("layers")
        if not isinstance(layers, dict):
            raise ValueError("Sequential must have layers")
        return Sequential({key: _build(layer) for key, layer in layers.items()})
    if not isinstance(name, str) or name not in _LAYERS:
        raise ValueError(f"unknown layer {name!r}")
    signature = inspect.signature(_LAYERS[name]).parameters
    if unknown := sorted(set(settings) - (set(signature) - {"init", "rng"})):
        raise ValueError(f"{name} has no argument {', '.join(unknown)}")
    if "init" in signature:
        settings["init"] = "zeros"
    return _LAYERS[name](**{key: _tuples(value) for key, value in settings.items()})


def _tuples(value: Any) -> Any:
    """JSON has lists where the constructors' arguments were tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
