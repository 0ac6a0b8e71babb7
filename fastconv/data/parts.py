"""Folders of images: which sub-folders are classes, and which are parts of a data set (train, validation, test).

The names of parts are known in any case and in their usual forms: ``Train``, ``training_set``, ``trn``, ``testing``,
``val``, ``valid``, ``dev``, ``test1``, ``val2017``, ``seg_train`` beside ``seg_test``. They may lie deeper, in the only
folder of a folder (``images/train``), and in each other (``training_set/training_set``, ``Training/images/train``).

Where part names and others stand side by side, nothing is guessed: it is an error that names them. One exception:
a folder called as the training or the validation part that holds images itself, beside others that do, is a class
(``train`` beside ``bus``, ``valid`` beside ``invalid``); ``test`` may as well hold images without labels.

Parts under other names (``fold1`` beside ``fold2``, ``TR`` beside ``TE``) are seen by what is in them:
no folder holds an image itself, and several hold folders of the same names. That is refused too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from pathlib import Path

from fastconv.data.images import image_files, is_image, sub_folders

_WORDS = {
    "train": {"train", "training", "trn"},
    "validation": {"val", "valid", "validation", "validate", "dev", "devel", "development"},
    "test": {"test", "testing", "tst", "eval", "evaluation", "holdout", "t10k"},
}
_FILLERS = {"set", "sets", "data", "dataset", "images", "imgs", "img", "image", "split", "part", "samples", "folder"}
_WORD = re.compile(
    rf"({'|'.join(word for words in _WORDS.values() for word in sorted(words, key=len, reverse=True))})"
    rf"({'|'.join(sorted(_FILLERS, key=len, reverse=True))})?\d*"
)


def find_parts(directory: Path, classes: Container[str] = ()) -> dict[str, Path]:
    """The folders of classes in a directory: by part ("train", "validation", "test"), or one for "all".

    Parameters
    ----------
    directory : path
    classes : container of str
        Names that are known to be classes, whatever they look like.

    Raises
    ------
    ValueError
        When some sub-folders are called as parts and others are not, or two as the same part,
        or when they are not called as parts but filled as parts are; it names them.
    """
    directory = _descend(directory, classes)
    folders = sub_folders(directory)
    if all(folder.name in classes for folder in folders):
        return {"all": directory}
    found = {folder: part for folder, part in _named(folders).items() if folder.name not in classes}
    others = [folder for folder in folders if folder not in found and any(image_files(folder))]
    if not found or (others and all(part != "test" and _holds_images(folder) for folder, part in found.items())):
        return {"all": _of_classes(directory)}
    if others:
        raise ValueError(
            f"{directory}: {_list(found)} {'is' if len(found) == 1 else 'are'} called as a part of a data "
            f"set, {_list(others)} beside it not: move away what does not belong here, "
            "or rename it (parts are train, validation and test, each with a folder for each class; "
            "a class needs another name)"
        )
    parts: dict[str, Path] = {}
    for folder, part in found.items():
        if part in parts:
            raise ValueError(f"{directory}: {_list([parts[part], folder])} are both called as "
                             f"the {part} part: keep one here")
        parts[part] = folder
    return {part: _of_part(folder, part, classes) for part, folder in parts.items()}


def _of_part(directory: Path, part: str, classes: Container[str]) -> Path:
    """The folder of a part that holds those of its classes:
    deeper where folders called as the part lie in each other."""
    while True:
        directory = _descend(directory, classes)
        folders = [folder for folder in sub_folders(directory) if any(image_files(folder))]
        found = {folder: inner for folder, inner in _named(folders).items()
                 if folder.name not in classes and not _holds_images(folder)}
        if not found:
            return _of_classes(directory)
        if len(folders) > 1 or found[folders[0]] != part:
            others = [folder for folder in folders if folder not in found]
            raise ValueError(
                f"{directory} is in the {part} part of a data set, but {_list(found)} in it "
                f"{'is' if len(found) == 1 else 'are'} called as a part too{', ' * bool(others)}{_list(others)}"
                f"{' beside it not' * bool(others)}: move the folders of the classes into one folder for each part, or "
                "give a class another name")
        directory = folders[0]


def _of_classes(directory: Path) -> Path:
    """The directory, if its sub-folders can be classes;
    an error where each holds folders of classes, the same in several.

    One name that all have (``cat/images``, ``dog/images``) is only a way to put away the images of a class.
    """
    filled = [folder for folder in sub_folders(directory) if any(image_files(folder))]
    inside = [{folder.name for folder in sub_folders(outer) if any(image_files(folder))} for outer in filled]
    names = set().union(*inside)
    if len(names) < 2 or sum(map(len, inside)) == len(names) or any(map(_holds_images, filled)):
        return directory
    raise ValueError(
        f"{directory}: {_list(filled)} hold folders of the same names ({', '.join(sorted(names)[:3])}"
        f"{', ...' if len(names) > 3 else ''}), as parts of a data set do, and are not called as parts: "
        "rename them to train, validation and test, or name one of them as the data set; if they are classes, "
        "move their images into them directly"
    )


def _descend(directory: Path, classes: Container[str]) -> Path:
    """Down through folders that hold nothing but one folder with folders in it."""
    while True:
        inside = [folder for folder in sub_folders(directory) if any(image_files(folder))]
        if len(inside) != 1 or inside[0].name in classes or _holds_images(inside[0]) or _named(inside):
            return directory
        directory = inside[0]


def _named(folders: list[Path]) -> dict[Path, str]:
    """The part that each folder is called as; those that are not called so are left out.

    A name is that of a part if it has no other words in it, or the same ones as the name of another part.
    """
    known = {folder: found for folder in folders if (found := _part_and_rest(folder.name))}
    return {
        folder: part
        for folder, (part, rest) in known.items()
        if not rest or any(rest == other and part != another for another, other in known.values())
    }


def _part_and_rest(name: str) -> tuple[str, str] | None:
    """The part that a name has at one of its ends, and what else it says."""
    # A capital inside a word begins another one (TrainingSet), or says nothing (tRAIN).
    for text in (re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name), name):
        words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
        for position in (0, len(words) - 1) if words else ():
            if match := _WORD.fullmatch(words[position]):
                part = next(part for part, known in _WORDS.items() if match[1] in known)
                others = words[:position] + words[position + 1 :]
                return part, " ".join(word for word in others if word not in _FILLERS and not word.isdigit())
    return None


def _holds_images(folder: Path) -> bool:
    """Whether images lie in the folder itself, not in folders in it."""
    return any(is_image(path) for path in folder.iterdir())


def _list(folders: Iterable[Path]) -> str:
    return ", ".join(f"{folder.name}/" for folder in folders)
