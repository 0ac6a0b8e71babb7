"""Augmentation of small images: each training image is seen a little shifted, turned, resized or flipped.

An augmentation is any callable ``augment(images, rng) -> images``: a batch (N, C, H, W) and a
``numpy.random.Generator`` in, a new batch of the same shape and dtype out; the input is never written to.
Every image of the batch draws its own parameters, all from `rng`, so one seed gives one result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from fastconv._core.pointwise.affine import affine
from fastconv.functional import checks

__all__ = ["Augmentation", "Compose", "RandomAffine", "RandomFlip", "RandomShift"]

# Pixels of a plane up to which float32 has the digits to say where one looks.
_MOST_PIXELS = 2**24

# Pixels, degrees and grey levels beyond this are a mistake, and their sums would leave the range of a float32.
_LARGEST = 1e9


class Augmentation(Protocol):
    """What `DataLoader` calls for each batch: ``augment(images, rng) -> images``."""

    def __call__(self, images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]: ...


def _check_batch(images: NDArray[Any], rng: np.random.Generator) -> None:
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        found = f"shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images must be an array (N, C, H, W), got {found}")
    if images.dtype not in (np.float32, np.float64):
        raise TypeError(f"images must be float32 or float64, got {images.dtype}: convert with images.astype('float32')")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator (np.random.default_rng(seed)), got {type(rng).__name__}")


def _number(value: float, name: str, minimum: float, maximum: float) -> float:
    number: float = checks.number(value, name)
    if not minimum <= number <= maximum:
        raise ValueError(f"{name} must be {minimum:g} to {maximum:g}, got {value!r}")
    return number


class RandomAffine:
    """Shift, rotate and scale each image at random, about its centre, with bilinear interpolation.

    An input point ``p`` (row, column), counted from the centre of the image, goes to
    ``s * R(angle) @ p + t``. Each image draws its own ``angle``, ``s`` and ``t`` from uniform distributions. Every
    output pixel looks back to the input point it came from and mixes the four pixels around it; what lies outside
    the image has the value `fill`.

    Parameters
    ----------
    shift : float
        Largest shift in pixels, along rows and along columns: ``t`` in [-shift, shift).
    rotate : float
        Largest turn in degrees: ``angle`` in [-rotate, rotate).
    scale : float
        Largest change of size: ``s`` in [1 - scale, 1 + scale); at most 0.99.
    fill : float
        Value of everything outside the image.

    Raises
    ------
    ValueError, TypeError
        When a parameter is not a number or out of range: below 0 (but for `fill`), beyond 1e9, `scale` above 0.99.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import RandomAffine
    >>> augment = RandomAffine(shift=2, rotate=15, scale=0.15)
    >>> x = np.ones((8, 1, 28, 28), np.float32)
    >>> y = augment(x, np.random.default_rng(0))
    >>> y.shape, y.dtype
    ((8, 1, 28, 28), dtype('float32'))

    Notes
    -----
    How much distorted copies of the training images help to recognise handwritten digits: P. Y. Simard, D. Steinkraus
    and J. C. Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis", ICDAR 2003.
    """

    def __init__(self, shift: float = 2.0, rotate: float = 15.0, scale: float = 0.15, fill: float = 0.0) -> None:
        self.shift = _number(shift, "shift", 0, _LARGEST)
        self.rotate = _number(rotate, "rotate", 0, _LARGEST)
        self.scale = _number(scale, "scale", 0, 0.99)
        self.fill = _number(fill, "fill", -_LARGEST, _LARGEST)

    def __repr__(self) -> str:
        return f"RandomAffine(shift={self.shift:g}, rotate={self.rotate:g}, scale={self.scale:g}, fill={self.fill:g})"

    def __call__(self, images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        _check_batch(images, rng)
        n = images.shape[0]
        angle = np.radians(rng.uniform(-self.rotate, self.rotate, n))
        size = rng.uniform(1 - self.scale, 1 + self.scale, n)
        shift = rng.uniform(-self.shift, self.shift, (n, 2))
        # The inverse map takes output points to input points: R(-angle) @ (p - t) / s.
        cos, sin = np.cos(angle) / size, np.sin(angle) / size
        inverse = np.stack([cos, sin, -sin, cos], axis=1).reshape(n, 2, 2)
        return _affine(images, inverse, shift, self.fill)


def _affine(images: NDArray[Any], inverse: NDArray[Any], shift: NDArray[Any], fill: float) -> NDArray[Any]:
    """Output pixel ``p`` (from the centre) of image ``i`` is the input at ``inverse[i] @ (p - shift[i])``, bilinear."""
    height, width = images.shape[2:]
    dtype = images.dtype
    out = np.empty(images.shape, dtype)
    if out.size == 0:
        return out
    if dtype == np.float32 and (height + 3) * (width + 3) > _MOST_PIXELS:
        for image, matrix, moved, result in zip(images, inverse, shift, out):
            result[...] = _affine(image[None].astype(np.float64), matrix[None], moved[None], fill)[0]
        return out
    centre_row, centre_col = (height - 1) / 2, (width - 1) / 2
    # The coordinates are a sum of a term of the output's row and one of its column: vectors, not planes.
    rows = np.arange(height) - centre_row - shift[:, :1]
    cols = np.arange(width) - centre_col - shift[:, 1:]
    terms = (inverse[:, 0, :1] * rows + (centre_row + 1), inverse[:, 0, 1:] * cols,
             inverse[:, 1, :1] * rows + (centre_col + 1), inverse[:, 1, 1:] * cols)
    vectors = tuple(np.ascontiguousarray(term, dtype) for term in terms)
    affine(np.ascontiguousarray(images), vectors, fill, out)  # type: ignore[arg-type]
    return out


class RandomShift:
    """Shift each image by whole pixels, at random: no interpolation, so every pixel keeps its value.

    Parameters
    ----------
    pixels : int
        Largest shift up, down, left and right; each shift in [-pixels, pixels] is as likely.
    fill : float
        Value of the pixels that come in from outside.

    Raises
    ------
    ValueError, TypeError
        When `pixels` is not an integer of at least 0, or `fill` is not a number.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import RandomShift
    >>> RandomShift(4)(np.zeros((8, 3, 32, 32), np.float32), np.random.default_rng(0)).shape
    (8, 3, 32, 32)
    """

    def __init__(self, pixels: int = 2, fill: float = 0.0) -> None:
        self.pixels: int = checks.integer(pixels, "pixels", 0)
        self.fill = _number(fill, "fill", -_LARGEST, _LARGEST)

    def __repr__(self) -> str:
        return f"RandomShift(pixels={self.pixels}, fill={self.fill:g})"

    def __call__(self, images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        _check_batch(images, rng)
        height, width = images.shape[2:]
        out = np.full(images.shape, self.fill, images.dtype)
        shifts = rng.integers(-self.pixels, self.pixels, (len(images), 2), endpoint=True)
        for image, shifted, (down, right) in zip(images, out, shifts.tolist()):
            shifted[:, max(0, down) : max(0, height + down), max(0, right) : max(0, width + right)] = image[
                :, max(0, -down) : max(0, height - down), max(0, -right) : max(0, width - right)
            ]
        return out


class RandomFlip:
    """Mirror each image with probability `p`, along each of the chosen directions independently.

    Parameters
    ----------
    horizontal : bool
        Exchange left and right.
    vertical : bool
        Exchange top and bottom.
    p : float
        Probability, 0 to 1.

    Raises
    ------
    ValueError, TypeError
        When `p` is not in 0 to 1, a switch is not a bool, or no direction is chosen.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.data import RandomFlip
    >>> x = np.arange(3, dtype=np.float32).reshape(1, 1, 1, 3)
    >>> RandomFlip(p=1.0)(x, np.random.default_rng(0)).tolist()
    [[[[2.0, 1.0, 0.0]]]]
    """

    def __init__(self, horizontal: bool = True, vertical: bool = False, p: float = 0.5) -> None:
        self.horizontal: bool = checks.flag(horizontal, "horizontal")
        self.vertical: bool = checks.flag(vertical, "vertical")
        if not (self.horizontal or self.vertical):
            raise ValueError("horizontal or vertical must be True, both are False")
        self.p = _number(p, "p", 0, 1)

    def __repr__(self) -> str:
        return f"RandomFlip(horizontal={self.horizontal}, vertical={self.vertical}, p={self.p:g})"

    def __call__(self, images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        _check_batch(images, rng)
        out = images.copy()
        if self.horizontal:
            chosen = rng.random(len(out)) < self.p
            out[chosen] = out[chosen][:, :, :, ::-1]
        if self.vertical:
            chosen = rng.random(len(out)) < self.p
            out[chosen] = out[chosen][:, :, ::-1, :]
        return out


class Compose:
    """Several augmentations, one after the other.

    Parameters
    ----------
    augmentations : iterable of callables ``(images, rng) -> images``

    Raises
    ------
    TypeError
        When one of them cannot be called.

    Examples
    --------
    >>> from fastconv.data import Compose, RandomFlip, RandomShift
    >>> Compose([RandomFlip(), RandomShift(4)])
    Compose([RandomFlip(horizontal=True, vertical=False, p=0.5), RandomShift(pixels=4, fill=0)])
    """

    def __init__(self, augmentations: Iterable[Augmentation]) -> None:
        if not isinstance(augmentations, Iterable):
            raise TypeError(f"augmentations must be several callables, got {type(augmentations).__name__}")
        self.augmentations = list(augmentations)
        for position, augmentation in enumerate(self.augmentations):
            if not callable(augmentation):
                kind = type(cast(object, augmentation)).__name__
                raise TypeError(f"augmentations[{position}] must be callable as (images, rng) -> images, got {kind}")

    def __repr__(self) -> str:
        return f"Compose({self.augmentations!r})"

    def __call__(self, images: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
        _check_batch(images, rng)
        for augmentation in self.augmentations:
            images = augmentation(images, rng)
        return images
