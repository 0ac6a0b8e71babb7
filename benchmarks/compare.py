"""fastconv beside its peers, layer by layer.

    python -m benchmarks.compare [--threads 1] [--rounds 5]
                                 [--ops forward,planned,grad_x,grad_weight,conv_transpose,pool,large,networks,small]
                                 [--layout nchw|nhwc] [--dtype float32|float64] [--only TEXT] [--first N]
                                 [--libraries fastconv,torch,...] [--json FILE] [--chart FILE.svg]

Each library has a process of its own. Layer by layer they take turns, in every round, so that a machine that is
slower for a while is so for all of them; the time of a layer is the shortest of all rounds. The table has
milliseconds, fastconv's rate, and the ratio of the best peer's time to fastconv's: above 1, fastconv is the fastest.
A library that is not installed, or cannot do what is asked for, is left out, with a note.

The results of forward, planned, large and conv_transpose are compared with the sum in float64. A library that is further off than
`benchmarks.accuracy.LIMITS` gets a star in the table, and on that layer does not count as the best peer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import chart
from benchmarks.layers import CONV, LARGE, POOL, TRANSPOSED
from benchmarks.libraries import (
    CONV_OPERATIONS,
    DTYPES,
    LAYOUTS,
    LIBRARIES,
    NETWORK_OPERATIONS,
    POOL_OPERATIONS,
    TRANSPOSED_OPERATIONS,
)
from benchmarks.networks import NETWORKS
from benchmarks.process import Failed, Process
from benchmarks.report import Found, print_table, summarise
from benchmarks.small import SMALL

OPERATIONS = {**{name: (name,) for name in CONV_OPERATIONS}, "conv_transpose": TRANSPOSED_OPERATIONS,
              "pool": POOL_OPERATIONS, "large": ("large",),
              "networks": NETWORK_OPERATIONS, "small": ("small",)}
IN_NCHW = {"networks": "networks", "small": "small calls"}  # only
TABLES = ((CONV, CONV_OPERATIONS), (TRANSPOSED, TRANSPOSED_OPERATIONS), (POOL, POOL_OPERATIONS), (LARGE, ("large",)), (NETWORKS, NETWORK_OPERATIONS),
          (SMALL, ("small",)))
SECONDS = 0.06  # for an operation of a layer, in each round
MOST_THREADS = 1024


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {message}\n")


def count(most: int) -> Any:
    def whole_number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return whole_number


def name(choice: Iterable[str]) -> Any:
    def one(text: str) -> str:
        if text not in choice:
            raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(choice)}")
        return text

    return one


def names(choice: Iterable[str]) -> Any:
    return lambda text: list(dict.fromkeys(map(name(choice), text.split(","))))


def new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"{text!r} {'is a folder' if path.is_dir() else 'is in a folder that does not exist'}")
    return path


def chart_file(text: str) -> Path:
    path = new_file(text)
    try:
        formats = chart.formats()
    except ImportError:
        raise argparse.ArgumentTypeError("needs Matplotlib: pip install 'fastconv[plot]'") from None
    if path.suffix[1:].lower() not in formats:
        raise argparse.ArgumentTypeError(f"{text!r} must end in one of {', '.join(f'.{one}' for one in formats)}")
    return path


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m benchmarks.compare", description="Time fastconv beside its peers, layer by layer.",
                    allow_abbrev=False)
    parser.add_argument("--threads", type=count(MOST_THREADS), default=1, metavar="N",
                        help="of each library (default: 1)")
    parser.add_argument("--rounds", type=count(1000), default=5, metavar="N",
                        help="of all libraries in turn (default: 5)")
    parser.add_argument("--ops", type=names(OPERATIONS), metavar="NAMES",
                        help=f"comma-separated, of {','.join(OPERATIONS)} (default: all)")
    parser.add_argument("--layout", type=name(LAYOUTS), default="nchw", metavar="NAME",
                        help="of images and feature maps: nchw or nhwc (default: nchw)")
    parser.add_argument("--dtype", type=name(DTYPES), default="float32", metavar="NAME",
                        help="float32 or float64 (default: float32)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the layers with this text in their name")
    parser.add_argument("--first", type=count(1000), metavar="N", help="only the first N layers of each operation")
    parser.add_argument("--libraries", type=names(LIBRARIES), default=list(LIBRARIES), metavar="NAMES",
                        help=f"comma-separated, of {','.join(LIBRARIES)} (default: all that are installed and can)")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the results here")
    parser.add_argument("--chart", type=chart_file, metavar="FILE",
                        help="draw them beside fastconv's here: .svg, .png, .pdf (needs Matplotlib)")
    args = parser.parse_args(argv)
    if args.chart and ("fastconv" not in args.libraries or args.libraries == ["fastconv"]):
        parser.error("argument --chart: draws other libraries beside fastconv, "
                     "so --libraries must have it and another one")
    asked = args.ops
    args.ops = [op for op in asked or OPERATIONS if args.layout == "nchw" or op not in IN_NCHW]
    if asked and asked != args.ops:
        parser.error(f"argument --layout: {' and '.join(IN_NCHW[op] for op in asked if op in IN_NCHW)} "
                     "are in nchw only")
    args.operations = [operation for op in args.ops for operation in OPERATIONS[op]]
    tables = [list(table) for table, operations in TABLES if set(operations) & set(args.operations)]
    args.layers = [layer for table in tables for layer in [one for one in table if args.only in one][:args.first]]
    if not args.layers:
        parser.error(f"argument --only: no layer has {args.only!r} in its name, they are {', '.join(sum(tables, []))}")
    return args


def able(args: argparse.Namespace) -> list[str]:
    """The libraries that take this layout and precision; the others get a note on stdout."""
    chosen = []
    for library in args.libraries:
        kind = LIBRARIES[library]
        lacks = [value for value, takes in ((args.layout, kind.layouts), (args.dtype, kind.dtypes))
                 if value not in takes]
        if lacks:
            print(f"# {library}: left out, not in {' and '.join(lacks)}")
        else:
            chosen.append(library)
    return chosen


def measure(args: argparse.Namespace) -> tuple[dict[tuple[str, str], Found], dict[str, str]]:
    """By (operation, layer) what was found, and the versions of the libraries that ran;
    the others get a note on stdout."""
    everything: dict[tuple[str, str], Found] = {}
    with contextlib.ExitStack() as stack:
        processes: dict[str, Process] = {}
        versions: dict[str, str] = {}
        for library in able(args):
            print(f"starting {library}", file=sys.stderr, flush=True)
            try:
                process = stack.enter_context(Process(library, args))
            except Failed as failed:
                print(f"# {library}: failed: {failed}")
                continue
            if "missing" in process.about:
                print(f"# {library}: not installed ({process.about['missing']})")
                continue
            processes[library], versions[library] = process, process.about["version"]
            print(f"# {library} {process.about['version']}, {Path(process.about['home']).parent}")
        for layer in args.layers:
            print(layer, file=sys.stderr, flush=True)
            for library, failed in measure_layer(layer, processes, args.rounds, everything).items():
                print(f"# {library}: failed at {layer}: {failed}")
                processes.pop(library).end()
    ran = {library for found in everything.values() for library in found.seconds}
    for library in [library for library in processes if library not in ran]:
        print(f"# {library}: left out, has none of {', '.join(args.ops)}")
    return everything, {library: version for library, version in versions.items() if library in ran}


def measure_layer(layer: str, processes: dict[str, Process], rounds: int,
                  everything: dict[tuple[str, str], Found]) -> dict[str, Failed]:
    """Adds to `everything` what the libraries, in turn, take for a layer; the libraries that failed, and how."""
    failures: dict[str, Failed] = {}

    def each(step: Callable[[str, Process], None]) -> None:
        for library, process in processes.items():
            if library not in failures:
                try:
                    step(library, process)
                except Failed as failed:
                    failures[library] = failed

    def found(operation: str) -> Found:
        return everything.setdefault((operation, layer), Found({}, {}))

    def time(library: str, process: Process) -> None:
        for operation, seconds in process.times(SECONDS).items():
            times = found(operation).seconds
            times[library] = min(seconds, times.get(library, math.inf))

    def check(library: str, process: Process) -> None:
        for operation, error in process.errors().items():
            found(operation).errors[library] = error

    each(lambda library, process: process.prepare(layer))
    for _ in range(rounds):
        each(time)
    each(check)
    return failures


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """The report of a comparison, without results where none of the libraries gave a time."""
    found, versions = measure(args)
    return summarise(found, versions, args)


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    report = compare(args)
    if not report["results"]:
        print("benchmarks.compare: none of the libraries gave a time", file=sys.stderr)
        return 1
    print_table(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    if args.chart and report["geometric_means_by_library"]:
        chart.draw(report, args.chart)
    elif args.chart:
        print("benchmarks.compare: no chart, fastconv and another library would have to run", file=sys.stderr)
        return 1
    return 1 if "fastconv" in args.libraries and "fastconv" not in report["versions"] else 0


if __name__ == "__main__":
    sys.exit(main())
