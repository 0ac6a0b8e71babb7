"""How long a step of training by ranks takes: measured, by a model of it, and what that says of larger clusters.

    mpiexec -n 2 python -m benchmarks.scale measure "1 Gb/s"        one measurement, into docs/scale.json
    python -m benchmarks.scale document                             the tables of docs/scale.md

Steps and what they consist of are timed in turn, by the clock, and the medians count, so that both see the same of
what else the machine does; for the forecast the shortest CPU times count.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import CHECKOUT

FIGURES, PAGE = CHECKOUT / "docs/scale.json", CHECKOUT / "docs/scale.md"
BUCKETS = 8


class Link(NamedTuple):
    """Seconds until a message without content is there, and that each more of them takes; bytes a second, both ways at
    once."""

    latency: float
    message: float
    bandwidth: float


class Work(NamedTuple):
    """Seconds that a rank computes: a piece forward, a piece back, to add its gradient to another, one update; and the
    bytes of a gradient."""

    forward: float
    backward: float
    adding: float
    update: float
    size: float


def step(work: Work, link: Link, ranks: int, pieces: int, branches: int = 1) -> float:
    """Seconds of a step by the model: see docs/scale.md.

    `branches` is how many sums a rank sends of a bucket in the first of its two exchanges.
    """
    computing = math.ceil(pieces / ranks) * (work.forward + work.backward + work.adding)
    if ranks == 1:
        return computing + work.update
    size, free = work.size / BUCKETS, 0.0
    others = (ranks - 1) / ranks
    for bucket in range(1, BUCKETS + 1):
        ready = computing - work.backward * (1 - bucket / BUCKETS)
        moving = 2 * (link.latency + (ranks - 1) * link.message) + (branches + 1) * size * others / link.bandwidth
        free = max(ready, free) + moving
    notes = math.ceil(math.log2(ranks)) * link.latency
    return max(computing, free) + notes + work.update


# ---------------------------------------------------------------------------------------------------------------------
# Measured


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """By the clock, and of CPU time."""
    start, used = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - used


def shortest(function: Callable[[], Any], rounds: int) -> float:
    return min(seconds(function)[0] for _ in range(rounds))


def measured_link(comm: Any, size: int = 1 << 22) -> Link:
    """Between ranks 0 and 1."""
    other, small = 1 - comm.rank, np.zeros(8, np.uint8)
    large, received = np.zeros(size, np.uint8), np.empty(size, np.uint8)
    several = [np.zeros(8, np.uint8) for _ in range(64)]

    def there_and_back() -> None:
        if comm.rank == 0:
            comm.Send(small, other)
            comm.Recv(small, other)
        else:
            comm.Recv(small, other)
            comm.Send(small, other)

    def at_once() -> None:
        requests = [comm.Irecv(one, other) for one in several] + [comm.Isend(small, other) for _ in several]
        for request in requests:
            request.Wait()

    comm.Barrier()
    latency = shortest(there_and_back, 200) / 2
    comm.Barrier()
    message = shortest(at_once, 50) / len(several)
    comm.Barrier()
    moving = shortest(lambda: comm.Sendrecv(large, other, 0, received, other, 0), 8)
    return Link(latency, message, size / max(moving - latency, 1e-9))


def network(name: str, size: int) -> tuple[Any, Any]:
    """A model, and an image for it."""
    from fastconv import nn

    make = {"resnet18": lambda: nn.models.resnet18(10, rng=0), "lenet": lambda: nn.models.lenet5(rng=0),
            "resnet-small": lambda: nn.models.resnet_small(10, rng=0)}[name]
    return make(), (1, 28, 28) if name == "lenet" else (3, size, size)


def measure(label: str, name: str, size: int, batch: int, pieces: int, rounds: int, comm: Any) -> dict[str, Any]:
    """What `step` takes, and what it should give."""
    import fastconv as fc
    from fastconv import nn, optim
    from fastconv.data import DataLoader
    from fastconv.training.cut import Cut
    from fastconv.training.together import Together

    model, image = network(name, size)
    rng = np.random.default_rng(0)
    loader = DataLoader((rng.random((batch, *image), np.float32), rng.integers(0, 10, batch)), batch)
    loss = nn.CrossEntropyLoss() if model.returns == "logits" else nn.NLLLoss()
    trainer = fc.Trainer(model, optim.SGD(model.parameters(), 1e-3, 0.9), loss, comm=comm, pieces=pieces)
    cut, order = Cut(batch, pieces), np.arange(batch)
    size_ = sum(parameter.data.nbytes for parameter in trainer.optimizer.params)
    sums = np.zeros((2, size_ // 4), np.float32)
    x, y = loader.part(order[cut.images_of(0)])
    model.train()

    def forward() -> None:
        loss(model(x), y)

    def there_and_back() -> None:
        trainer.optimizer.zero_grad()
        forward()
        model.backward(loss.backward(), needs_input_grad=False)

    with fc.num_threads(1), Together(trainer, trainer.ranks, loader, None) as together:  # type: ignore[arg-type]
        parts = (forward, there_and_back, lambda: np.add(*sums, out=sums[0]), trainer.optimizer.step,
                 lambda: together.gradient(0, 0, order, False))
        rounds_ = []
        for _ in range(rounds + 1):  # the first one finds plans and takes memory
            comm.Barrier()
            rounds_.append([seconds(part) for part in parts])
    clock = np.median(np.array(rounds_[1:])[:, :, 0], axis=0)
    cpu = np.min(np.array(rounds_[1:])[:, :, 1], axis=0)
    link = measured_link(comm) if comm.size == 2 else Link(0.0, 0.0, math.inf)
    worst = comm.allreduce(float(clock[4]), op=max) + float(clock[3])
    branches = max(len(cut.branches_of(rank, comm.size)) for rank in range(comm.size))
    return {"label": label, "network": name, "image": size, "batch": batch, "pieces": cut.count, "ranks": comm.size,
            "link": {key: value for key, value in link._asdict().items() if math.isfinite(value)},
            "work": Work(clock[0], clock[1] - clock[0], *clock[2:4], size_)._asdict(),
            "cpu": Work(cpu[0], cpu[1] - cpu[0], *cpu[2:4], size_)._asdict(),
            "branches": branches, "step": worst, "load": os.getloadavg()[0]}


# ---------------------------------------------------------------------------------------------------------------------
# The page


def checked(entries: list[dict[str, Any]]) -> str:
    """Each measurement beside the model."""
    lines = ["| network, image | link | ranks | MB of gradient | step, measured | by the model | load of the machine |",
             "| --- | --- | --: | --: | --: | --: | --: |"]
    for entry in entries:
        work, link = Work(**entry["work"]), Link(**{"bandwidth": math.inf, **entry["link"]})
        said = step(work, link, entry["ranks"], entry["pieces"], entry["branches"])
        lines.append(f"| {entry['network']}, {entry['image']} | {entry['label']} | {entry['ranks']} | "
                     f"{work.size / 1e6:.3g} | {entry['step']:.3g} s | {said:.3g} s | "
                     f"{entry['load']:.0f} |")
    return "\n".join(lines)


#: Links of clusters as they are sold, by Gb/s: with latency and messages of TCP on the one, of RDMA on the other.
CLUSTERS = {10: Link(20e-6, 2e-6, 10e9 / 8), 100: Link(3e-6, 0.5e-6, 100e9 / 8)}
RANKS = (8, 16, 32, 64, 128, 256, 512, 1024)
CORES, SHARE = 32, 0.8  # of a node that is a rank, and of their speed that remains when all of them compute
EACH, WHOLE = 32, 1024  # images of a rank, and of a batch that is given


def forecast(image: Work) -> str:
    """ResNet-18 of 224 x 224 pixels, from the seconds that one image takes one core."""
    faster = CORES * SHARE
    lines = ["| ranks | " + " | ".join(f"{EACH} images each, {speed} Gb/s | batch of {WHOLE}, {speed} Gb/s"
                                       for speed in CLUSTERS) + " |", "| --: |" + " --: |" * (2 * len(CLUSTERS))]
    for ranks in RANKS:
        cells = []
        for link in CLUSTERS.values():
            for images in (EACH, WHOLE / ranks):
                # Sums and updates wait for the memory, of which a node has some four times what a core can use.
                work = Work(image.forward * images / faster, image.backward * images / faster, image.adding / 4,
                            image.update / 4, image.size)
                alone = work.forward + work.backward + work.update
                share = alone / step(work, link, ranks, ranks)
                cells.append(f"{100 * share:.0f} %" if images >= 2 else "less than two images a rank")
        lines.append(f"| {ranks} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def document(entries: list[dict[str, Any]], text: str) -> str:
    """The page with its tables written anew."""
    large = next(entry for entry in entries if entry["network"] == "resnet18" and entry["image"] == 224)
    images = large["batch"] / large["pieces"]
    work = Work(**large["cpu"])
    image = work._replace(forward=work.forward / images, backward=work.backward / images)
    tables = {"check": checked(entries), "forecast": forecast(image)}
    for name, table in tables.items():
        block = re.compile(rf"(<!-- scale:begin {name} -->\n).*?(<!-- scale:end -->)", re.S)
        text, count = block.subn(rf"\g<1>{table}\n\g<2>", text)
        assert count == 1, name
    return text


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("measure")
    asked.add_argument("label", help="what is between the ranks")
    asked.add_argument("--network", default="resnet18", choices=["lenet", "resnet-small", "resnet18"])
    asked.add_argument("--image", type=int, default=32)
    asked.add_argument("--batch", type=int, default=64)
    asked.add_argument("--pieces", type=int, default=8)
    asked.add_argument("--rounds", type=int, default=8)
    asked.add_argument("--into", type=Path, default=FIGURES)
    commands.add_parser("document")
    options = parser.parse_args(arguments)
    if options.command == "document":
        PAGE.write_text(document(json.loads(FIGURES.read_text()), PAGE.read_text()))
        return
    from mpi4py import MPI

    entry = measure(options.label, options.network, options.image, options.batch, options.pieces, options.rounds,
                    MPI.COMM_WORLD)
    if MPI.COMM_WORLD.rank == 0:
        known = json.loads(options.into.read_text()) if options.into.exists() else []
        options.into.write_text(json.dumps([*known, entry], indent=1) + "\n")
        print(checked([entry]))


if __name__ == "__main__":
    main()
