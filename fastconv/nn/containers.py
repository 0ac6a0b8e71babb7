"""Lists and dicts of modules that are modules themselves, as in PyTorch:
for modules of one's own, which call what is inside.

A plain list or dict as an attribute is found as well; these have `parameters`, `train`, ... of their own in addition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from fastconv.functional.foreign import shown
from fastconv.nn.module import Module


class _Container(Module):
    """A module that only holds others."""

    _unnamed_children = "_modules"

    def forward(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} holds modules and is none to be called: call those inside, "
                                  "or use nn.Sequential to run them one after the other")

    def __repr__(self) -> str:
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self.named_children()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)" if lines else f"{type(self).__name__}()"


class ModuleList(_Container, MutableSequence[Module]):
    """A list of modules, named "0", "1", ...: ``self.blocks = nn.ModuleList([...])`` makes ``"blocks.0.weight"``.

    Parameters
    ----------
    modules : iterable of Module, optional

    Examples
    --------
    >>> from fastconv import nn
    >>> blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(2))
    >>> blocks.append(nn.ReLU())
    >>> len(blocks), list(blocks.state_dict())
    (3, ['0.weight', '0.bias', '1.weight', '1.bias'])
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        self._modules: list[Module] = []
        if not isinstance(modules, Iterable):
            raise TypeError(f"modules must be a list of fastconv.nn modules, got {shown(modules)}")
        self.extend(modules)

    def insert(self, index: int, module: Module) -> None:
        self._modules.insert(index, _module(module))

    def __getitem__(self, index: Any) -> Any:
        """A module, or with a slice a ModuleList of some: the same objects."""
        return ModuleList(self._modules[index]) if isinstance(index, slice) else self._modules[index]

    def __setitem__(self, index: Any, module: Any) -> None:
        self._modules[index] = [_module(one) for one in module] if isinstance(index, slice) else _module(module)

    def __delitem__(self, index: Any) -> None:
        del self._modules[index]

    def __len__(self) -> int:
        return len(self._modules)


class ModuleDict(_Container, MutableMapping[str, Module]):
    """A dict of modules under their keys:
    ``self.heads = nn.ModuleDict({"digit": ...})`` makes ``"heads.digit.weight"``.

    Parameters
    ----------
    modules : mapping of str to Module, or pairs of these, optional

    Examples
    --------
    >>> from fastconv import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(4, 10)})
    >>> heads["colour"] = nn.Linear(4, 3, bias=False)
    >>> list(heads.state_dict())
    ['digit.weight', 'digit.bias', 'colour.weight']
    """

    __eq__ = object.__eq__  # two are the same where they are one object, as other modules
    __hash__ = object.__hash__

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] = ()) -> None:
        self._modules: dict[str, Module] = {}
        try:
            named = dict(modules)
        except (TypeError, ValueError):
            raise TypeError("modules must be a dict of names and fastconv.nn modules, or pairs of these, "
                            f"got {shown(modules)}") from None
        self.update(named)

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"modules must have names without a dot, got {shown(name)}")
        self._modules[name] = _module(module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def _module(value: Any) -> Module:
    if not isinstance(value, Module):
        raise TypeError(f"what a list or dict of modules holds must be fastconv.nn modules, got {shown(value)}")
    return value
