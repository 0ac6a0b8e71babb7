"""``fastconv train`` on other people's data: what the recipe reaches on small folders,
and what is said about a run that fails."""

import json
import re

import numpy as np
import pytest

from fastconv import data
from fastconv.cli import main

TEST_EACH = 100


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """The command in this process, in a folder of its own: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        capsys.readouterr()
        return main(list(map(str, arguments))), *capsys.readouterr()

    return call


# ---------------------------------------------------------------------------------------------------------------------
# Small folders


def outline(kind, size, rng):
    """A disc, a square or a triangle somewhere on the picture, as a mask."""
    rows, columns = np.mgrid[:size, :size]
    radius = rng.uniform(0.17, 0.3) * size
    row, column = rng.uniform(radius + 1, size - radius - 1, 2)
    down, right = rows - row, abs(columns - column)
    return (down**2 + right**2 < radius**2, np.maximum(abs(down), right) < 0.88 * radius,
            (down < 0.9 * radius) & (1.9 * right < down + radius))[kind]  # fmt: skip


def shapes(kind, rng, size=48, light=True):
    """Dark on light, or light on dark, in any colours."""
    paper, ink = rng.uniform(0.6, 1.0, 3), rng.uniform(0.0, 0.4, 3)
    mask = outline(kind, size, rng)[..., None]
    return np.where(mask, ink, paper) if light else np.where(mask, paper, ink)


def textures(kind, rng, size=32):
    """Stripes one way, the other way, or a chequered pattern, between any two colours."""
    rows, columns = np.mgrid[:size, :size]
    pitch = rng.uniform(0.6, 1.2)
    first, second = np.sin(pitch * rows + rng.uniform(0, 6.3)), np.sin(pitch * columns + rng.uniform(0, 6.3))
    part = 0.5 + 0.5 * (first, second, first * second)[kind][..., None]
    return rng.random(3) * (1 - part) + rng.random(3) * part


def colours(kind, rng, size=32):
    """Nothing but a tint under much noise."""
    return (np.full((size, size, 3), 0.5) + rng.uniform(-0.15, 0.15, 3) + 0.25 * np.eye(3)[kind]
            + rng.normal(0, 0.15, (size, size, 3)))


def write(folder, draw, train, test, seed, noise=0.12):
    """train/ and test/ with a folder for each class; `train` and `test` are numbers of images."""
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    rng = np.random.default_rng(seed)
    for part, counts in (("train", train), ("test", test)):
        for kind, count in enumerate(counts):
            place = folder / part / f"class{kind}"
            place.mkdir(parents=True)
            for number in range(count):
                picture = draw(kind, rng)
                picture = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 1)
                image.fromarray(np.uint8(picture * 255)).save(place / f"{number}.png")


def write_digits(folder, each):
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    for part, count in (("train", each), ("test", TEST_EACH)):
        digits = data.digits(part)
        for label in range(10):
            place = folder / part / str(label)
            place.mkdir(parents=True)
            for number, pixels in enumerate(digits.images[digits.labels == label][:count]):
                image.fromarray(np.uint8(pixels[0] * 255)).save(place / f"{number}.png")


FOLDERS = {
    "shapes": lambda folder: write(folder, shapes, [60] * 3, [100] * 3, 1),
    "shapes on black": lambda folder: write(folder, lambda kind, rng: shapes(kind, rng, 32, False),
                                            [60] * 3, [100] * 3, 2),
    "textures": lambda folder: write(folder, textures, [60] * 3, [100] * 3, 3),
    "colours": lambda folder: write(folder, colours, [60] * 3, [100] * 3, 4),
    "two classes": lambda folder: write(folder, lambda kind, rng: textures(kind, rng), [60] * 2, [100] * 2, 5),
    "unbalanced": lambda folder: write(folder, lambda kind, rng: shapes(kind, rng, 32), [120, 60, 40], [100] * 3, 6),
    "digits": lambda folder: write_digits(folder, 20),
}


def reached(cli, folder, seed):
    code, stdout, stderr = cli("train", "--data", folder, "--seed", seed, "--json", "--output", "model.npz")
    assert code == 0, stderr
    assert "chance" not in stderr
    return json.loads(stdout)["test"]["accuracy"]


def test_the_recipe_learns_a_small_folder(cli, tmp_path):
    FOLDERS["textures"](tmp_path / "data")
    assert reached(cli, tmp_path / "data", 0) >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_the_recipe_learns_small_folders_with_every_seed(name, cli, tmp_path):
    FOLDERS[name](tmp_path / "data")
    accuracies = [reached(cli, tmp_path / "data", seed) for seed in range(5)]
    assert min(accuracies) >= 0.9, accuracies


def test_small_data_get_more_epochs(cli):
    digits = data.digits("train")
    np.savez("small.npz", images=digits.images[:100], labels=digits.labels[:100])
    _, stdout, _ = cli("train", "--data", "small.npz", "--batch-size", 10, "--json", "--quiet")
    assert len(json.loads(stdout)["history"]["epoch"]) == 63  # of 8 batches: every fifth image is held out for the test
    _, stdout, _ = cli("train", "--data", "small.npz", "--batch-size", 10, "--json", "--quiet", "--epochs", 3)
    assert len(json.loads(stdout)["history"]["epoch"]) == 3


# ---------------------------------------------------------------------------------------------------------------------
# What is said


def small_digits(count=120, **changed):
    digits = data.digits("train")
    np.savez("some.npz", **dict(images=digits.images[:count], labels=digits.labels[:count]) | changed)


def test_floats_of_bytes_are_said_and_nothing_explodes(cli):
    small_digits(images=np.floor(data.digits("train").images[:120] * 255))
    code, stdout, stderr = cli("train", "--data", "some.npz", "--epochs", 2, "--json")
    assert code == 0
    assert stderr.startswith("some.npz: the images reach from 0 to 255, where 0 to 1 is expected: write images / 255\n")
    assert "Warning" not in stderr
    assert max(json.loads(stdout)["history"]["train_loss"]) < 1e4


def test_labels_with_gaps_are_said(cli):
    small_digits(labels=np.where(data.digits("train").labels[:120] == 3, 3, 900))
    code, _, stderr = cli("train", "--data", "some.npz", "--epochs", 1)
    assert code == 0
    assert ("labels from 3 to 900 make 901 classes, 899 of them without an image: "
            "write labels = np.unique(labels, return_inverse=True)[1]") in stderr


@pytest.mark.parametrize("where, part", [("test", "some.npz, test part"), ("train", "some.npz, training part")])
def test_images_that_are_not_finite_end_with_exit_code_1(cli, where, part):
    arrays = {}
    for name in ("train", "test"):
        digits = data.digits(name)
        images = digits.images[:50].copy()
        if name == where:
            images[3, 0, 5, 5] = np.nan
        arrays |= {f"{name}_images": images, f"{name}_labels": digits.labels[:50]}
    np.savez("some.npz", **arrays)
    code, stdout, stderr = cli("train", "--data", "some.npz", "--epochs", 1, "--quiet")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1
    assert f"{part}: images must be finite, 1 of 50 hold NaN or infinity, the first is number 3" in stderr


def test_a_training_at_chance_says_so(cli):
    rng = np.random.default_rng(0)
    np.savez("noise.npz", images=rng.random((200, 12, 12), np.float32), labels=np.arange(200) % 4)
    code, stdout, stderr = cli("train", "--data", "noise.npz", "--epochs", 2)
    assert code == 0 and stdout.startswith("test accuracy")
    assert re.search(r"^this is chance: '\d' for each of the \d+ test images would have accuracy 0.2500;"
                     r" see that .* then try another --lr", stderr, re.M)


def test_a_training_that_diverges_keeps_its_checkpoint(cli, tmp_path, monkeypatch):
    small_digits()
    code, stdout, stderr = cli("train", "--data", "some.npz", "--epochs", 1, "--optimizer", "sgd", "--lr",
                               "1e20", "--quiet")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1
    assert ("the training diverged in epoch 1" in stderr
            and "--lr was 1e+20; no model is saved, no epoch was done" in stderr)
    assert not list(tmp_path.glob("lenet*"))

    class Breaks(data.RandomAffine):
        """Good images in the first two epochs of two batches, then much too large ones."""

        calls = 0

        def __call__(self, images, rng):
            Breaks.calls += 1
            return super().__call__(images, rng) * (1.0 if Breaks.calls <= 4 else 1e38)

    monkeypatch.setattr(data, "RandomAffine", Breaks)
    code, stdout, stderr = cli("train", "--data", "some.npz", "--epochs", 9, "--quiet")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1
    assert ("the training diverged in epoch 3" in stderr
            and "the checkpoint lenet.checkpoint.npz is of epoch 2" in stderr)
    assert [path.name for path in tmp_path.glob("lenet*")] == ["lenet.checkpoint.npz"]


RUN = ("train", "--data", "some.npz", "--checkpoint", "state.npz", "--quiet", "--epochs", 2)


@pytest.mark.parametrize("options, message", [
    (("--lr", 0.001), "is of a run with schedule's max_lr|is of a run with lr"),
    (("--optimizer", "adam"), "is of a run with optimizer"),
    (("--weight-decay", 0.02), "is of a run with weight_decay"),
    (("--schedule", "cosine"), "is of a run with schedule OneCycleLR, this one has CosineAnnealingLR"),
    (("--schedule", "constant"), "is of a run with schedule OneCycleLR, this one has None"),
    (("--epochs", 3), r"schedule's total_steps 4, this one has 6 \(that run was of 2 epochs, this one is of 3"),
    (("--label-smoothing", 0.2), "is of a run with loss CrossEntropyLoss.label_smoothing=0.1.,"),
    (("--no-augment",), "is of a run with augment RandomAffine"),
    (("--batch-size", 50), "is of a run with batch_size 64, this one has 50"),
    (("--seed", 1), "is of a run with seed 0, this one has 1"),
    (("--validation", 0.2), "is of a run with images"),
    (("--early-stopping", 2), "is of a run with images"),
])  # fmt: skip
def test_resume_refuses_other_options_by_name(cli, options, message):
    small_digits()
    assert cli(*RUN)[0] == 0
    code, stdout, stderr = cli(*RUN, *options, "--resume", "--output", "other.npz")
    assert (code, stdout) == (1, "") and stderr.count("\n") == 1
    assert re.search(f"state.npz (is of a run with )?.*({message})", stderr), stderr


def test_resume_refuses_other_momentum_and_other_data(cli):
    small_digits()
    sgd = (*RUN, "--optimizer", "sgd")
    assert cli(*sgd)[0] == 0
    assert "schedule's cycle_momentum True, this one has False" in cli(*sgd, "--momentum", 0.9, "--resume")[2]
    assert cli(*sgd, "--schedule", "constant", "--momentum", 0.9)[0] == 0
    assert "momentum 0.9, this one has 0.8" in cli(*sgd, "--schedule", "constant", "--momentum", 0.8, "--resume")[2]
    small_digits(images=data.digits("train").images[1:121])
    assert "is of a run with checksum of the images" in cli(*sgd, "--schedule", "constant", "--momentum",
                                                            0.9, "--resume")[2]


def test_resume_goes_on_for_more_epochs_at_a_constant_rate(cli):
    small_digits()
    constant = (*RUN, "--schedule", "constant")
    assert cli(*constant, "--epochs", 4, "--output", "whole.npz")[0] == 0
    assert cli(*constant)[0] == 0
    code, _, stderr = cli(*(word for word in constant if word != "--quiet"), "--epochs", 4, "--resume",
                          "--output", "more.npz")
    assert code == 0 and "going on from state.npz: 2 of 4 epochs are done (it was a run of 2)\n" in stderr
    with np.load("whole.npz") as whole, np.load("more.npz") as more:
        for name in set(whole.files) - {"fastconv.json"}:
            np.testing.assert_array_equal(more[name], whole[name])
