"""Paths of files, before they are opened: what is no path, and what opening or reading would wait for without end, is
refused by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastconv.functional.foreign import shown


def checked_path(value: Any, name: str) -> Path:
    """An argument that names a file or a folder: a str, or an object that stands for one as a path does."""
    try:
        text = os.fspath(value)
    except Exception:  # TypeError, or what a foreign __fspath__ raises
        text = None
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str or a path, got {shown(value)}")
    if "\0" in text:
        raise ValueError(f"{name} must be a path, which holds no NUL character, got {shown(text)}")
    return Path(text)


def refuse_special(path: Path) -> None:
    """Refuse what opening would wait for without end, such as a named pipe, and a symbolic link that leads nowhere.

    Raises
    ------
    FileNotFoundError, ValueError
        The message names the path. Directories, and what is not there at all, are left to who opens them.
    """
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(f"{path}: a symbolic link to {os.readlink(path)}, which is not there")
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(f"{path}: a named pipe, a socket or a device, expected a regular file")


def refuse_all_but_files(path: Path) -> None:
    """Refuse directories too.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, ValueError
        The message names the path. What is not there at all is left to who opens it.
    """
    refuse_special(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a directory, expected a regular file")


def refuse_all_but_directories(path: Path, holding: str) -> None:
    """Refuse what is no directory, or not there; `holding` says in the message what the directory shall hold.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, ValueError
        The message names the path.
    """
    if not path.is_dir():
        refuse_special(path)
        kind, found = (NotADirectoryError, "a file") if path.exists() else (FileNotFoundError, "no such directory")
        raise kind(f"{path}: {found}, expected a directory with {holding}")
