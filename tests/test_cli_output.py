"""What the documents of `--json` hold beside the figures: warnings, also where it is quiet,
and the names of the classes."""

import json

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def small(count=120, **changed):
    digits = data.digits("train")
    np.savez("some.npz", **dict(images=digits.images[:count], labels=digits.labels[:count]) | changed)


def train(cli, *arguments, quiet):
    code, stdout, stderr = cli("train", "--data", "some.npz", "--epochs", 1, "--json", *["--quiet"] * quiet, *arguments)
    assert code == 0 and (stderr == "") == quiet
    return json.loads(stdout), stderr


@pytest.mark.parametrize("quiet", [False, True])
def test_doubts_about_the_data_are_in_the_document(cli, quiet):
    small(images=np.floor(data.digits("train").images[:120] * 255), labels=data.digits("train").labels[:120] * 2)
    document, stderr = train(cli, quiet=quiet)
    values, labels = document["warnings"][:2]
    assert values == "some.npz: the images reach from 0 to 255, where 0 to 1 is expected: write images / 255"
    assert labels.startswith("some.npz: the labels from 0 to 18 make 19 classes, "
                             "9 of them without an image: write labels = ")
    assert quiet or all(f"{warning}\n" in stderr for warning in document["warnings"])


@pytest.mark.parametrize("quiet", [False, True])
def test_a_result_at_chance_is_in_the_document(cli, quiet):
    small(images=np.random.default_rng(0).random((120, 12, 12), np.float32), labels=np.arange(120) % 4)
    document, stderr = train(cli, quiet=quiet)
    assert [warning.split(":")[0] for warning in document["warnings"]] == ["this is chance"]
    assert quiet or f"{document['warnings'][0]}\n" in stderr


def test_a_result_without_doubts_has_an_empty_list(cli):
    assert cli("train", "--epochs", 1, "--quiet", "--output", "m.npz")[0] == 0
    assert json.loads(cli("evaluate", "m.npz", "--json")[1])["warnings"] == []
    np.save("a.npy", data.digits("test").images[0, 0])
    assert json.loads(cli("predict", "a.npy", "--model", "m.npz", "--json")[1])["warnings"] == []


@pytest.mark.parametrize("quiet", [False, True])
def test_a_framing_that_is_guessed_is_in_the_document(cli, quiet):
    fc.save(nn.models.lenet5(), "bare.npz")
    np.save("a.npy", data.digits("test").images[0, 0])
    code, stdout, stderr = cli("predict", "a.npy", "--model", "bare.npz", "--size", 28, "--json", *["--quiet"] * quiet)
    (warning,) = json.loads(stdout)["warnings"]
    assert (code == 0 and "bare.npz does not say how pictures were made to fit" in warning
            and stderr == ("" if quiet else f"{warning}\n"))


@pytest.mark.filterwarnings("default")
def test_a_warning_of_a_library_is_in_the_document(cli):
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    fc.save(nn.models.lenet5(), "m.npz", {"input_shape": [1, 28, 28], "framing": {"size": [28, 28], "channels": 1}})
    image.new("1", (9500, 9500)).save("large.png")
    code, stdout, stderr = cli("predict", "large.png", "--model", "m.npz", "--json", "--quiet")
    (warning,) = json.loads(stdout)["warnings"]
    assert (code, stderr) == (0, "") and warning.startswith("fastconv: Image size (90250000 pixels) exceeds limit")


def test_the_confusion_has_the_names_of_the_classes(cli):
    small(classes=np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]))
    document, _ = train(cli, quiet=True)
    names = document["test"]["classes"]
    assert names[:3] == ["zero", "one", "two"] and len(names) == len(document["test"]["confusion"]) == 10
    measured = json.loads(cli("evaluate", "lenet.npz", "--split", "all", "--json")[1])
    labels = data.load("some.npz", "all").labels
    assert measured["classes"] == names
    assert [sum(row) for row in measured["confusion"]] == np.bincount(labels, minlength=10).tolist()


def test_a_model_of_more_classes_than_the_data_names_them_all(cli):
    fc.save(nn.models.lenet5(classes=12), "m.npz")
    document = json.loads(cli("evaluate", "m.npz", "--data", "digits", "--json")[1])
    assert document["classes"] == list("0123456789") + ["10", "11"] and len(document["confusion"]) == 12


def test_the_help_says_what_the_validation_part_is(cli):
    shown = " ".join(cli("evaluate", "--help")[1].split())
    assert ("Validation is the part of that name in the data "
            "(folders val, valid, dev, ...; not what train --validation held out") in shown
    assert "where there is only one of test and validation, it is both" in shown


# ---------------------------------------------------------------------------------------------------------------------
# Numbers that are none, and parts without an image: one line, before there is a document that JSON cannot hold


def failed(cli, *arguments, code=1):
    found, stdout, stderr = cli(*arguments)
    assert (found, stdout) == (code, "") and stderr.startswith("fastconv: ") and stderr.count("\n") == 1
    return stderr


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_and_weights_that_are_not_finite(cli, value):
    fc.save(nn.models.lenet5(), "m.npz")
    images = data.digits("train").images[:10].copy()
    images[3, 0, 5, 5] = value
    small(10, images=images)
    message = "some.npz, all part: images must be finite, 1 of 10 hold NaN or infinity, the first is number 3"
    assert message in failed(cli, "evaluate", "m.npz", "--data", "some.npz", "--split", "all", "--json")
    for position in (2, 3):
        np.save(f"{position}.npy", images[position, 0])
    code, stdout, stderr = cli("predict", "2.npy", "3.npy", "--model", "m.npz", "--json")
    good, bad = json.loads(stdout)["predictions"]
    assert (code == 1 and bad["error"] == "3.npy: pixels must be finite, some are NaN or infinity"
            and good["probability"] > 0)
    broken = nn.models.lenet5()
    broken[0].weight.data[0] = value
    fc.save(broken, "broken.npz")
    assert "broken.npz gives no probabilities for 1000 of 1000 images" in failed(cli, "evaluate", "broken.npz",
                                                                                 "--data", "digits", "--json")
    code, stdout, stderr = cli("predict", "2.npy", "--model", "broken.npz", "--json")
    assert code == 1 and "broken.npz gives no probabilities" in json.loads(stdout)["predictions"][0]["error"]


def test_few_images_and_empty_parts(cli):
    digits = data.digits("train")
    for count in (0, 1, 2):
        small(count)
        assert f"some.npz: holds {count} image" in failed(cli, "train", "--data", "some.npz")
    arrays = dict(x_train=digits.images[:20], y_train=digits.labels[:20], x_test=digits.images[:0],
                  y_test=digits.labels[:0])
    np.savez("parts.npz", **arrays)
    assert "parts.npz: the test part has no image" in failed(cli, "train", "--data", "parts.npz")
    small(20)
    message = "--validation 0.01 of 16 training images leaves none to train on or none to measure on"
    assert message in failed(cli, "train", "--data", "some.npz", "--validation", 0.01, "--quiet", code=2)


def test_a_checkpoint_and_a_size_that_no_picture_has(cli):
    small()
    assert cli("train", "--data", "some.npz", "--epochs", 1, "--checkpoint", "run.npz", "--quiet")[0] == 0
    assert "run.npz is a checkpoint of a training, not a model: go on with" in failed(cli, "evaluate", "run.npz")
    fc.save(nn.models.lenet5(), "bare.npz")
    np.save("a.npy", data.digits("test").images[0, 0])
    assert "--size must be at most 268435456 pixels" in failed(cli, "predict", "a.npy", "--model", "bare.npz",
                                                               "--size", 10**9, code=2)
