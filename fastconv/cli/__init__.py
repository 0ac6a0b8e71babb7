"""The command line: ``fastconv train | evaluate | predict | explain | summary | slide | maps | plot |
lecture | run | adapters | info | completion``.

Each command is a module here with `add_options(parser)` and `run(options) -> Result`, imported when it is called,
so that ``fastconv --help`` waits for nothing else. Results go to stdout, as text or as one JSON document;
progress, messages and errors go to stderr. What the encoding of either lacks, in a file's name or a class,
is written as an escape.

=========  =====================================================================================
exit code
=========  =====================================================================================
0          done
1          failed while running: one line on stderr says why
2          wrong arguments: one line says what was given, what is possible, and what is near to it
130        Ctrl-C; a training has written a checkpoint and says where
=========  =====================================================================================

Where Ctrl-C is ignored when the process starts (``nohup``, ``&`` in a script), it stays ignored.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

from fastconv import _interrupt
from fastconv.cli.arguments import UsageError, nearest
from fastconv.cli.commands import COMMANDS, load_command
from fastconv.cli.output import Result, escaping, warn
from fastconv.config import __version__, num_threads

__all__ = ["main"]

_HELP = "\n".join([
    "usage: fastconv COMMAND [options]",
    "",
    "Convolution and pooling for NumPy on CPUs, and CNNs on top.",
    "",
    "commands:",
    *(f"  {name:<10} {summary}" for name, summary in COMMANDS.items()),
    "",
    ("fastconv help COMMAND, or fastconv COMMAND --help, shows the options of a command, "
     "fastconv --version the version."),
])  # fmt: skip

_HELP_WORDS = ("-h", "--help", "help")
_VERSION_WORDS = ("-V", "--version", "version")

# What a run can end with that is no defect of the program: a file, a package or memory missing, data that do not fit.
_FAILURES = (ArithmeticError, ImportError, MemoryError, OSError, TypeError, ValueError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Examples
    --------
    >>> from fastconv.cli import main
    >>> main(["explain", "--input", "3x224x224", "--weight", "64x3x7x7", "--stride", "2", "--padding", "valid",
    ...       "--json", "--dilation", "0"])
    2
    """
    if sys.stderr is None:  # closed by the caller, who wants no messages
        sys.stderr = open(os.devnull, "w")
    with escaping(sys.stdout, sys.stderr):
        try:
            return _run(list(sys.argv[1:] if argv is None else argv))
        except UsageError as error:
            return _fail(error, 2)
        except KeyboardInterrupt as interrupt:
            return _fail(interrupt, 130)
        except BrokenPipeError:  # who read the output has gone: nobody is left to tell
            _discard_output()
            return 1
        except _FAILURES as error:
            return _fail(error, 1)


def _run(argv: list[str]) -> int:
    if not argv:
        raise UsageError(f"a command is needed: {', '.join(COMMANDS)} (see fastconv --help)")
    name, *rest = argv
    if name in _HELP_WORDS:
        if not rest or rest[0] in _HELP_WORDS:
            return _print(_HELP)
        name, rest = rest[0], [*rest[1:], "--help"]
    if name in _VERSION_WORDS:
        return _print(f"fastconv {__version__}")
    if name not in COMMANDS:
        if name.startswith("-"):
            raise UsageError(f"{name} before a command{nearest(name, ('--help', '--version'))}: "
                             "only --help and --version can stand there, other options behind one "
                             f"of {', '.join(COMMANDS)}")
        raise UsageError(f"unknown command {name!r}{nearest(name, (*COMMANDS, 'help', 'version'))}: must be one of "
                         f"{', '.join(COMMANDS)}")
    command, parser = load_command(name)
    try:
        options = parser.parse(rest)
    except SystemExit as done:  # after --help
        return _print("", int(done.code or 0))
    threads = num_threads(options.threads) if options.threads else contextlib.nullcontext()
    with warnings.catch_warnings(), _interrupts_raised(), threads:
        # A warning, of Pillow about a very large image for one, is a message like others:
        # in one line, and not if quiet.
        warnings.showwarning = lambda message, *where: warn(options, " ".join(f"fastconv: {message}".split()))
        result: Result = command.run(options)
    text = json.dumps(result.document, allow_nan=False) if options.json else result.text
    return _print(text, result.exit_code)


@contextlib.contextmanager
def _interrupts_raised() -> Iterator[None]:
    """Within the block Ctrl-C raises KeyboardInterrupt, as Python has it: a command has work to be put in order."""
    taken = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is _interrupt.leave]
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, _interrupt.leave)


def _print(text: str, exit_code: int = 0) -> int:
    """Print to stdout, at once: an error must come while it can be told."""
    try:
        if text:
            print(text)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise OSError(error.errno, error.strerror, "<stdout>") from error
    return exit_code


def _fail(error: BaseException, exit_code: int) -> int:
    """One line on stderr."""
    message = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError):
        message = f"not enough memory: {message}" if message else "not enough memory"
    elif isinstance(error, KeyboardInterrupt):
        if not _interrupt.leads():
            return exit_code
        message = message or "interrupted"
    with contextlib.suppress(OSError):
        print("fastconv:", " ".join((message or type(error).__name__).split()), file=sys.stderr, flush=True)
    return exit_code


def _discard_output() -> None:
    """Let what is still buffered go nowhere: at exit Python would fail on it again, and say so."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
