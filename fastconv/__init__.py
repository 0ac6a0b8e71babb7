"""fastconv: convolution and pooling for NumPy on CPUs, forward and backward, and a CNN library on top.

Arrays in, arrays out: `fc.conv2d`, `fc.max_pool2d`, `fc.relu`, ... and their `*_backward`. Layers and models are in
`fastconv.nn`, optimisers in `fastconv.optim`, data sets in `fastconv.data`, training in `fc.Trainer`.
"""

from fastconv import _interrupt  # noqa: I001 (before anything that takes time to import)

import gc
import os
from importlib import import_module
from threading import active_count
from typing import TYPE_CHECKING, Any

_collects = gc.isenabled()
gc.disable()  # what an import makes stays: to look for garbage among it takes a fifth of the time
try:
    from fastconv import functional
    from fastconv.config import __version__, get_num_threads, num_threads, set_num_threads, show_config
finally:
    if _collects:
        gc.enable()

if TYPE_CHECKING:
    from fastconv import data, nn, optim, plots, walk
    from fastconv.c_api import get_include
    from fastconv.functional import *  # noqa: F403 (its __all__ says which)
    from fastconv.lecture.start import lecture
    from fastconv.nn import load, load_weights, save
    from fastconv.scale import Window, blockwise
    from fastconv.training import EarlyStopping, History, Trainer
    from fastconv.walk import check_gradients

# Layers, data and training are imported when they are first used: a program that only convolves does not wait for them.
# A thread that imports holds a lock, which nobody would free in a process that another thread forks meanwhile: so the
# operations that most programs use are imported at once, and all the rest before a fork, where there are other threads.
_MODULES = ("data", "lecture", "nn", "optim", "plots", "walk")
_HOMES = {
    **dict.fromkeys(("load", "load_weights", "save"), "fastconv.nn"),
    "check_gradients": "fastconv.walk",
    **dict.fromkeys(("_C_API", "get_include"), "fastconv.c_api"),
    **dict.fromkeys(("Window", "blockwise"), "fastconv.scale"),
    **dict.fromkeys(("EarlyStopping", "History", "Trainer"), "fastconv.training"),
}


def __getattr__(name: str) -> Any:
    if name in functional.__all__:
        value = globals()[name] = getattr(functional, name)
        return value
    if name in _MODULES:
        return import_module(f"fastconv.{name}")
    if name in _HOMES:
        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def _finish_imports() -> None:
    if active_count() > 1:
        for home in {*_HOMES.values(), *(f"fastconv.{name}" for name in _MODULES), *functional.LATER.values()}:
            import_module(home)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_finish_imports)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


__all__ = [
    "EarlyStopping",
    "History",
    "Trainer",
    "Window",
    "blockwise",
    "check_gradients",
    "data",
    "functional",
    "get_include",
    "get_num_threads",
    "lecture",
    "load",
    "load_weights",
    "nn",
    "num_threads",
    "optim",
    "plots",
    "save",
    "set_num_threads",
    "show_config",
    "walk",
]
__all__ += functional.__all__
