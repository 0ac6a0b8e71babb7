"""Which pixel stands at a position of the padding, and how many of them are copied, or added up, at a time."""

import itertools

import numpy as np
import pytest

from fastconv._core.problem.geometry import PADDING_MODES, parts, source, stretches

IN_NUMPY = {"reflect": "reflect", "symmetric": "symmetric", "replicate": "edge", "circular": "wrap"}
REPEATING = PADDING_MODES[1:]


@pytest.mark.parametrize("mode", REPEATING)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_source_is_that_of_numpy(size, mode):
    padded = np.pad(np.arange(size), 40, IN_NUMPY[mode])
    assert [source(position, size, mode) for position in range(-40, size + 40)] == padded.tolist()


def test_source_of_a_constant():
    assert [source(position, 3, "constant") for position in range(-2, 5)] == [None, None, 0, 1, 2, None, None]


@pytest.mark.parametrize("mode", REPEATING)
def test_source_far_away(mode):
    """As far as options and sizes go; one turn further on there is the same pixel."""
    for size, turn in ((1, 1), (5, {"reflect": 8, "symmetric": 10, "circular": 5, "replicate": 1}[mode])):
        for near, far in ((-3, -3 - 2**40 * turn), (size + 3, size + 3 + 2**40 * turn)):
            assert source(far, size, mode) == source(near, size, mode)


@pytest.mark.parametrize("mode", PADDING_MODES)
def test_stretches_are_all_positions_in_order(mode):
    """Laid out turn by turn, run by run, they are the pixels of the positions one by one."""
    for size, step, start, count in itertools.product((1, 2, 3, 4, 9), (1, 2, 3, 5, 8, 11), (-37, -9, -1, 0, 3, 14),
                                                      (0, 1, 2, 7, 30)):
        positions = range(start, start + count * step, step)
        wanted = [source(position, size, mode) for position in positions]
        got = [None] * count
        for each in stretches(positions, size, mode):
            pixels = np.full(each.turn, -1)
            for to, pixel in each.runs:
                pixels[to] = np.arange(size)[pixel]
            some = range(count)[each.positions]
            for i, at in enumerate(some):
                assert got[at] is None
                got[at] = int(pixels[i % each.turn])
            assert each.turn == len(some) or 2 * each.turn <= len(some)
        assert got == wanted
        again = [pixel for some, pixels, one in parts(positions, size, mode)
                 for pixel in np.broadcast_to(np.arange(size)[pixels], len(range(count)[some]))]
        assert again == [pixel for pixel in wanted if pixel is not None]


@pytest.mark.parametrize("mode", REPEATING)
def test_far_positions_take_no_time(mode):
    """Of four thousand million positions one turn is looked at."""
    assert sum(len(each.runs) for each in stretches(range(-2**31, 2**31), 5, mode)) <= 9
