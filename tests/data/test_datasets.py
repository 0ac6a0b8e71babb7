"""ArrayDataset: what it accepts, indexing, splitting, normalising."""

import numpy as np
import pytest

from fastconv.data import ArrayDataset


def dataset(n=30, classes=3):
    generator = np.random.default_rng(0)
    return ArrayDataset(generator.random((n, 2, 4, 5), np.float32), np.arange(n) % classes)


def test_float32_is_used_without_a_copy():
    images = np.zeros((3, 1, 2, 2), np.float32)
    assert np.shares_memory(ArrayDataset(images, [0, 1, 2]).images, images)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float64, ">f4", np.longdouble])
def test_other_dtypes_become_float32(dtype):
    images = np.zeros((2, 3, 2, 2), dtype)
    images[1] = 255 if dtype is np.uint8 else 1
    result = ArrayDataset(images.transpose(0, 1, 3, 2), [0, 1])
    assert result.images.dtype == np.float32 and result.images.flags.c_contiguous
    np.testing.assert_array_equal(result.images[0], 0)
    np.testing.assert_array_equal(result.images[1], 1)


def test_uint8_is_divided_by_255():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    np.testing.assert_array_equal(ArrayDataset(levels, [0]).images, levels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">i2"])
def test_labels_become_int64(dtype):
    result = ArrayDataset(np.zeros((3, 2, 2)), np.array([2, 0, 1], dtype))
    assert result.labels.dtype == np.int64 and result.labels.dtype.isnative
    assert result.labels.tolist() == [2, 0, 1] and result.classes == ["0", "1", "2"]


def test_grey_images_get_a_channel():
    assert ArrayDataset(np.zeros((3, 4, 5)), [0, 0, 0]).images.shape == (3, 1, 4, 5)


def test_no_images():
    empty = ArrayDataset(np.zeros((0, 1, 4, 4)), [])
    assert len(empty) == 0 and empty.classes == [] and list(empty) == []
    with pytest.raises(ValueError, match="mean_std needs at least one image"):
        empty.mean_std()


def test_indexing():
    whole = dataset()
    image, label = whole[4]
    assert isinstance(label, int) and label == 1
    np.testing.assert_array_equal(image, whole.images[4])
    assert whole[-1][1] == whole[np.int64(29)][1] == 2
    part = whole[10:20:3]
    assert isinstance(part, ArrayDataset) and part.labels.tolist() == [1, 1, 1, 1] and part.classes == ["0", "1", "2"]
    assert whole[[5, 2]].labels.tolist() == [2, 2] and len(whole[[]]) == 0
    assert len(whole[whole.labels == 0]) == 10
    assert [label for _, label in whole] == whole.labels.tolist()
    with pytest.raises(IndexError):
        whole[30]
    with pytest.raises(TypeError, match="index must be .*'a'"):
        whole["a"]
    with pytest.raises(TypeError, match="index must be"):
        whole[1, 2]


def test_repr():
    assert repr(dataset()) == "ArrayDataset(30 images of 2 x 4 x 5, 3 classes)"


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.81, 29 / 30])
def test_split_takes_its_share_of_each_class(fraction):
    whole = dataset()
    first, second = whole.split(fraction)
    assert len(first) == round(fraction * 30) and len(first) + len(second) == 30
    counts = np.bincount(first.labels, minlength=3)
    assert counts.max() - counts.min() <= 1
    joined = np.concatenate([first.images, second.images]).reshape(30, -1)
    np.testing.assert_array_equal(
        joined[np.lexsort(joined.T)], whole.images.reshape(30, -1)[np.lexsort(whole.images.reshape(30, -1).T)]
    )


def test_split_of_uneven_classes():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    first, second = ArrayDataset(np.zeros((100, 2, 2)), labels).split(0.9)
    assert np.bincount(first.labels).tolist() == [54, 27, 9] and np.bincount(second.labels).tolist() == [6, 3, 1]


def test_split_depends_on_its_seed():
    whole = dataset()
    np.testing.assert_array_equal(whole.split(0.5, seed=1)[0].images, whole.split(0.5, seed=1)[0].images)
    assert not np.array_equal(whole.split(0.5, seed=1)[0].images, whole.split(0.5, seed=2)[0].images)


def test_normalize():
    train = dataset()
    result = train.normalize(*train.mean_std())
    np.testing.assert_allclose(result.images.mean(axis=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(result.images.std(axis=(0, 2, 3)), 1, atol=1e-6)
    np.testing.assert_allclose(train.normalize(0.5, 2).images, (train.images - 0.5) / 2, rtol=1e-6)
    assert result.images.dtype == np.float32


IMAGES = np.zeros((4, 1, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: ArrayDataset(np.zeros((2, 2)), [0, 0]), ValueError, r"images must .*\(2, 2\)"),
        (lambda: ArrayDataset(np.zeros((2, 0, 3, 3)), [0, 0]), ValueError, r"images must .*\(2, 0, 3, 3\)"),
        (lambda: ArrayDataset(np.zeros((2, 1, 3, 3), int), [0, 0]), TypeError, "images must .*int64"),
        (lambda: ArrayDataset(np.zeros((2, 1, 3, 3), bool), [0, 0]), TypeError, "images must .*bool"),
        (lambda: ArrayDataset(np.zeros((2, 1, 3, 3), complex), [0, 0]), TypeError, "images must .*complex"),
        (lambda: ArrayDataset(IMAGES, [0, 1, 2]), ValueError, r"labels .*\(3,\)"),
        (lambda: ArrayDataset(IMAGES, np.zeros((4, 1), int)), ValueError, r"labels .*\(4, 1\)"),
        (lambda: ArrayDataset(IMAGES, [0, 1, 2, 0.5]), TypeError, "labels must be integer.*float64"),
        (lambda: ArrayDataset(IMAGES, [True] * 4), TypeError, "labels must be integer.*bool"),
        (lambda: ArrayDataset(IMAGES, ["a"] * 4), TypeError, "labels must be integer"),
        (lambda: ArrayDataset(IMAGES, [0, 1, -1, 0]), ValueError, "labels must .*-1"),
        (lambda: ArrayDataset(IMAGES, [0, 2**40, 1, 0]), ValueError, "labels must .*1099511627776"),
        (
            lambda: ArrayDataset(IMAGES, np.array([0, 2**63, 1, 0], np.uint64)),
            ValueError,
            "labels must .*9223372036854775808",
        ),
        (lambda: ArrayDataset(IMAGES, [0, 1, 2, 0], ["a", "b"]), ValueError, "labels must .*2"),
        (lambda: ArrayDataset(IMAGES, [0, 1, 1, 0], "ab"), TypeError, "classes must .*'ab'"),
        (lambda: ArrayDataset(IMAGES, [0, 1, 1, 0], [0, 1]), TypeError, "classes must"),
        (lambda: ArrayDataset(IMAGES, [0, 1, 1, 0], 2), TypeError, "classes must"),
        (lambda: dataset().split(0), ValueError, "fraction must .*0"),
        (lambda: dataset().split(1.0), ValueError, "fraction must .*1.0"),
        (lambda: dataset().split(float("nan")), ValueError, "fraction must .*nan"),
        (lambda: dataset().split("half"), TypeError, "fraction must .*half"),
        (lambda: dataset().split(0.001), ValueError, "fraction .*one part without"),
        (lambda: dataset().split(0.5, seed=-1), ValueError, "seed must .*-1"),
        (lambda: dataset().split(0.5, seed=0.5), TypeError, "seed must .*0.5"),
        (lambda: dataset().normalize([0, 0, 0], 1), ValueError, "mean must be one finite number or 2"),
        (lambda: dataset().normalize(float("nan"), 1), ValueError, "mean must .*nan"),
        (lambda: dataset().normalize(0, [1, 0]), ValueError, r"std must be above 0, got \[1, 0\]"),
    ],
)
def test_bad_arguments(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(("dtype", "values", "hint"), [
    (bool, [0, 1], r"got bool: write images\.astype\(np\.float32\)$"),
    (np.int64, [0, 255], r"got int64: write images\.astype\(np\.uint8\)$"),
    (np.uint16, [7, 200], r"got uint16: write images\.astype\(np\.uint8\)$"),
    (np.uint16, [0, 65535],
     r"got uint16: their values are 0 to 65535, write images\.astype\(np\.float32\) / 65535, or"),
    (np.int32, [-1, 9],
     r"got int32: their values are -1 to 9, write images\.astype\(np\.float32\), brought to 0 to 1$"),
])  # fmt: skip
def test_images_of_whole_numbers_are_told_what_to_write(dtype, values, hint):
    images = np.array(values, dtype).reshape(2, 1, 1)
    with pytest.raises(TypeError, match=r"images must be uint8 \(0 to 255\) or floating point \(0 to 1\), " + hint):
        ArrayDataset(images, [0, 1])


@pytest.mark.parametrize("labels", [[0, -1], [-1, -1], [-3, 2]])
def test_negative_labels(labels):
    with pytest.raises(ValueError, match=f"labels must be at least 0, got {min(labels)}"):
        ArrayDataset(np.zeros((2, 4, 4), np.uint8), labels)


@pytest.mark.parametrize(
    ("images", "written"),
    [
        (np.zeros((2, 4, 4), object), "convert it with np.asarray(images, dtype=np.float64)"),
        (np.zeros((2, 4, 4)).astype(str), "np.asarray(images).astype(np.float32)"),
        (np.zeros((2, 4, 4), complex), "pass images.real"),
        (np.full((2, 4, 4), None), "it holds None, which is no number"),
    ],
)
def test_images_that_are_no_numbers_say_what_to_write(images, written):
    with pytest.raises(TypeError,
                       match=r"images must be uint8 \(0 to 255\) or floating point \(0 to 1\), got ") as caught:
        ArrayDataset(images, [0, 1])
    assert written in str(caught.value)


def test_one_image_cannot_be_split():
    with pytest.raises(ValueError, match="fraction 0.5 of 1 image leaves one part without an image"):
        ArrayDataset(np.zeros((1, 4, 4)), [0]).split(0.5)
