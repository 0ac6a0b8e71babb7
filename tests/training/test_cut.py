"""The pieces of a batch: every image and every addition once, and the same additions on any number of ranks."""

import numpy as np
import pytest

from fastconv.training.cut import Cut, combined, halves

CUTS = [(images, pieces) for images in (1, 2, 3, 7, 16, 17, 64, 100) for pieces in (1, 2, 3, 5, 8, 13)]


@pytest.mark.parametrize(("images", "pieces"), CUTS)
def test_the_pieces_are_the_batch(images, pieces):
    cut = Cut(images, pieces)
    numbers = [list(range(images))[cut.images_of(piece)] for piece in range(cut.count)]
    assert sum(numbers, []) == list(range(images))
    lengths = [len(some) for some in numbers]
    assert cut.count <= pieces and max(lengths) - min(lengths) <= 1 and min(lengths) >= min(2, images)


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7, 20])
@pytest.mark.parametrize(("images", "pieces"), CUTS)
def test_any_number_of_ranks_adds_the_same(images, pieces, ranks):
    """Each sum is written as text, so that its order shows."""
    cut = Cut(images, pieces)
    leaves = {(piece, piece + 1): str(piece) for piece in range(cut.count)}
    whole = combined((0, cut.count), leaves, "({}+{})".format)
    sent, computed = {}, []
    for rank in range(ranks):
        held = []
        for piece, (before, additions) in zip(cut.pieces_of(rank, ranks), cut.steps_of(rank, ranks), strict=True):
            computed.append(piece)
            assert before == len(held)
            held.append(str(piece))
            for _ in range(additions):
                right = held.pop()
                held.append(f"({held.pop()}+{right})")
        sent.update(zip(cut.branches_of(rank, ranks), held, strict=True))
    assert computed == list(range(cut.count))
    assert combined((0, cut.count), sent, "({}+{})".format) == whole


def test_the_ranks_of_the_example():
    cut = Cut(64, 8)
    assert [cut.branches_of(rank, 3) for rank in range(3)] == [[(0, 2)], [(2, 4), (4, 5)], [(5, 6), (6, 8)]]


@pytest.mark.parametrize("ranks", range(1, 12))
def test_ranks_have_nearly_the_same_number_of_pieces(ranks):
    counts = [len(Cut(1000, 11).pieces_of(rank, ranks)) for rank in range(ranks)]
    assert max(counts) - min(counts) <= 1 and sum(counts) == 11


def test_the_first_half_is_a_power_of_two():
    assert [halves((0, count))[0][1] for count in range(2, 10)] == [1, 2, 2, 4, 4, 4, 4, 8]
    assert np.all([halves((3, 3 + count))[1][1] == 3 + count for count in range(2, 10)])
