"""Writes what README.md and docs/ say about speed from docs/speed.json, so that no figure is copied by hand.

    python -m benchmarks.document [--check] [--folder CHECKOUT]

In a Markdown file, what stands between `<!-- speed:begin NAME -->` and `<!-- speed:end -->` is the text of that name;
the picture docs/speed.svg has the fingerprint of its data in it, and is drawn (with Matplotlib) where that is another.
--check writes nothing, names the files that would change, and ends with 1 if there are any.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks import CHECKOUT, chart, figures, tables
from benchmarks.compare import Parser

BLOCKS = {"summary": tables.summary, "details": tables.details}
BLOCK = re.compile(r"(<!-- speed:begin (\w+) -->\n).*?(<!-- speed:end -->)", re.S)


def filled(text: str, found: dict[str, figures.Report]) -> str:
    """The text of a page with its blocks as they must be."""
    return BLOCK.sub(lambda block: f"{block[1]}{BLOCKS[block[2]](found)}\n{block[3]}", text)


def pages(folder: Path) -> list[Path]:
    return [folder / "README.md", *sorted((folder / "docs").glob("*.md"))]


def pictured(found: dict[str, figures.Report]) -> dict[str, Any]:
    """The report that the picture draws: forward convolution on one thread."""
    report = found["forward-1"]
    return {**report, "results": figures.rows(report, "forward"),
            "geometric_means_by_library": {"forward": report["geometric_means_by_library"]["forward"]}}


def fingerprint(report: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()


def main(argv: list[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.document", allow_abbrev=False,
                    description="Write what the documentation says about speed from docs/speed.json.")
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if something would change")
    parser.add_argument("--folder", type=Path, default=CHECKOUT, help="the checkout (default: this one)")
    args = parser.parse_args(argv)
    found = figures.read(args.folder / "docs/speed.json")
    if "forward-1" not in found or len({report["machine"]["cpu"] for report in found.values()}) > 1:
        parser.error("docs/speed.json has no part forward-1, or parts of different machines: "
                     "run python -m benchmarks.measure")
    changed = []
    for page in pages(args.folder):
        before = page.read_text()
        after = filled(before, found)
        if after != before:
            changed.append(page)
            if not args.check:
                page.write_text(after)
    report, picture = pictured(found), args.folder / "docs/speed.svg"
    if not picture.exists() or fingerprint(report) not in picture.read_text():
        changed.append(picture)
        if not args.check:
            try:
                chart.draw(report, picture, fingerprint(report))
            except ImportError:
                parser.error("the pages are written, the picture needs Matplotlib: pip install 'fastconv[plot]'")
    for path in changed:
        print(f"{'not what docs/speed.json says' if args.check else 'written'}: {path.relative_to(args.folder)}")
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
