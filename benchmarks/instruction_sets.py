"""How fast fastconv's forward convolutions are with each instruction set that this CPU has, on one thread."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from typing import Any

from benchmarks import compare
from benchmarks.process import Process
from benchmarks.report import context


def usable() -> list[str]:
    import fastconv

    sets: list[str] = fastconv.show_config("dicts")["isa"]["usable"]
    return sets


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """A report whose results have the seconds of a layer by instruction set;
    the arguments are those of a comparison."""
    seconds: dict[str, dict[str, float]] = {}
    with contextlib.ExitStack() as stack:
        processes = {isa: stack.enter_context(Process("fastconv", args, FASTCONV_ISA=isa)) for isa in usable()}
        version = [process.about["version"] for process in processes.values()][-1]
        for layer in args.layers:
            print(layer, file=sys.stderr, flush=True)
            for process in processes.values():
                process.prepare(layer)
            times = seconds[layer] = dict.fromkeys(processes, math.inf)
            for _ in range(args.rounds):
                for isa, process in processes.items():
                    times[isa] = min(times[isa], *process.times(compare.SECONDS).values())
    return {**context(), "versions": {"fastconv": version}, "threads": args.threads, "rounds": args.rounds,
            "results": [{"operation": "instruction sets", "layer": layer, "seconds": _rounded(times)}
                        for layer, times in seconds.items()]}


def _rounded(times: dict[str, float]) -> dict[str, float]:
    """More digits would say nothing."""
    return {isa: float(f"{seconds:.4g}") for isa, seconds in times.items()}
