"""A large image of bytes, blurred by 31 x 31 and then max-pooled, from memory map to memory map by `fc.blockwise`.

    python -m benchmarks.large_images [--size 60000] [--folder DIR] [--memory MB]

The work is done in processes of its own, for the most memory that each had; then once more by processes that are killed
again and again and go on, for the same bytes. Beside it stands the same work on rows of the image that lie in memory as
a whole: converted, convolved, rounded, pooled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import fastconv as fc
from benchmarks import CHECKOUT

TAPS = 31
BORDER: Any = {"padding": "same", "padding_mode": "reflect"}
ROWS_IN_MEMORY = 4000
MADE_AT_ONCE = 1000    # rows of the image


def main() -> None:
    options = arguments()
    if options.step:
        print(json.dumps(STEPS[options.step](options)))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        options.folder = Path(folder)
        make_image(options.folder, options.size)
        pixels = options.size**2
        whole = {name: of_pixel(step(options, f"{name} in memory")) for name in ("blur", "pool")}
        for name in ("blur", "pool"):
            done = step(options, name)
            again = of_pixel(step(options, f"{name} in memory"))
            whole[name], seconds = min(whole[name], again), done["seconds"] / pixels
            print(f"{name}: {done['seconds']:.1f} s, {1e9 * seconds:.2f} ns a pixel; in memory "
                  f"{1e9 * whole[name]:.2f}; {100 * whole[name] / seconds:.0f} % of its speed; "
                  f"at most {done['most']} MB resident", flush=True)
            expected = checksum(options.folder / name)
            (options.folder / name).unlink()
            kills = killed(options, name, done["seconds"] / 3)
            same = "the same bytes" if checksum(options.folder / name) == expected else "OTHER BYTES"
            print(f"{name}, killed {kills} times and resumed: {same}", flush=True)


def arguments() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=60_000, help="rows and columns (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the files go, twice the image and a half")
    parser.add_argument("--memory", type=int, default=128, help="of fc.blockwise, in MB (default: %(default)s)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--state", help=argparse.SUPPRESS)
    return parser.parse_args()


def make_image(folder: Path, size: int) -> None:
    rng = np.random.default_rng(0)
    with open(folder / "image", "wb") as file:
        for first in range(0, size, MADE_AT_ONCE):
            file.write(rng.integers(0, 256, (min(MADE_AT_ONCE, size - first), size), np.uint8).data)


# ---------------------------------------------------------------------------------------------------------------------
# What runs in a process of its own


def box() -> Any:
    return np.full((1, 1, TAPS, TAPS), 1 / TAPS**2, np.float32)


def opened(path: Path, rows: int, columns: int) -> Any:
    return np.memmap(path, np.uint8, "r+" if path.exists() else "w+", shape=(rows, columns))


def blur(options: Any) -> dict[str, Any]:
    return from_file_to_file(options, "image", "blur", 1, fc.conv2d, box(), **BORDER)


def pool(options: Any) -> dict[str, Any]:
    return from_file_to_file(options, "blur", "pool", 2, fc.max_pool2d, 2)


def from_file_to_file(options: Any, source: str, out: str, stride: int, *call: Any, **of_call: Any) -> dict[str, Any]:
    size, start = options.size, time.perf_counter()
    fn, *arguments = call
    image = np.memmap(options.folder / source, np.uint8, "r", shape=(size, size))
    fc.blockwise(fn, image, opened(options.folder / out, size // stride, size // stride), *arguments,
                 memory=options.memory << 20, state=options.state, **of_call)
    return {"seconds": time.perf_counter() - start, "most": most_resident()}


def blur_in_memory(options: Any) -> dict[str, Any]:
    return in_memory(options, lambda image: fc.conv2d(image, box(), **BORDER))


def pool_in_memory(options: Any) -> dict[str, Any]:
    return in_memory(options, lambda image: fc.max_pool2d(image, 2))


def in_memory(options: Any, work: Any) -> dict[str, Any]:
    size, rows = options.size, min(options.size, ROWS_IN_MEMORY)
    image = np.fromfile(options.folder / "image", np.uint8, rows * size).reshape(1, rows, size)
    times = []
    for _ in range(2):
        start = time.perf_counter()
        result = work(image.astype(np.float32))
        np.rint(result, out=result).clip(0, 255, out=result).astype(np.uint8)
        times.append(time.perf_counter() - start)
    return {"seconds": min(times), "pixels": image.size}


STEPS = {"blur": blur, "pool": pool, "blur in memory": blur_in_memory, "pool in memory": pool_in_memory}


def most_resident() -> int:
    """MB, of this process so far."""
    text = Path("/proc/self/status").read_text()
    return int(text[text.index("VmHWM:"):].split()[1]) // 1000


# ---------------------------------------------------------------------------------------------------------------------
# These processes


def started(options: Any, name: str, *more: str) -> subprocess.Popen[str]:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(CHECKOUT)]))
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.large_images", "--step", name, "--size", str(options.size), "--folder",
         str(options.folder), "--memory", str(options.memory), *more],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path})


def step(options: Any, name: str) -> dict[str, Any]:
    with started(options, name) as process:
        printed = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"{name} failed")
    return dict(json.loads(printed))


def of_pixel(done: dict[str, Any]) -> float:
    return float(done["seconds"] / done["pixels"])


def killed(options: Any, name: str, seconds: float) -> int:
    """Processes of a step that live so long, one after the other, until one has done it: how many were killed."""
    kills = 0
    while True:
        with started(options, name, "--state", str(options.folder / "state")) as process:
            try:
                process.communicate(timeout=seconds)
                if process.returncode:
                    raise SystemExit(f"{name} failed")
                return kills
            except subprocess.TimeoutExpired:
                process.kill()
                kills, seconds = kills + 1, seconds * 1.5


def checksum(path: Path) -> int:
    value = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            value = zlib.crc32(block, value)
    return value


if __name__ == "__main__":
    main()
