"""Images, filters and a count of what is read, for the tests of `fastconv.blockwise`."""

import numpy as np

from fastconv.scale.source import Source

MODES = ("constant", "reflect", "symmetric", "replicate", "circular")


def image(shape, dtype=np.uint8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


def filters(*shape, dtype=np.float32, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def pieces_read(monkeypatch):
    """The pieces that are read from now on: images, and the outputs along each axis."""
    pieces = []
    block = Source.block
    monkeypatch.setattr(Source, "block", lambda *arguments: pieces.append(arguments[1:]) or block(*arguments))
    return pieces
