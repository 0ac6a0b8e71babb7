"""The bundled pictures: what they are, where they come from, and that they are small."""

import subprocess
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from fastconv import data

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "draw_samples.py"


@pytest.mark.parametrize("name, channels", [("still-life", 3), ("house", 1)])
def test_a_picture(name, channels):
    image = data.sample(name)
    assert image.shape == (channels, 128, 128) and image.dtype == np.float32
    assert image.min() < 0.2 and image.max() == 1.0 and image.std() > 0.15, "from dark to bright"
    again = data.sample(name)
    again[:] = 0
    assert np.array_equal(data.sample(name), image), "each call gives an array of its own"
    if channels == 3:
        assert max(np.abs(image[c] - image.mean(axis=0)).max() for c in range(3)) > 0.3, "in colour"


def test_they_are_small_and_their_source_is_named():
    folder = resources.files("fastconv.data")
    assert len(folder.joinpath("samples.npz").read_bytes()) <= 60_000
    assert "examples/draw_samples.py" in folder.joinpath("samples.README.md").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="name must be.*'lena'"):
        data.sample("lena")


@pytest.mark.skipif(not PROGRAM.exists(), reason="the program that draws them is part of a checkout")
def test_the_program_draws_them(tmp_path):
    subprocess.run([sys.executable, PROGRAM, tmp_path / "samples.npz"], check=True, timeout=120)
    with np.load(tmp_path / "samples.npz") as drawn:
        assert sorted(drawn) == sorted(data.SAMPLES)
        for name in drawn:
            off = np.abs(drawn[name].astype(int) - np.rint(255 * data.sample(name)).astype(int))
            assert off.max() <= 64 and np.count_nonzero(off) <= 20, "another machine rounds a pixel otherwise, at most"
