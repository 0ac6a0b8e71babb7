"""How fast fastconv's forward convolutions are with each instruction set that this CPU has, on one thread."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from benchmarks import compare
from benchmarks.report import context


def usable() -> list[str]:
    import fastconv

    sets: list[str] = fastconv.show_config("dicts")["isa"]["usable"]
    return sets


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """A report whose results have the seconds of a layer by instruction set;
    the arguments are those of a comparison."""
    seconds: dict[str, dict[str, float]] = {}
    for number in range(args.rounds):
        for isa in usable():
            print(f"round {number + 1} of {args.rounds}: {isa}", file=sys.stderr, flush=True)
            answer = compare.run("fastconv", args, check=False, FASTCONV_ISA=isa)
            if "times" not in answer:
                raise RuntimeError(f"{isa}: {answer}")
            for _, layer, value in answer["times"]:
                times = seconds.setdefault(layer, {})
                times[isa] = float(f"{min(value, times.get(isa, math.inf)):.4g}")
    return {**context(), "versions": {"fastconv": answer["version"]}, "threads": args.threads, "rounds": args.rounds,
            "results": [{"operation": "instruction sets", "layer": layer, "seconds": times}
                        for layer, times in seconds.items()]}
