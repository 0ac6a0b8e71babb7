"""A model as JSON: which modules, made with which arguments; and the model from that. No code, no pickle.

    {"layer": "Conv2d", "in_channels": 1, ...}                  a layer of fastconv.nn: its constructor's arguments
    {"layer": "Residual", "body": {"layer": ...}, ...}          one that is made of others
    {"layer": "Sequential", "layers": {"0": ..., "1": ...}}     Sequential, ModuleList, ModuleDict
    {"class": "Block", "settings": {"channels": 8, ...}}        a class of one's own: what its `settings` returned
    {"class": "Chain", "layers": {"0": ..., "1": ...}}          a class of one's own that is made as those above

Among the settings of a class of one's own a tuple is ``{"tuple": [...]}``, a dict ``{"dict": {...}}``, a module one of
the above. A class of one's own is found among those that the caller of `build` gives, and only made of the arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from fastconv.functional.foreign import shown
from fastconv.nn import (
    activation,
    blocks,
    conv,
    conv_transpose,
    interpolation,
    joining,
    linear,
    norm,
    padding,
    pooling,
    pooling1d,
    pooling3d,
    unet,
    unpooling,
)
from fastconv.nn.containers import ModuleDict, ModuleList
from fastconv.nn.module import Module
from fastconv.nn.sequential import Sequential

#: Bases of several layers, which are none themselves.
_BASES = {conv.Convolution, conv_transpose.ConvTranspose, unpooling.MaxUnpooling, *pooling.BASES}

_LAYERS: dict[str, type[Module]] = {
    name: layer
    for home in (activation, blocks, conv, conv_transpose, interpolation, joining, linear, norm, padding,
                 pooling, pooling1d, pooling3d, unet, unpooling)
    for name, layer in vars(home).items()
    if isinstance(layer, type) and issubclass(layer, Module) and layer.__module__ == home.__name__
    and layer not in _BASES and name[0] != "_"
}

_HOLDERS: dict[str, type[Module]] = {holder.__name__: holder for holder in (ModuleDict, ModuleList, Sequential)}

#: Arguments that only matter at birth: what they drew or set is in the arrays.
_AT_BIRTH = {"init", "rng"}


def describe(module: Module) -> dict[str, Any]:
    """The module as JSON.

    Raises
    ------
    TypeError
        If a class of one's own does not say its arguments, or one of them is not for JSON.
    """
    return _described(module, {})


def _described(module: Module, own: dict[str, type[Module]]) -> dict[str, Any]:
    kind, name = type(module), type(module).__name__
    if kind is _LAYERS.get(name):
        return {"layer": name, **{setting: _encoded(value, f"argument {setting} of {name}", own)
                                  if isinstance(value, (Module, dict)) else value
                                  for setting, value in module.settings().items()}}
    if kind is not _HOLDERS.get(name) and own.setdefault(name, kind) is not kind:
        raise TypeError(f"two classes of the model have the name {name}: give one of them another, or write "
                        "fc.save(model, path, architecture=False) for the weights alone")
    key = "layer" if kind is _HOLDERS.get(name) else "class"
    holder = next((holder for holder in _HOLDERS.values() if isinstance(module, holder)), None)
    if holder is not None and kind.__init__ is holder.__init__:
        held = getattr(module, holder._unnamed_children)
        layers = held.items() if isinstance(held, dict) else enumerate(held)
        return {key: name, "layers": {str(index): _described(layer, own) for index, layer in layers}}
    return {"class": name, "settings": {setting: _encoded(value, f"argument {setting} of {name}", own)
                                        for setting, value in _settings(module).items()}}


def _settings(module: Module) -> dict[str, Any]:
    """What a module of one's own says about its arguments, if that is enough to make it anew."""
    kind, settings = type(module), module.settings()
    hint = ("or define settings(self) that returns the constructor's arguments by name; "
            "fc.save(model, path, architecture=False) writes the weights alone")
    signature = inspect.signature(kind)
    if kind.settings is Module.settings:
        for name, parameter in signature.parameters.items():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
                raise TypeError(f"{kind.__name__} cannot be made anew by load from its argument {parameter}: "
                                f"name the arguments, {hint}")
            if name not in settings and name not in _AT_BIRTH:
                raise TypeError(f"{kind.__name__} has not kept its argument {name}, which load needs to make it anew: "
                                f"write self.{name} = {name} in its __init__, {hint}")
    try:
        signature.bind(**settings)
    except TypeError as error:
        raise TypeError(f"{kind.__name__} cannot be made of what its settings() "
                        f"returns, {sorted(settings)}: {error}") from error
    return settings


def _encoded(value: Any, what: str, own: dict[str, type[Module]]) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "fiub":
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Module):
        return _described(value, own)
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return np.dtype(value).name
    if type(value) is list:
        return [_encoded(item, what, own) for item in value]
    if type(value) is tuple:
        return {"tuple": [_encoded(item, what, own) for item in value]}
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {"dict": {key: _encoded(item, what, own) for key, item in value.items()}}
    raise TypeError(f"{what} is of type {type(value).__name__}: a file keeps numbers, text, modules, and lists, "
                    "tuples and dicts of these. Keep arrays as Parameter or with register_buffer, "
                    "define settings(self) that returns other arguments, "
                    "or write fc.save(model, path, architecture=False) for the weights alone")


def unknown_classes(description: Any, classes: Mapping[str, type[Module]]) -> list[str]:
    """The names of classes in a description that are not given, each once."""
    return list(dict.fromkeys(name for name in _class_names(description) if name not in classes))


def _class_names(description: Any) -> Iterator[str]:
    items: Iterable[Any] = ()
    if isinstance(description, list):
        items = description
    elif isinstance(description, dict):
        if isinstance(description.get("class"), str):
            yield description["class"]
        for value in description.values():  # of settings, layers, tuples and dicts: their keys are anybody's
            items = [*items, *(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())]
    for item in items:
        yield from _class_names(item)


def build(description: Any, classes: Mapping[str, type[Module]]) -> Module:
    """The module that `describe` described; the weights of fastconv's own layers are zero.

    Parameters
    ----------
    description : parsed JSON
    classes : mapping of str to class
        The classes of one's own by name.
    """
    if not isinstance(description, dict):
        raise ValueError(f"a layer must be an object, got {shown(description)}")
    settings = dict(description)
    own = settings.pop("class", None)
    if own is not None:
        if not isinstance(own, str) or own not in classes:
            raise ValueError(f"unknown class {own!r}")
        if "layers" in settings:
            return _filled(classes[own], settings["layers"], classes)
        given = settings.get("settings")
        if not isinstance(given, dict):
            raise ValueError(f"{own} must have settings")
        return _made(classes[own], {name: _decoded(value, classes) for name, value in given.items()})
    name = settings.pop("layer", None)
    if isinstance(name, str) and name in _HOLDERS:
        return _filled(_HOLDERS[name], settings.get("layers"), classes)
    if not isinstance(name, str) or name not in _LAYERS:
        raise ValueError(f"unknown layer {name!r}")
    signature = inspect.signature(_LAYERS[name]).parameters
    if unknown := sorted(set(settings) - (set(signature) - _AT_BIRTH)):
        raise ValueError(f"{name} has no argument {', '.join(unknown)}")
    if "init" in signature and isinstance(signature["init"].default, str):
        settings["init"] = "zeros"
    return _LAYERS[name](**{key: _decoded(value, classes) if isinstance(value, dict) else _tuples(value)
                            for key, value in settings.items()})


def _filled(kind: type[Any], layers: Any, classes: Mapping[str, type[Module]]) -> Module:
    """A Sequential, ModuleList or ModuleDict, or a class of one's own that is made as one of them."""
    holder = next((holder for holder in _HOLDERS.values() if issubclass(kind, holder)), None)
    if not isinstance(layers, dict) or holder is None:
        raise ValueError(f"{kind.__name__} must have layers")
    built = {key: build(layer, classes) for key, layer in layers.items()}
    return kind(list(built.values()) if holder is ModuleList else built)


def _made(kind: type[Module], settings: dict[str, Any]) -> Module:
    """A module of one's own, whose constructor may raise whatever it likes."""
    try:
        inspect.signature(kind).bind(**settings)
    except TypeError as error:
        raise ValueError(f"{kind.__name__} does not take the arguments {sorted(settings)}: {error}") from error
    try:
        return kind(**settings)
    except Exception as error:
        raise ValueError(f"{kind.__name__} cannot be made of its arguments: {type(error).__name__}: {error}") from error


def _decoded(value: Any, classes: Mapping[str, type[Module]]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, classes) for item in value]
    if not isinstance(value, dict):
        return value
    if "class" in value or "layer" in value:
        return build(value, classes)
    inside = next(iter(value.values()), None)
    if set(value) == {"tuple"} and isinstance(inside, list):
        return tuple(_decoded(item, classes) for item in inside)
    if set(value) == {"dict"} and isinstance(inside, dict):
        return {key: _decoded(item, classes) for key, item in inside.items()}
    raise ValueError(f"an argument must be a number, a text, a list, a tuple, a dict or a module, got {value!r}")


def _tuples(value: Any) -> Any:
    """JSON has lists where the constructors' arguments were tuples."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
