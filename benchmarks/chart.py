"""The chart of a comparison: for each operation the time of every library as a multiple of fastconv's.

Above stands a bar for each library, the geometric mean of all layers. Below each layer has a row, with a mark for each
library and a bar from fastconv to the best peer; there the scale is logarithmic, so that twice as long and half as long
are equally wide. Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart too, and each library
has a mark of its own shape. In an SVG file text stays text, which keeps it small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import layers, networks
from benchmarks.accuracy import LIMITS
from benchmarks.libraries import LIBRARIES
from benchmarks.small import SMALL

WIDTH, ROW = 11.0, 0.21  # inches
LEFT, RIGHT = 0.28, 0.85  # of the width: where the axes begin and end
FASTCONV, PEER, LOST = "#b2182b", "#c9c9c9", "#8c8c8c"
TEXT, FAINT, GRID = "#222222", "#6b6b6b", "#e4e4e4"
STYLES = {  # library -> colour, mark
    "torch": ("#d55e00", "o"), "torch-compiled": ("#8c3b00", "h"), "jax": ("#009e73", "D"),
    "numpy": ("#222222", "X"), "scipy": ("#a6761d", "p"), "onnxruntime": ("#0072b2", "s"),
    "openvino": ("#56b4e9", "v"), "ncnn": ("#e69f00", "^"), "litert": ("#cc79a7", "P"), "mnn": ("#6a51a3", "d"),
}
FARTHEST = 16  # times as long as fastconv: what takes longer stands here
TITLES = {
    "forward": "Convolution", "planned": "Convolution with prepared weights",
    "grad_x": "Gradient of a convolution's input", "grad_weight": "Gradient of a convolution's weights",
    "max_pool": "Max pooling", "max_pool_backward": "Max pooling, backward",
    "avg_pool": "Average pooling", "avg_pool_backward": "Average pooling, backward",
    "large": "Convolution with a large filter", "small": "Small calls",
    "training_step": "Training step", "prediction": "Prediction by a network",
}


def formats() -> list[str]:
    """The file formats that Matplotlib can write."""
    from matplotlib.backend_bases import FigureCanvasBase

    return sorted(FigureCanvasBase.get_supported_filetypes())


def draw(report: dict[str, Any], path: Path, description: str = "") -> None:
    """Draw what `benchmarks.compare` has measured, one operation under the other.
    An SVG file gets the description too."""
    import matplotlib
    from matplotlib.figure import Figure

    panels = [_Panel(report, operation) for operation in report["geometric_means_by_library"]]
    caption = _caption(report, [row for panel in panels for row in panel.rows])
    total = sum(panel.height for panel in panels) + 0.15 + 0.17 * len(caption)
    # The salt makes the same file of the same report.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "fastconv", "text.color": TEXT, "font.size": 9,
                                "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"]}):
        figure = Figure(figsize=(WIDTH, total), dpi=100, facecolor="white")
        top = total
        for panel in panels:
            panel.draw(figure, top)
            top -= panel.height
        figure.text(0.015, 0.1 / total, "\n".join(caption), fontsize=8.5, color=FAINT, linespacing=1.45)
        svg = path.suffix.lower() == ".svg"
        figure.savefig(path, metadata={"Date": None, **({"Description": description} if description else {})}
                       if svg else None)


class _Panel:
    """One operation: a title, the bars of the means, the rows of the layers."""

    def __init__(self, report: dict[str, Any], operation: str) -> None:
        self.rows = [row for row in report["results"] if row["operation"] == operation and "fastconv" in row["seconds"]]
        self.means = {"fastconv": 1.0, **report["geometric_means_by_library"][operation]}
        self.order = sorted(self.means, key=lambda library: self.means[library])
        threads = f"{report['threads']} thread{'s' * (report['threads'] > 1)}"
        self.title = f"{TITLES[operation]} on a CPU, {threads}: time of each library, fastconv = 1"
        self.form = f"{report['dtype']}, {report['layout'].upper()}"
        self.above, self.between = 0.85, 0.75  # inches
        self.heights = 1.25 * ROW * len(self.order), ROW * len(self.rows)
        self.height = self.above + self.heights[0] + self.between + self.heights[1] + 0.35

    def draw(self, figure: Any, top: float) -> None:
        total = figure.get_figheight()

        def heading(below: float, text: str, **style: Any) -> None:
            figure.text(0.015, (top - below) / total, text, **style)

        def axes(below: float, height: float) -> Any:
            made = figure.add_axes((LEFT, (top - below - height) / total, RIGHT - LEFT, height / total))
            made.spines[:].set_visible(False)
            made.tick_params(length=0)
            return made

        count = f"{len(self.rows)} layer{'s' * (len(self.rows) > 1)}"
        heading(0.4, self.title, fontsize=15, fontweight="bold")
        heading(0.67, f"Geometric mean of {count}, {self.form}; shorter is faster", fontsize=10.5)
        self._draw_means(axes(self.above, self.heights[0]))
        below = self.above + self.heights[0] + self.between
        heading(below - 0.2,
                "Layer by layer; right of the red line fastconv is faster, and the bar ends at the best peer",
                fontsize=10.5)
        self._draw_layers(axes(below, self.heights[1]))

    def _draw_means(self, axes: Any) -> None:
        for place, library in enumerate(self.order):
            own = library == "fastconv"
            style = {"color": FASTCONV, "fontweight": "bold"} if own else {}
            axes.barh(place, self.means[library], 0.74, color=FASTCONV if own else PEER)
            star = "*" if any(library in row["inexact"] for row in self.rows) else ""
            axes.annotate(f"{self.means[library]:.2f}×{star}", (self.means[library], place), (4, 0), va="center",
                          textcoords="offset points", fontsize=10.5, **style)
            axes.text(-0.035, place, LIBRARIES[library].title, transform=axes.get_yaxis_transform(),
                      ha="right", va="center", fontsize=10.5, **style)
            if not own:
                axes.plot(-0.018, place, transform=axes.get_yaxis_transform(), clip_on=False, **_mark(library))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlim(0, max(self.means.values()) * 1.05)
        axes.set_ylim(len(self.order) - 0.5, -0.5)

    def _draw_layers(self, axes: Any) -> None:
        columns = axes.get_yaxis_transform()
        for x, name in (1.1, "best peer"), (1.21, "fastconv"):
            axes.text(x, -0.9, name, transform=columns, ha="right", fontsize=8.5, color=FAINT)
        for place, row in enumerate(self.rows):
            own = row["seconds"]["fastconv"]
            axes.text(-0.465, place, row["layer"], transform=columns, va="center")
            axes.text(-0.245, place, _describe(row["layer"]), transform=columns, va="center", fontsize=8.5, color=FAINT)
            if row["ratio"]:
                colour = FASTCONV if row["ratio"] >= 1 else LOST
                axes.barh(place, min(row["ratio"], FARTHEST) - 1, 0.6, left=1, color=colour, alpha=0.25)
                axes.text(1.1, place, f"{row['ratio']:.2f}×", transform=columns, ha="right", va="center", color=colour,
                          fontweight="bold")
            axes.text(1.21, place, f"{own * 1e3:.3g} ms", transform=columns, ha="right", va="center",
                      fontsize=8.5, color=FAINT)
        axes.axvline(1, color=FASTCONV, linewidth=2)
        for library in [one for one in reversed(self.order) if one != "fastconv"]:  # the quicker ones on top
            timed = [(min(row["seconds"][library] / row["seconds"]["fastconv"], FARTHEST), place,
                      library in row["inexact"])
                     for place, row in enumerate(self.rows) if library in row["seconds"]]
            for hollow in False, True:
                points = [(x, place) for x, place, inexact in timed if inexact == hollow]
                axes.plot(*zip(*points, strict=True) if points else ([], []), clip_on=False, linestyle="",
                          **_mark(library, hollow))
        self._scale(axes)

    def _scale(self, axes: Any) -> None:
        times = [value / row["seconds"]["fastconv"] for row in self.rows for value in row["seconds"].values()]
        low, high = min(0.7, 0.93 * min(times)), min(FARTHEST, max(2, 1.05 * max(times)))
        ticks = [tick for tick in (0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, FARTHEST) if low <= tick <= high]
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, ["≥ " * (tick == FARTHEST) + f"{tick:g}×" for tick in ticks], color=FAINT)
        axes.minorticks_off()
        axes.set_xlim(low, high)
        axes.set_yticks([])
        axes.set_ylim(len(self.rows) - 0.5, -0.5)
        axes.grid(axis="x", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)


def _describe(name: str) -> str:
    if name in networks.NETWORKS:
        return networks.describe(name)
    return SMALL[name].function if name in SMALL else layers.describe(name)


def _mark(library: str, hollow: bool = False) -> dict[str, Any]:
    colour, shape = STYLES[library]
    return {"marker": shape, "color": colour, "markersize": 6.5, "markerfacecolor": "white" if hollow else colour,
            "markeredgecolor": colour if hollow else "white", "markeredgewidth": 1.2 if hollow else 0.6}


def _caption(report: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    machine = report["machine"]
    lines = []
    engines = [library for library in report["versions"] if LIBRARIES[library].prepares_weights]
    if engines and any(row["operation"] == "forward" for row in rows):
        titles = ", ".join(LIBRARIES[library].title for library in engines)
        lines.append(f"The weights are prepared beforehand, which is not timed, for {titles}; "
                     "the others take them in each call.")
    if any(row["inexact"] for row in rows):
        lines.append(f"* and hollow marks: off by more than {LIMITS[report['dtype']]:g} from the direct sum in float64;"
                     " such a result does not count as the best peer.")
    lines.append(f"{machine['cpu']}, {machine['cpus']} CPU{'s' * (machine['cpus'] > 1)}, {report['date'][:10]}, best of"
                 f" {report['rounds']} round{'s' * (report['rounds'] > 1)}; Python {report['python']},")
    lines.append(", ".join(f"{LIBRARIES[library].title} {version}" for library, version in report["versions"].items()))
    return lines
