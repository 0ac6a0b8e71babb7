"""``fastconv info``: what `fastconv.show_config` shows, and which optional packages are there."""

from __future__ import annotations

import contextlib
import io
from argparse import Namespace
from importlib import metadata

from fastconv.cli.arguments import Parser
from fastconv.cli.output import Result
from fastconv.config import show_config

# What each package is for.
_EXTRAS = {
    "tqdm": "progress bars",
    "pillow": "image files",
    "safetensors": ".safetensors models",
    "matplotlib": "pictures",
}


def add_options(parser: Parser) -> None:
    """No options of its own."""


def run(options: Namespace) -> Result:
    extras = {name: _version(name) for name in _EXTRAS}
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        show_config()
    have = ", ".join(f"{name} {version}" for name, version in extras.items() if version)
    missing = [f"{name} ({_EXTRAS[name]})" for name, version in extras.items() if not version]
    text = f"{shown.getvalue()}extras            {have or 'none'}"
    if missing:
        text += f"; not installed: {', '.join(missing)}"
    return Result({**(show_config("dicts") or {}), "extras": extras}, text)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
