"""The tables and sentences of the documentation, in Markdown, from the figures. What was not measured is left out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from benchmarks import networks
from benchmarks.figures import ENGINES, Report, Standing, find, largest_error, rows, standing, timed
from benchmarks.layers import describe
from benchmarks.libraries import LIBRARIES
from benchmarks.report import geometric_mean
from benchmarks.small import SMALL

FRAMEWORKS = [library for library in LIBRARIES if library not in ENGINES]
Figures = dict[str, Report]


class Line(NamedTuple):
    """Of the summary: an operation in a setting, beside these peers."""

    title: str
    operation: str
    peers: Collection[str] = tuple(LIBRARIES)
    layout: str = "nchw"
    dtype: str = "float32"


SUMMARY = [
    Line("convolution", "forward", [*FRAMEWORKS, "onnxruntime"]),
    Line("convolution, beside all", "forward"),
    Line("convolution with `plan_conv2d`", "planned", ENGINES),
    Line("convolution, NHWC", "forward", layout="nhwc"),
    Line("convolution with `plan_conv2d`, NHWC", "planned", ENGINES, layout="nhwc"),
    Line("convolution, float64", "forward", dtype="float64"),
    Line("gradient of the images", "grad_x"),
    Line("gradient of the filters", "grad_weight"),
    Line("max pooling", "max_pool"),
    Line("max pooling, backward", "max_pool_backward"),
    Line("average pooling", "avg_pool"),
    Line("average pooling, backward", "avg_pool_backward"),
    Line("convolution with large filters", "large"),
    Line("training step of a network", "training_step"),
    Line("prediction by a network", "prediction"),
    Line("small calls", "small"),
]


def summary(figures: Figures) -> str:
    """The one table of the README, between the sentences on what was measured and what it says beside speed."""
    measured = [(line, {threads: _standing(figures, line, threads) for threads in (1, 2)}) for line in SUMMARY]
    columns = [threads for threads in (1, 2) if any(found[threads] for _, found in measured)]
    body = [[line.title, _beside(figures, line), *(_say(found[threads]) for threads in columns)]
            for line, found in measured if any(found.values())]
    table = _table(["best peer's time / fastconv's", "peers", *(_threads(threads) for threads in columns)], body,
                   left=2)
    return _paragraphs(_machine(figures), table, _sentences(figures))


def details(figures: Figures) -> str:
    """docs/speed.md: every layer and call."""
    sections = [
        ("Convolution", _layers(figures, "forward")),
        ("Convolution with prepared weights", _layers(figures, "planned")),
        ("Convolution, NHWC", _layers(figures, "forward", layout="nhwc")),
        ("Convolution, float64", _layers(figures, "forward", dtype="float64")),
        ("Gradient of the images", _layers(figures, "grad_x")),
        ("Gradient of the filters", _layers(figures, "grad_weight")),
        ("Max pooling", _layers(figures, "max_pool")),
        ("Max pooling, backward", _layers(figures, "max_pool_backward")),
        ("Average pooling", _layers(figures, "avg_pool")),
        ("Average pooling, backward", _layers(figures, "avg_pool_backward")),
        ("Large filters", _layers(figures, "large")),
        ("Training steps", _networks(figures, "training_step")),
        ("Predictions", _networks(figures, "prediction")),
        ("Small calls", _small(figures)),
        ("Instruction sets", _instruction_sets(figures)),
        ("Training", _training(figures)),
    ]
    return _paragraphs(_machine(figures), *(f"## {title}\n\n{text}" for title, text in sections if text))


def _standing(figures: Figures, line: Line, threads: int) -> Standing | None:
    report = find(figures, line.operation, threads, line.layout, line.dtype)
    return standing(report, line.operation, line.peers) if report else None


def _say(found: Standing | None) -> str:
    return f"**{found.mean:.2f}**, least {found.least:.2f} (`{found.layer}`)" if found else ""


def _beside(figures: Figures, line: Line) -> str:
    """The peers that stand beside fastconv in one of the settings of a line."""
    reports = [find(figures, line.operation, threads, line.layout, line.dtype) for threads in (1, 2)]
    found = {library for report in reports if report for library in timed(report, line.operation, line.peers)}
    return ", ".join(LIBRARIES[library].title for library in LIBRARIES if library in found - {"fastconv"})


def _layers(figures: Figures, operation: str, **setting: Any) -> str:
    """Milliseconds of every layer on one thread."""
    report = find(figures, operation, 1, **setting)
    if not report:
        return ""
    libraries, starred, body = timed(report, operation), False, []
    for row in rows(report, operation):
        star = dict.fromkeys(row["inexact"], "\\*")
        starred = starred or bool(star)
        cells = [_three(row["seconds"][library] * 1e3) + star.get(library, "") if library in row["seconds"] else ""
                 for library in libraries]
        body.append([f"`{row['layer']}`", describe(row["layer"]), *cells,
                     f"{row['ratio']:.2f}" if row["ratio"] else ""])
    table = _table(["ms", "channels, image, filter", *(LIBRARIES[library].title for library in libraries),
                    "best peer / fastconv"],
                   body, left=2)
    note = "\\* Further off the direct sum in float64 than may be: not counted as the best peer." if starred else ""
    return _paragraphs(table, note)


def _networks(figures: Figures, operation: str) -> str:
    """Milliseconds of every network on one thread."""
    report = find(figures, operation)
    if not report:
        return ""
    libraries = timed(report, operation)
    body = [[f"`{row['layer']}`", networks.describe(row["layer"]),
             *(_three(row["seconds"][library] * 1e3) if library in row["seconds"] else "" for library in libraries),
             f"{row['ratio']:.2f}" if row["ratio"] else ""] for row in rows(report, operation)]
    return _table(["ms", "network", *(LIBRARIES[library].title for library in libraries), "best peer / fastconv"], body,
                  left=2)


def _small(figures: Figures) -> str:
    report = find(figures, "small")
    if not report:
        return ""
    libraries = timed(report, "small")
    body = [[SMALL[row["layer"]].title, *(_three(row["seconds"][library] * 1e6) if library in row["seconds"] else ""
                                          for library in libraries)] for row in rows(report, "small")]
    return _table(["microseconds", *(LIBRARIES[library].title for library in libraries)], body)


def _instruction_sets(figures: Figures) -> str:
    """How far the others come of the speed of the one that is quickest."""
    report = figures.get("instruction-sets")
    if not report:
        return ""
    quickest = report["versions"]["fastconv"].split("(")[1].split(",")[0]
    body = []
    for isa in report["results"][0]["seconds"]:
        if isa != quickest:
            ratios = [(row["seconds"][quickest] / row["seconds"][isa], row["layer"]) for row in report["results"]]
            least, layer = min(ratios)
            body.append([f"`{isa}`", f"{geometric_mean(value for value, _ in ratios):.0%}", f"{least:.0%} (`{layer}`)"])
    return _table([f"speed, of that of `{quickest}`", "geometric mean", "least"], body) if body else ""


def _training(figures: Figures) -> str:
    report = figures.get("training")
    if not report:
        return ""
    results = report["results"]
    accuracies = _list(f"{row['accuracy']:.1%}" for row in results)
    seeds = _list(str(row["seed"]) for row in results)
    longest = max(row["seconds"] for row in results)
    return (f"`fastconv train` ({results[0]['epochs']} epochs of the bundled digits, augmented) "
            f"takes at most {math.ceil(longest)} s with {_threads(report['threads'])}, and recognises {accuracies} of "
            f"the test digits with seeds {seeds}.")


def _sentences(figures: Figures) -> str:
    """What else the README says."""
    said = []
    report = find(figures, "forward")
    if report:
        said.append(f"The largest relative L2 error of fastconv on a layer is {largest_error(report, 'forward'):.1e}.")
    return " ".join([*said, *filter(None, [_training(figures)])])


def _machine(figures: Figures) -> str:
    """Machine, versions and dates of the parts, which are all of one machine."""
    reports = list(figures.values())
    cpu, cpus = (reports[0]["machine"][key] for key in ("cpu", "cpus"))
    versions = {library: version for report in reports for library, version in report["versions"].items()}
    dates = sorted({report["date"][:10] for report in reports})
    listed = ", ".join(f"{LIBRARIES[library].title} {versions[library]}"
                       for library in LIBRARIES if library in versions)
    return (f"{cpu}, {cpus} CPU{'s' * (cpus > 1)}, {' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, "
            f"Python {reports[0]['python']}; {listed}.")


def _threads(threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _three(value: float) -> str:
    """Three digits, without an exponent."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(value)))}f}"


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _table(head: list[str], body: list[list[str]], left: int = 1) -> str:
    rules = ["---"] * left + ["--:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rules, *body])


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(filter(None, texts))
