"""The state of a module: where its parameters, buffers and parts are found,
and how arrays get into them, all or none."""

from __future__ import annotations

from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, NamedTuple, Protocol, TypeVar
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from fastconv.functional.foreign import read, shown
from fastconv.nn.prefixes import advice

Kind = TypeVar("Kind")


class Options(dict[str, Any]):
    """Arguments of an operation by name, as a layer keeps them: no modules or parameters."""


#: What most attributes are, and cannot hold a module:
#: passed over first, since this look is part of every training step.
PLAIN = frozenset({int, float, bool, str, type(None), Options})

#: What may hold modules beside lists, tuples and dicts, and how their names and values are seen.
_HOLDERS: dict[type, Callable[[Any], Iterable[tuple[Any, Any]]]] = {
    deque: enumerate,
    UserList: enumerate,
    UserDict: lambda holder: holder.items(),
    ChainMap: lambda holder: holder.items(),
    MappingProxyType: lambda holder: holder.items(),
    SimpleNamespace: lambda holder: vars(holder).items(),
    np.ndarray: lambda holder: enumerate(holder.flat) if holder.dtype == object else (),
}

#: What has no order, or no names, that a state dict could go by.
_UNORDERED = frozenset({set, frozenset, WeakSet, type({}.values()), type({}.items()), type({}.keys())})

_LOOKED_INTO = _UNORDERED.union(_HOLDERS)


class Entry(Protocol):
    """What a state dict holds under one name: `Parameter` and `Buffer` are such."""

    @property
    def data(self) -> NDArray[Any]: ...


class Buffer(NamedTuple):
    """An attribute of a module that `Module.register_buffer` made part of the state."""

    module: Any
    name: str

    @property
    def data(self) -> NDArray[Any]:
        value = getattr(self.module, self.name, None)
        if not isinstance(value, (np.ndarray, np.generic)) or value.dtype.kind not in "fiub":
            raise TypeError(f"buffer {self.name!r} of {type(self.module).__name__} must stay an array of real numbers, "
                            f"it is {shown(value)}")
        return np.asarray(value)


def new_buffer(name: Any, value: Any) -> NDArray[Any]:
    """The array of a new buffer, after the checks of its name and value: the given one, if it can be written into."""
    if not isinstance(name, str) or not name or "." in name:
        raise ValueError(f"name must be that of an attribute, without a dot, got {shown(name)}")
    array = read(value, f"buffer {name!r}")
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
        raise TypeError(f"buffer {name!r} must be an array of real numbers, at most float64, got {array.dtype}")
    dtype = array.dtype if array.dtype.isnative else array.dtype.newbyteorder("=")  # which makes another object of it
    return np.require(array, dtype, ["C", "W"])


def held(items: Iterable[tuple[Any, Any]], kind: type[Kind]) -> list[tuple[str, Kind]]:
    """The values of a kind among named values, and in the lists, tuples, dicts and their like among these,
    with their dotted names.

    Raises
    ------
    TypeError
        If there are some in a set, which has another order in every process.
    """
    found = []
    for name, value in list(items):  # taken at once: another thread may add an attribute meanwhile
        if type(value) in PLAIN:
            continue
        if isinstance(value, kind):
            found.append((str(name), value))
            continue
        if isinstance(value, (dict, list, tuple)):
            if PLAIN.issuperset(map(type, value.values() if isinstance(value, dict) else value)):
                continue
        elif _LOOKED_INTO.isdisjoint(type(value).__mro__):
            continue
        found += held([(f"{name}.{key}", one) for key, one in _inside(name, value, kind)], kind)
    return found


def _inside(name: Any, value: Any, kind: type) -> Iterable[tuple[Any, Any]]:
    """What a value holds, with its names."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    for owner in type(value).__mro__:
        if owner in _HOLDERS:
            return _HOLDERS[owner](value)
        if owner in _UNORDERED and held(enumerate(value), kind):
            raise TypeError(f"{name} is a {type(value).__name__} that holds a {kind.__name__}, without an order to "
                            "name it by: write a list, a tuple or a dict")
    return ()


def once(named: Iterable[tuple[str, Kind]]) -> Iterator[tuple[str, Kind]]:
    """The same without what came before under another name."""
    seen: dict[int, Kind] = {}  # holds the values too, so that no other one gets the identity of one of them
    for name, value in named:
        if id(value) not in seen:
            seen[id(value)] = value
            yield name, value


def by_name(entries: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    """Entries by name, where no two have the same."""
    named: dict[str, Entry] = {}
    for name, entry in entries:
        if name in named:
            raise ValueError(f"two parameters, buffers or modules of the model have the name {name}: "
                             "keys such as 1 and '1' in one dict make the same name")
        named[name] = entry
    return named


def copy_into(entries: Iterable[tuple[str, Entry]], state: Any) -> None:
    """Copy the arrays of a state dict into the entries of these names,
    after all checks; see `Module.load_state_dict`."""
    if not isinstance(state, Mapping):
        raise TypeError(f"state must map names to arrays, got {type(state).__name__}")
    own = by_name(entries)
    given = {name: read(value, f"state[{name!r}]") for name, value in state.items()}
    wrong = [f"unknown {name}" for name in given if name not in own]
    for names in _same(own):
        found = [name for name in names if name in given]
        if not found:
            wrong.append(f"missing {names[0]}")
        wrong += [reason for name in found if (reason := _misfit(name, given[name], own[name]))]
        wrong += [f"{name} and {found[0]} are one array in the model, but differ" for name in found[1:]
                  if not np.array_equal(given[name], given[found[0]], equal_nan=given[name].dtype.kind == "f")]
    if wrong and (written := advice(given, own)):
        raise ValueError(f"state does not fit the model: {written}")
    if wrong:
        raise ValueError("state does not fit the model: " + "; ".join(sorted(wrong)))
    for name in own.keys() & given.keys():
        _write(own[name], given[name])


def _same(own: Mapping[str, Entry]) -> list[list[str]]:
    """The names in groups, each of those that lead to one array."""
    groups: dict[Any, list[str]] = {}
    for name, entry in own.items():
        key = (id(entry.module), entry.name) if isinstance(entry, Buffer) else id(entry)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _misfit(name: str, given: NDArray[Any], entry: Entry) -> str | None:
    """Why an array cannot be copied into an entry, or None."""
    own = entry.data
    if not (own.flags.writeable or isinstance(entry, Buffer)):
        return f"{name} is read-only in the model"
    kinds = "fiu" if own.dtype.kind == "f" else "fiub"
    if given.dtype.kind not in kinds:
        return f"{name} has dtype {given.dtype}, not a real number"
    if given.shape != own.shape:
        return f"{name} has shape {given.shape}, must have {own.shape}"
    if own.dtype.kind in "iub" and given.dtype != own.dtype:
        with np.errstate(invalid="ignore"):
            if not np.array_equal(given.astype(own.dtype), given):
                return f"{name} has values that {own.dtype} cannot hold"
    return None


def _write(entry: Entry, values: NDArray[Any]) -> None:
    data = entry.data
    if isinstance(entry, Buffer):  # which may have become a number, or an array that must not be written into
        data = data if data.flags.writeable else data.copy()
        setattr(entry.module, entry.name, data)
    data[...] = values
