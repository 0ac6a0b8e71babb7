"""A job that was ended goes on where it was, with the same bytes; and only where that is possible."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import fastconv as fc
from fastconv.scale import state
from fastconv.scale.source import Source

BOX = np.full((1, 1, 9, 9), 1 / 81, np.float32)
SHAPE = (400, 150)


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A job on files in an empty folder: called with what differs, it returns the bytes of the result."""
    monkeypatch.setattr(state, "SECONDS", 0.0)
    np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8).tofile(tmp_path / "image")
    (tmp_path / "out").write_bytes(bytes(4 * SHAPE[0] * SHAPE[1]))

    def run(fn=fc.conv2d, box=BOX, mode="r+", **options):
        source = np.memmap(tmp_path / "image", np.uint8, "r", shape=SHAPE)
        out = np.memmap(tmp_path / "out", np.float32, mode, shape=SHAPE)
        arguments = () if "window" in options else (box,)
        options = options if "window" in options else {"padding": "same", **options}
        fc.blockwise(fn, source, out, *arguments, **{"memory": 100_000, "state": tmp_path / "state", **options})
        return np.array(out)

    return run


def stop_after(count, monkeypatch):
    """Ctrl-C while the piece behind so many is computed."""
    left = iter([*range(count)])
    compute = fc.functional.pieces.Windowed.compute

    def interrupted(self, *arguments):
        if next(left, None) is None:
            raise KeyboardInterrupt
        return compute(self, *arguments)

    monkeypatch.setattr(fc.functional.pieces.Windowed, "compute", interrupted)


@pytest.fixture
def interrupted(job, monkeypatch, tmp_path):
    """Three pieces of the job are done."""
    with monkeypatch.context() as patch:
        stop_after(3, patch)
        with pytest.raises(KeyboardInterrupt):
            job()
    assert json.loads((tmp_path / "state").read_text())["done"] == 3


def test_a_job_goes_on(job, interrupted, monkeypatch, tmp_path):
    reads = []
    block = Source.block
    monkeypatch.setattr(Source, "block", lambda *arguments: reads.append(arguments[1:]) or block(*arguments))
    result = job()
    (first, _), _ = reads[0][1]
    assert not (tmp_path / "state").exists()
    monkeypatch.undo()
    np.testing.assert_array_equal(result, job(state=None))
    assert 0 < first < SHAPE[0]


@pytest.mark.parametrize(("changed", "words"), [
    (dict(box=2 * BOX), "is of a job with weight"),
    (dict(padding_mode="reflect"), "is of a job with padding_mode"),
    (dict(memory=200_000), "is of a job with pieces"),
    (dict(dtype="float64", box=BOX.astype(float)), "is of a job with"),
    (dict(fn=fc.max_pool2d, box=9, stride=1), "is of a job with fn"),
    (dict(mode="w+"), "out does not hold the 3 pieces"),
])
def test_another_job_does_not_go_on(job, interrupted, changed, words, tmp_path):
    before = (tmp_path / "state").read_bytes()
    with pytest.raises(ValueError, match=words):
        job(**changed)
    assert (tmp_path / "state").read_bytes() == before


def test_a_changed_image_is_noticed(job, interrupted, tmp_path):
    time.sleep(0.01)
    image = np.fromfile(tmp_path / "image", np.uint8)
    image.tofile(tmp_path / "image")
    with pytest.raises(ValueError, match="is of a job with source"):
        job()


@pytest.mark.parametrize("text", [
    "", "{", "[]", '{"format": 1}', '{"format": 9, "done": 1, "job": {}, "checksums": []}'])
def test_what_is_no_state_is_refused(job, text, tmp_path):
    (tmp_path / "state").write_text(text)
    with pytest.raises(ValueError, match="is not the state of a job"):
        job()


def test_a_function_that_nobody_can_compare(job, tmp_path):
    source = iter([1.0] * 3)

    def scaled(image):
        return image * next(source)

    with pytest.raises(StopIteration):
        job(fn=scaled, window=fc.Window(1))
    with pytest.raises(ValueError, match="nobody knows whether its job had the same fn"):
        job(fn=scaled, window=fc.Window(1))


SCRIPT = """
import sys, time
import numpy as np
import fastconv as fc
from fastconv.scale import state
state.SECONDS = 0.0
folder, pause = sys.argv[1], float(sys.argv[2])
box = np.full((1, 1, 9, 9), 1 / 81, np.float32)

def blur(image):
    time.sleep(pause)
    return fc.conv2d(image[None], box)[0]

source = np.memmap(folder + "/image", np.uint8, "r", shape=(400, 150))
out = np.memmap(folder + "/out", np.float32, "r+", shape=(400, 150))
fc.blockwise(blur, source, out, window=fc.Window(9, padding="same"), memory=60_000, state=folder + "/state")
"""


def test_a_killed_process_leaves_what_the_next_one_goes_on_from(job, tmp_path):
    assert subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), "0"]).returncode == 0
    expected = (tmp_path / "out").read_bytes()
    (tmp_path / "out").write_bytes(bytes(len(expected)))
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path), "0.03"])
        before, until = done(tmp_path), time.monotonic() + 60
        while done(tmp_path) < before + 3:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert 6 <= done(tmp_path)
    assert subprocess.run([sys.executable, "-c", SCRIPT, str(tmp_path), "0.03"]).returncode == 0
    assert not (tmp_path / "state").exists()
    assert (tmp_path / "out").read_bytes() == expected


def done(folder):
    try:
        return json.loads((folder / "state").read_text())["done"]
    except FileNotFoundError:
        return 0
