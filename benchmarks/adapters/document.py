"""Measures what the adapters make of their hosts, and writes it into the pages of docs/adapters.

    python -m benchmarks.adapters.document [HOST ...] [--check]

The benchmarks of the hosts that are named run one after the other, and their figures go into docs/adapters/speed.json;
then what stands between `<!-- speed:begin -->` and `<!-- speed:end -->` of each page becomes the table of its host.
--check measures and writes nothing, names the pages that would change, and ends with 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import fastconv
from benchmarks import CHECKOUT
from benchmarks.report import cpu_model

FOLDER = CHECKOUT / "docs/adapters"
FIGURES = FOLDER / "speed.json"
BLOCK = re.compile(r"(<!-- speed:begin -->\n).*?(<!-- speed:end -->)", re.S)
HOSTS = ("autograd", "cs231n", "dlfs", "keras", "mygrad", "pytensor", "scipy", "torch")


def measured(host: str) -> dict[str, Any]:
    """The figures of a host's benchmark, and where they are from."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        subprocess.run([sys.executable, "-m", f"benchmarks.adapters.{host}", "--json", str(file)], check=True,
                       cwd=CHECKOUT)
        rows = json.loads(file.read_text())
    return {"date": date.today().isoformat(), "cpu": cpu_model(), "threads": fastconv.get_num_threads(),
            "rows": [{**row, "before": float(f"{row['before']:.3g}"), "after": float(f"{row['after']:.3g}")}
                     for row in rows]}


def table(figures: dict[str, Any]) -> str:
    """The text of a block."""
    lines = ["| | before, ms | with fastconv, ms | times as fast |", "|---|---:|---:|---:|"]
    lines += [f"| {row['name']} | {row['before'] * 1e3:.3g} | {row['after'] * 1e3:.3g} | "
              f"{row['before'] / row['after']:.1f} |" for row in figures["rows"]]
    threads = f"{figures['threads']} thread{'s' if figures['threads'] > 1 else ''}"
    return "\n".join([*lines, "", f"{figures['cpu']}, {threads}, {figures['date']}; the shortest of several times, "
                                  "taken in turn."])


def filled(page: str, figures: dict[str, Any]) -> str:
    """The text of a page with its block as it must be."""
    return BLOCK.sub(lambda block: f"{block[1]}{table(figures)}\n{block[2]}", page)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adapters.document",
                                     description=(__doc__ or "").splitlines()[0])
    parser.add_argument("hosts", nargs="*", metavar="HOST", help=f"to measure: {', '.join(HOSTS)}")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if something would change")
    args = parser.parse_args(argv)
    for host in args.hosts:
        if host not in HOSTS:
            parser.error(f"there is no host {host!r}: it must be among {', '.join(HOSTS)}")
    found = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    changed = []
    for host in () if args.check else args.hosts:
        found[host] = measured(host)
        FIGURES.write_text(json.dumps(dict(sorted(found.items())), indent=1) + "\n")
    for host, figures in found.items():
        page = FOLDER / f"{host}.md"
        before = page.read_text()
        if filled(before, figures) != before:
            changed.append(page.name)
            if not args.check:
                page.write_text(filled(before, figures))
    for name in changed:
        print(f"{'not what speed.json says' if args.check else 'written'}: docs/adapters/{name}")
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
