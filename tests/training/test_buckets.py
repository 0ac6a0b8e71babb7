"""Arrays added up by several ranks: the sum along the tree, to the bit, whatever comes when."""

import numpy as np
import pytest
from rank_threads import on_ranks

from fastconv.training import buckets
from fastconv.training.cut import Cut, combined

RNG = np.random.default_rng(0)
SHAPES = {"a": (3, 4), "b": (7,), "c": (), "d": (2, 1, 5)}
DTYPES = {"a": np.float32, "b": np.float32, "c": np.float64, "d": np.float32}


def arrays_of(pieces):
    return [{key: (RNG.standard_normal(shape) * 10.0 ** RNG.integers(-3, 4)).astype(DTYPES[key])
             for key, shape in SHAPES.items()} for _ in range(pieces)]


def added(found, key):
    leaves = {(piece, piece + 1): arrays[key] for piece, arrays in enumerate(found)}
    return combined((0, len(found)), leaves, np.add)


@pytest.mark.parametrize("smallest", [1, 48, 1 << 18], ids=["each alone", "some together", "all together"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 6, 9])
def test_the_sum_is_that_of_the_tree(ranks, smallest, monkeypatch):
    monkeypatch.setattr(buckets, "_SMALLEST", smallest)
    found = {(batch, images): arrays_of(Cut(images, 7).count) for batch, images in enumerate((14, 70, 5, 1, 70))}

    def work(comm):
        summed = buckets.Buckets({key: np.empty(SHAPES[key], DTYPES[key]) for key in SHAPES}, comm.Dup(), comm.Dup())
        results = []
        for (batch, images), arrays in found.items():
            cut = Cut(images, 7)
            summed.begin(cut)
            for piece in cut.pieces_of(comm.rank, ranks):
                for key in np.random.default_rng([batch, comm.rank]).permutation(list(SHAPES)):
                    summed.put(key, piece, arrays[piece][key])
            results.append({key: array.copy() for key, array in summed.finish().items()})
        return results

    for results in on_ranks(ranks, work):
        for arrays, sums in zip(found.values(), results, strict=True):
            for key in SHAPES:
                np.testing.assert_array_equal(sums[key], added(arrays, key), err_msg=key, strict=True)


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_what_is_not_there_is_zeros_with_the_sign_that_any_number_of_ranks_gives(ranks):
    def work(comm):
        summed = buckets.Buckets({"a": np.empty(2, np.float32)}, comm.Dup(), comm.Dup())
        cut = Cut(6, 3)
        summed.begin(cut)
        for piece in cut.pieces_of(comm.rank, ranks):
            summed.put("a", piece, None if piece == 1 else np.array([-0.0, piece], np.float32))
        return summed.finish()["a"].copy()

    for result in on_ranks(ranks, work):
        assert result.tolist() == [0.0, 2.0] and not np.signbit(result[0])


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_long_arrays_are_added_up_block_by_block(ranks):
    found = [RNG.standard_normal(2 * buckets._BLOCK + 3).astype(np.float32) for _ in range(8)]

    def work(comm):
        summed = buckets.Buckets({"a": found[0]}, comm.Dup(), comm.Dup())
        cut = Cut(16, 8)
        summed.begin(cut)
        for piece in cut.pieces_of(comm.rank, ranks):
            summed.put("a", piece, found[piece])
        return summed.finish()["a"].copy()

    for result in on_ranks(ranks, work):
        np.testing.assert_array_equal(result, added([{"a": array} for array in found], "a"), strict=True)


def test_a_gradient_of_another_shape_is_refused():
    def work(comm):
        summed = buckets.Buckets({"a": np.empty(2, np.float32)}, comm.Dup(), comm.Dup())
        summed.begin(Cut(6, 3))
        summed.put("a", 0, np.ones((1, 2), np.float32))

    assert "the gradient of a must have its shape (2,), got (1, 2)" in str(on_ranks(1, work)[0])
