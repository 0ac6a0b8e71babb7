"""What the command line shows of a lecture: the layers of a network, a filter at one place, the maps of an image."""

import json
import re

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, walk
from fastconv.cli import blocks


def test_slide_shows_the_kernels_numbers(cli):
    rng = np.random.default_rng(0)
    for name in walk.FILTERS:
        number, row, column = (int(n) for n in rng.integers(0, 20, 3))
        value = int(rng.integers(0, 9))
        arguments = ("slide", f"digit:{number}", "--filter", name, "--padding", 1, "--pad-value", value, "--bias", 2,
                     "--at", f"{row},{column}")
        code, stdout, stderr = cli(*arguments, "--json")
        assert code == 0, stderr
        shown = json.loads(stdout)
        image = np.rint(data.digits("test").images[number] * 255)
        y = fc.conv2d(image, walk.FILTERS[name][None, None], np.float32([2]), padding=1, padding_value=value,
                      algorithm="direct")
        assert shown["value"] == float(y[0, row, column]) and shown["output_shape"] == [28, 28]
        assert np.array_equal(np.multiply(shown["patch"], np.float32(shown["filter"])).astype("f"), shown["products"])
        text = cli(*arguments)[1]
        assert f"out[{row},{column}] = {y[0, row, column] + 0.0:.6g}" in text
        assert "OH = (28 + 2*1 - 3)/1 + 1 = 28" in text


def test_slide_over_a_colour_image(cli, tmp_path):
    image = np.random.default_rng(1).random((3, 6, 7), np.float32)
    np.save(tmp_path / "colour.npy", image)
    code, stdout, stderr = cli("slide", tmp_path / "colour.npy", "--filter", "sobel-x", "--stride", "2x1")
    assert code == 0, stderr
    y = fc.conv2d(np.rint(image * 255), np.broadcast_to(walk.FILTERS["sobel-x"], (1, 3, 3, 3)), stride=(2, 1))
    assert [f"patch, channel {c}" in stdout for c in range(3)] == [True] * 3
    assert f"out[0,0] = {y[0, 0, 0]:.6g}" in stdout and "floor((6 + 2*0 - 3)/2) + 1 = 2" in stdout


def test_padding_is_said(cli):
    lines = cli("slide", "digit:3", "--padding", 1, "--at", "0,5")[1].splitlines()
    assert [line.endswith("row of padding") for line in lines if re.match(r" *\d", line)][:3] == [True, False, False]


@pytest.mark.parametrize("arguments, message", [
    (("slide", "--at", "26,0"), "--at: the row must be at least 0 and less than 26, got 26"),
    (("slide", "--at", "3"), "--at: must be a row and a column, such as 0,14"),
    (("slide", "digit:1000"), "digit:0 to digit:999"),
    (("slide", "--filter", "blurr"), "did you mean blur?"),
    (("slide", "nothing.png"), "IMAGE nothing.png"),
    (("summary", "lenet6"), "MODEL lenet6"),
    (("summary", "vgg11", "--input", "3x5x5"), "--input 3x5x5 does not fit vgg11"),
    (("maps", "--model", "nothing.npz"), "--model nothing.npz"),
])
def test_wrong_arguments_are_said_in_one_line(cli, arguments, message):
    code, stdout, stderr = cli(*arguments)
    assert code == 2 and stdout == "" and message in stderr and stderr.count("\n") == 1


def test_summary_of_a_network_and_of_a_file(cli, tmp_path):
    code, stdout, _ = cli("summary")
    assert code == 0 and stdout == f"{nn.models.lenet5().summary((1, 28, 28))}\n"
    shown = json.loads(cli("summary", "resnet-small", "--json")[1])
    assert shown["parameters"] == sum(p.data.size for p in nn.models.resnet_small().parameters())
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    fc.save(model, tmp_path / "own.npz")
    code, _, stderr = cli("summary", tmp_path / "own.npz")
    assert code == 2 and "--input is missing" in stderr
    assert cli("summary", tmp_path / "own.npz", "--input", "3x8x8")[1] == f"{model.summary((3, 8, 8))}\n"


def test_maps_of_a_digit(cli, tmp_path, monkeypatch):
    model = nn.models.lenet5(rng=0)
    fc.save(model, tmp_path / "lenet.npz")
    for width in (60, 80, 200):
        code, stdout, stderr = cli("maps", "digit:4", "--model", tmp_path / "lenet.npz", "--width", width)
        assert code == 0, stderr
        drawn = [line for line in stdout.splitlines() if not re.search("[A-Z]|taken", line)]
        assert drawn and max(map(len, drawn)) <= width and "\x1b" not in stdout
    seen = walk.forward(model, data.digits("test").images[4])
    assert f"taken for {seen.prediction}, with probability {seen.probabilities[seen.prediction]:.4f}" in stdout
    for one in seen.layers[:6]:
        assert f"{one.name}   {' x '.join(map(str, one.output.shape))}" in stdout
    document = json.loads(cli("maps", "digit:4", "--model", tmp_path / "lenet.npz", "--json")[1])
    assert [layer["layer"] for layer in document["layers"]] == [one.name for one in seen.layers]


def test_colours_only_where_they_can_be_seen(monkeypatch):
    planes = np.array([[[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0]]])
    assert blocks.tiles(planes, 80, False) == ["##  ", "##  ", "ff  "]
    lines = blocks.tiles(planes, 80, True)
    assert len(lines) == 2 and "\x1b[38;2;178;24;43;48;2;33;102;172m▀" in lines[0]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert blocks.in_colour()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not blocks.in_colour()


def test_slide_over_a_bundled_picture(cli):
    code, stdout, stderr = cli("slide", "sample:still-life", "--at", "40,50", "--json")
    image = np.rint(data.sample("still-life") * 255)
    y = fc.conv2d(image, np.broadcast_to(walk.FILTERS["sobel-x"], (1, 3, 3, 3)), algorithm="direct")
    shown = json.loads(stdout)
    assert (code, stderr) == (0, "") and shown["value"] == y[0, 40, 50] and len(shown["channel_sums"]) == 3
    code, stdout, stderr = cli("slide", "sample:lena")
    assert code == 2 and "IMAGE: the sample must be" in stderr and "still-life" in stderr
