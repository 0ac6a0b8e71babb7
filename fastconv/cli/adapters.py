"""``fastconv adapters``: the projects that fastconv can serve as their backend, and the line that switches each on."""

from __future__ import annotations

from argparse import Namespace
from importlib import metadata

from fastconv.adapters import HOSTS
from fastconv.cli.arguments import Parser
from fastconv.cli.output import Result


def add_options(parser: Parser) -> None:
    """No options of its own."""


def run(options: Namespace) -> Result:
    hosts = [{**host._asdict(), "installed": _version(host.package)} for host in HOSTS]
    lines = []
    for host in hosts:
        lines += [f"{host['name']}: {host['summary']}", *(f"    {line}" for line in host["line"].splitlines()),
                  f"    {_state(host)}"]
    return Result({"adapters": hosts}, "\n".join(lines))


def _state(host: dict[str, str | None]) -> str:
    if host["package"] is None:
        return "nothing to install"
    tested = f"tested with {host['package']} {host['tested']}"
    if host["installed"] is None:
        return f"not installed (pip install {host['package']}); {tested}"
    return f"installed: {host['package']} {host['installed']}; {tested}"


def _version(package: str | None) -> str | None:
    try:
        return metadata.version(package) if package else None
    except metadata.PackageNotFoundError:
        return None
