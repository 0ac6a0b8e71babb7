"""The memo of checked calls finds what was kept for the same shapes, dtypes and option objects, and nothing else."""

import gc
import weakref

import numpy as np
import pytest

from fastconv._core.runtime.memo import Memo

F32, F64 = np.float32, np.float64


class Image(np.ndarray):
    pass


def kept(*arguments, arrays=2):
    memo = Memo(arrays)
    memo.keep("found", *arguments)
    return memo


def test_found_by_form_not_by_value():
    memo = kept(np.zeros((2, 3), F32), None, 1, "valid", (1, 2), ((0, 1), (2, 3)), None, 0.5, True)
    options = 1, "valid", (1, 2), ((0, 1), (2, 3)), None, 0.5, True
    assert memo.find(np.ones((2, 3), F32), None, *options) == "found"
    read_only = np.ones((2, 3), F32)
    read_only.flags.writeable = False
    assert memo.find(read_only, None, *options) == "found"


@pytest.mark.parametrize("other", [
    np.zeros((2, 3), F64), np.zeros((3, 2), F32), np.zeros((2, 3, 1), F32), np.zeros(6, F32), np.zeros((3, 2), F32).T,
    np.zeros((2, 3), ">f4"), np.zeros((2, 3), F32).view(Image), np.zeros((2, 3), np.int32), np.zeros((2, 3), object),
    np.zeros(25, np.uint8)[1:].view(F32).reshape(2, 3), np.zeros((1,) * 40, F32), [[0.0] * 3] * 2, 1.0, None,
], ids=lambda other: f"{type(other).__name__} {getattr(other, 'dtype', '')}")
def test_other_arrays_are_not_found(other):
    memo = kept(np.zeros((2, 3), F32), None, 1)
    assert memo.find(other, None, 1) is None
    memo.keep("other", other, None, 1)
    assert memo.find(np.zeros((2, 3), F32), None, 1) == "found"


@pytest.mark.parametrize("option, others", [(1, [True, 1.0, np.int64(1), np.float64(1), np.True_, 2, None, "1", (1,)]),
                                            (True, [1, 1.0, np.True_]), (0.0, [-0.0, 0, False]),
                                            ((1, 1), [(1, True), (1.0, 1), [1, 1], 1])], ids=str)
def test_equal_is_not_the_same(option, others):
    memo = kept(np.zeros(3), None, option)
    assert memo.find(np.zeros(3), None, option) == "found"
    for other in others:
        assert memo.find(np.zeros(3), None, other) is None


def pair(*numbers):
    """A tuple that no other call has."""
    return tuple(number for number in numbers)


def test_a_tuple_of_integers_is_the_same_where_its_numbers_are():
    memo = kept(np.zeros(3), None, pair(2, 3, 28, 28), 5)
    assert memo.find(np.zeros(3), None, pair(2, 3, 28, 28), 5) == "found"
    for other in (pair(2, 3, 28, 29), pair(2, 3, 28), pair(2, 3, 28, 28, 1), pair(2, 3, 28.0, 28),
                  pair(2, 3, 28, np.int64(28)), pair(2, 3, pair(28, 28)), [2, 3, 28, 28], 2):
        assert memo.find(np.zeros(3), None, other, 5) is None
    assert kept(np.zeros(3), None, pair(1, 1)).find(np.zeros(3), None, pair(1, True)) is None
    assert kept(np.zeros(3), None, pair(1, True)).find(np.zeros(3), None, pair(1, 1)) is None
    assert kept(np.zeros(3), None, pair(1), 2).find(np.zeros(3), None, pair(1, 2)) is None
    assert kept(np.zeros(3), None, pair(2**70, 1)).find(np.zeros(3), None, pair(2**70 + 2**64, 1)) is None
    assert kept(np.zeros(3), None, pair(-1), pair()).find(np.zeros(3), None, pair(-1), pair()) == "found"


class Number(int):
    pass


@pytest.mark.parametrize("option",
                         [[1, 1], np.array([1, 1]), np.array(0.5), np.float64(1), ([1], 2), {}, object(), Number(1),
                          b"NCHW"], ids=lambda option: type(option).__name__)
def test_what_may_change_is_not_kept(option):
    assert kept(np.zeros(3), None, option).find(np.zeros(3), None, option) is None


def test_arrays_and_options_are_told_apart():
    memo = kept(np.zeros((4, 5)), np.zeros(6), 1)
    assert memo.find(np.zeros(4), np.zeros((5, 6)), 1) is None
    assert memo.find(np.zeros((4, 5)), np.zeros(6)) is None
    assert memo.find(np.zeros((4, 5)), np.zeros(6), 1, 1) is None


def test_many_are_never_mixed_up_and_do_not_pile_up():
    class Value:
        pass

    memo, alive, found = Memo(1), weakref.WeakSet(), 0
    for i in range(20_000):
        value = Value()
        value.key = (i % 7000, i % 3)
        alive.add(value)
        hit = memo.find(np.zeros((i % 7000, i % 3), F32), "option")
        if hit is not None:
            found += 1
            assert hit.key == value.key
        memo.keep(value, np.zeros((i % 7000, i % 3), F32), "option")
        assert memo.find(np.zeros((i % 7000, i % 3), F32), "option") is value
    del value, hit
    gc.collect()
    assert 256 < len(alive) <= 512


@pytest.mark.parametrize("option", range(20))
def test_a_new_entry_pushes_the_older_of_its_two_out(option):
    # There are two pairs of places: wherever in memory this run has its objects, some of nine keys meet.
    memo, found = Memo(1, 2), []
    for i in range(9):
        memo.keep(i, np.zeros((1, i)), option)
        found = [key for key in [*found, i] if memo.find(np.zeros((1, key)), option) == key]
        assert found[-1] == i
        assert 2 <= len(found) <= 4 or i == 0


def test_the_calls_of_a_model_seldom_push_each_other_out():
    memo = Memo(1)
    for i in range(60):
        memo.keep(i, np.zeros((1, i)), 3, "same")
    found = [memo.find(np.zeros((1, i)), 3, "same") for i in range(60)]
    assert all(value in (None, i) for i, value in enumerate(found))
    assert found.count(None) <= 6
