"""What a value is, in words that are the same in every process: how a run is compared with the one that is resumed.

An object is its class and what `pickle` would keep of it (so ``__getstate__`` may leave out what does not count, such
as a cache or a lock); an array is a checksum. A function is its code, the values that it closes over, its defaults, and
the globals that it reads. Of a class of one's own the code of its methods counts too. What is installed beside
fastconv, as NumPy is, has a name; of fastconv's own objects the public attributes count.

What has no words, such as an open file, a lock, an iterator or a random generator, whose state no checkpoint keeps, is
said to be so: it makes a run that cannot be resumed.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import sys
import types
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.nn.module import Module
from fastconv.nn.parameter import Parameter

#: What a text ends with that no other text is comparable with.
UNKNOWN = "which cannot be compared"

_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented), range, slice, np.dtype)
_GENERATORS = (np.random.Generator, np.random.BitGenerator, np.random.RandomState)


def described(value: Any, elsewhere: Collection[Any] = (), left_out: Collection[str] = ()) -> str:
    """A value in words, without the attributes that are named;
    of those in `elsewhere`, which have words of their own, the class alone."""
    return _Writer(elsewhere, left_out).whole(lambda writer: writer.text(value))


def described_layer(module: Module, elsewhere: Collection[Any]) -> str:
    """A module in words: its class, and all attributes but its state and the modules in it."""
    return _Writer(elsewhere).whole(lambda writer: writer.instance(type(module), module_attributes(module)))


def checksum(array: NDArray[Any]) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data):08x}"


class _Writer:
    """One description: what it has come across, and what has no words."""

    def __init__(self, elsewhere: Collection[Any], left_out: Collection[str] = ()) -> None:
        self.elsewhere = {id(value): value for value in elsewhere}
        self.left_out = left_out
        #: By identity the number and the object itself, so that no other one gets its identity meanwhile.
        self.seen: dict[int, tuple[int, Any]] = {}
        self.codes: dict[type, str] = {}
        self.unknown: list[str] = []

    def whole(self, write: Callable[[_Writer], str]) -> str:
        try:
            text = write(self)
        except RecursionError:
            text = self._no_words("too many objects inside each other")
        return f"{text}, with {self.unknown[0]}, {UNKNOWN}" if self.unknown else text

    def text(self, value: Any) -> str:
        if isinstance(value, np.generic) and value.dtype.kind in "biufcSU":
            return f"{'' if value.dtype.itemsize == 8 else f'{value.dtype} '}{value.item()!r}"
        if type(value) in _PLAIN or isinstance(value, np.dtype):
            return repr(value)
        if id(value) in self.elsewhere:
            return type(value).__qualname__
        if isinstance(value, types.ModuleType):
            return f"module {value.__name__}"
        if type(value) is tuple:
            return f"[{', '.join(map(self.text, value))}]"
        if type(value) is frozenset:
            return f"[{', '.join(self._sorted(value))}]"
        if isinstance(value, types.CodeType):
            return self._code(value)
        if id(value) in self.seen:
            return f"the same as number {self.seen[id(value)][0]}"
        self.seen[id(value)] = len(self.seen), value
        if isinstance(value, np.ndarray):
            return self._array(value)
        if type(value) is list:
            return f"[{', '.join(map(self.text, value))}]"
        if type(value) is set:
            return f"[{', '.join(self._sorted(value))}]"
        if type(value) in (dict, types.MappingProxyType):
            return f"{{{', '.join(f'{self.text(key)}: {self.text(item)}' for key, item in value.items())}}}"
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return f"{self.text(value.__func__)} of {self.text(value.__self__)}"
        if isinstance(value, type):
            return f"{value.__qualname__} {self._code_of_class(value)}".rstrip()
        return self._object(value)

    def instance(self, kind: type, values: Mapping[str, Any]) -> str:
        code = self._code_of_class(kind)
        shown = [f"{name}={self.text(value)}" for name, value in values.items()]
        return f"{kind.__qualname__}({', '.join(shown)}{'; ' * bool(shown and code)}{code})"

    def _array(self, value: NDArray[Any]) -> str:
        words = f"array of {value.dtype} {value.shape} "
        words += self.text(value.tolist()) if value.dtype.hasobject else checksum(value)
        inside = self.text(dict(getattr(value, "__dict__", {})))
        return words if type(value) is np.ndarray else f"{type(value).__qualname__}({words}, {inside})"

    def _sorted(self, values: Iterable[Any]) -> list[str]:
        """The words for each by itself, since a set has another order in every process."""
        found = []
        for value in values:
            alone = _Writer(self.elsewhere.values())
            alone.seen = dict(self.seen)
            found.append(alone.text(value))
            self.unknown += alone.unknown
        return sorted(found)

    def _function(self, function: types.FunctionType) -> str:
        inside: dict[str, Any] = {}
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            inside[name] = cell.cell_contents if _is_filled(cell) else None
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        shown = [f"{name}={self.text(value)}" for name, value in inside.items()]
        shown += [f"defaults={self.text(defaults)}"] if defaults else []
        shown += [self.text(vars(function))] if vars(function) else []
        code = self._code(function.__code__)
        if _is_own(function.__module__):
            code += "".join(f" {name}={self.text(value)}" for name, value in _globals(function))
        return f"{function.__qualname__}({', '.join([*shown, f'code {_digest(code)}'])})"

    def _code(self, code: types.CodeType) -> str:
        """Without the names of files and the numbers of lines."""
        return " ".join(map(str, (
            code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags,
            code.co_code.hex(), getattr(code, "co_exceptiontable", b"").hex(), code.co_names, code.co_varnames,
            code.co_freevars, code.co_cellvars, [self.text(constant) for constant in code.co_consts],
        )))  # fmt: skip

    def _code_of_class(self, kind: type) -> str:
        """A digest of the members of a class of one's own, and of those that it inherits from."""
        if kind not in self.codes:
            self.codes[kind] = ""  # what its own methods find of it
            words = []
            for owner in filter(lambda owner: _is_own(owner.__module__), kind.__mro__):
                words.append(owner.__qualname__)
                words += [f"{name}={self._member(value)}" for name, value in list(vars(owner).items())
                          if isinstance(value, types.FunctionType) or not (_is_dunder(name) or name == "_abc_impl")]
            self.codes[kind] = f"code {_digest(' '.join(words))}" if words else ""
        return self.codes[kind]

    def _member(self, value: Any) -> str:
        if isinstance(value, (staticmethod, classmethod)):
            return f"{type(value).__name__} {self.text(value.__func__)}"
        if isinstance(value, functools.cached_property):
            return f"cached property {self.text(value.func)}"
        if isinstance(value, property):
            return f"property {self.text([value.fget, value.fset, value.fdel])}"
        if isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType)):
            return "slot"
        return self.text(value)

    def _object(self, value: Any) -> str:
        kind = type(value)
        if isinstance(value, _GENERATORS):
            return self._no_words(f"a random generator ({kind.__name__}) of its own, whose state a checkpoint "
                                  "does not keep")
        if isinstance(value, Parameter):
            return f"Parameter({self.text(value.data)})"
        if isinstance(value, Module):
            return self._module(value)
        if isinstance(value, types.BuiltinFunctionType) and value.__self__ is not None:
            return f"{value.__qualname__} of {self.text(value.__self__)}"
        if hasattr(kind, "__next__"):
            return self._no_words(f"an iterator ({kind.__name__})")
        if isinstance(value, memoryview):
            return f"memoryview {self.text(np.asarray(value))}"
        if hasattr(kind, "__array__"):  # of another library, which may write an address where it pickles it
            return f"{kind.__qualname__}({self._foreign(value)})"
        try:
            known = copyreg.dispatch_table.get(kind)
            reduced = known(value) if known else value.__reduce_ex__(4)
        except Exception as error:  # whatever the class of somebody else raises
            return self._no_words(f"{kind.__qualname__} ({error})")
        if isinstance(reduced, str):  # the name of something global, maybe around a function
            if reduced.endswith("(vectorized)"):
                return self._no_words(f"the ufunc {reduced}")
            around = f" of {self.text(value.__wrapped__)}" if hasattr(value, "__wrapped__") else ""
            return f"{getattr(value, '__module__', None) or ''}.{reduced}{around}"
        make, arguments, state, *items = (*reduced, None, None)[:5]
        if getattr(make, "__name__", "") == "__newobj__":
            arguments, make = arguments[1:], None
        if isinstance(state, tuple) and len(state) == 2 and all(isinstance(one, dict | None) for one in state):
            state = {**(state[0] or {}), **(state[1] or {})}  # attributes, and those in slots
        inside = {name: one for name, one in (("made by", make), ("of", arguments)) if one}
        inside |= {name: [*one] for name, one in zip(("items", "keys and values"), items) if one is not None}
        if isinstance(state, dict) and all(isinstance(name, str) for name in state):
            left_out = {*_not_settings(kind), *(self.left_out if len(self.seen) == 1 else ())}
            inside |= {name: one for name, one in state.items() if name not in left_out}
        elif state is not None:
            inside["state"] = state
        return self.instance(kind, inside)

    def _foreign(self, value: Any) -> str:
        try:
            array = np.asarray(value.detach() if hasattr(value, "detach") else value)
        except Exception as error:  # of that library, as for an array that lies on another device
            return self._no_words(f"{type(value).__qualname__} ({error})")
        return self._array(array)

    def _module(self, module: Module) -> str:
        inside = [self.instance(type(one), module_attributes(one)) for _, one in module.named_modules()]
        return f"{type(module).__qualname__}({', '.join(inside)}, {self.text(module.state_dict())})"

    def _no_words(self, what: str) -> str:
        self.unknown.append(what)
        return what


# ---------------------------------------------------------------------------------------------------------------------
# Attributes that count


def module_attributes(module: Module) -> dict[str, Any]:
    """What a module is made with and has been given, by name:
    without its state, the modules inside, and what a pass leaves."""
    left_out = {*_not_settings(type(module)), *module._buffer_names, module._unnamed_children}
    settings = module.settings()
    settings |= {name: value for name, value in list(vars(module).items())
                 if name not in left_out and name not in settings}
    return {name: value for name, value in settings.items()
            if not (isinstance(value, np.random.Generator) or _only_parts(value))}


def _only_parts(value: Any) -> bool:
    """Whether there is nothing but modules and parameters, which stand for themselves."""
    inside = list(value.values()) if isinstance(value, dict) else value
    return isinstance(value, (Module, Parameter)) or (
        isinstance(inside, (list, tuple)) and len(inside) > 0 and all(map(_only_parts, inside)))


def _not_settings(kind: type) -> set[str]:
    """The attributes of an object that change while it is used: the private ones that classes of fastconv set, and of
    a class of one's own cached properties, and those in which a pass leaves something for the way back, set without
    being read before."""
    found = set().union(*map(_private_of_fastconv, filter(_of_fastconv, kind.__mro__)))
    found |= {name for owner in kind.__mro__ for name, member in vars(owner).items()
              if isinstance(member, functools.cached_property)}
    methods = {name: member for owner in reversed(kind.__mro__) if _is_own(owner.__module__)
               for name, member in vars(owner).items()}
    waiting, done = ["forward", "__call__", "backward", "step"], set[str]()
    while waiting:
        name = waiting.pop()
        if name in done or name not in methods:
            continue
        done.add(name)
        read = set()
        for attribute, is_set in _accesses(methods[name]):
            if is_set and attribute not in read:
                found.add(attribute)
            read.add(attribute)
        waiting += read
    return found


@functools.cache
def _private_of_fastconv(owner: type) -> frozenset[str]:
    return frozenset(attribute for member in vars(owner).values() for attribute, is_set in _accesses(member)
                     if is_set and attribute.startswith("_"))


def _accesses(member: Any) -> Iterator[tuple[str, bool]]:
    """The attributes that a method reads, or sets in its own object (True), in the order of its code."""
    code = getattr(getattr(member, "fset", None) or getattr(member, "__func__", member), "__code__", None)
    if not isinstance(code, types.CodeType):
        return
    before: Any = None  # what the last instruction put on the stack: names, if they were variables
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            yield instruction.argval, False
        if instruction.opname == "STORE_ATTR" and code.co_varnames[:1] == before:
            yield instruction.argval, True
        before = instruction.argval[-1:] if isinstance(instruction.argval, tuple) else (instruction.argval,)


def _globals(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function reads of its module, functions inside it included,
    and what it may read of other modules of one's own."""
    codes, done = [function.__code__], set()
    for code in codes:  # which grows
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME") or name in done:
                continue
            done.add(name)
            if name not in function.__globals__:
                continue
            value = function.__globals__[name]
            if isinstance(value, types.ModuleType) and _is_own(value.__name__):
                yield from ((f"{name}.{inner}", vars(value)[inner]) for inner in code.co_names if inner in vars(value))
            else:
                yield name, value


def _is_own(module: Any) -> bool:
    """Whether a module is neither Python's nor fastconv's nor installed."""
    root = str(module or "").partition(".")[0]
    if root in sys.stdlib_module_names or root in ("fastconv", "numpy"):
        return False
    origin = getattr(sys.modules.get(root), "__file__", None) or ""
    return root == "__main__" or not {"site-packages", "dist-packages"} & {*Path(origin).parts}


def _of_fastconv(owner: type) -> bool:
    return owner.__module__.partition(".")[0] == "fastconv"


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


def _digest(words: str) -> str:
    return hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
