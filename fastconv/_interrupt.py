"""Ctrl-C while the command line is still importing: one line and exit code 130, not a traceback from wherever that was.
And one line and exit code 2 where a FASTCONV_ variable of the environment is wrong, which the imports refuse.

The package imports this before everything else, as NumPy's import alone takes longer than the rest; so it imports
hardly anything itself. Where fastconv is used as a library nothing is changed, and where Ctrl-C is ignored (``nohup``,
``&`` in a script) it stays so.
"""

import os
import sys


def leave(number: int, frame: object) -> None:
    """The handler while there is nothing to be put in order."""
    try:
        os.write(2, b"fastconv: interrupted\n")
    finally:
        os._exit(130)


def explain(kind: type[BaseException], error: BaseException, traceback: object) -> None:
    """The hook for errors that nobody caught: the wrong variable alone, which is no defect of the program."""
    if not (issubclass(kind, ImportError) and str(error).startswith("FASTCONV_")):
        sys.__excepthook__(kind, error, traceback)  # type: ignore[arg-type]
        return
    try:
        os.write(2, f"fastconv: {error}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(2)


def _is_command_line() -> bool:
    """Whether this process is ``fastconv`` or ``python -m fastconv``: while that imports, its argument 0 is "-m"."""
    program = os.path.basename(getattr(sys, "argv", [""])[0])
    return program.removesuffix(".exe") == "fastconv" or (program == "-m" and "fastconv" in sys.orig_argv)


if _is_command_line():
    sys.excepthook = explain

    # The built-in part: `signal` imports enum first, and Ctrl-C meanwhile would be a traceback.
    import _signal  # type: ignore[import-not-found]

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        try:
            _signal.signal(_signal.SIGINT, leave)
        except ValueError:  # in another thread than the main one, where no signal comes
            pass
