"""Framing: the same picture for training and prediction, whatever the picture's form."""

import numpy as np
import pytest

from fastconv import data

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

RNG = np.random.default_rng(0)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def test_pad_keeps_the_proportions_on_the_colour_of_the_border(tmp_path):
    pixels = np.full((10, 40, 3), (200, 100, 50), np.uint8)
    pixels[3:7, 10:30] = 0
    image = data.load_image(save(tmp_path / "wide.png", pixels), size=20, fit="pad")
    assert image.shape == (3, 20, 20)
    colour = np.float32([200, 100, 50]) / 255
    for rows in (slice(0, 7), slice(13, 20)):
        np.testing.assert_allclose(image[:, rows], np.broadcast_to(colour[:, None, None], (3, 7, 20)), atol=1e-6)
    stretched = data.load_image(tmp_path / "wide.png", size=(5, 20))
    np.testing.assert_allclose(image[:, 7:12], stretched, atol=1e-6)
    high = data.load_image(save(tmp_path / "high.png", pixels.swapaxes(0, 1).copy()), size=20, fit="pad")
    np.testing.assert_allclose(high, image.swapaxes(1, 2), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (28, 28), (7, 9), (56, 57)])
@pytest.mark.parametrize("size", [28, (28, 14), (1, 1)])
@pytest.mark.parametrize("fit", [None, "stretch", "pad"])
def test_every_form_fits(tmp_path, shape, size, fit):
    pixels = RNG.integers(0, 256, shape, np.uint8)
    image = data.load_image(save(tmp_path / "a.png", pixels), size=size, fit=fit)
    assert image.shape == (1, *((size, size) if isinstance(size, int) else size))
    assert np.isfinite(image).all() and 0 <= image.min() and image.max() <= 1


def test_a_long_strip_is_padded_without_a_plane_of_its_length(tmp_path):
    np.save(tmp_path / "strip.npy", np.ones((1, 1_000_000), np.uint8))  # squared this would be a terabyte
    assert data.load_image(tmp_path / "strip.npy", size=28, fit="pad").shape == (1, 28, 28)


def test_ink_on_paper_for_a_model_that_knows_a_blackboard(tmp_path):
    digit = np.uint8(data.digits("test").images[0, 0] * 255)
    dark, light = save(tmp_path / "dark.png", digit), save(tmp_path / "light.png", 255 - digit)
    want = np.float32(digit) / 255
    for background, same, other in ((0.0, dark, light), (1.0, light, dark)):
        kept = data.load_image(same, background=background)
        np.testing.assert_allclose(data.load_image(other, background=background), kept, atol=1e-6)
        np.testing.assert_allclose(kept[0], want if background == 0 else 1 - want, atol=1e-6)
        np.testing.assert_allclose(data.load_image(same, background=background, invert=True), 1 - kept, atol=1e-6)
        np.testing.assert_allclose(data.load_image(other, background=background, invert=False), 1 - kept, atol=1e-6)
    np.testing.assert_allclose(data.load_image(light)[0], 1 - want, atol=1e-6)  # nothing is known, nothing inverted


def test_the_framing_of_datasets():
    digits = data.digits()
    framing = {"size": [28, 28], "channels": 1, "fit": "pad", "background": 0.0, "value_range": [0.0, 1.0]}
    assert digits.framing == digits[:5].framing == digits.split(0.5)[1].framing == framing
    noise = data.ArrayDataset(RNG.random((5, 3, 8, 9)), [0] * 5)
    assert noise.framing == {**framing, "size": [8, 9], "channels": 3, "fit": "stretch", "background": None}
    assert data.ArrayDataset(noise.images, [0] * 5, fit="pad")[1:].framing["fit"] == "pad"
    assert noise[:0].framing["background"] is None
    with pytest.raises(ValueError, match="fit must be one of 'stretch', 'pad', None, got 'crop'"):
        data.ArrayDataset(noise.images, [0] * 5, fit="crop")


def test_one_image_on_the_opposite_leaves_the_background_unknown():
    """Training would not have inverted it, so prediction must not."""
    images = data.digits().images[:200].copy()
    images[7] = 1 - images[7]
    assert data.ArrayDataset(images, [0] * 200).framing["background"] is None


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [(0, 1, (0, 1)), (0, 0.4, (0, 1)), (-0.02, 1.03, (0, 1)), (-1, 1, (-1, 1)), (-0.9, 0.8, (-1, 1)),
     (0, 255, (0, 255)), (3, 250, (0, 255)), (0, 16, (0, 16)), (-0.42, 2.8, (-0.42, 2.8)), (5, 5, (0, 1))],
)  # fmt: skip
def test_value_range(low, high, want):
    images = np.linspace(low, high, 64).reshape(1, 1, 8, 8)
    assert data.ArrayDataset(images, [0]).framing["value_range"] == pytest.approx(list(want))


def test_normalized_images_are_framed_as_they_are(tmp_path):
    digits = data.digits("test")[:100]
    normal = digits.normalize(*digits.mean_std())
    path = save(tmp_path / "a.png", np.uint8(digits.images[0, 0] * 255))
    np.testing.assert_allclose(data.load_image(path, **normal.framing), normal.images[0], atol=1e-5)


@pytest.mark.parametrize("size", [12, (12, 8)])
def test_a_folder_read_as_another_was(tmp_path, size):
    for part in ("train", "test"):
        for name in ("a", "b"):
            for number in range(3):
                save(tmp_path / part / name / f"{number}.png", RNG.integers(0, 256, (9 + number, 14, 3), np.uint8))
    for fit in ("stretch", "pad"):
        train = data.image_folder(tmp_path / "train", size=size, channels=1, fit=fit)
        assert train.framing["fit"] == fit
        test = data.image_folder(tmp_path / "test", **train.framing)
        one = data.load_image(tmp_path / "test" / "b" / "1.png", **train.framing)
        np.testing.assert_array_equal(one, test.images[4])
        np.testing.assert_array_equal(data.load(tmp_path, "test", **train.framing).images, test.images)
        assert data.load(tmp_path, "all", **train.framing).framing["fit"] == fit


def test_a_folder_where_nothing_was_distorted(tmp_path):
    for number in range(4):
        save(tmp_path / "a" / f"{number}.png", np.zeros((8 + number,) * 2, np.uint8))
    assert data.image_folder(tmp_path, size=6).framing["fit"] == "pad"
    save(tmp_path / "a" / "wide.png", np.zeros((8, 16), np.uint8))
    assert data.image_folder(tmp_path, size=6).framing["fit"] == "stretch"


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"fit": "crop"}, ValueError, "fit must be one of 'stretch', 'pad', None, got 'crop'"),
        ({"background": "dark"}, TypeError, "background must be a real number, got 'dark'"),
        ({"background": float("nan")}, ValueError, "background must be finite, got nan"),
        ({"value_range": (1, 0)}, ValueError, "value_range must be finite and ascending"),
        ({"value_range": 255}, TypeError, "value_range must be two numbers"),
        ({"value_range": (0, 1, 2)}, TypeError, "value_range must be two numbers"),
        ({"value_range": (0, float("inf"))}, ValueError, "value_range must be finite"),
    ],
)
def test_bad_options(tmp_path, options, error, match):
    path = save(tmp_path / "a" / "a.png", np.zeros((4, 4), np.uint8))
    for read in (lambda: data.load_image(path, **options), lambda: data.image_folder(tmp_path, **options)):
        with pytest.raises(error, match=match):
            read()
    with pytest.raises(TypeError, match="invert must"):
        data.load_image(path, invert=1)
