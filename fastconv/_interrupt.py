"""Ctrl-C while the command line is still importing: one line and exit code 130, not a traceback from wherever that was.
And one line and exit code 2 where a FASTCONV_ variable of the environment is wrong, which the imports refuse.

The package imports this before everything else, as NumPy's import alone takes longer than the rest; so it imports
hardly anything itself. Where fastconv is used as a library nothing is changed, and where Ctrl-C is ignored (``nohup``,
``&`` in a script) it stays so.

Of processes that mpiexec or srun has started the first alone speaks. To them SIGTERM is what Ctrl-C is: the mpiexec of
Open MPI makes one of the other, and so does SLURM where the time of a job is over.
"""

import os
import sys

# What a process is told of its number: by Open MPI, by MPICH and those made from it, by SLURM.
_NUMBERS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


def leads() -> bool:
    """Whether this process is alone, or the first of those that were started together."""
    return next((os.environ[name] for name in _NUMBERS if name in os.environ), "0") == "0"


def leave(number: int, frame: object) -> None:
    """The handler while there is nothing to be put in order."""
    try:
        if leads():
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

    try:
        if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, leave)
            if any(name in os.environ for name in _NUMBERS):
                _signal.signal(_signal.SIGTERM, leave)
    except ValueError:  # in another thread than the main one, where no signal comes
        pass
