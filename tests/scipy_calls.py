"""Random calls of SciPy's filters, and how far from SciPy's own results an answer may be."""

import numpy as np

MODES = ("reflect", "constant", "nearest", "mirror", "wrap", "grid-mirror", "grid-constant", "grid-wrap")
FLOATS = (np.float32, np.float64)
OTHERS = (np.uint8, np.int16, np.int32, np.int64, np.uint16, np.int8, np.uint32, np.bool_, np.complex128)
NAMES = ("correlate", "convolve", "correlate1d", "convolve1d", "uniform_filter", "gaussian_filter", "sobel", "prewitt",
         "laplace", "convolve2d", "correlate2d")


def random_array(rng, shape, dtype):
    """Numbers of a dtype, now and then with one that is not finite, in any order of memory."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        array = rng.standard_normal(shape).astype(dtype)
        if rng.random() < 0.15:
            array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
    elif dtype.kind == "c":
        array = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    elif dtype.kind == "b":
        array = rng.random(shape) < 0.5
    else:
        array = rng.integers(max(np.iinfo(dtype).min, -1000), min(np.iinfo(dtype).max, 1000), shape).astype(dtype)
    form = rng.integers(5)
    if form == 0:
        return np.asfortranarray(array)
    if form == 1:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if form == 2:
        return array[::-1]
    return array.astype(dtype.newbyteorder()) if form == 3 and dtype.kind in "fi" else array


def random_weights(rng, shape):
    """Some whole, some with zeros, some symmetric, so that each of SciPy's ways is gone."""
    weights = rng.standard_normal(shape)
    form = rng.integers(4)
    if form == 0:
        weights = np.rint(2 * weights)
    elif form == 1:
        weights *= rng.random(shape) < 0.6
    elif form == 2 and weights.ndim == 1:
        weights += weights[::-1] * rng.choice([1, -1])
    return weights


def random_call(rng):
    """(name, arguments, options) of a call that SciPy takes, mostly of floats."""
    name = str(rng.choice(NAMES))
    dtype = rng.choice(FLOATS) if rng.random() < 0.5 else OTHERS[rng.integers(len(OTHERS))]
    if name.endswith("2d"):
        sides = rng.integers(1, 40, 2), rng.integers(1, 12 if rng.random() < 0.8 else 60, 2)
        other = dtype if rng.random() < 0.7 else FLOATS[rng.integers(2)]
        arguments = random_array(rng, tuple(sides[0]), dtype), random_array(rng, tuple(sides[1]), other)
        return name, arguments, {"mode": str(rng.choice(["full", "same", "valid"])),
                                 "boundary": str(rng.choice(["fill", "wrap", "symm"])),
                                 "fillvalue": float(rng.choice([0, 0, 1.5, -2]))}
    axes = int(rng.choice([1, 2, 2, 2, 3, 3, 4]))
    image = random_array(rng, tuple(rng.integers(1, (60, 40, 14, 8)[axes - 1], axes)), dtype)
    options = {"mode": str(rng.choice(MODES)), "cval": float(rng.choice([0, 1.25, -3]))}
    if rng.random() < 0.2:
        options["output"] = rng.choice([np.float32, np.float64, np.int32, np.uint8])
    if name in ("correlate", "convolve"):
        sides = [int(side) for side in rng.integers(1, (12, 9, 4, 3)[axes - 1], axes)]
        if name == "correlate":
            options["origin"] = [int(rng.integers(-(side // 2), (side - 1) // 2 + 1)) for side in sides]
        return name, (image, random_weights(rng, sides)), options
    if name in ("correlate1d", "convolve1d"):
        taps = int(rng.integers(1, 20))
        options["axis"] = int(rng.integers(axes))
        if name == "correlate1d":
            options["origin"] = int(rng.integers(-(taps // 2), (taps - 1) // 2 + 1))
        return name, (image, random_weights(rng, taps)), options
    if name == "uniform_filter":
        return name, (image, int(rng.integers(1, 9))), options
    if name == "gaussian_filter":
        return name, (image, float(rng.random() * 3 + 0.3)), {**options, "order": int(rng.integers(3))}
    if name in ("sobel", "prewitt"):
        options["axis"] = int(rng.integers(axes))
    return name, (image,), options


def assert_alike(got, want, name, arguments):
    """Integers to the bit; floats within rounding of the largest sum, with NaN and infinity in the same places."""
    assert got.dtype == want.dtype and got.shape == want.shape
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want)
        return
    scale = 8.0 ** arguments[0].ndim if name in ("sobel", "prewitt", "laplace", "gaussian_filter") else 1.0
    for array in arguments:
        magnitudes = np.abs(np.where(np.isfinite(array), array, 0))
        scale *= max(1.0, float(magnitudes.max() if array is arguments[0] else magnitudes.sum()))
    # SciPy sums convolve2d in the dtype, the others in double.
    rounding = np.finfo(want.dtype).eps * (32 if name.endswith("2d") or want.dtype.itemsize % 8 == 0 else 2)
    np.testing.assert_allclose(got, want, rtol=rounding, atol=rounding * scale)
