"""DataLoader: what a batch is, and that seed, epoch and batch number alone decide its content."""

import numpy as np
import pytest

from fastconv.data import ArrayDataset, DataLoader, RandomAffine


def dataset(n=23):
    generator = np.random.default_rng(0)
    return ArrayDataset(generator.random((n, 1, 6, 6), np.float32), np.arange(n), [str(i) for i in range(n)])


def same(one, two):
    one, two = list(one), list(two)
    return len(one) == len(two) and all(
        np.array_equal(a, c) and np.array_equal(b, d) for (a, b), (c, d) in zip(one, two, strict=True)
    )


def labels(batches):
    return np.concatenate([y for _, y in batches]).tolist()


@pytest.mark.parametrize(
    ("batch_size", "drop_last", "sizes"),
    [
        (5, False, [5, 5, 5, 5, 3]),
        (5, True, [5] * 4),
        (23, False, [23]),
        (23, True, [23]),
        (100, False, [23]),
        (100, True, []),
    ],
)
def test_batches(batch_size, drop_last, sizes):
    loader = DataLoader(dataset(), batch_size, drop_last=drop_last)
    batches = list(loader)
    assert [len(x) for x, _ in batches] == sizes and len(loader) == len(sizes)
    for x, y in batches:
        assert x.dtype == np.float32 and x.flags.c_contiguous and x.shape[1:] == (1, 6, 6)
        assert y.dtype == np.int64 and y.shape == (len(x),)


def test_without_shuffling_the_order_is_kept():
    whole = dataset()
    loader = DataLoader(whole, 4)
    assert labels(loader) == labels(loader) == list(range(23))
    np.testing.assert_array_equal(np.concatenate([x for x, _ in loader]), whole.images)


def test_a_shuffled_epoch_has_every_image_once_with_its_label():
    whole = dataset()
    loader = DataLoader(whole, 4, shuffle=True)
    for _ in range(2):
        batches = list(loader)
        order = labels(batches)
        assert order != list(range(23)) and sorted(order) == list(range(23))
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), whole.images[order])


def test_epochs_and_seeds_differ():
    orders = [
        labels(DataLoader(dataset(), 4, shuffle=True, seed=seed).batches(epoch))
        for seed in range(3) for epoch in range(3)
    ]
    assert len({tuple(order) for order in orders}) == 9


def test_writing_to_a_batch_leaves_the_dataset():
    whole = dataset()
    before = whole.images.copy()
    for x, y in DataLoader(whole, 4):
        x[:], y[:] = -1, 0
    np.testing.assert_array_equal(whole.images, before)
    assert whole.labels.tolist() == list(range(23))


def augmented(seed=0):
    return DataLoader(dataset(), 5, shuffle=True, seed=seed, augment=RandomAffine())


def test_augmentation_changes_the_images_and_not_the_labels():
    plain, changed = DataLoader(dataset(), 5, shuffle=True), augmented()
    assert labels(plain.batches(0)) == labels(changed.batches(0))
    assert not any(np.array_equal(a, b) for (a, _), (b, _) in zip(plain.batches(0), changed.batches(0), strict=True))


def test_a_resumed_training_sees_the_same_batches():
    first = augmented(seed=3)
    seen = [list(first) for _ in range(4)]
    for epoch in range(4):
        resumed = augmented()
        resumed.load_state_dict({"seed": 3, "epoch": epoch})
        assert same(resumed, seen[epoch]) and resumed.state_dict() == {"seed": 3, "epoch": epoch + 1}
        for start in range(6):
            assert same(resumed.batches(epoch, start), seen[epoch][start:])


def test_augmentation_differs_between_epochs_and_batches():
    image = np.random.default_rng(0).random((1, 1, 8, 8)).astype(np.float32)
    same_images = ArrayDataset(np.repeat(image, 6, axis=0), [0] * 6)
    loader = DataLoader(same_images, 2, augment=RandomAffine())
    images = np.concatenate([x for _ in range(3) for x, _ in loader])
    assert len(np.unique(images.reshape(18, -1), axis=0)) == 18


def test_the_epoch_counts_whole_passes():
    loader = DataLoader(dataset(), 5, shuffle=True)
    next(iter(loader))
    assert loader.epoch == 0
    list(loader)
    assert loader.epoch == 1
    loader.epoch = 7
    assert same(loader, loader.batches(7)) and loader.epoch == 8


def test_a_pair_of_arrays_is_a_dataset():
    x, y = next(iter(DataLoader((np.zeros((5, 4, 4), np.uint8), [0, 1, 2, 0, 1]))))
    assert x.shape == (5, 1, 4, 4) and y.tolist() == [0, 1, 2, 0, 1]


def test_no_images_no_batches():
    loader = DataLoader((np.zeros((0, 1, 4, 4)), []), shuffle=True, augment=RandomAffine())
    assert len(loader) == 0 and list(loader) == []


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"dataset": np.zeros((5, 1, 4, 4))}, TypeError, "dataset must .*ndarray"),
        ({"dataset": (np.zeros((5, 1, 4, 4)), [0])}, ValueError, "labels"),
        ({"batch_size": 0}, ValueError, "batch_size must .*0"),
        ({"batch_size": 2.0}, TypeError, "batch_size must .*2.0"),
        ({"batch_size": True}, TypeError, "batch_size must .*True"),
        ({"shuffle": 1}, TypeError, "shuffle must .*1"),
        ({"drop_last": None}, TypeError, "drop_last must .*None"),
        ({"seed": -1}, ValueError, "seed must .*-1"),
        ({"seed": "0"}, TypeError, "seed must .*'0'"),
        ({"augment": 5}, TypeError, "augment must .*5"),
    ],
)
def test_bad_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        DataLoader(**{"dataset": dataset(), **arguments})


def test_bad_states():
    loader = DataLoader(dataset(), seed=5)
    for epoch, error in ((-1, ValueError), (1.5, TypeError)):
        with pytest.raises(error, match="epoch must"):
            loader.epoch = epoch
        with pytest.raises(error, match="epoch must"):
            loader.batches(epoch)
        with pytest.raises(error, match="epoch must"):
            loader.load_state_dict({"seed": 9, "epoch": epoch})
    with pytest.raises(ValueError, match="start must .*-2"):
        loader.batches(0, start=-2)
    with pytest.raises(ValueError, match="state must have the keys .*'epoch'"):
        loader.load_state_dict({"epoch": 3})
    assert loader.state_dict() == {"seed": 5, "epoch": 0}


def test_an_augmentation_must_keep_the_shape():
    loader = DataLoader(dataset(), augment=lambda images, rng: images[:, :, 1:])
    with pytest.raises(ValueError, match=r"augment must keep the shape \(23, 1, 6, 6\), got \(23, 1, 5, 6\)"):
        list(loader)


def test_those_that_share_the_batches_see_all_of_them_once():
    loader = DataLoader(dataset(), 7, shuffle=True, augment=RandomAffine())
    batches = list(loader.batches(1))
    shared = [list(loader.batches(1, start, 3)) for start in range(3)]
    for number, batch in enumerate(batches):
        np.testing.assert_equal(shared[number % 3][number // 3], batch)
    assert sum(map(len, shared)) == len(batches)


def test_a_part_is_augmented_by_its_key():
    loader = DataLoader(dataset(), 7, augment=RandomAffine())
    first, again, other = (loader.part(np.arange(5), *key) for key in ((1, 2, 0), (1, 2, 0), (1, 2, 1)))
    np.testing.assert_equal(first, again)
    assert (first[0] != other[0]).any()
    np.testing.assert_equal(loader.part(loader.order(3)[:7], 3, 0), next(loader.batches(3)))


@pytest.mark.parametrize("call, argument", [
    (lambda many: DataLoader(dataset(), 4, augment=many), "augment"),
    (lambda many: dataset().normalize(many, 1.0), "mean"),
    (lambda many: dataset().normalize(0.0, many - 1), "std"),
    (lambda many: dataset()[{"a": many}], "index"),
])
def test_a_message_about_many_numbers_is_one_line(call, argument):
    with pytest.raises((TypeError, ValueError), match=f"^{argument} must ") as error:
        call(np.ones((30, 30)))
    assert "\n" not in str(error.value) and len(str(error.value)) < 200
