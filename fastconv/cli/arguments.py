"""Parsers of the commands: argparse, with errors of one line that name what is possible and what is near."""

from __future__ import annotations

import argparse
import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


class UsageError(Exception):
    """The arguments are wrong; the message is the one line to print."""


class Parser(argparse.ArgumentParser):
    """The parser of one command, with the options that every command has.

    Options are added with `option`, in named groups; positional arguments with `positionals`, at most one kind.
    `names` are those of all options that begin with two dashes; `words` are what a positional argument can be,
    where that is not the name of a file.
    """

    def __init__(self, command: str, summary: str) -> None:
        super().__init__(prog=f"fastconv {command}", usage=f"fastconv {command} [options]",
                         description=f"{summary[0].upper()}{summary[1:]}.",
                         allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.command = command
        self.names = ["--help"]
        self.words: tuple[str, ...] = ()
        self._groups: dict[str, Any] = {}
        self._positionals_wanted: tuple[str, int, int | None] = ("", 0, 0)

    def option(self, group: str, *names: str, **settings: Any) -> None:
        """Add an option to a group of the help text."""
        if group not in self._groups:
            self._groups[group] = self.add_argument_group(f"{group} options")
        self._groups[group].add_argument(*names, **settings)
        self.names += [name for name in names if name.startswith("--")]
        if settings.get("action") is argparse.BooleanOptionalAction:
            self.names += [f"--no-{name[2:]}" for name in names if name.startswith("--")]

    def positionals(self, name: str, least: int, most: int | None, help: str, words: Sequence[str] = ()) -> None:
        """Take positional arguments as a list in the attribute of this name, lower case."""
        self.words = tuple(words)
        self._positionals_wanted = name, least, most
        form = name if most == 1 else f"{name}..."
        self.usage = f"fastconv {self.command} {form if least else f'[{form}]'} [options]"
        self.add_argument(name.lower(), metavar=name, nargs="*", help=help)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options as attributes, `argv` itself among them, and `warnings`, for what `warn` says.

        Raises
        ------
        UsageError
            With the first thing that is wrong.
        """
        before, after = ((list(argv), []) if "--" not in argv
                         else (argv[: argv.index("--")], argv[argv.index("--") + 1 :]))
        options, unknown = self.parse_known_args(before)
        for word in unknown:
            if word.startswith("-"):
                name = word.partition("=")[0]
                near = nearest(name, self.names)
                known = f"see fastconv {self.command} --help" if near else (
                    f"fastconv {self.command} takes {', '.join(sorted(self.names))}")
                raise UsageError(f"unknown option {name}{near}: {known}")
        name, least, most = self._positionals_wanted
        words = [*getattr(options, name.lower(), []), *unknown, *after]
        if most is not None and len(words) > most:
            takes = f"only one {name}" if name else "options only"
            raise UsageError(f"too many arguments: fastconv {self.command} takes {takes}, got {' '.join(words)}")
        if len(words) < least:
            raise UsageError(f"{name} is missing: fastconv {self.command} {name} (see fastconv {self.command} --help)")
        if name:
            setattr(options, name.lower(), words)
        options.argv = list(argv)
        options.warnings = []
        return options

    def add_common_options(self) -> None:
        """What every command takes, behind its own options."""
        self.option("common", "--json", action="store_true", help="print the result as one JSON document")
        self.option("common", "--seed", type=integer(0, 2**63 - 1), default=0, metavar="N",
                    help="seed of everything random (default %(default)s)")
        self.option("common", "--threads", type=integer(1, 1024), metavar="N",
                    help="threads to use at most; "
                         "results do not depend on it (default: as many as this process may use)")
        self.option("common", "--quiet", action="store_true",
                    help="no progress and no messages; errors only (of warnings, --json has a list)")

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ").replace("expected one argument", "a value must follow, got none")
        raise UsageError(re.sub("ignored explicit argument (.*)", r"takes no value, got \1", message))


def nearest(word: str, known: Iterable[str]) -> str:
    """" (did you mean 'x'?)", or nothing where nothing is near: the only one that begins so,
    or one spelled nearly so."""
    bare = {name.lstrip("-"): name for name in known}  # dashes would make every option like every other
    word = word.lstrip("-")
    begun = [name for name in bare if word and name.startswith(word)]
    near = begun if len(begun) == 1 else difflib.get_close_matches(word, bare, n=1)
    return f" (did you mean {bare[near[0]]}?)" if near else ""


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type of option: a whole number in a range."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        value = _number(int, text)
        if value is None or value < least or (most is not None and value > most):
            raise argparse.ArgumentTypeError(f"must be a whole number {bounds}, got {text!r}")
        return value

    return parse


def number(least: float = 0.0, most: float = math.inf, *, open_ends: bool = False) -> Callable[[str], float]:
    """A type of option: a finite number in a range, whose ends belong to it or not."""
    if open_ends:
        bounds = f"above {least:g}" + (f" and below {most:g}" if most < math.inf else "")
    else:
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"

    def parse(text: str) -> float:
        value = _number(float, text)
        inside = value is not None and (least < value < most if open_ends else least <= value <= most)
        if value is None or not inside or not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"must be a number {bounds}, got {text!r}")
        return value

    return parse


class _Type:
    """A type of option with the words that it takes, which a shell can complete."""

    def __init__(self, parse: Callable[[str], Any], words: Iterable[str]) -> None:
        self.parse = parse
        self.words = tuple(words)

    def __call__(self, text: str) -> Any:
        return self.parse(text)


def choice(*known: str) -> Callable[[str], str]:
    """A type of option: one of a few words."""

    def parse(text: str) -> str:
        if text not in known:
            raise argparse.ArgumentTypeError(f"must be one of {', '.join(known)}, got {text!r}{nearest(text, known)}")
        return text

    return _Type(parse, known)


def sizes(counts: Sequence[int], form: str, least: int = 1, words: Sequence[str] = ()) -> Callable[[str], Any]:
    """A type of option: whole numbers with x between them, as many as one of `counts`; or one of `words`.

    A single number becomes an int, several a tuple.
    """

    def parse(text: str) -> int | tuple[int, ...] | str:
        if text in words:
            return text
        parts = re.split("[x,]", text)
        values = tuple(int(part) for part in parts if re.fullmatch("[0-9]{1,18}", part))
        if len(values) < len(parts) or len(values) not in counts or min(values) < least:
            raise argparse.ArgumentTypeError(f"must be {form}, got {text!r}{nearest(text, words)}")
        return values[0] if len(values) == 1 else values

    return _Type(parse, words)


def existing_file(path: str, name: str, hint: str = "") -> Path:
    """The path of a file that is there.

    Raises
    ------
    UsageError
        If it is not, or is a named pipe or another special file; the message has `hint`,
        or the name of a file beside it that is spelled nearly so.
    """
    from fastconv.functional.paths import refuse_special  # here, since the help of a command does not wait for it

    if not path:
        raise UsageError(f"{name} must be a file, got ''")
    found = Path(path)
    try:
        refuse_special(found)
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"{name} {error}") from error
    if found.is_dir():
        raise UsageError(f"{name} must be a file, {path} is a directory")
    if not found.exists():
        raise UsageError(f"{name} {path} does not exist{_nearest_file(found)}{hint}")
    return found


def check_place(path: Path, name: str) -> None:
    """Whether a file can be written there, before there is anything to write.

    Raises
    ------
    UsageError
        With the option's name.
    """
    from fastconv.nn.serialization import check_writable

    if not os.path.isdir(path.parent):  # a Path's own is an error where a name is too long
        raise UsageError(f"{name} {path}: there is no directory {path.parent}")
    if os.path.isdir(path):
        raise UsageError(f"{name} must be a file, {path} is a directory")
    if os.path.exists(path) and not os.path.isfile(path):
        raise UsageError(f"{name} must be a regular file, {path} is a named pipe, a socket or a device")
    try:
        check_writable(path)
    except OSError as error:
        raise UsageError(f"{name} {path}: such a file cannot be written: {error.strerror}") from None


def _nearest_file(path: Path) -> str:
    """Like `nearest`, for the file beside that is likely to be meant:
    of one kind, with the same numbers in its name."""
    if not path.parent.is_dir():
        return ""
    kind, numbers = path.suffix.lower(), re.findall("[0-9]+", path.stem)
    beside = {
        entry.stem.lower(): entry.name
        for entry in sorted(path.parent.iterdir())
        if entry.is_file() and (entry.suffix.lower() == kind or entry.stem == path.stem)
        and re.findall("[0-9]+", entry.stem) == numbers
    }  # fmt: skip
    near = difflib.get_close_matches(path.stem.lower(), beside, n=1, cutoff=0.75)
    return f" (did you mean {beside[near[0]]}?)" if near else ""


def _number(kind: Callable[[str], T], text: str) -> T | None:
    try:
        return kind(text)
    except ValueError:
        return None
