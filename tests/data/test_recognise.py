"""Files that are called as images and are none: the message has their name and what they are."""

import re

import numpy as np
import pytest

from fastconv import data

pytest.importorskip("PIL.Image", reason="Pillow is not installed")

FILES = {
    "it is empty": b"",
    "it is text": "Grüße\n".encode(),
    "it is text ": ("ü" * 600).encode()[1:-1].lstrip(b"\xbc"),
    "it is a web page, as a failed download leaves it": b"<!DOCTYPE html>\n<html><body>404</body></html>",
    "it is an SVG drawing": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>",
    "it begins as a PNG image": b"\x89PNG\r\n\x1a\n",
    "it begins as a JPEG image": b"\xff\xd8\xff\xe0",
    "it begins as a GIF image": b"GIF89a",
    "it is a zip archive, as .npz files are": b"PK\x03\x04" + bytes(40),
    "it is a gzip file: unpack it": b"\x1f\x8b\x08\x00",
    "it is a PDF document": b"%PDF-1.7\n",
    "Git LFS has left a pointer to it": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n",
    "it begins as no image file that is known here (0x80818283)": bytes(range(128, 228)),
    "it begins as no image file that is known here (0x00000000)": bytes(100),
}


@pytest.mark.parametrize("said", FILES)
@pytest.mark.parametrize("suffix", ["png", "jpg", "JPEG", "gif", "bmp", "tif", "webp", "ppm", "npy"])
def test_what_is_no_image_is_said(tmp_path, said, suffix):
    path = tmp_path / "a" / f"x.{suffix}"
    path.parent.mkdir()
    path.write_bytes(FILES[said])
    kind = "a NumPy array file" if suffix == "npy" else "an image that can be read"
    for read in (data.load_image, lambda path: data.image_folder(path.parents[1]),
                 lambda path: data.load(path.parents[1], "all")):
        with pytest.raises(ValueError, match=re.escape(f"x.{suffix}: not {kind}: {said.strip()}")) as caught:
            read(path)
        assert ("object at" not in str(caught.value) and "_io" not in str(caught.value)
                and "allow_pickle" not in str(caught.value))


def test_an_array_by_the_name_of_an_image(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 4), np.uint8))
    (tmp_path / "x.npy").rename(tmp_path / "x.png")
    with pytest.raises(ValueError, match="x.png: not an image that can be read: it is an .npy file by another name"):
        data.load_image(tmp_path / "x.png")


def test_an_image_by_the_name_of_an_array(tmp_path):
    from PIL import Image

    Image.new("L", (4, 4)).save(tmp_path / "x.png")
    (tmp_path / "x.png").rename(tmp_path / "x.npy")
    with pytest.raises(ValueError, match="x.npy: not a NumPy array file: it begins as a PNG image"):
        data.load_image(tmp_path / "x.npy")
