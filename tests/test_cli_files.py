"""What the command line does with people's files: one framing for all commands, any name, and the data of a model."""

import io
import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from processes import command

import fastconv as fc
from fastconv import data, nn
from fastconv.cli import main

Image = pytest.importorskip("PIL.Image", reason="image files need Pillow")


def write_pictures(root, make, labels=(0, 1), counts=(("train", 40), ("test", 20))):
    """Digits, each made a picture of its own by `make`, in a folder for each class in a folder for each part."""
    files = []
    for part, count in counts:
        digits = data.digits(part)
        for label in labels:
            folder = root / part / str(label)
            folder.mkdir(parents=True)
            for number, pixels in enumerate(digits.images[digits.labels == label][:count]):
                make(Image.fromarray(np.uint8(pixels[0] * 255)), number).save(folder / f"{number}.png")
                files += [(folder / f"{number}.png", str(label))] if part == "test" else []
    return sorted(files)


def wide(image, number):
    return image.resize((84, 28))


def transparent_ink(image, number):
    """Black ink on a canvas of nothing, as a browser saves it."""
    ink = np.zeros((28, 28, 4), np.uint8)
    ink[..., 3] = np.asarray(image)
    return Image.fromarray(ink, "RGBA")


def on_paper(image, number):
    return Image.fromarray(255 - np.asarray(image))


def turned(image, number):
    """A quarter turned, and saying so: an EXIF entry is written by `save` from the image's own."""
    image = image.resize((40, 28)).rotate(90, expand=True)
    image.getexif()[0x0112] = 6
    return image


def in_turn(image, number):
    return (wide, transparent_ink, on_paper)[number % 3](image, number).convert("RGBA")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("fit", [None, "stretch", "pad"])
@pytest.mark.parametrize("make", [wide, transparent_ink, on_paper, turned, in_turn], ids=lambda make: make.__name__)
def test_training_evaluate_and_predict_see_the_same(tmp_path, monkeypatch, cli, make, fit):
    monkeypatch.chdir(tmp_path)
    files = write_pictures(tmp_path / "data", make)
    chosen = ("--fit", fit) if fit else ()
    code, stdout, _ = cli("train", "--data", "data", "--size", 28, "--channels", 1, "--epochs", 2, "--json", *chosen)
    trained = json.loads(stdout)["test"]
    assert code == 0
    evaluated = json.loads(cli("evaluate", "lenet.npz", "--json")[1])
    assert (evaluated["accuracy"], evaluated["loss"]) == (trained["accuracy"], trained["loss"])
    found = json.loads(cli("predict", "--json", *(path for path, _ in files))[1])["predictions"]
    right = [entry["class"] == label for entry, (_, label) in zip(found, files, strict=True)]
    assert np.mean(right) == evaluated["accuracy"]

    # The same from Python, to the last bit.
    framing = nn.load_metadata("lenet.npz")["framing"]
    images = np.stack([data.load_image(path, **framing) for path, _ in files])
    np.testing.assert_array_equal(images, data.image_folder("data/test", **framing).images)
    model = fc.load("lenet.npz")
    for entry, image in zip(found, images, strict=True):
        assert entry["probability"] == float(model.predict_proba(image[np.newaxis]).max())


def test_a_model_of_digits_pads_and_one_of_stretched_files_stretches(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "square", lambda image, number: image)
    write_pictures(tmp_path / "wide", wide)
    for name, fit, background in (("square", "pad", 0), ("wide", "stretch", 0)):
        assert cli("train", "--data", name, "--size", 20, "--epochs", 1, "--quiet", "--output", f"{name}.npz")[0] == 0
        framing = nn.load_metadata(f"{name}.npz")["framing"]
        assert framing == {"size": [20, 20], "channels": 1, "fit": fit, "background": background, "value_range": [0, 1]}


@pytest.mark.parametrize(("scale", "shift", "value_range"), [(255, 0, [0, 255]), (2, -1, [-1, 1]), (16, 0, [0, 16])])
def test_values_of_another_range(tmp_path, monkeypatch, cli, scale, shift, value_range):
    """An image file gets the values that black and white had in training."""
    monkeypatch.chdir(tmp_path)
    digits = data.digits("test")[:50]
    np.savez("data.npz", images=digits.images * np.float32(scale) + np.float32(shift), labels=digits.labels)
    path = tmp_path / "digit.png"
    Image.fromarray(np.uint8(digits.images[3, 0] * 255)).save(path)
    assert cli("train", "--data", "data.npz", "--epochs", 1, "--lr", 1e-9, "--no-augment", "--output", "m.npz")[0] == 0
    framing = nn.load_metadata("m.npz")["framing"]
    assert framing["value_range"] == value_range and framing["background"] == shift
    np.testing.assert_allclose(data.load_image(path, **framing), digits.images[3] * scale + shift, atol=1e-5 * scale)
    Image.fromarray(255 - np.uint8(digits.images[3, 0] * 255)).save(path)
    np.testing.assert_allclose(data.load_image(path, **framing), digits.images[3] * scale + shift, atol=1e-5 * scale)


def test_a_model_file_without_framing(tmp_path, monkeypatch, cli):
    """Files of earlier versions: what is taken is said, and can be said instead."""
    monkeypatch.chdir(tmp_path)
    files = write_pictures(tmp_path / "data", wide)
    about = {"input_shape": [1, 28, 28], "classes": ["0", "1"]}
    fc.save(nn.models.lenet5(classes=2, rng=0), "dark.npz", {**about, "background": 0.0})
    fc.save(nn.models.lenet5(classes=2, rng=0), "none.npz", about)

    def probability(*arguments):
        code, stdout, stderr = cli("predict", files[0][0], "--json", *arguments)
        assert code == 0
        return json.loads(stdout)["predictions"][0]["probability"], stderr

    padded, said = probability("--model", "dark.npz")
    assert said.startswith("dark.npz does not say how pictures were made to fit: "
                           "pad is taken (--fit stretch, if it was ")
    assert said.count("\n") == 1
    stretched, said = probability("--model", "none.npz")
    assert said == "none.npz does not say how pictures were made to fit: stretch is taken (or --fit pad)\n"
    assert padded != stretched
    assert probability("--model", "dark.npz", "--fit", "stretch") == (stretched, "")
    assert probability("--model", "none.npz", "--fit", "pad") == (padded, "")
    assert probability("--model", "none.npz", "--fit", "pad", "--size", 28) == (padded, "")
    for arguments in ("evaluate dark.npz --data data", "evaluate dark.npz --data data --fit stretch"):
        code, _, said = cli(*arguments.split())
        assert code == 0 and said.count("pad is taken") == ("--fit" not in arguments)


def test_a_framing_that_says_a_part_only(tmp_path, monkeypatch, cli):
    """As a program may write it: the rest comes from input_shape."""
    monkeypatch.chdir(tmp_path)
    (path, _), *_ = write_pictures(tmp_path / "data", wide)
    fc.save(nn.models.lenet5(classes=2, rng=0), "m.npz", {"input_shape": [1, 28, 28], "framing": {"fit": "pad"}})
    code, stdout, stderr = cli("predict", path, "--model", "m.npz", "--json")
    image = data.load_image(path, size=28, channels=1, fit="pad")
    assert (code, stderr) == (0, "")
    assert (json.loads(stdout)["predictions"][0]["probability"]
            == fc.load("m.npz").predict_proba(image[np.newaxis]).max())


def test_options_that_contradict_the_model_file(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    files = write_pictures(tmp_path / "data", wide)
    fc.save(nn.models.lenet5(classes=2), "m.npz", {"framing": data.image_folder("data/test", size=28).framing})
    path = files[0][0]
    for arguments, message in ((("--size", 20), "--size 20 x 20: m.npz was trained with 28 x 28"),
                               (("--fit", "pad"), "--fit pad: m.npz was trained with stretch")):  # fmt: skip
        code, stdout, stderr = cli("predict", path, "--model", "m.npz", *arguments)
        assert (code, stdout) == (2, "") and message in stderr and stderr.count("\n") == 1
    assert cli("predict", path, "--model", "m.npz", "--size", "28x28", "--fit", "stretch", "--quiet")[::2] == (0, "")
    assert cli("evaluate", "m.npz", "--data", "data", "--fit", "pad")[0] == 2


def test_a_mixed_folder_is_one_error(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "data", lambda image, number: (image, image.convert("RGB"), wide(image, 0))[number % 3])
    code, _, stderr = cli("train", "--data", "data")
    assert (code == 1 and stderr.count("\n") == 1
            and "choose one for all with channels and size (--channels, --size)" in stderr)
    assert cli("train", "--data", "data", "--size", 28, "--channels", 1, "--epochs", 1, "--quiet")[0] == 0


# ---------------------------------------------------------------------------------------------------------------------
# The data of a model


def test_evaluate_measures_on_what_the_model_was_trained_on(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    project = tmp_path / "project"
    write_pictures(project / "data", lambda image, number: image)
    monkeypatch.chdir(project)
    trained = cli("train", "--data", "data", "--epochs", 1)[1]
    assert cli("evaluate", "lenet.npz") == (0, trained, "data: ./data, on which lenet.npz was trained (--data)\n")
    monkeypatch.chdir(tmp_path)
    assert cli("evaluate", "project/lenet.npz", "--quiet") == (0, trained, "")
    project.rename(tmp_path / "moved")  # the model and its data together
    assert cli("evaluate", "moved/lenet.npz", "--quiet") == (0, trained, "")
    (tmp_path / "moved" / "data").rename(tmp_path / "elsewhere")
    code, stdout, stderr = cli("evaluate", "moved/lenet.npz")
    assert (code, stdout) == (2, "") and stderr == (
        "fastconv: moved/lenet.npz was trained on ./moved/data, which is not there: "
        "fastconv evaluate moved/lenet.npz --data SOURCE\n"
    )
    assert cli("evaluate", "moved/lenet.npz", "--data", "elsewhere")[:2] == (0, trained)


def test_a_folder_called_digits_is_not_the_bundled_sample(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "digits", lambda image, number: image)
    trained = cli("train", "--data", "./digits", "--epochs", 1)[1]
    assert "(40 images)" in trained
    assert cli("evaluate", "lenet.npz", "--quiet") == (0, trained, "")


def test_a_set_named_as_a_file_without_its_end_is_found_again(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    digits = data.digits("test")[:40]
    for part in ("train", "test"):
        for kind, array in (("images-idx3", np.uint8(digits.images[:, 0] * 255)),
                            ("labels-idx1", np.uint8(digits.labels))):
            content = struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()
            (tmp_path / f"emnist-digits-{part}-{kind}-ubyte").write_bytes(content)
    trained = cli("train", "--data", "emnist-digits", "--epochs", 1, "--quiet")[1]
    assert "(40 images)" in trained and cli("evaluate", "lenet.npz", "--quiet") == (0, trained, "")


def test_the_validation_part_is_measured_while_training(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "data", lambda image, number: image)
    (tmp_path / "data" / "test").rename(tmp_path / "data" / "val")

    def train():
        document = json.loads(cli("train", "--data", "data", "--epochs", 1, "--json", "--quiet")[1])
        return document["history"]["validation_accuracy"], document["test"]

    accuracy, test = train()
    assert accuracy == [None] and test["images"] == 40  # the validation part is the test part
    write_pictures(tmp_path / "data", lambda image, number: image, counts=(("test", 5),))
    measured, test = train()
    assert measured == [pytest.approx(accuracy_of(tmp_path / "data" / "val"))] and test["images"] == 10


def accuracy_of(folder):
    dataset = data.image_folder(folder)
    return np.mean(fc.load("lenet.npz").predict(dataset.images) == dataset.labels)


# ---------------------------------------------------------------------------------------------------------------------
# Names


def odd_names(folder):
    """Files whose names are no text in UTF-8, have letters that Latin and ASCII lack, or a line break."""
    names = [b"one.png", b"K\xf6nig.png", "Käse.png".encode(), "数字.png".encode(), b"new\nline.png",
             b"esc\x1b[31m.png"]
    for name in names:
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(folder / "plain.png")
        os.rename(folder / "plain.png", os.fsencode(folder) + b"/" + name)
    return names


LOCALES = {
    "strict UTF-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
}


@pytest.mark.parametrize("settings", LOCALES.values(), ids=LOCALES)
def test_every_answer_is_printed_whatever_the_names_are(tmp_path, settings):
    fc.save(nn.models.lenet5(rng=0), tmp_path / "m.npz", {"input_shape": [1, 28, 28]})
    names = odd_names(tmp_path)
    bad = b"bad\xff.png"
    with open(os.fsencode(tmp_path) + b"/" + bad, "wb") as file:
        file.write(b"x")
    done = subprocess.run(command("predict", "--model", "m.npz", *names, bad), cwd=tmp_path,
                          capture_output=True, timeout=300, env={**os.environ, **settings})  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and len(lines) == len(names) and all(b" 0." in line for line in lines)
    assert b"Traceback" not in done.stderr and b"bad\\udcff.png" in done.stderr and b"\x1b" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "shift_jis", "utf-8"])
def test_strict_streams_of_any_encoding(tmp_path, monkeypatch, encoding):
    """In all commands; JSON stays JSON."""
    monkeypatch.chdir(tmp_path)
    fc.save(nn.models.lenet5(rng=0), "m.npz", {"input_shape": [1, 28, 28]})
    names = [os.fsdecode(name) for name in odd_names(tmp_path)]
    digits = data.digits("test")[:40]
    np.savez("\udcffé数.npz", images=digits.images, labels=digits.labels)

    def run(*arguments):
        stdout, stderr = (io.TextIOWrapper(io.BytesIO(), encoding, errors="strict", newline="") for _ in range(2))
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            patch.setattr(sys, "stderr", stderr)
            code = main(list(arguments))
        assert (stdout.errors, stderr.errors) == ("strict", "strict")  # as they were
        return code, *(stream.buffer.getvalue().decode(encoding) for stream in (stdout, stderr))

    code, stdout, _ = run("predict", "--model", "m.npz", *names)
    assert code == 0 and stdout.count("\n") == stdout.count(" 0.1") == len(names)
    code, stdout, _ = run("predict", "--model", "m.npz", "--json", *names)
    assert code == 0 and [entry["image"] for entry in json.loads(stdout)["predictions"]] == names
    code, stdout, stderr = run("train", "--data", "\udcffé数.npz", "--epochs", "1", "--output", "\udcfe數.npz")
    assert code == 0 and stdout.startswith("test accuracy") and "saved \\udcfe" in stderr
    code, stdout, stderr = run("evaluate", "\udcfe數.npz")
    assert code == 0 and stdout.startswith("test accuracy") and stderr.startswith("data: ./\\udcff")
    for arguments in (["predict", "none\udcff.png", "--model", "m.npz"],
                      ["predict", names[0], "--model", "\udcfd數.npz"], ["evaluate", "\udcff.npz"],
                      ["train", "--data", "\udcff數"], ["\udcff數"], ["explain", "--\udcff數"],
                      ["explain", "--padding", "\udcff數"], ["info", "數"], ["help", "數"], ["completion", "數"],
                      ["train", "--output", "數\udcff/m.npz"]):  # fmt: skip
        code, stdout, stderr = run(*arguments)
        assert (code, stdout, stderr.count("\n")) == (2, "", 1), arguments


def test_classes_of_any_name(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "data", lambda image, number: image)
    for part in ("train", "test"):
        os.rename(tmp_path / "data" / part / "0", os.fsencode(tmp_path / "data" / part) + b"/\xff")
        os.rename(tmp_path / "data" / part / "1", tmp_path / "data" / part / "数")
    assert cli("train", "--data", "data", "--epochs", 1, "--quiet")[0] == 0
    path = tmp_path / "data" / "test" / "数" / "0.png"
    assert (json.loads(cli("predict", path, "--json", "--top", 2)[1])["predictions"][0]["top"][0]["class"]
            in ("\udcff", "数"))
    assert cli("evaluate", "lenet.npz", "--quiet")[0] == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_special_files_are_not_waited_for(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    for name in ("pipe.png", "pipe.npz", "lenet.checkpoint.npz"):
        os.mkfifo(name)
    os.symlink("gone.png", "broken.png")
    fc.save(nn.models.lenet5(), "m.npz")
    for arguments, message in ((["predict", "pipe.png", "--model", "m.npz"], "IMAGE pipe.png: a named pipe"),
                               (["predict", "broken.png", "--model", "m.npz"],
                                "IMAGE broken.png: a symbolic link to gone.png"),
                               (["predict", "m.png", "--model", "pipe.npz"], "--model pipe.npz: a named pipe"),
                               (["evaluate", "pipe.npz"], "MODEL pipe.npz: a named pipe"),
                               (["train", "--resume"],
                                "--checkpoint must be a regular file, lenet.checkpoint.npz is a named pipe"),
                               (["train", "--output", "pipe.npz"],
                                "--output must be a regular file, pipe.npz is a named pipe"),
                               (["train", "--output", "m.npz", "--checkpoint", "pipe.npz"],
                                "--checkpoint must be a regular file")):
        code, stdout, stderr = cli(*arguments)
        assert (code, stdout, stderr.count("\n")) == (2, "", 1) and stderr.startswith(f"fastconv: {message}"), arguments
