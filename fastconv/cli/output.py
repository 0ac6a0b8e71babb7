"""What a command gives back, and what it says while it works."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """What a command returns: `document` is printed with ``--json``, `text` without."""

    document: dict[str, Any]
    text: str
    exit_code: int = 0


def say(options: Namespace, message: str) -> None:
    """A message to the user on stderr, unless it shall be quiet."""
    if not options.quiet:
        print(message, file=sys.stderr, flush=True)
