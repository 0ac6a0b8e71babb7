"""Data for training: datasets and the files they come from, batches, augmentation, and a bundled sample.

==================  ================================================================================================
`datasets`          `ArrayDataset`, images with labels
`targets`           `TargetDataset`, images with numbers, or with a class for each pixel
`files`             `digits` (bundled), `idx` and `mnist`, `cifar10`, `npz`
`samples`           `sample`, a picture in colour and one in grey (bundled)
`images`            `image_folder` and `load_image`, through Pillow
`framing`           one way from a picture of any size to an image, for training and prediction: `ArrayDataset.framing`
`parts`             which folders are classes, and which are parts (train, validation, test)
`sources`           `load`, any of these
`conversions`       what to write where a file is of a kind that is not read
`loader`            `DataLoader`, batches in a seeded order
`doubts`            what looks wrong about images and labels, `DataWarning`
`augment`           `RandomAffine`, `RandomShift`, `RandomFlip`, `Compose`
==================  ================================================================================================

>>> from fastconv import data
>>> train = data.digits()
>>> loader = data.DataLoader(train, batch_size=64, shuffle=True, seed=0, augment=data.RandomAffine(shift=2))
>>> x, y = next(iter(loader))
>>> x.shape, y.shape
((64, 1, 28, 28), (64,))
"""

from fastconv.data.augment import Augmentation, Compose, RandomAffine, RandomFlip, RandomShift
from fastconv.data.datasets import ArrayDataset
from fastconv.data.doubts import DataWarning
from fastconv.data.files import cifar10, digits, idx, mnist, npz
from fastconv.data.images import image_folder, load_image
from fastconv.data.loader import DataLoader
from fastconv.data.samples import SAMPLES, sample
from fastconv.data.sources import load
from fastconv.data.targets import TargetDataset

__all__ = [
    "SAMPLES",
    "ArrayDataset",
    "Augmentation",
    "Compose",
    "DataLoader",
    "DataWarning",
    "RandomAffine",
    "RandomFlip",
    "RandomShift",
    "TargetDataset",
    "cifar10",
    "digits",
    "idx",
    "image_folder",
    "load",
    "load_image",
    "mnist",
    "npz",
    "sample",
]


def __dir__() -> list[str]:
    return __all__
