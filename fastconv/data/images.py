"""Image files, through Pillow (``pip install fastconv[images]``): one image to predict, or a folder for each class."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv.data.datasets import ArrayDataset, as_float32
from fastconv.data.files import StrPath, channels_first
from fastconv.data.framing import Fit, Framing, luma, pillow
from fastconv.data.recognise import what_it_is
from fastconv.functional import checks
from fastconv.functional.paths import checked_path, refuse_all_but_directories, refuse_all_but_files

__all__ = ["image_folder", "load_image"]

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".npy"))


def load_image(
    path: StrPath,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    background: float | None = None,
    value_range: Sequence[float] = (0.0, 1.0),
    invert: bool | None = None,
) -> NDArray[np.float32]:
    """One image as (C, H, W) float32, 0 to 1.

    ``load_image(path, **dataset.framing)`` makes an image as those of a dataset are, see `ArrayDataset.framing`.

    Parameters
    ----------
    path : path
        Any image that Pillow reads: the first frame, upright as its EXIF entry says; what is transparent is put on the
        colour that shows the ink, white under dark ink and black under light ink. Or ``.npy``: (H, W), (C, H, W) or
        (H, W, C), uint8 or floating point.
    size : int or (height, width), optional
        Resize to this, if the image is not so already: bilinear, averaging over the pixels when it gets smaller. An int
        means a square.
    channels : {1, 3}, optional
        Grey (ITU-R BT.601 luma) or red, green, blue. By default what the file has.
    fit : {"stretch", "pad"}, optional
        What becomes of other proportions than those of `size`: "stretch" (default) gives them up, "pad" keeps them, in
        the middle of a plane of the colour that the image's border has.
    background : float, optional
        The brightness that images stand on, in the value range. One that stands on the opposite is inverted.
    value_range : (float, float)
        The values of black and white. Floating point in ``.npy`` files is taken as it is.
    invert : bool, optional
        Exchange dark and bright, or never, whatever the background.

    Raises
    ------
    ValueError, TypeError
        When the file is not an image, is damaged, or an option is wrong.
    ImportError
        When Pillow is needed and not installed.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> from fastconv import data
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "photo.npy")
    ...     np.save(path, np.zeros((48, 64, 3), np.uint8))
    ...     data.load_image(path, channels=1).shape
    (1, 48, 64)
    """
    if invert is not None:
        checks.flag(invert, "invert")
    return framed(checked_path(path, "path"), Framing.checked(size, channels, fit, background, value_range), invert)[0]


def framed(path: Path, framing: Framing, invert: bool | None = None) -> tuple[NDArray[np.float32], bool]:
    """The image in a file, framed, and whether it was inverted."""
    return framing.frame(_read(path, framing.value_range), invert)


def image_folder(
    directory: StrPath,
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    fit: Fit | None = None,
    background: float | None = None,
    value_range: Sequence[float] = (0.0, 1.0),
    classes: Sequence[str] | None = None,
) -> ArrayDataset:
    """A dataset from a directory with one sub-folder for each class, named as the class.

    Every sub-folder is a class here, whatever its name; `load` knows folders of parts (``train/``, ``test/``).

    Parameters
    ----------
    directory : path
        Images are the files in a sub-folder, and in folders in it, that end as an image does (.png, .jpg, .jpeg, .bmp,
        .gif, .tif, .tiff, .webp, .pgm, .ppm, .npy). Names that start with a dot are passed over.
    size : int or (height, width), optional
        Resize all images to this; without it they must have one size.
    channels : {1, 3}, optional
        Make all images grey, or red, green, blue; without it all must be one of the two.
    fit, background, value_range
        As of `load_image`: to read images as those of another
        dataset are, ``image_folder(directory, **train.framing)``.
    classes : sequence of str, optional
        The names in the order of their labels, as another dataset or a model has them; a folder of another name is an
        error then. By default the names of the sub-folders, sorted.

    Raises
    ------
    ValueError, TypeError
        When there are no classes, a class has no image, a file is not an image, or images differ in size or channels.
    ImportError
        When Pillow is not installed.

    Examples
    --------
    >>> from fastconv import data
    >>> flowers = data.image_folder("flowers", size=64, channels=3)  # doctest: +SKIP
    """
    root = checked_path(directory, "directory")
    framing = Framing.checked(size, channels, fit, background, value_range)
    refuse_all_but_directories(root, "a folder of images for each class")
    folders = sub_folders(root)
    if not folders:
        loose = ", its images say no class" if any(is_image(path) for path in root.iterdir()) else ""
        raise ValueError(f"{root}: no sub-folders{loose}, expected one for each class")
    names = [folder.name for folder in folders] if classes is None else list(classes)
    for folder in folders:
        if folder.name not in names:
            raise ValueError(f"{folder}: not one of the classes {', '.join(names)}")
    paths: list[Path] = []
    labels: list[int] = []
    for folder in folders:
        found = sorted(image_files(folder))
        if not found:
            raise ValueError(
                f"{folder}: no images, expected at least one (files ending in {' '.join(sorted(_SUFFIXES))})")
        paths += found
        labels += [names.index(folder.name)] * len(found)

    first = framed(paths[0], framing)[0]
    images = np.empty((len(paths), *first.shape), np.float32)
    distorted = False
    for position, path in enumerate(paths):
        picture = _read(path, framing.value_range)
        image = framing.frame(picture)[0]
        if image.shape != first.shape:
            raise _differing(paths, position, first, framing)
        distorted = distorted or framing.distorts(picture)
        images[position] = image
    return ArrayDataset(images, labels, names, fit=fit or ("stretch" if distorted else None))


def _differing(paths: list[Path], position: int, first: NDArray[Any], framing: Framing) -> ValueError:
    """The error of a folder whose images are not of one shape; it names all that must be chosen,
    not one after the other."""
    options: dict[str, str] = {}
    for path in paths[position:]:
        image = framed(path, framing)[0]
        found = f"{path}: {_shape(image)}"
        if len(image) != len(first):
            options.setdefault("channels", found)
        if image.shape[1:] != first.shape[1:]:
            options.setdefault("size", found)
        if len(options) == 2:
            break
    differing = " and ".join(dict.fromkeys(options.values()))
    return ValueError(f"{differing}, but {paths[0]} is {_shape(first)} (channels x height x width): "
                      f"choose one for all with {' and '.join(sorted(options))} "
                      f"({', '.join(f'--{name}' for name in sorted(options))})")


def sub_folders(directory: Path) -> list[Path]:
    """The sub-folders that may be classes or parts, sorted by name."""
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX")))


def image_files(folder: Path) -> Iterator[Path]:
    """The image files in a folder and in the folders in it, as the file system has them."""
    for parent, inside, names in os.walk(folder):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield from (Path(parent, name) for name in names if is_image(Path(name)))


def is_image(path: Path) -> bool:
    """Whether a file is called as images are."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _shape(image: NDArray[Any]) -> str:
    return " x ".join(map(str, image.shape))


def _read(path: Path, value_range: tuple[float, float]) -> NDArray[np.float32]:
    """The picture in a file, as (C, H, W) in the value range."""
    refuse_all_but_files(path)
    if path.suffix.lower() == ".npy":
        array = _read_npy(path)
        picture = as_float32(array, f"{path}: pixels")
        if array.dtype.kind == "f":
            return picture
    else:
        picture = _read_image(path)
    black, white = value_range
    return picture if (black, white) == (0, 1) else np.float32(white - black) * picture + np.float32(black)


def _read_npy(path: Path) -> NDArray[Any]:
    with path.open("rb") as file:
        if file.read(6) != b"\x93NUMPY":
            raise ValueError(f"{path}: not a NumPy array file: {what_it_is(path)}")
    try:
        # Mapped: a size beyond the file is an error, and takes no memory.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a NumPy array file that can be read: {error}") from error
    image = channels_first(array[np.newaxis] if array.ndim == 2 else array)
    if image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        raise ValueError(f"{path}: shape {array.shape}, expected (H, W), (C, H, W) or (H, W, C) with 1 or 3 channels")
    return np.array(image)


def _read_image(path: Path) -> NDArray[np.float32]:
    library = pillow()
    from PIL import ImageOps

    with path.open("rb") as file:
        try:
            with library.open(file) as opened:
                _scale_clear_colour(opened)
                opened.load()
                image = ImageOps.exif_transpose(opened)
            if not image.mode.startswith(("I", "F")):
                return _eight_bits(image)
        except library.UnidentifiedImageError as error:  # whose message shows the file object
            raise ValueError(f"{path}: not an image that can be read: {what_it_is(path)}") from error
        # Pillow's decoders also let SyntaxError and other errors of a parser through when a file is damaged.
        except (OSError, SyntaxError, ValueError, EOFError, library.DecompressionBombError) as error:
            raise ValueError(f"{path}: not an image that can be read: {error or type(error).__name__}") from error
    if image.mode == "F":
        raise ValueError(f"{path}: floating-point pixels, of unknown range: convert the image to 8 or 16 bits")
    wide = np.asarray(image)  # 16 bits a pixel, which Pillow may hold in 32
    if wide.min() < 0 or wide.max() > 65535:
        raise ValueError(f"{path}: pixels {wide.min()} to {wide.max()}, expected 0 to 65535")
    grey: NDArray[np.float32] = np.divide(wide, 65535, dtype=np.float32)[np.newaxis]
    clear = image.info.get("transparency")  # one level means: nothing here
    return _on_what_shows_it(grey, (wide != clear).astype(np.float32)) if isinstance(clear, int) else grey


def _scale_clear_colour(opened: Any) -> None:
    """The colour that means nothing in a PNG file, in the bits that Pillow decodes it to: grey of 2 and 4 bits is
    spread over 8 bits, and of colour of 16 bits the upper 8 are left."""
    clear, form = opened.info.get("transparency"), opened.tile[0][3] if opened.tile else None
    if isinstance(clear, int) and form in ("L;2", "L;4"):
        opened.info["transparency"] = clear * (85 if form == "L;2" else 17)
    elif isinstance(clear, tuple) and form == "RGB;16B":
        opened.info["transparency"] = tuple(value >> 8 for value in clear)


def _eight_bits(image: Any) -> NDArray[np.float32]:
    """An image of Pillow's modes of 8 bits or fewer as (C, H, W), 0 to 1."""
    if image.mode in ("La", "RGBa"):  # colours that were multiplied by their alpha
        image = image.convert(image.mode.upper())
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")
    elif "transparency" in image.info and image.mode in ("1", "L", "RGB"):  # one colour means: nothing here
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    opaque = "L" if image.mode in ("1", "L", "LA") else "RGB"
    if image.mode not in ("LA", "RGBA"):
        image = image.convert(opaque)
    pixels = np.asarray(image)
    planes = as_float32(pixels[np.newaxis] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0), "pixels")
    return planes if image.mode == opaque else _on_what_shows_it(planes[:-1], planes[-1])


def _on_what_shows_it(ink: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """A drawing (C, H, W) on the colour that shows it: white under dark ink, black under light ink.

    Dark or light is what can be seen of it: the brightness weighted with alpha. An empty canvas is white.
    """
    if alpha.min() == 1:
        return np.ascontiguousarray(ink)
    visible = alpha.sum(dtype=np.float64)
    brightness = (luma(ink) * alpha).sum(dtype=np.float64) / visible if visible else 0.0
    ground = np.float32(brightness < 0.5)
    shown: NDArray[np.float32] = ink * alpha + ground * (1 - alpha)
    return shown
