"""The figures that the documentation gives: read from docs/speed.json,
which `benchmarks.measure` writes, and summed up.

The file holds reports by the names of their parts, as `benchmarks.compare` makes them, and those of
`benchmarks.instruction_sets` and `benchmarks.training`.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import CHECKOUT
from benchmarks.libraries import LIBRARIES
from benchmarks.report import geometric_mean, ratio

Report = dict[str, Any]
FILE = CHECKOUT / "docs/speed.json"
ENGINES = [library for library, kind in LIBRARIES.items() if kind.prepares_weights]


class Standing(NamedTuple):
    """Of the ratios of the best peer's time to fastconv's: their geometric mean, and the least with its layer."""

    mean: float
    least: float
    layer: str


def read(path: Path) -> dict[str, Report]:
    figures: dict[str, Report] = json.loads(path.read_text())
    return figures


def write(figures: dict[str, Report], path: Path) -> None:
    """With a result a line: short, and a difference of two measurements can be read."""
    parts = []
    for name, report in figures.items():
        fields = [f'  "{key}": ' + ("[\n   " + ",\n   ".join(map(json.dumps, value)) + "\n  ]" if key == "results"
                                    else json.dumps(value))
                  for key, value in report.items()]
        parts.append(f' "{name}": {{\n' + ",\n".join(fields) + "\n }")
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def find(figures: dict[str, Report], operation: str, threads: int = 1, layout: str = "nchw",
         dtype: str = "float32") -> Report | None:
    """The report of an operation in this setting."""
    setting = {"threads": threads, "layout": layout, "dtype": dtype}
    return next((report for report in figures.values() if setting.items() <= report.items()
                 and any(row["operation"] == operation for row in report["results"])), None)


def rows(report: Report, operation: str) -> list[dict[str, Any]]:
    return [row for row in report["results"] if row["operation"] == operation]


def timed(report: Report, operation: str, among: Collection[str] = tuple(LIBRARIES)) -> list[str]:
    """The libraries with a time of the operation, in the order of LIBRARIES."""
    found = {library for row in rows(report, operation) for library in row["seconds"]}
    return [library for library in LIBRARIES if library in found and library in among]


def standing(report: Report, operation: str, peers: Collection[str] = tuple(LIBRARIES)) -> Standing | None:
    """How fastconv stands beside these peers; a result that is off too far does not count."""
    ratios = []
    for row in rows(report, operation):
        value = ratio(row["seconds"], [*row["inexact"], *(set(row["seconds"]) - {"fastconv", *peers})])
        if value:
            ratios.append((value, row["layer"]))
    return Standing(geometric_mean(value for value, _ in ratios), *min(ratios)) if ratios else None


def largest_error(report: Report, operation: str) -> float:
    return max(float(row["errors"]["fastconv"]) for row in rows(report, operation) if "fastconv" in row["errors"])
