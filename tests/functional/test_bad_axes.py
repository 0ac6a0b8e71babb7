"""Every bad argument of convolutions of one and three axes and of transposed ones ends in an error that says what it
was and what it must be, before anything is written."""

import warnings

import bad_axes
import pytest

ROWS = list(bad_axes.rows())


def test_there_are_enough():
    assert len({what for what, *_ in ROWS}) == len(ROWS)
    assert len(ROWS) >= 70 * len({what.split(":")[0] for what, *_ in ROWS})


@pytest.mark.parametrize("error, message, call", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_bad_input(error, message, call):
    with warnings.catch_warnings(), pytest.raises(error, match=message) as caught:
        warnings.simplefilter("error")
        call()
    assert type(caught.value) is error and "\n" not in str(caught.value)
