"""What a comparison has found: summed up for the JSON file and the chart, and printed as a table."""

from __future__ import annotations

import argparse
import datetime
import math
import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.accuracy import LIMITS
from benchmarks.layers import CONV, LARGE, POOL, TRANSPOSED, conv_bytes, conv_flops, pool_bytes, transposed_flops


class Found(NamedTuple):
    """Of an operation on a layer, by library: the shortest time of all rounds, and how far the result was off."""

    seconds: dict[str, float]
    errors: dict[str, float]


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def geometric_mean(values: Iterable[float]) -> float:
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def inexact(errors: dict[str, float], dtype: str) -> list[str]:
    """The libraries whose result is further off than it may be: a shorter way to another result is not faster."""
    return [library for library, error in errors.items() if not error <= LIMITS[dtype]]  # so is a NaN


def ratio(seconds: dict[str, float], excluded: list[str]) -> float | None:
    """Of the best peer's time to fastconv's."""
    peers = [value for library, value in seconds.items() if library not in ("fastconv", *excluded)]
    return min(peers) / seconds["fastconv"] if peers and "fastconv" in seconds and "fastconv" not in excluded else None


def context() -> dict[str, Any]:
    """When, on what and with what a measurement is made."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu_model(), "cpus": cpus, "system": platform.platform()},
        "python": platform.python_version(),
    }


def work(layer: str, itemsize: int) -> dict[str, int]:
    """The operations and the bytes of a layer, where it has enough of them to count."""
    convolutions = {**CONV, **LARGE}
    if layer in convolutions:
        return {"flops": conv_flops(convolutions[layer]), "bytes": conv_bytes(convolutions[layer], itemsize)}
    if layer in TRANSPOSED:
        return {"flops": transposed_flops(TRANSPOSED[layer]), "bytes": conv_bytes(TRANSPOSED[layer], itemsize)}
    return {"bytes": pool_bytes(POOL[layer], itemsize)} if layer in POOL else {}


def summarise(found: dict[tuple[str, str], Found], versions: dict[str, str],
              args: argparse.Namespace) -> dict[str, Any]:
    """All that the table, the JSON file and the chart show."""
    rows: list[dict[str, Any]] = []
    size = np.dtype(args.dtype).itemsize
    for (operation, layer), (seconds, errors) in found.items():
        excluded = inexact(errors, args.dtype)
        # More digits would say nothing.
        seconds = {library: float(f"{value:.4g}") for library, value in seconds.items()}
        errors = {library: float(f"{value:.2g}") for library, value in errors.items()}
        rows.append({"operation": operation, "layer": layer, **work(layer, size), "seconds": seconds, "errors": errors,
                     "inexact": excluded, "ratio": ratio(seconds, excluded)})
    rows.sort(key=lambda row: args.operations.index(row["operation"]))
    means, by_library = {}, {}
    for operation in args.operations:
        those = [row for row in rows if row["operation"] == operation]
        ratios = [row["ratio"] for row in those if row["ratio"]]
        if ratios:
            means[operation] = geometric_mean(ratios)
        pairs = [(library, value / row["seconds"]["fastconv"]) for row in those if "fastconv" in row["seconds"]
                 for library, value in row["seconds"].items() if library != "fastconv"]
        if pairs:
            by_library[operation] = {library: geometric_mean(value for name, value in pairs if name == library)
                                     for library in versions if library in dict(pairs)}
    return {
        **context(),
        "versions": versions,
        "threads": args.threads,
        "layout": args.layout,
        "dtype": args.dtype,
        "rounds": args.rounds,
        "results": rows,
        "geometric_means": means,
        "geometric_means_by_library": by_library,
    }


def rate(row: dict[str, Any], seconds: float) -> str:
    """GFLOP/s of a convolution; GB/s of pooling, which has next to no arithmetic;
    of networks and small calls neither."""
    if "flops" in row:
        return f"{row['flops'] / seconds / 1e9:.1f} GFLOP/s"
    return f"{row['bytes'] / seconds / 1e9:.1f} GB/s" if "bytes" in row else ""


def print_table(report: dict[str, Any]) -> None:
    machine, rows = report["machine"], report["results"]
    libraries = list(report["versions"])
    print(f"# {machine['cpu']}, {machine['cpus']} CPUs, {report['threads']} thread(s), {report['layout'].upper()},"
          f" {report['dtype']}, Python {report['python']}, {report['date']}")
    print(f"\n{'ms':36}" + "".join(f"{library:>12} " for library in libraries) + f"{'fastconv does':>16}{'ratio':>8}")
    for row in rows:
        seconds = row["seconds"]
        digits = 6 if row["operation"] == "small" else 3
        cells = [f"{seconds[library] * 1e3:12.{digits}f}{'*' if library in row['inexact'] else ' '}"
                 if library in seconds else f"{'-':>12} " for library in libraries]
        own = rate(row, seconds["fastconv"]) if "fastconv" in seconds else ""
        print(f"{row['operation']:18}{row['layer']:18}{''.join(cells)}{own:>16}{_ratio(row['ratio'])}")
    for operation, means in report["geometric_means_by_library"].items():
        cells = [f"{means[library]:12.2f} " if library in means else f"{'':13}" for library in libraries]
        print(f"{operation:18}{'/ fastconv, mean':18}{''.join(cells)}"
              f"{'':16}{_ratio(report['geometric_means'].get(operation))}")
    for operation in dict.fromkeys(row["operation"] for row in rows if row["errors"]):
        worst = [max((row["errors"][library]
                      for row in rows if row["operation"] == operation and library in row["errors"]),
                     default=None) for library in libraries]
        cells = [f"{'':13}" if error is None else f"{error:12.1e} " for error in worst]
        print(f"{operation:18}{'largest error':18}{''.join(cells)}")
    for operation in report["geometric_means"]:
        least = min((row for row in rows if row["operation"] == operation and row["ratio"]),
                    key=lambda row: row["ratio"])
        print(f"# {operation}: the least ratio is {least['ratio']:.2f} ({least['layer']})")
    if any(row["inexact"] for row in rows):
        print(f"# * off by more than {LIMITS[report['dtype']]:.0e}: not counted as the best peer")


def _ratio(value: float | None) -> str:
    return f"{value:8.2f}" if value else ""
