"""The chart of a comparison: for each operation and layer a bar for each library, as long as its rate is high."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.libraries import CONV_OPERATIONS, POOL_OPERATIONS

BAR = 0.16  # inches a bar is high
COLOURS = {"fastconv": "#c0392b", "torch": "#95a5a6", "onnxruntime": "#5d6d7e", "jax": "#aeb6bf", "openvino": "#7fb3d5"}


def formats() -> list[str]:
    """The file formats that Matplotlib can write."""
    from matplotlib.backend_bases import FigureCanvasBase

    return sorted(FigureCanvasBase.get_supported_filetypes())


def rate(row: dict[str, Any], seconds: float) -> tuple[float, str]:
    """GFLOP/s of a convolution; GB/s of pooling, which has next to no arithmetic."""
    return (row["flops"] / seconds / 1e9, "GFLOP/s") if "flops" in row else (row["bytes"] / seconds / 1e9, "GB/s")


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw what `benchmarks.compare` has measured, convolutions above, pooling below, a panel for each operation."""
    from matplotlib.figure import Figure

    rows = report["results"]
    grids = [[operation for operation in family if any(row["operation"] == operation for row in rows)]
             for family in (CONV_OPERATIONS, POOL_OPERATIONS)]
    grids = [operations for operations in grids if operations]
    heights = [_height(rows, operations) for operations in grids]
    figure = Figure(figsize=(3 + 4 * max(map(len, grids)), 1.2 + sum(heights)), layout="constrained", dpi=100)
    for part, operations in zip(figure.subfigures(len(grids), 1, height_ratios=heights, squeeze=False)[:, 0], grids,
                                strict=True):
        panels = part.subplots(1, len(operations), sharey=True, squeeze=False)[0]
        for axes, operation in zip(panels, operations, strict=True):
            _panel(axes, [row for row in rows if row["operation"] == operation])
            mean = report["geometric_means"].get(operation)
            axes.set_title(operation + (f"\nbest peer / fastconv: geometric mean {mean:.2f}" if mean else ""), fontsize=10)
        shown = {label: bars for axes in panels for bars, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        part.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=len(shown), frameon=False, fontsize=9)
    figure.suptitle(_caption(report), fontsize=9)
    figure.savefig(path)


def _height(rows: list[dict[str, Any]], operations: list[str]) -> float:
    shown = [row for row in rows if row["operation"] in operations]
    return 1.4 + BAR * len({row["layer"] for row in shown}) * (1 + max(len(row["seconds"]) for row in shown))


def _panel(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Layers are 1 apart, from above; the ratio stands at fastconv's bar."""
    libraries = list(dict.fromkeys(library for row in rows for library in row["seconds"]))
    thickness = 1 / (len(libraries) + 1)
    for number, library in enumerate(libraries):
        timed = [(place, row) for place, row in enumerate(rows) if library in row["seconds"]]
        bars = axes.barh([place + (number - (len(libraries) - 1) / 2) * thickness for place, _ in timed],
                         [rate(row, row["seconds"][library])[0] for _, row in timed], thickness, label=library,
                         color=COLOURS[library])
        if library == "fastconv":
            axes.bar_label(bars, [f"{row['ratio']:.2f}" if row["ratio"] else "" for _, row in timed], padding=3, fontsize=7)
    axes.set_yticks(range(len(rows)), [row["layer"] for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(rate(rows[0], 1.0)[1])
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)


def _caption(report: dict[str, Any]) -> str:
    machine, threads = report["machine"], report["threads"]
    versions = ", ".join(f"{library} {version}" for library, version in report["versions"].items())
    return (f"{machine['cpu']}, {machine['cpus']} CPUs, {threads} thread{'s' * (threads > 1)}, float32, {report['date'][:10]}\n"
            f"{versions}, Python {report['python']}; the numbers are the best peer's time / fastconv's")
