"""What is said about images and labels that look wrong, and what is refused."""

import numpy as np
import pytest

from fastconv.data import ArrayDataset
from fastconv.data.doubts import check_finite, doubts

RNG = np.random.default_rng(0)
IMAGES = RNG.random((12, 3, 8, 8), np.float32)
LABELS = np.arange(12) % 3


def said(images=IMAGES, labels=LABELS, classes=None):
    return doubts(ArrayDataset(images, labels, classes))


@pytest.mark.parametrize("images", [
    IMAGES,
    IMAGES * 2 - 1,
    (IMAGES - IMAGES.mean()) / IMAGES.std(),
    RNG.standard_normal((12, 1, 8, 8)),
    np.uint8(IMAGES * 255),
    np.float32(IMAGES > 0.5),
])  # fmt: skip
def test_nothing_is_said_about_usual_images(images):
    assert said(images) == []
    assert said(images, LABELS, ["a", "b", "c"]) == []
    assert said(IMAGES[:0], LABELS[:0]) == []


@pytest.mark.parametrize("images, message", [
    (np.floor(IMAGES * 256), "the images reach from 0 to 255, where 0 to 1 is expected: write images / 255"),
    (np.floor(IMAGES * 17), "the images reach from 0 to 16, where 0 to 1 is expected: write images / 16"),
    (np.floor(IMAGES * 65536), "write images / 65535"),
    (IMAGES / IMAGES.max() * np.float32(1e9), "write images / 1e+09"),
    (np.floor(IMAGES * 256) - 128, "to 127, where 0 to 1 is expected: write (images - images.mean()) / images.std()"),
    (IMAGES / 255,
     "only, where 0 to 1 is expected (were they divided by 255 twice?): write (images - images.min()) / (images.max()"),
    (np.full((12, 1, 8, 8), 0.25), "all pixels of all images are 0.25: there is nothing to learn"),
    (np.zeros((12, 1, 8, 8)), "all pixels of all images are 0: there is nothing to learn"),
    (np.broadcast_to(np.arange(12.0).reshape(12, 1, 1, 1) / 11, (12, 1, 8, 8)),
     "12 of 12 images have one value in all pixels"),
])  # fmt: skip
def test_images_that_look_wrong(images, message):
    found = said(images)
    assert len(found) == 1 and message in found[0], found


@pytest.mark.parametrize("labels, classes, message", [
    (np.where(LABELS, 3, 900), None, "the labels from 3 to 900 make 901 classes, 899 of them without an image: write "
                                     "labels = np.unique(labels, return_inverse=True)[1]"),
    (LABELS + 1, None, "the labels from 1 to 3 make 4 classes, 1 of them without an image: write"),
    (np.zeros(12, int), None, "all labels are 0: there is nothing to tell apart"),
    (np.ones(12, int), ["a", "b"], "all labels are 1: there is nothing to tell apart"),
    (LABELS, ["a", "b", "c", "d"], "1 of 4 classes have no image: d"),
    (LABELS, list("abcdefghijk"), "8 of 11 classes have no image: d, e, f, g, h, ..."),
])  # fmt: skip
def test_labels_that_look_wrong(labels, classes, message):
    found = said(labels=labels, classes=classes)
    assert len(found) == 1 and message in found[0], found


def test_the_expressions_mend_what_is_said():
    images, labels = np.floor(IMAGES * 256), np.where(LABELS, 3, 900)
    assert len(said(images, labels)) == 2
    assert said(images / 255, np.unique(labels, return_inverse=True)[1]) == []


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(value):
    images = IMAGES.copy()
    images[[4, 9], 2, 7, 7] = value
    check_finite(ArrayDataset(IMAGES, LABELS), "train_set")
    with pytest.raises(ValueError, match="train_set: images must be finite, 2 of 12 hold NaN or infinity, "
                                         "the first is number 4: write"):
        check_finite(ArrayDataset(images, LABELS), "train_set")
    mended = np.isfinite(images).all(axis=(1, 2, 3))
    check_finite(ArrayDataset(images[mended], LABELS[mended]), "train_set")
    assert np.isfinite(np.where(np.isfinite(images), images, 0)).all()


@pytest.mark.parametrize("scale", [1e3, 1e11, 1e13, 1e20, 1e30, 3e38])
@pytest.mark.parametrize("shift", [0, 0.5, 1])
def test_very_large_values_and_the_expression_that_mends_them(scale, shift):
    images = (np.float32(scale) * (IMAGES - np.float32(shift))).astype(np.float32)
    found = said(images)
    assert len(found) == 1 and "where 0 to 1 is expected: write " in found[0]
    with np.errstate(all="raise"):
        mended = eval(found[0].split("write ")[1], {"images": images})
    assert np.isfinite(mended).all() and said(mended.astype(np.float32)) == []
