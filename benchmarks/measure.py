"""Measures all that the documentation says about speed and accuracy, and writes it to docs/speed.json.

    python -m benchmarks.measure [--parts forward-1,small,...] [--json FILE] [--rehearse]

takes about three quarters of an hour on two cores that have nothing else to do. Each part is a comparison, which can
be run by itself: `python -m benchmarks.compare` with the arguments below. Peers that are not installed are left out.
What the file holds of other parts stays, unless another machine measured it. --rehearse takes one layer
of each part, and no time.

Afterwards `python -m benchmarks.document` writes the tables, the sentences and the picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks import compare, figures, instruction_sets, training
from benchmarks.report import cpu_model, print_table

PARTS = {
    "forward-1": "--ops forward,planned --threads 1",
    "forward-2": "--ops forward,planned --threads 2",
    "nhwc-1": "--ops forward,planned --layout nhwc --threads 1 --libraries fastconv,torch,jax,openvino,litert",
    "nhwc-2": "--ops forward,planned --layout nhwc --threads 2 --libraries fastconv,torch,jax,openvino,litert",
    "float64": "--ops forward --dtype float64 --libraries fastconv,torch,jax,numpy",
    "gradients": "--ops grad_x,grad_weight --libraries fastconv,torch,jax",
    "pooling": "--ops pool --libraries fastconv,torch",
    "large": "--ops large --rounds 3 --libraries fastconv,torch,scipy",
    "networks-1": "--ops networks --libraries fastconv,torch,torch-compiled,jax",
    "networks-2": "--ops networks --threads 2 --libraries fastconv,torch,torch-compiled,jax",
    "small": "--ops small --libraries fastconv,torch",
    "instruction-sets": "--ops forward --libraries fastconv",
    "training": "",
}
REHEARSAL = ["--rounds", "1", "--first", "1"], ["--epochs", "1"]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = compare.Parser(prog="python -m benchmarks.measure", allow_abbrev=False,
                            description="Measure all that the documentation says about speed and accuracy.")
    parser.add_argument("--parts", type=compare.names(PARTS), default=list(PARTS), metavar="NAMES",
                        help=f"comma-separated, of {','.join(PARTS)} (default: all)")
    parser.add_argument("--json", type=compare.new_file, default=figures.FILE, metavar="FILE",
                        help="what to write (default: docs/speed.json)")
    parser.add_argument("--rehearse", action="store_true", help="one layer of each part, to see that all of it runs")
    return parser.parse_args(argv)


def measure(part: str, rehearse: bool) -> dict[str, Any]:
    comparing, training_options = REHEARSAL if rehearse else ([], [])
    if part == "training":
        return training.measure(training_options)
    args = compare.parse([*PARTS[part].split(), *comparing])
    if part == "instruction-sets":
        return instruction_sets.measure(args)
    report = compare.compare(args)
    if "fastconv" not in report["versions"]:
        raise RuntimeError(f"{part}: fastconv gave no time")
    print_table(report)
    return report


def keep(path: Path) -> dict[str, Any]:
    """What the file holds of this machine."""
    held = figures.read(path) if path.exists() else {}
    return {part: report for part, report in held.items() if report["machine"]["cpu"] == cpu_model()}


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    held = keep(args.json)
    for part in args.parts:
        print(f"== {part}", file=sys.stderr, flush=True)
        held[part] = measure(part, args.rehearse)
        # Written now, as the next part may be interrupted.
        figures.write({name: held[name] for name in PARTS if name in held}, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
