"""`fastconv predict`: one digit in several forms, what is said of it, and files that are no images."""

import json
import re

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn
from fastconv.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with lenet.npz, trained for two epochs."""
    folder = tmp_path_factory.mktemp("trained")
    assert main(["train", "--epochs", "2", "--seed", "3", "--quiet", "--output", str(folder / "lenet.npz")]) == 0
    return folder


@pytest.fixture
def in_trained(trained, monkeypatch):
    monkeypatch.chdir(trained)


def the_seven(folder):
    sevens = data.digits("test")
    sevens = sevens.images[sevens.labels == 7]
    narrow = sevens[(sevens[..., :6] == 0).all((1, 2, 3)) & (sevens[..., 22:] == 0).all((1, 2, 3))]
    return narrow[[fc.load(folder / "lenet.npz").predict_proba(narrow)[:, 7].argmax()]]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, trained):
    """A folder with one 7 in several forms: a narrow one that the model is sure of."""
    image = pytest.importorskip("PIL.Image", reason="image files need Pillow")
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.uint8(the_seven(trained)[0, 0] * 255)
    digit = image.fromarray(pixels)
    digit.save(folder / "plain.png")
    digit.resize((280, 280)).save(folder / "large.jpg")
    image.fromarray(255 - pixels).save(folder / "paper.png")
    image.fromarray(255 - pixels).convert("RGB").resize((140, 140)).save(folder / "colour.png")
    image.fromarray(np.pad(pixels, ((0, 0), (2, 2)))).save(folder / "wide.png")
    image.fromarray(np.repeat(np.repeat(pixels[:, 6:22], 3, 0), 3, 1)).save(folder / "narrow.png")
    np.save(folder / "array.npy", pixels)
    np.save(folder / "float.npy", np.float64(pixels) / 255)
    return folder


FORMS = ("plain.png", "large.jpg", "paper.png", "colour.png", "wide.png", "narrow.png", "array.npy", "float.npy")


def test_predict_prints_class_and_probability(trained, in_trained, pictures, cli):
    files = [pictures / name for name in FORMS]
    code, stdout, stderr = cli("predict", *files)
    assert code == 0
    lines = stdout.splitlines()
    assert len(lines) == len(files)
    for file, line in zip(files, lines):
        found = re.fullmatch(rf"{re.escape(str(file))} +(\d) (0\.\d{{4}}|1\.0000)", line)
        assert found and found[1] == "7", line
    assert stderr.count("inverted") == 2 and "paper.png" in stderr and "colour.png" in stderr


def test_predict_as_json(trained, in_trained, pictures, cli):
    code, stdout, stderr = cli("predict", pictures / "plain.png", pictures / "paper.png", "--top", 3,
                               "--json", "--quiet")
    plain, paper = json.loads(stdout)["predictions"]
    assert (code, stderr) == (0, "")
    expected = fc.load("lenet.npz").predict_proba(the_seven(trained))[0]
    assert plain["class"] == "7" and plain["probability"] == pytest.approx(float(expected[7]), rel=1e-5)
    assert [entry["class"] for entry in plain["top"]] == [str(label) for label in np.argsort(-expected)[:3]]
    assert (plain["inverted"], paper["inverted"]) == (False, True)
    assert paper["class"] == "7" and paper["probability"] == pytest.approx(plain["probability"], rel=1e-3)


def test_invert_can_be_forced_and_forbidden(trained, in_trained, pictures, cli):
    def first(*arguments):
        return json.loads(cli("predict", *arguments, "--top", 10, "--json")[1])["predictions"][0]

    plain, paper = pictures / "plain.png", pictures / "paper.png"
    wrong, kept = first(plain, "--invert"), first(paper, "--no-invert")
    assert (wrong["inverted"], kept["inverted"]) == (True, False)
    assert kept["probability"] == pytest.approx(wrong["probability"], rel=1e-3)
    assert first(plain, "--no-invert")["top"] == first(plain)["top"] != wrong["top"]


def test_a_bad_image_leaves_the_others_their_answer(trained, in_trained, pictures, tmp_path, cli):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    code, stdout, stderr = cli("predict", tmp_path / "bad.png", pictures / "plain.png")
    assert code == 1 and stdout.startswith(str(pictures / "plain.png")) and stdout.count("\n") == 1
    assert stderr.startswith("fastconv: ") and "bad.png" in stderr and stderr.count("\n") == 1
    code, stdout, _ = cli("predict", tmp_path / "bad.png", pictures / "plain.png", "--json")
    bad, plain = json.loads(stdout)["predictions"]
    assert code == 1 and "bad.png" in bad["error"] and plain["class"] == "7"


def test_predict_with_a_model_that_says_nothing_about_its_images(pictures, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    fc.save(nn.models.lenet5(rng=0), "bare.npz")
    assert cli("predict", pictures / "plain.png", "--model", "bare.npz")[0] == 0
    assert cli("predict", pictures / "large.jpg", "--model", "bare.npz", "--size", 28)[0] == 0
    code, _, stderr = cli("predict", pictures / "large.jpg", "--model", "bare.npz")
    assert code == 1 and stderr.count("\n") == 1
