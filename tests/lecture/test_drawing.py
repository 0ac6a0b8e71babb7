"""From a drawing to what the network sees: as MNIST has it, wherever and however large it is drawn."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim
from fastconv.lecture.drawing import centred, shrunk

DIGITS = data.digits("test").images[:100, 0]


def drawn(digit, size, top, left):
    """The digit's ink, `size` pixels on its longer side, on a paper of 280 x 280."""
    rows, columns = np.flatnonzero(digit.any(axis=1)), np.flatnonzero(digit.any(axis=0))
    ink = digit[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    scale = size / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    large = ink[np.arange(height) * len(ink) // height][:, np.arange(width) * ink.shape[1] // width]
    paper = np.zeros((280, 280), np.float32)
    y, x = round(top * (280 - height)), round(left * (280 - width))
    paper[y:y + height, x:x + width] = large
    return paper


PLACES = [(top, left, size) for top, left in ((0, 0), (0, 1), (0.5, 0.5), (1, 0), (1, 1)) for size in (80, 140, 200)]


def test_five_places_and_three_sizes_lose_at_most_a_point():
    model = nn.models.lenet5(rng=0)
    trainer = fc.Trainer(model, optim.AdamW(model.parameters(), lr=0.004), loss=nn.NLLLoss())
    trainer.fit(data.digits("train"), epochs=8, augment=data.RandomAffine(shift=2), seed=0, progress=False)
    labels = data.digits("test").labels[:100]

    def right(images):
        return int(np.count_nonzero(model.predict(np.stack(images)[:, None]) == labels))

    straight = right(DIGITS)
    assert straight >= 93
    plain = []
    for top, left, size in PLACES:
        papers = [drawn(digit, size, top, left) for digit in DIGITS]
        assert right([centred(paper, (28, 28)) for paper in papers]) >= straight - 1, (top, left, size)
        plain.append(right([shrunk(paper, (28, 28)) for paper in papers]))
    assert min(plain) < 40  # what the switch is there to show


def test_a_digit_of_the_set_stays_where_it_is():
    for digit in DIGITS:
        assert np.array_equal(centred(digit, (28, 28)), digit)


def test_the_mean_is_kept():
    rng = np.random.default_rng(0)
    ink = rng.random((37, 91), np.float32)
    for size in ((5, 7), (37, 91), (50, 100), (1, 1)):
        assert abs(shrunk(ink, size).mean() - ink.mean()) < 1e-6
    assert np.array_equal(shrunk(ink, ink.shape), ink)
    assert np.allclose(shrunk(ink[:36, :90], (12, 30)), ink[:36, :90].reshape(12, 3, 30, 3).mean(axis=(1, 3)))


@pytest.mark.parametrize("where", [np.s_[0, 0], np.s_[279, 279], np.s_[:, 140], np.s_[3, :], np.s_[:, :]])
def test_drawings_of_any_form(where):
    ink = np.zeros((280, 280), np.float32)
    ink[where] = 1
    seen = centred(ink, (28, 28))
    assert seen.shape == (28, 28) and seen.max() > 0 and seen.max() <= 1
    rows, columns = np.indices(seen.shape)
    assert abs((seen * rows).sum() / seen.sum() - 14) <= 0.51
    assert abs((seen * columns).sum() / seen.sum() - 14) <= 0.51
