"""State dicts whose names differ from a model's by one beginning: which one, and what to write.

`torch.nn.DataParallel` leaves ``"module."`` before every name, `torch.compile` ``"_orig_mod."``, a checkpoint
of `fastconv.Trainer` ``"model/"`` before those of the model; and a module of one's own around a model
the name of its attribute.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

_WRAPPERS = {"module.": ", as torch.nn.DataParallel leaves them", "_orig_mod.": ", as torch.compile leaves them"}
_OF_CHECKPOINT = "model/"


def state_from(state: str, names: Collection[str]) -> str:
    """The expression for a state dict from the expression `state`, whose names are these:
    without what wrappers put before."""
    wrapper = _wrapper(names)
    if wrapper or not any(name.startswith(_OF_CHECKPOINT) for name in names):
        return _without(wrapper, state, every=True) if wrapper else state
    return _without(_OF_CHECKPOINT, state, every=False)


def advice(given: Collection[str], own: Collection[str]) -> str:
    """What to write where the names given are the model's own behind, or without, one beginning;
    empty where they are not."""
    if prefix := _prefix(given, own) or _wrapper(given, own):
        every = all(name.startswith(prefix) for name in given)
        return (f"the names of the model stand behind {prefix!r} in it{_WRAPPERS.get(prefix, '')}: write "
                f"model.load_state_dict({_without(prefix, 'state', every)})")
    if (prefix := _prefix(own, given)) and all(name.startswith(prefix) for name in own):
        return (f"its names are those of the model without {prefix!r}: "
                f"write model.load_state_dict({{f'{prefix}{{name}}': value for name, value in state.items()}})")
    return ""


def _wrapper(given: Collection[str], own: Iterable[str] = ()) -> str:
    """What wrappers, one inside the other, put before all of the names given, and before none of the model's."""
    found = ""
    while wrapper := next((name for name in _WRAPPERS
                           if given and all(one.startswith(found + name) for one in given)), ""):
        found += wrapper
    return "" if any(name.startswith(found) for name in own) else found


def _prefix(long: Iterable[str], short: Collection[str]) -> str:
    """The one beginning, up to a dot or a slash, behind which all of the `short` names are among the `long` ones."""
    long, first = set(long), min(short, default="")
    if not first or not long.isdisjoint(short):
        return ""
    found = [name.removesuffix(first) for name in long if name.endswith((f".{first}", f"/{first}"))]
    fitting = [prefix for prefix in found if all(f"{prefix}{name}" in long for name in short)]
    return fitting[0] if len(fitting) == 1 else ""


def _without(prefix: str, state: str, every: bool) -> str:
    only = "" if every else f" if name.startswith({prefix!r})"
    return f"{{name.removeprefix({prefix!r}): value for name, value in {state}.items(){only}}}"
