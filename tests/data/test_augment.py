"""Augmentation against plain loops and SciPy; determinism; bad arguments."""

import math

import numpy as np
import pytest

import fastconv as fc
from fastconv.data import Compose, RandomAffine, RandomFlip, RandomShift, augment as augment_module

ALL = [
    RandomAffine(),
    RandomAffine(fill=0.5),
    RandomShift(3),
    RandomFlip(vertical=True),
    Compose([RandomFlip(), RandomAffine()]),
]


def rng(seed=0):
    return np.random.default_rng(seed)


def batch(n=5, c=2, h=9, w=12, dtype=np.float64):
    return rng(7).random((n, c, h, w)).astype(dtype)


def affine_reference(image, inverse, shift, fill):
    """One plane: every output pixel looks back, and mixes four pixels; `fill` outside. Plain loops."""
    height, width = image.shape
    centre = np.array([(height - 1) / 2, (width - 1) / 2])

    def pixel(row, col):
        return image[row, col] if 0 <= row < height and 0 <= col < width else fill

    out = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            y, x = inverse @ (np.array([i, j]) - centre - shift) + centre
            top, left = math.floor(y), math.floor(x)
            v, u = y - top, x - left
            out[i, j] = (1 - v) * ((1 - u) * pixel(top, left) + u * pixel(top, left + 1)) + v * (
                (1 - u) * pixel(top + 1, left) + u * pixel(top + 1, left + 1)
            )
    return out


def random_maps(n, seed=0):
    generator = rng(seed)
    angle, size = generator.uniform(-np.pi, np.pi, n), generator.uniform(0.4, 2.5, n)
    inverse = np.array([[[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in angle]) / size[:, None, None]
    return inverse, generator.uniform(-6, 6, (n, 2))


@pytest.mark.parametrize("shape", [(5, 2, 9, 12), (3, 1, 28, 28), (4, 3, 1, 7), (4, 1, 6, 1), (2, 1, 1, 1)])
@pytest.mark.parametrize("fill", [0.0, -1.5])
def test_affine_is_the_plain_loop(shape, fill):
    images = batch(*shape)
    inverse, shift = random_maps(shape[0])
    result = augment_module._affine(images, inverse, shift, fill)
    for image, m, t, planes in zip(images, inverse, shift, result, strict=True):
        for plane, got in zip(image, planes, strict=True):
            np.testing.assert_allclose(got, affine_reference(plane, m, t, fill), atol=1e-12)


def test_affine_is_scipy_affine_transform():
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is not installed")
    images = batch(8, 1, 28, 28)
    inverse, shift = random_maps(8)
    result = augment_module._affine(images, inverse, shift, 0.25)
    centre = np.array([13.5, 13.5])
    for image, m, t, got in zip(images, inverse, shift, result, strict=True):
        offset = centre - m @ (centre + t)
        want = ndimage.affine_transform(image[0], m, offset, order=1, mode="grid-constant", cval=0.25)
        np.testing.assert_allclose(got[0], want, atol=1e-12)


def test_affine_in_float32_is_near_float64():
    images = batch(8, 1, 64, 64)
    inverse, shift = random_maps(8)
    single = augment_module._affine(images.astype(np.float32), inverse, shift, 0.0)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, augment_module._affine(images, inverse, shift, 0.0), atol=1e-4)


def test_affine_gives_the_same_with_any_number_of_threads_and_for_each_image_alone():
    images = batch(70, 2, 20, 23, np.float32)
    inverse, shift = random_maps(70)
    whole = augment_module._affine(images, inverse, shift, 0.5)
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            np.testing.assert_array_equal(augment_module._affine(images, inverse, shift, 0.5), whole)
    turned = np.asfortranarray(images)
    np.testing.assert_array_equal(augment_module._affine(turned, inverse, shift, 0.5), whole)
    for i in (0, 69):
        np.testing.assert_array_equal(augment_module._affine(images[i:i + 1], inverse[i:i + 1], shift[i:i + 1], 0.5)[0],
                                      whole[i])


def test_a_large_plane_keeps_float32_indices_exact():
    """A plane of more than 2**24 pixels, where a float32 cannot count them."""
    images = np.zeros((1, 1, 1, 4_200_000), np.float32)
    images[0, 0, 0, -4:] = [1, 2, 3, 4]
    out = augment_module._affine(images, np.eye(2)[None], np.array([[0.0, 1.0]]), 0.0)
    np.testing.assert_array_equal(out[0, 0, 0, -4:], [0, 1, 2, 3])


def test_affine_without_range_is_the_identity():
    images = batch(dtype=np.float32)
    np.testing.assert_allclose(RandomAffine(0, 0, 0)(images, rng()), images, atol=1e-6)


def test_affine_at_the_ends_of_its_ranges():
    """Whatever is drawn, no number overflows, and far outside is `fill`."""
    images = batch(50, 1, 8, 8, np.float32)
    for augment in (RandomAffine(1e9, 1e9, 0.99, fill=1e9), RandomAffine(0, 0, 0.99), RandomAffine(0, 1e9, 0)):
        assert np.isfinite(augment(images, rng())).all()
    assert (RandomAffine(shift=1e9, fill=0.5)(images, rng()) == 0.5).all()


def test_affine_directions():
    """A positive angle turns counter-clockwise on the screen, a positive shift goes down and right."""
    images = np.zeros((1, 1, 5, 5))
    images[0, 0, 0, 2] = 1  # above the centre
    quarter = np.array([[[0.0, 1.0], [-1.0, 0.0]]])  # the inverse of R(90 degrees)
    out = augment_module._affine(images, quarter, np.zeros((1, 2)), 0.0)
    assert np.unravel_index(out.argmax(), out.shape)[2:] == (2, 0)
    out = augment_module._affine(images, np.eye(2)[None], np.array([[2.0, -1.0]]), 0.0)
    assert np.unravel_index(out.argmax(), out.shape)[2:] == (2, 1)
    # Twice the size: the mark is twice as far from the centre, so outside.
    assert augment_module._affine(images, np.eye(2)[None] / 2, np.zeros((1, 2)), 0.0)[0, 0, 1:].sum() == 0


def test_affine_draws_within_its_ranges():
    """The centre of mass of a dot follows the shift; over many images it fills the range and does not leave it."""
    images = np.zeros((2000, 1, 21, 21), np.float32)
    images[:, 0, 10, 10] = 1
    out = RandomAffine(shift=3, rotate=0, scale=0)(images, rng())[:, 0]
    for axis in (1, 2):
        moved = (out.sum(axis=3 - axis) * (np.arange(21) - 10)).sum(axis=1) / out.sum(axis=(1, 2))
        assert -3 <= moved.min() < -2.9 and 2.9 < moved.max() <= 3 and abs(moved.mean()) < 0.15


def test_affine_turns_within_its_range():
    images = np.zeros((2000, 1, 41, 41), np.float32)
    images[:, 0, 20, 38] = 1  # 18 right of the centre
    out = RandomAffine(shift=0, rotate=30, scale=0)(images, rng())[:, 0]
    mass = out.sum(axis=(1, 2))
    down = (out.sum(axis=2) * (np.arange(41) - 20)).sum(axis=1) / mass
    across = (out.sum(axis=1) * (np.arange(41) - 20)).sum(axis=1) / mass
    angle = np.degrees(np.arctan2(down, across))
    assert -31 < angle.min() < -28.5 and 28.5 < angle.max() < 31


@pytest.mark.parametrize("pixels", [0, 1, 4, 50])
def test_shift_moves_whole_pixels(pixels):
    images = batch(40, 2, 6, 7, np.float32)
    out = RandomShift(pixels, fill=-1)(images, rng(3))
    shifts = rng(3).integers(-pixels, pixels, (40, 2), endpoint=True)
    padded = np.pad(images, ((0, 0), (0, 0), (50, 50), (50, 50)), constant_values=-1)
    for n, (down, right) in enumerate(shifts):
        np.testing.assert_array_equal(out[n], padded[n, :, 50 - down : 56 - down, 50 - right : 57 - right])


def test_flip_of_all_and_of_none():
    images = batch()
    np.testing.assert_array_equal(RandomFlip(p=1.0)(images, rng()), images[..., ::-1])
    np.testing.assert_array_equal(RandomFlip(horizontal=False, vertical=True, p=1.0)(images, rng()), images[:, :, ::-1])
    np.testing.assert_array_equal(RandomFlip(vertical=True, p=1.0)(images, rng()), images[:, :, ::-1, ::-1])
    np.testing.assert_array_equal(RandomFlip(p=0.0)(images, rng()), images)


def test_flip_of_half():
    images = np.broadcast_to(np.arange(2.0), (1000, 1, 1, 2))
    flipped = RandomFlip()(images, rng())[:, 0, 0, 0].sum()
    assert 430 < flipped < 570


def test_compose_applies_in_order():
    images = batch(dtype=np.float32)
    generator = rng(5)
    want = RandomShift(2)(RandomFlip()(images, generator), generator)
    np.testing.assert_array_equal(Compose([RandomFlip(), RandomShift(2)])(images, rng(5)), want)
    np.testing.assert_array_equal(Compose([])(images, rng()), images)


@pytest.mark.parametrize("augment", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_shape_dtype_and_an_untouched_input(augment, dtype):
    images = batch(dtype=dtype)
    before = images.copy()
    images.flags.writeable = False
    out = augment(images, rng())
    assert (out.shape == images.shape and out.dtype == dtype and out.flags.c_contiguous
            and not np.shares_memory(out, images))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_one_seed_one_result(augment):
    images = batch(dtype=np.float32)
    np.testing.assert_array_equal(augment(images, rng(1)), augment(images, rng(1)))
    assert not np.array_equal(augment(images, rng(1)), augment(images, rng(2)))


@pytest.mark.parametrize("augment", ALL, ids=repr)
@pytest.mark.parametrize("shape", [(0, 1, 28, 28), (3, 0, 4, 4)])
def test_empty_batches_stay_empty(augment, shape):
    assert augment(np.zeros(shape, np.float32), rng()).shape == shape


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_any_strides(augment):
    images = batch(dtype=np.float32)
    strided = np.asfortranarray(images)[:, ::-1, ::2, ::-1]
    np.testing.assert_array_equal(augment(strided, rng()), augment(np.ascontiguousarray(strided), rng()))


@pytest.mark.parametrize("augment", ALL, ids=repr)
@pytest.mark.parametrize(
    ("images", "error", "match"),
    [
        (np.zeros((1, 28, 28), np.float32), ValueError, r"images must .*\(1, 28, 28\)"),
        ([[[[0.0]]]], ValueError, "images must .*list"),
        (np.zeros((1, 1, 2, 2), np.uint8), TypeError, "images must .*uint8"),
    ],
)
def test_bad_batches(augment, images, error, match):
    with pytest.raises(error, match=match):
        augment(images, rng())


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_a_seed_is_no_generator(augment):
    with pytest.raises(TypeError, match="rng must be a numpy.random.Generator"):
        augment(batch(), 0)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: RandomAffine(shift=-1), ValueError, "shift must .*-1"),
        (lambda: RandomAffine(shift=math.nan), ValueError, "shift must .*nan"),
        (lambda: RandomAffine(shift=1e308), ValueError, "shift must .*1e.308"),
        (lambda: RandomAffine(rotate=math.inf), ValueError, "rotate must .*inf"),
        (lambda: RandomAffine(scale=1), ValueError, "scale must be 0 to 0.99, got 1"),
        (lambda: RandomAffine(scale=-0.1), ValueError, "scale must .*-0.1"),
        (lambda: RandomAffine(fill=-math.inf), ValueError, "fill must be -1e.09 to 1e.09, got -inf"),
        (lambda: RandomAffine(shift="2"), TypeError, "shift must .*'2'"),
        (lambda: RandomAffine(rotate=True), TypeError, "rotate must .*True"),
        (lambda: RandomShift(-1), ValueError, "pixels must .*-1"),
        (lambda: RandomShift(1.5), TypeError, "pixels must .*1.5"),
        (lambda: RandomShift(2, fill=math.nan), ValueError, "fill must .*nan"),
        (lambda: RandomFlip(p=1.1), ValueError, "p must .*1.1"),
        (lambda: RandomFlip(p=-0.1), ValueError, "p must .*-0.1"),
        (lambda: RandomFlip(horizontal=1), TypeError, "horizontal must .*1"),
        (lambda: RandomFlip(horizontal=False), ValueError, "horizontal or vertical must be True"),
        (lambda: Compose([RandomFlip(), 3]), TypeError, r"augmentations\[1\] must .*int"),
        (lambda: Compose(3), TypeError, "augmentations must .*int"),
    ],
)
def test_bad_parameters(make, error, match):
    with pytest.raises(error, match=match):
        make()
