"""Training of other things than classifiers of images: regression, segmentation, weights of samples."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim

RNG = np.random.default_rng(0)
IMAGES = RNG.random((60, 1, 6, 6)).astype(np.float32)
NUMBERS = np.stack([IMAGES.mean((1, 2, 3)), IMAGES[:, 0, 0, 0]], 1).astype(np.float32)
MAPS = (IMAGES[:, 0] > 0.5).astype(np.int64)


def regression(loss=None, **options):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2, rng=0))
    return fc.Trainer(model, optim.SGD(model.parameters(), lr=0.05), loss=loss or nn.MSELoss(), **options)


def segmentation(**options):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, rng=0))
    return fc.Trainer(model, optim.Adam(model.parameters(), lr=0.1), loss=nn.CrossEntropyLoss(**options))


def classifier(loss=None):
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, rng=0))
    return fc.Trainer(model, optim.SGD(model.parameters(), lr=0.1), loss=loss or nn.CrossEntropyLoss())


LABELS = np.arange(60) % 3


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.L1Loss(), nn.HuberLoss(), nn.SmoothL1Loss(), nn.BCEWithLogitsLoss()],
                         ids=repr)
def test_regression_learns_and_has_no_accuracy(loss):
    trainer = regression(loss)
    history = trainer.fit((IMAGES, NUMBERS), epochs=8, batch_size=16, validation=(IMAGES, NUMBERS), progress=False)
    assert history.train_loss[-1] < history.train_loss[0] and history.validation_loss[-1] < history.validation_loss[0]
    assert history.train_accuracy == history.validation_accuracy == [None] * 8
    scores = trainer.evaluate((IMAGES, NUMBERS))
    assert set(scores) == {"loss"}
    output = trainer.model(IMAGES)
    assert scores["loss"] == pytest.approx(float(loss(output, NUMBERS)), rel=1e-5)


def test_regression_reports_and_resumes_with_the_same_bits(tmp_path, capsys):
    whole, broken = regression(), regression()
    arguments = {"batch_size": 16, "validation": data.TargetDataset(IMAGES, NUMBERS)}
    history = whole.fit((IMAGES, NUMBERS), 4, **arguments)
    shown = capsys.readouterr().err
    assert "validation loss" in shown and "accuracy" not in shown
    broken.fit((IMAGES, NUMBERS), 2, **arguments, checkpoint=tmp_path / "c.npz", progress=False)
    again = regression()
    other = again.fit((IMAGES, NUMBERS), 4, **arguments, checkpoint=tmp_path / "c.npz", resume=True, progress=False)
    assert other.train_loss == history.train_loss and other.train_accuracy == [None] * 4
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(array, again.model.state_dict()[name])


def test_segmentation_learns_and_its_accuracy_is_that_of_pixels():
    trainer = segmentation()
    history = trainer.fit((IMAGES, MAPS), epochs=15, batch_size=16, validation=(IMAGES, MAPS), progress=False)
    assert history.train_accuracy[-1] > 0.9 and history.validation_accuracy[-1] > 0.9
    scores = trainer.evaluate((IMAGES, MAPS))
    assert scores["accuracy"] == np.mean(trainer.model(IMAGES).argmax(1) == MAPS)
    void = MAPS.copy()
    void[:, :3] = -100
    scores = trainer.evaluate((IMAGES, void))
    assert scores["accuracy"] == np.mean((trainer.model(IMAGES).argmax(1) == MAPS)[:, 3:])
    assert np.isfinite(segmentation().fit((IMAGES, void), epochs=1, progress=False).train_loss[0])


def test_weights_of_samples():
    chosen = LABELS != 1
    trainer, other = classifier(), classifier()
    history = trainer.fit((IMAGES, LABELS), 3, 60, sample_weight=chosen.astype(float) * 7, progress=False)
    with pytest.warns(data.DataWarning):
        reference = other.fit((IMAGES[chosen], LABELS[chosen]), 3, 60, progress=False)
    np.testing.assert_allclose(history.train_loss, reference.train_loss, rtol=1e-5)
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_allclose(array, other.model.state_dict()[name], rtol=1e-4, atol=1e-6)


def test_a_batch_that_counts_for_nothing_teaches_nothing(tmp_path):
    weights = np.zeros(60)
    weights[7] = 1.0
    trainer = classifier()
    assert np.isfinite(trainer.fit((IMAGES, LABELS), 2, 8, sample_weight=weights, progress=False).train_loss).all()
    one = classifier()
    one.fit((IMAGES, LABELS), 1, 8, sample_weight=weights, checkpoint=tmp_path / "c.npz", progress=False)
    with pytest.raises(ValueError, match="sample_weight"):
        classifier().fit((IMAGES, LABELS), 2, 8, checkpoint=tmp_path / "c.npz", resume=True, progress=False)
    again = classifier()
    again.fit((IMAGES, LABELS), 2, 8, sample_weight=weights, checkpoint=tmp_path / "c.npz", resume=True, progress=False)
    for name, array in trainer.model.state_dict().items():
        np.testing.assert_array_equal(array, again.model.state_dict()[name])


def test_clipping_holds_the_step_to_its_bound():
    for bound in (1e-3, 1e9):
        model = nn.Sequential(nn.Flatten(), nn.Linear(36, 3, rng=0))
        before = {name: array.copy() for name, array in model.state_dict().items()}
        trainer = fc.Trainer(model, optim.SGD(model.parameters(), lr=1.0), nn.CrossEntropyLoss(), clip_grad_norm=bound)
        trainer.fit((IMAGES, LABELS), 1, 60, progress=False)
        moved = np.sqrt(sum(((array - before[name]) ** 2).sum() for name, array in model.state_dict().items()))
        assert moved == pytest.approx(1e-3, rel=1e-3) if bound == 1e-3 else moved > 1e-3


@pytest.mark.parametrize("call, error, message", [
    (lambda: regression().fit((IMAGES, NUMBERS[:, :1]), 1), ValueError,
     r"train_set: targets must have the shape of the model's outputs, \(N, 2\), got \(60, 1\)"),
    (lambda: regression().fit((IMAGES, NUMBERS[:50]), 1), ValueError, "train_set: targets must have one entry"),
    (lambda: regression().fit((IMAGES, np.full((60, 2), np.nan)), 1), ValueError, "train_set: targets must be finite"),
    (lambda: regression().fit(data.ArrayDataset(IMAGES, LABELS), 1), ValueError, "train_set: targets must be numbers"),
    (lambda: regression().fit((IMAGES, LABELS), 1), TypeError, "train_set: targets must be floating point"),
    (lambda: regression().fit((IMAGES, NUMBERS), 1, validation=(IMAGES, NUMBERS[:, :1])), ValueError,
     "validation: targets must have the shape"),
    (lambda: regression().fit((IMAGES, NUMBERS), 1, early_stopping=fc.EarlyStopping(monitor="train_accuracy")),
     ValueError, "early_stopping must not watch train_accuracy"),
    (lambda: segmentation().fit((IMAGES, MAPS[:, :5]), 1), ValueError, "train_set: targets must have a class number"),
    (lambda: segmentation().fit((IMAGES, MAPS + 1), 1), ValueError, "train_set: targets must be class numbers from 0"),
    (lambda: segmentation().fit((IMAGES, MAPS - 1), 1), ValueError, "train_set: targets must be class numbers from 0"),
    (lambda: classifier().fit((IMAGES, LABELS), 1, sample_weight=np.ones(59)), ValueError, "sample_weight must have"),
    (lambda: classifier().fit((IMAGES, LABELS), 1, sample_weight=np.zeros(60)), ValueError, "sample_weight must be"),
    (lambda: classifier(type("Own", (), {"__call__": lambda self, y, t: 0.0, "backward": lambda self: None})()).fit(
        (IMAGES, LABELS), 1, sample_weight=np.ones(60)), TypeError, "sample_weight needs a loss of fastconv.nn"),
    (lambda: regression(clip_grad_norm=0), ValueError, "clip_grad_norm must be above 0"),
    (lambda: regression(clip_grad_norm="1"), TypeError, "clip_grad_norm must be a real number"),
    (lambda: data.TargetDataset(IMAGES, LABELS), TypeError, "targets must be floating point, or a map"),
    (lambda: data.TargetDataset(IMAGES, NUMBERS, ["a"]), ValueError, "classes must be left None"),
    (lambda: data.TargetDataset(IMAGES, MAPS, ["a"]), ValueError, "targets must be below 1"),
])
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_dataset_of_targets():
    numbers, maps = data.TargetDataset(IMAGES, NUMBERS), data.TargetDataset(IMAGES, MAPS, ["dark", "light"])
    assert repr(numbers) == "TargetDataset(60 images of 1 x 6 x 6, targets of 2)"
    assert repr(maps[:3]) == "TargetDataset(3 images of 1 x 6 x 6, maps of 6 x 6, 2 classes)"
    image, target = numbers[3]
    np.testing.assert_array_equal(target, NUMBERS[3])
    np.testing.assert_array_equal(image, IMAGES[3])
    first, second = numbers.split(0.7, seed=1)
    assert (len(first), len(second)) == (42, 18) and first.labels.shape == (42, 2)
    assert len({row.tobytes() for part in (first, second) for row in part.images}) == 60
    np.testing.assert_array_equal(maps.normalize(0.5, 2.0).labels, MAPS)
    x, y = next(iter(data.DataLoader(maps, 8)))
    assert x.shape == (8, 1, 6, 6) and y.shape == (8, 6, 6) and y.dtype == np.int64
