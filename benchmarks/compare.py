"""fastconv beside its peers, layer by layer.

    python -m benchmarks.compare [--threads 1] [--rounds 2] [--ops forward,planned,grad_x,grad_weight,pool]
                                 [--only TEXT] [--libraries fastconv,torch,...] [--json FILE] [--chart FILE.png]

Each library runs in a process of its own, one after the other, and again in every round; the time of a layer is the
shortest of all rounds. The table has milliseconds, fastconv's rate, and the ratio of the best peer's time to fastconv's:
above 1, fastconv is the fastest. A library that is not installed is left out, with a note.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from benchmarks import CHECKOUT, chart
from benchmarks.layers import CONV, POOL, conv_bytes, conv_flops, pool_bytes
from benchmarks.libraries import CONV_OPERATIONS, LIBRARIES, POOL_OPERATIONS

OPERATIONS = {**{name: (name,) for name in CONV_OPERATIONS}, "pool": POOL_OPERATIONS}  # --ops -> operations
SECONDS = 0.15  # for an operation of a layer, in each round
MOST_THREADS = 1024

Times = dict[tuple[str, str], dict[str, float]]  # (operation, layer) -> library -> seconds


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"benchmarks.compare: {message}\n")


def count(most: int) -> Any:
    def whole_number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most}")
        return int(text)

    return whole_number


def names(choice: Iterable[str]) -> Any:
    def comma_separated(text: str) -> list[str]:
        found = list(dict.fromkeys(text.split(",")))
        for name in found:
            if name not in choice:
                raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(choice)}")
        return found

    return comma_separated


def new_file(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} {'is a folder' if path.is_dir() else 'is in a folder that does not exist'}")
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
    parser.add_argument("--threads", type=count(MOST_THREADS), default=1, metavar="N", help="of each library (default: 1)")
    parser.add_argument("--rounds", type=count(1000), default=2, metavar="N", help="of all libraries in turn (default: 2)")
    parser.add_argument("--ops", type=names(OPERATIONS), default=list(OPERATIONS), metavar="NAMES",
                        help=f"comma-separated, of {','.join(OPERATIONS)} (default: all)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the layers with this text in their name")
    parser.add_argument("--libraries", type=names(LIBRARIES), default=list(LIBRARIES), metavar="NAMES",
                        help=f"comma-separated, of {','.join(LIBRARIES)} (default: all that are installed)")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write the results here")
    parser.add_argument("--chart", type=chart_file, metavar="FILE", help="draw them here: .png, .svg, .pdf (needs Matplotlib)")
    args = parser.parse_args(argv)
    args.operations = [operation for op in args.ops for operation in OPERATIONS[op]]
    args.layers = [layer for table, operations in ((CONV, CONV_OPERATIONS), (POOL, POOL_OPERATIONS))
                   if set(operations) & set(args.operations) for layer in table]
    matching = [layer for layer in args.layers if args.only in layer]
    if not matching:
        parser.error(f"argument --only: no layer has {args.only!r} in its name, they are {', '.join(args.layers)}")
    args.layers = matching
    return args


def run(library: str, args: argparse.Namespace) -> dict[str, Any]:
    """The answer of a library's process: see `benchmarks.worker`; with "failed" where it ended otherwise."""
    request = {"library": library, "threads": args.threads, "seconds": SECONDS, "operations": args.operations,
               "layers": args.layers}
    threads = dict.fromkeys(("FASTCONV_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(args.threads))
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(CHECKOUT)]))
    done = subprocess.run([sys.executable, "-m", "benchmarks.worker"], input=json.dumps(request), capture_output=True,
                          text=True, errors="replace", env={**os.environ, **threads, "PYTHONPATH": path})
    if done.returncode == 0:
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer
    last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    return {"failed": last[0]}


def measure(args: argparse.Namespace) -> tuple[Times, dict[str, str]]:
    """The shortest times of all rounds, and the versions of the libraries that ran; the others get a note on stdout."""
    times: Times = {}
    versions: dict[str, str] = {}
    libraries = list(args.libraries)
    for number in range(args.rounds):
        for library in list(libraries):
            print(f"round {number + 1} of {args.rounds}: {library}", file=sys.stderr, flush=True)
            answer = run(library, args)
            if "times" not in answer:
                libraries.remove(library)
                print(f"# {library}: " + (f"not installed ({answer['missing']})" if "missing" in answer
                                          else f"failed: {answer['failed']}"))
                continue
            if library not in versions:
                versions[library] = answer["version"]
                print(f"# {library} {answer['version']}, {Path(answer['home']).parent}")
            for operation, layer, seconds in answer["times"]:
                row = times.setdefault((operation, layer), {})
                row[library] = min(seconds, row.get(library, math.inf))
    return times, versions


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def ratio(seconds: dict[str, float]) -> float | None:
    peers = [value for library, value in seconds.items() if library != "fastconv"]
    return min(peers) / seconds["fastconv"] if peers and "fastconv" in seconds else None


def summarise(times: Times, versions: dict[str, str], args: argparse.Namespace) -> dict[str, Any]:
    """All that the table, the JSON file and the chart show."""
    rows: list[dict[str, Any]] = []
    for (operation, layer), seconds in times.items():
        work = {"flops": conv_flops(CONV[layer]), "bytes": conv_bytes(CONV[layer])} if layer in CONV else \
               {"bytes": pool_bytes(POOL[layer])}
        rows.append({"operation": operation, "layer": layer, **work, "seconds": seconds, "ratio": ratio(seconds)})
    rows.sort(key=lambda row: args.operations.index(row["operation"]))
    means = {}
    for operation in args.operations:
        ratios = [row["ratio"] for row in rows if row["operation"] == operation and row["ratio"]]
        if ratios:
            means[operation] = math.exp(sum(map(math.log, ratios)) / len(ratios))
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu_model(), "cpus": cpus, "system": platform.platform()},
        "python": platform.python_version(),
        "versions": versions,
        "threads": args.threads,
        "rounds": args.rounds,
        "results": rows,
        "geometric_means": means,
    }


def print_table(report: dict[str, Any]) -> None:
    machine, libraries = report["machine"], list(report["versions"])
    print(f"# {machine['cpu']}, {machine['cpus']} CPUs, {report['threads']} thread(s), Python {report['python']},"
          f" {report['date']}")
    print(f"\n{'ms':36}" + "".join(f"{library:>13}" for library in libraries) + f"{'fastconv does':>16}{'ratio':>8}")
    for row in report["results"]:
        seconds = row["seconds"]
        cells = [f"{seconds[library] * 1e3:13.3f}" if library in seconds else f"{'-':>13}" for library in libraries]
        rate = "{:.1f} {}".format(*chart.rate(row, seconds["fastconv"])) if "fastconv" in seconds else ""
        best = f"{row['ratio']:.2f}" if row["ratio"] else ""
        print(f"{row['operation']:18}{row['layer']:18}{''.join(cells)}{rate:>16}{best:>8}")
    for operation, mean in report["geometric_means"].items():
        worst = min((row for row in report["results"] if row["operation"] == operation and row["ratio"]),
                    key=lambda row: row["ratio"])
        print(f"geometric mean, {operation}: {mean:.2f}, least {worst['ratio']:.2f} ({worst['layer']})")


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    times, versions = measure(args)
    if not times:
        print("benchmarks.compare: none of the libraries gave a time", file=sys.stderr)
        return 1
    report = summarise(times, versions, args)
    print_table(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")
    if args.chart:
        chart.draw(report, args.chart)
    return 1 if "fastconv" in args.libraries and "fastconv" not in versions else 0


if __name__ == "__main__":
    sys.exit(main())
