"""Ctrl-C while the command line is still importing: one line and exit code 130, not a traceback from wherever that was.

The package imports this before everything else, as NumPy's import alone takes longer than the rest. Where fastconv is
used as a library nothing is changed, and where Ctrl-C is ignored (``nohup``, ``&`` in a script) it stays so.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def _is_command_line() -> bool:
    """Whether this process is ``fastconv`` or ``python -m fastconv``: while that imports, its argument 0 is "-m"."""
    program = os.path.basename(getattr(sys, "argv", [""])[0])
    return program.removesuffix(".exe") == "fastconv" or (program == "-m" and "fastconv" in sys.orig_argv)


def _leave(number: int, frame: Any) -> None:
    with contextlib.suppress(OSError):
        os.write(2, b"fastconv: interrupted\n")
    os._exit(130)


@contextlib.contextmanager
def as_exception() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt, as Python's own handler does: there is work to be put in order."""
    import signal

    if signal.getsignal(signal.SIGINT) is not _leave:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _leave)


if _is_command_line():
    import signal

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with contextlib.suppress(ValueError):  # imported in another thread than the main one
            signal.signal(signal.SIGINT, _leave)
