"""Image files and folders of them, written with Pillow and read back."""

import os
import struct
import sys
import zlib

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
    palette = Image.fromarray(COLOUR).quantize(16)
    want = np.asarray(palette.convert("RGB"), np.float32).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(data.load_image(save(tmp_path / "p.png", palette)), want)
    cmyk = Image.fromarray(COLOUR).convert("CMYK")
    want = np.asarray(cmyk.convert("RGB"), np.float32).transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(data.load_image(save(tmp_path / "c.tiff", cmyk)), want)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tiff"])
def test_the_first_of_several_frames(tmp_path, suffix):
    first, *others = (Image.new("RGB", (8, 6), (level,) * 3) for level in (255, 128, 0))
    path = save(tmp_path / f"a.{suffix}", first, save_all=True, append_images=others)
    np.testing.assert_array_equal(data.load_image(path, channels=1), np.ones((1, 6, 8)))


# What is drawn (brightness of its pixels), on nothing; and the colour that must be under it.
INK = {"black": (0, 1), "dark": (100, 1), "light": (150, 0), "white": (255, 0)}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Pillow's, of the argument for the mode
@pytest.mark.parametrize("hidden", [0, 77, 255])
@pytest.mark.parametrize("form", ["LA png", "RGBA png", "LA tiff", "RGBA tiff", "RGBA webp"])
@pytest.mark.parametrize(("ink", "ground"), INK.values(), ids=INK)
def test_ink_on_a_transparent_canvas(tmp_path, form, ink, ground, hidden):
    """It is seen as on paper of the other brightness, whatever colour the pixels have that nobody sees."""
    alpha = np.zeros((6, 9), np.uint8)
    alpha[1:4, 2:7] = 255
    alpha[4, 2:7] = 128
    grey = np.where(alpha > 0, ink, hidden).astype(np.uint8)
    mode, suffix = form.split()
    drawn = Image.fromarray(np.stack([*[grey] * (len(mode) - 1), alpha], -1), mode)
    image = save(tmp_path / f"a.{suffix}", drawn, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
    share = alpha / 255
    want = np.where(alpha > 0, ink, 0) / 255 * share + ground * (1 - share)
    np.testing.assert_allclose(data.load_image(image, channels=1)[0], want, atol=2 / 255)


def test_transparent_colours_of_palettes_grey_and_colour(tmp_path):
    grey = np.uint8([[0, 0, 255], [255, 0, 255]])  # black on nothing, where 255 is declared to be nothing
    want = grey / np.float32(255)
    for mode, nothing in (("L", 255), ("RGB", (255, 255, 255)), ("P", 255), ("1", 255)):
        for inverted in (False, True):
            pixels = 255 - grey if inverted else grey
            image = Image.fromarray(pixels)
            if mode == "P":
                image.putpalette([level for level in range(256) for _ in range(3)])
            elif mode != "L":
                image = image.convert(mode)
            clear = nothing if not inverted else (0, 0, 0) if mode == "RGB" else 0
            path = save(tmp_path / f"{mode}{inverted}.png", image, transparency=clear)
            got = data.load_image(path, channels=1)[0]
            np.testing.assert_allclose(got, 1 - want if inverted else want, atol=1e-6)
    path = save(tmp_path / "p.png", Image.fromarray(COLOUR).quantize(16), transparency=bytes(16))
    np.testing.assert_array_equal(data.load_image(path), np.ones((3, 6, 9)))  # an empty canvas is white


def png(path, pixels, bits, clear):
    """A PNG file of one grey or colour level that is nothing, as the format has it: in the bits of the pixels."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    values = pixels.reshape(len(pixels), -1)
    if bits < 8:
        spread = (values[..., None] >> np.arange(bits)[::-1]) & 1
        rows = [np.packbits(row).tobytes() for row in spread.astype(np.uint8).reshape(len(values), -1)]
    else:
        rows = [row.astype(f">u{bits // 8}").tobytes() for row in values]
    header = struct.pack(">IIBBBBB", pixels.shape[1], len(pixels), bits, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                     + chunk(b"tRNS", np.array(clear, ">u2").tobytes())
                     + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("dark", [True, False])
def test_a_transparent_level_of_any_number_of_bits(tmp_path, bits, dark):
    """Ink in two levels (one, of a single bit) on a level that is nothing: on white where it is dark, else on black."""
    most = 2**bits - 1
    ink, faint, clear = (0, 0 if bits == 1 else 1, most) if dark else (most, most if bits == 1 else most - 1, 0)
    pixels = np.full((3, 5), clear)
    pixels[1, 1:4] = ink, faint, ink
    want = np.full((3, 5), 1.0 if dark else 0.0)
    want[1, 1:4] = np.array([ink, faint, ink]) / most
    np.testing.assert_allclose(data.load_image(png(tmp_path / "grey.png", pixels, bits, clear))[0], want, atol=1e-6)
    if bits > 1:  # a level between them is nothing, and no other
        between = most // 2 + dark
        path = png(tmp_path / "between.png", np.where(pixels == clear, between, pixels), bits, between)
        np.testing.assert_allclose(data.load_image(path)[0], want, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_colour_of_any_number_of_bits(tmp_path, bits):
    most = 2**bits - 1
    pixels = np.full((3, 5, 3), (most, 0, most))  # ink of dark blue on pink, which is nothing
    pixels[1, 1:4] = 0, 0, most // 2
    want = np.ones((3, 3, 5))
    want[:, 1, 1:4] = np.array([[0], [0], [most // 2 / most]])
    got = data.load_image(png(tmp_path / "colour.png", pixels, bits, (most, 0, most)))
    np.testing.assert_allclose(got, want, atol=1 / 255)


def test_an_opaque_alpha_changes_nothing(tmp_path):
    for channels in (1, 3):
        plain = Image.fromarray(COLOUR if channels == 3 else GREY)
        opaque = plain.copy()
        opaque.putalpha(255)
        np.testing.assert_array_equal(data.load_image(save(tmp_path / "o.png", opaque)), AS_FLOAT[:channels])


def test_a_folder_and_one_image_are_put_on_the_same_colour(tmp_path):
    for name, level in (("a", 0), ("b", 255)):
        ink = np.zeros((6, 9, 4), np.uint8)
        ink[..., :3], ink[2:4, 2:7, 3] = level, 255
        save(tmp_path / name / "ink.png", Image.fromarray(ink))
    folder = data.image_folder(tmp_path)
    for image, name in zip(folder.images, "ab", strict=True):
        np.testing.assert_array_equal(image, data.load_image(tmp_path / name / "ink.png"))
        assert image.max() - image.min() == 1


def test_sixteen_bits(tmp_path):
    levels = np.linspace(0, 65535, 54).reshape(6, 9).astype(np.uint16)
    for suffix in ("png", "tiff"):
        np.testing.assert_allclose(data.load_image(save(tmp_path / f"d.{suffix}", levels))[0],
                                   levels / 65535, rtol=1e-6)


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
        ({"size": 10**9}, ValueError, "size must be at most 268435456 pixels, .*got 1000000000 x 1000000000"),
        ({"size": (1, 10**9)}, ValueError, "size must be at most .* got 1 x 1000000000"),
        ({"size": (2**31 - 1, 1), "fit": "pad"}, ValueError, "size must be at most .* got 2147483647 x 1"),
        ({"size": 16385}, ValueError, "size must be at most"),
        ({"size": 2**40}, ValueError, "size must be at most"),
        ({"channels": 2}, ValueError, "channels must .*2"),
        ({"channels": 1.0}, TypeError, "channels must .*1.0"),
        ({"channels": True}, TypeError, "channels must .*True"),
    ],
)
def test_bad_options(tmp_path, options, error, match):
    path = save(tmp_path / "a" / "c.png", COLOUR)
    for read, source in ((data.load_image, path), (data.image_folder, tmp_path), (data.load, tmp_path)):
        with pytest.raises(error, match=match):
            read(source, **options)


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
    [(COLOUR[:4], "3 x 4 x 9, but .*0.png is 3 x 6 x 9 .*with size"),
     (GREY, "1 x 6 x 9, but .* 3 x 6 x 9 .*with channels")],
)
def test_images_that_differ(tmp_path, odd, match):
    write_folders(tmp_path, {"a": 2, "b": 1})
    save(tmp_path / "b" / "odd.png", odd)
    with pytest.raises(ValueError, match=r"odd\.png: " + match):
        data.image_folder(tmp_path)


def test_images_that_differ_in_two_ways_are_one_error(tmp_path):
    write_folders(tmp_path, {"a": 2, "b": 1})
    save(tmp_path / "b" / "grey.png", GREY)
    save(tmp_path / "b" / "small.png", COLOUR[:4])
    match = "grey.png: 1 x 6 x 9 and .*small.png: 3 x 4 x 9, but .*0.png is 3 x 6 x 9 .*for all with channels and size"
    with pytest.raises(ValueError, match=match):
        data.image_folder(tmp_path)
    (tmp_path / "b" / "small.png").unlink()
    save(tmp_path / "b" / "grey.png", GREY[:4])
    with pytest.raises(ValueError, match="grey.png: 1 x 4 x 9, but .*for all with channels and size"):
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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_special_files_are_not_waited_for(tmp_path):
    write_folders(tmp_path / "set", {"a": 2, "b": 1})
    for ending in ("png", "npy", "npz", ""):
        pipe = tmp_path / f"pipe.{ending}"
        os.mkfifo(pipe)
        for read in (data.load_image, data.load, data.npz, lambda path: data.idx(path, path)):
            with pytest.raises(ValueError,
                               match=r"pipe\.\w*: a named pipe, a socket or a device, expected a regular file"):
                read(pipe)
    with pytest.raises(ValueError, match="null: a named pipe, a socket or a device"):
        data.load_image("/dev/null")
    os.mkfifo(tmp_path / "set" / "b" / "more.png")
    for read in (data.load, data.image_folder):
        with pytest.raises(ValueError, match=r"more\.png: a named pipe, a socket or a device"):
            read(tmp_path / "set")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links(tmp_path):
    write_folders(tmp_path / "set", {"a": 2, "b": 1})
    os.symlink("0.png", tmp_path / "set" / "b" / "again.png")
    assert len(data.image_folder(tmp_path / "set")) == 4
    os.symlink("gone.png", tmp_path / "set" / "b" / "broken.png")
    for path, read in ((tmp_path / "set", data.load), (tmp_path / "set" / "b" / "broken.png", data.load_image),
                       (tmp_path / "set" / "b" / "broken.png", data.load)):  # fmt: skip
        with pytest.raises(FileNotFoundError, match=r"broken\.png: a symbolic link to gone\.png, which is not there"):
            read(path)
