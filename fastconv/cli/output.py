"""What a command gives back, and what it says while it works."""

from __future__ import annotations

import contextlib
import io
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO


@dataclass(frozen=True)
class Result:
    """What a command returns: `document` is printed with ``--json``, `text` without."""

    document: dict[str, Any]
    text: str
    exit_code: int = 0


def warn(options: Namespace, message: str) -> None:
    """A doubt about the data or the result: a message, which the document of ``--json`` keeps, if quiet too."""
    options.warnings.append(message)
    say(options, message)


def say(options: Namespace, message: str) -> None:
    """A message to the user on stderr, unless it shall be quiet."""
    if not options.quiet:
        print(message, file=sys.stderr, flush=True)


@contextlib.contextmanager
def escaping(*streams: TextIO | None) -> Iterator[None]:
    """Within the block, what a stream's encoding lacks is written as an escape instead of ending all output.

    The name of a file need not be text (``b"K\\xf6nig.png"`` in UTF-8), and a locale's encoding
    need not have its letters.
    """
    wrapped = [(stream, stream.errors) for stream in streams if isinstance(stream, io.TextIOWrapper)]
    for stream, _ in wrapped:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in wrapped:
            with contextlib.suppress(OSError, ValueError):
                stream.reconfigure(errors=errors)


def printable(text: str) -> str:
    """A text in one line: control characters, which a file's name may have, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
