"""Threads and configuration: what the user sets and what the build can do."""

from __future__ import annotations

import contextlib
import numbers
from collections.abc import Iterator
from typing import Any, Literal, overload

from fastconv._core.runtime import isa, memory, threads

__version__ = "0.1.0"

get_num_threads = threads.get_num_threads


def _checked(n):
    if isinstance(n, bool) or not isinstance(n, numbers.Integral):
        raise TypeError(f"n must be a whole number of threads, got {n!r}")
    if not 1 <= n <= threads.MOST:
        raise ValueError(f"n must be from 1 to {threads.MOST} threads, got {n}")
    return int(n)


def set_num_threads(n: int) -> None:
    """Set how many threads a call uses at most.

    Parameters
    ----------
    n : int
        From 1 to 1024. Results do not depend on it: they are the same bits for any number.

    Raises
    ------
    TypeError, ValueError
        Where n is not such a number.

    Notes
    -----
    A forked process computes with one thread, whatever n is: the OpenMP runtime of its parent cannot be used there.
    A new program, such as a process that multiprocessing starts by "spawn", uses n.

    Examples
    --------
    >>> import fastconv as fc
    >>> fc.set_num_threads(2)
    >>> fc.get_num_threads()
    2
    """
    threads.set_limit(_checked(n))


@contextlib.contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Within the block, calls from this Python thread use at most n threads.

    Parameters
    ----------
    n : int
        From 1 to 1024.

    Examples
    --------
    >>> import fastconv as fc
    >>> with fc.num_threads(1):
    ...     fc.get_num_threads()
    1
    """
    before = threads.set_override(_checked(n))
    try:
        yield
    finally:
        threads.set_override(before)


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...
def show_config(mode: str = "stdout") -> dict[str, Any] | None:
    """Show what this build can do and what it uses.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print the configuration, or return it as a dictionary.

    Returns
    -------
    dict or None
        With "dicts": version, numpy, compiler, isa (in use, usable on this CPU, compiled in, missing from the build),
        threads, openmp (None where the build has none) and pool_mb, the bound of the pool of freed buffers.

    Examples
    --------
    >>> import fastconv as fc
    >>> fc.show_config("dicts")["isa"]["in_use"] in ("baseline", "avx2", "avx512", "neon")
    True
    """
    if not isinstance(mode, str):
        raise TypeError(f"mode must be 'stdout' or 'dicts', got {type(mode).__name__}")
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode must be 'stdout' or 'dicts', got {mode!r}")
    import numpy

    config: dict[str, Any] = {
        "version": __version__,
        "numpy": numpy.__version__,
        "compiler": isa.COMPILER,
        "isa": {
            "in_use": isa.in_use(),
            "usable": isa.usable(),
            "compiled": isa.compiled(),
            "missing": [name for name in isa.known() if name not in isa.compiled()],
        },
        "threads": get_num_threads(),
        "openmp": str(threads.openmp()) if threads.openmp() else None,
        "pool_mb": memory.pool_statistics()["bound"] >> 20,
    }
    if mode == "dicts":
        return config
    print(f"fastconv {config['version']}, NumPy {config['numpy']}, built with {config['compiler']}")
    print(f"instruction set   {config['isa']['in_use']} (this CPU: {', '.join(config['isa']['usable'])};"
          f" compiled in: {', '.join(config['isa']['compiled'])}"
          + (f"; not in this build: {', '.join(config['isa']['missing'])})" if config["isa"]["missing"] else ")"))
    print(f"threads           {config['threads']}")
    print(f"OpenMP            {config['openmp'] or 'not in this build: everything runs on one thread'}")
    print(f"buffer pool       {config['pool_mb']} MB")
    return None
