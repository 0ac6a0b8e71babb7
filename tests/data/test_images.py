"""Image files and folders of them, written with Pillow and read back."""

import sys

import numpy as np
import pytest

from fastconv import data

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
GREY = COLOUR[:, :, 0].copy()
AS_FLOAT = COLOUR.transpose(2, 0, 1) / np.float32(255)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    (array if isinstance(array, Image.Image) else Image.fromarray(array)).save(path, **options)
    return path


# --- One image ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm"])
def test_colour_and_grey(tmp_path, suffix):
    colour = data.load_image(save(tmp_path / f"c.{suffix}", COLOUR))
    assert colour.dtype == np.float32 and colour.flags.c_contiguous
    np.testing.assert_array_equal(colour, AS_FLOAT)
    grey = data.load_image(str(save(tmp_path / f"g.{suffix}", GREY)))
    np.testing.assert_array_equal(grey, AS_FLOAT[:1])


def test_channels(tmp_path):
    colour, grey = save(tmp_path / "c.png", COLOUR), save(tmp_path / "g.png", GREY)
    np.testing.assert_array_equal(data.load_image(grey, channels=3), np.repeat(AS_FLOAT[:1], 3, axis=0))
    luma = np.asarray(Image.open(colour).convert("L"), np.float32) / 255
    np.testing.assert_allclose(data.load_image(colour, channels=1)[0], luma, atol=1 / 255)


@pytest.mark.parametrize("size", [(12, 18), (3, 4), (6, 9), (1, 1), 7])
def test_size_is_pillows_bilinear(tmp_path, size):
    height, width = (size, size) if isinstance(size, int) else size
    path = save(tmp_path / "c.png", COLOUR)
    want = np.asarray(Image.fromarray(COLOUR).resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    np.testing.assert_allclose(data.load_image(path, size=size), want.transpose(2, 0, 1), atol=1 / 255)


def test_modes(tmp_path):
    one_bit = save(tmp_path / "1.png", Image.fromarray(GREY).convert("1"))
    assert set(np.unique(data.load_image(one_bit))) <= {0, 1}
    alpha = Image.fromarray(COLOUR).convert("RGBA")
    alpha.putalpha(100)
    np.testing.assert_array_equal(data.load_image(save(tmp_path / "a.png", alpha)), AS_FLOAT)
    grey_alpha = Image.merge("LA", [Image.fromarray(GREY)] * 2)
    np.testing.assert_array_equal(data.load_image(save(tmp_path / "la.png", grey_alpha)), AS_FLOAT[:1])
    palette = Image.fromarray(COLOUR).quantize(16)
    want = np.asarray(palette.convert("RGB"), np.float32).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(data.load_image(save(tmp_path / "p.png", palette, transparency=bytes(16))), want)


def test_sixteen_bits(tmp_path):
    levels = np.linspace(0, 65535, 54).reshape(6, 9).astype(np.uint16)
    for suffix in ("png", "tiff"):
        np.testing.assert_allclose(data.load_image(save(tmp_path / f"d.{suffix}", levels))[0], levels / 65535, rtol=1e-6)


def test_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it a quarter clockwise
    path = save(tmp_path / "c.png", Image.fromarray(COLOUR), exif=exif)
    np.testing.assert_array_equal(data.load_image(path), np.rot90(AS_FLOAT, -1, axes=(1, 2)))


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (GREY, AS_FLOAT[:1]),
        (COLOUR, AS_FLOAT),
        (COLOUR.transpose(2, 0, 1), AS_FLOAT),
        (AS_FLOAT.astype(np.float64), AS_FLOAT),
    ],
)
def test_npy(tmp_path, array, want):
    np.save(tmp_path / "a.npy", array)
    got = data.load_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(got, want)
    assert got.dtype == np.float32 and got.flags.writeable and type(got) is np.ndarray
    assert data.load_image(tmp_path / "a.npy", size=4, channels=1).shape == (1, 4, 4)


@pytest.mark.parametrize(
    "array", [np.zeros(4), np.zeros((2, 3, 4, 5)), np.zeros((2, 5, 5)), np.zeros((0, 3)), np.float32(3)]
)
def test_npy_of_another_shape(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=r"a\.npy: "):
        data.load_image(tmp_path / "a.npy")


def test_bad_npy(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4), int))
    with pytest.raises(TypeError, match="a.npy: pixels must be uint8 .*int64"):
        data.load_image(path)
    np.save(path, np.array([[None]]), allow_pickle=True)
    with pytest.raises(ValueError, match="a.npy: not a NumPy array file"):
        data.load_image(path)
    np.save(path, np.zeros((4, 4)))
    content = path.read_bytes()
    huge = content.replace(b"(4, 4), }          ", b"(4000000, 4000000)}", 1)
    assert huge != content
    with (tmp_path / "z.npz").open("wb") as file:
        np.savez(file, a=np.zeros((4, 4)))
    for damaged in (b"", b"text", content[:50], content[:-1], huge, (tmp_path / "z.npz").read_bytes()):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"a\.npy: "):
            data.load_image(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_images(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("png", "jpg", "bmp", "gif", "tiff", "ppm"):
        path = save(tmp_path / f"x.{suffix}", noise)
        content = path.read_bytes()
        for damaged in (b"", b"text", content[:20], content[: len(content) // 2]):
            path.write_bytes(damaged)
            with pytest.raises(ValueError, match=rf"x\.{suffix}: not an image that can be read"):
                data.load_image(path)


def test_floating_point_images(tmp_path):
    with pytest.raises(ValueError, match="f.tiff: floating-point pixels"):
        data.load_image(save(tmp_path / "f.tiff", AS_FLOAT[0]))


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"size": 0}, ValueError, "size must .*0"),
        ({"size": (4, -1)}, ValueError, "size.* must .*-1"),
        ({"size": (4, 4, 4)}, ValueError, "size must"),
        ({"size": 2.5}, TypeError, "size must .*2.5"),
        ({"size": "28"}, TypeError, "size must .*'28'"),
        ({"size": True}, TypeError, "size must .*True"),
        ({"channels": 2}, ValueError, "channels must .*2"),
        ({"channels": 1.0}, TypeError, "channels must .*1.0"),
        ({"channels": True}, TypeError, "channels must .*True"),
    ],
)
def test_bad_options(tmp_path, options, error, match):
    path = save(tmp_path / "a" / "c.png", COLOUR)
    with pytest.raises(error, match=match):
        data.load_image(path, **options)
    with pytest.raises(error, match=match):
        data.image_folder(tmp_path, **options)


def test_missing_files(tmp_path):
    for name in ("none.png", "none.npy"):
        with pytest.raises(FileNotFoundError):
            data.load_image(tmp_path / name)


def test_without_pillow(tmp_path, monkeypatch):
    path = save(tmp_path / "c.png", COLOUR)
    np.save(tmp_path / "a.npy", COLOUR)
    for name in [name for name in sys.modules if name.split(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "PIL", None)
    for call in (lambda: data.load_image(path), lambda: data.load_image(tmp_path / "a.npy", size=3)):
        with pytest.raises(ImportError, match=r"needs Pillow: pip install fastconv\[images\]"):
            call()
    assert data.load_image(tmp_path / "a.npy").shape == (3, 6, 9)


# --- Folders --------------------------------------------------------------------------------------------------------


def write_folders(root, counts, array=COLOUR):
    for name, count in counts.items():
        for number in range(count):
            save(root / name / f"{number}.png", array)
    return root


def test_image_folder(tmp_path):
    save(tmp_path / "cat" / "b.png", COLOUR)
    save(tmp_path / "cat" / "a.PNG", COLOUR[::-1])
    save(tmp_path / "ant" / "deeper" / "c.bmp", COLOUR[:, ::-1])
    np.save(tmp_path / "ant" / "d.npy", COLOUR)
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".hidden.png").write_text("not an image")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "list.csv").write_text("")
    result = data.image_folder(tmp_path)
    assert result.classes == ["ant", "cat"] and result.labels.tolist() == [0, 0, 1, 1]
    # Sorted by path: d.npy, deeper/c.bmp, a.PNG, b.png.
    np.testing.assert_array_equal(result.images, [AS_FLOAT, AS_FLOAT[:, :, ::-1], AS_FLOAT[:, ::-1], AS_FLOAT])


def test_image_folder_options(tmp_path):
    write_folders(tmp_path, {"a": 1, "b": 2})
    save(tmp_path / "b" / "other.png", GREY[:3])
    result = data.image_folder(str(tmp_path), size=(5, 4), channels=1, classes=["c", "b", "a"])
    assert result.images.shape == (4, 1, 5, 4)
    assert result.classes == ["c", "b", "a"] and result.labels.tolist() == [2, 1, 1, 1]


@pytest.mark.parametrize(
    ("odd", "match"),
    [(COLOUR[:4], "3 x 4 x 9, but .*0.png is 3 x 6 x 9 .*with size"), (GREY, "1 x 6 x 9, but .* 3 x 6 x 9 .*with channels")],
)
def test_images_that_differ(tmp_path, odd, match):
    write_folders(tmp_path, {"a": 2, "b": 1})
    save(tmp_path / "b" / "odd.png", odd)
    with pytest.raises(ValueError, match=r"odd\.png: " + match):
        data.image_folder(tmp_path)


def test_bad_folders(tmp_path):
    with pytest.raises(FileNotFoundError):
        data.image_folder(tmp_path / "none")
    with pytest.raises(ValueError, match="no sub-folders, expected one for each class"):
        data.image_folder(tmp_path)
    write_folders(tmp_path, {"a": 1})
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"b: no images, expected at least one \(files ending in .*\.png"):
        data.image_folder(tmp_path)
    with pytest.raises(ValueError, match="b: not one of the classes a, c"):
        data.image_folder(tmp_path, classes=["a", "c"])
    (tmp_path / "b" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ValueError, match=r"broken\.jpg: not an image"):
        data.image_folder(tmp_path)
