"""What a file that is no image is instead, told by its first bytes: the end of an error message."""

from __future__ import annotations

from pathlib import Path

_BEGINNINGS = {
    b"\x89PNG": "it begins as a PNG image",
    b"\xff\xd8\xff": "it begins as a JPEG image",
    b"GIF8": "it begins as a GIF image",
    b"\x93NUMPY": "it is an .npy file by another name",
    b"PK\x03\x04": "it is a zip archive, as .npz files are",
    b"\x1f\x8b": "it is a gzip file: unpack it",
    b"%PDF": "it is a PDF document",
    b"version https://git-lfs": "Git LFS has left a pointer to it: git lfs pull fetches the file",
}
_IN_TEXT = {
    b"<svg": "it is an SVG drawing, of lines and not of pixels",
    b"<html": "it is a web page, as a failed download leaves it",
    b"<!doctype html": "it is a web page, as a failed download leaves it",
}
_LOOKED_AT = 512


def what_it_is(path: Path) -> str:
    """The file in words: "it is empty", "it is text", ..."""
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if not start:
        return "it is empty"
    for beginning, found in _BEGINNINGS.items():
        if start.startswith(beginning):
            return found
    for mark, found in _IN_TEXT.items():
        if mark in start.lower():
            return found
    return "it is text" if _is_text(start) else f"it begins as no image file that is known here (0x{start[:4].hex()})"


def _is_text(start: bytes) -> bool:
    """Whether it is UTF-8 without control characters; the last letter may be cut off."""
    try:
        text = start.decode()
    except UnicodeDecodeError as error:
        if len(start) < _LOOKED_AT or error.start < len(start) - 3:
            return False
        text = start[: error.start].decode()
    return all(letter.isprintable() or letter.isspace() for letter in text)
