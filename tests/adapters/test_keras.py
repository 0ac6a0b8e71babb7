"""Keras's NumPy backend: its own suite without JAX, and random calls beside JAX where it is installed."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

pytestmark = pytest.mark.adapters
pytest.importorskip("absl", reason="Keras is not installed")
if find_spec("keras") is None:
    pytest.skip("Keras is not installed", allow_module_level=True)

os.environ["KERAS_BACKEND"] = "numpy"
needs_jax = pytest.mark.skipif(find_spec("jax") is None, reason="JAX is not installed")

# These fail with JAX as well: they compare with PyTorch, which need not be there, or train.
OTHERS = r"test_enable_lora_conv|NNOpsDtypeTest::test_(hard_shrink|soft_shrink|tanh_shrink|threshold)_"
# And these look up in JAX which dtype a result should have.
OTHERS_WITHOUT_JAX = r"NNOpsDtypeTest::test_\w+ - ModuleNotFoundError"


@pytest.fixture
def fast():
    from fastconv.adapters import keras

    with keras.enabled():
        keras.report().reset()
        yield keras


@pytest.fixture
def nn(fast):
    return sys.modules["keras.src.backend.numpy.nn"]


def test_kerass_own_suite(tmp_path):
    (tmp_path / "with_fastconv.py").write_text("import fastconv.adapters.keras\nfastconv.adapters.keras.enable()\n")
    suites = ["keras.src.layers.convolutional", "keras.src.layers.pooling", "keras.src.ops.nn_test"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    options = ["-q", "-rf", "-W", "ignore", "-p", "no:cacheprovider", "-p", "with_fastconv"]
    done = subprocess.run([sys.executable, "-m", "pytest", *options, "--pyargs", *suites],
                          capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path})
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    with_jax = find_spec("jax") is not None
    known = OTHERS if with_jax else f"{OTHERS}|{OTHERS_WITHOUT_JAX}"
    assert [line for line in failed if not re.search(known, line)] == []
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= (763 if with_jax else 697), done.stdout[-2000:]


def random_call(rng):
    """A function's name and its arguments, for one to three dimensions in either format."""
    name = str(rng.choice(["conv", "depthwise_conv", "separable_conv", "conv_transpose", "max_pool", "average_pool"]))
    axes, data_format = int(rng.integers(1, 4)), str(rng.choice(["channels_last", "channels_first"]))
    groups = int(rng.integers(1, 3))
    c, k = groups * int(rng.integers(1, 4)), groups * int(rng.integers(1, 3))
    sizes = rng.integers(3, 9, axes)
    x = rng.standard_normal((2, *sizes, c) if data_format == "channels_last" else (2, c, *sizes)).astype(np.float32)
    window, padding = tuple(map(int, rng.integers(1, 4, axes))), str(rng.choice(["valid", "same"]))
    stride, dilation = int(rng.integers(1, 4)), int(rng.integers(1, 3))

    def kernel(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    if name.endswith("pool"):
        return name, (x, window, stride, padding, data_format)
    if name == "conv_transpose":
        output_padding = None if rng.random() < 0.5 else int(rng.integers(0, 4))
        stride = 1 if dilation > 1 else stride
        return name, (x, kernel(*window, k, c), stride, padding, output_padding, data_format, dilation)
    kernels = {"conv": [kernel(*window, c // groups, k)], "depthwise_conv": [kernel(*window, c, k)],
               "separable_conv": [kernel(*window, c, 2), kernel(*[1] * axes, 2 * c, k)]}[name]
    return name, (x, *kernels, stride, padding, data_format, dilation)


@needs_jax
def test_random_calls_give_what_jax_gives(fast, nn):
    rng, compared = np.random.default_rng(0), 0
    for _ in range(200):
        name, arguments = random_call(rng)
        try:
            expected = fast._exchange.own(nn, name)(*arguments)
        except ValueError:
            with pytest.raises(ValueError):
                getattr(nn, name)(*arguments)
            continue
        got = getattr(nn, name)(*arguments)
        assert got.dtype == expected.dtype and got.shape == expected.shape, (name, arguments[1:])
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4, err_msg=name)
        compared += 1
    assert compared > 150 and sum(fast.report().served.values()) > 150


def test_a_convolution_is_the_sum_that_it_says(nn):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((2, 3, 3, 4))
    y = nn.conv(x, kernel, strides=2, padding="valid", data_format="channels_last")
    expected = np.array([[[np.tensordot(image[i:i + 2, j:j + 3], kernel, 3) for j in (0, 2)] for i in (0, 2, 4)]
                         for image in x])
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, expected, atol=1e-12)
    np.testing.assert_array_equal(nn.max_pool(x, 2, 2, "valid", "channels_last"),
                                  x[:, :, :4].reshape(2, 3, 2, 2, 2, 3).max(axis=(2, 4)))


@pytest.mark.parametrize(("function", "axes"), [("conv", 1), ("conv", 2), ("conv_transpose", 1), ("conv_transpose", 2)])
def test_short_sums_are_as_near_as_kerass_own_tests_ask(nn, function, axes):
    """Within 1e-6, where a transform would be further off in a fifth of the cases."""
    rng, channels = np.random.default_rng(0), {1: 4, 2: 1}[axes]
    for taps in 50 * (2, 3):
        x = rng.standard_normal((2, *[8] * axes, channels), np.float32)
        maps = (channels, 5) if function == "conv" else (5, channels)
        kernel = rng.standard_normal((*[taps] * axes, *maps), np.float32)
        got = getattr(nn, function)(x, kernel, data_format="channels_last")
        wanted = getattr(nn, function)(x.astype(np.float64), kernel.astype(np.float64), data_format="channels_last")
        assert got.dtype == np.float32 and wanted.dtype == np.float64
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)


def test_half_precision_is_rounded_once(nn):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    rng = np.random.default_rng(0)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x, kernel = (rng.standard_normal(shape).astype(dtype) for shape in ((1, 8, 8, 4), (3, 3, 4, 2)))
        y = nn.conv(x, kernel, data_format="channels_last")
        whole = nn.conv(x.astype(np.float32), kernel.astype(np.float32), data_format="channels_last")
        assert y.dtype == dtype
        np.testing.assert_array_equal(y, whole.astype(dtype))


def test_what_is_not_served_is_handed_on_or_refused(fast, nn):
    x = np.ones((1, 4, 4, 1), np.int32)
    if find_spec("jax") is None:
        with pytest.raises(TypeError, match="not served for numbers of type int32.*convert"):
            nn.conv(x, np.ones((2, 2, 1, 1), np.int32), data_format="channels_last")
    else:
        assert nn.conv(x, np.ones((2, 2, 1, 1), np.int32), data_format="channels_last").shape == (1, 3, 3, 1)
    assert fast.report().handed_on == {("conv", "numbers of type int32"): 1}


def test_models_predict_and_the_switch_goes_back(fast, nn):
    import keras

    model = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.MaxPooling2D(), keras.layers.Flatten()])
    assert model.predict(np.ones((2, 8, 8, 1), np.float32), verbose=0).shape == (2, 36)
    assert fast.report().served["conv"] >= 1 and fast.report().served["max_pool"] >= 1
    fast.disable()
    assert nn.conv.__module__ == "keras.src.backend.numpy.nn"
    fast.enable()
    real, imaginary = keras.ops.fft((np.arange(4, dtype=np.float32), np.zeros(4, np.float32)))
    np.testing.assert_allclose(real + 1j * imaginary, np.fft.fft(np.arange(4)), atol=1e-5)


def test_another_backend_is_refused_by_name():
    done = subprocess.run([sys.executable, "-c", "import fastconv.adapters.keras as k; k.enable()"], text=True,
                          capture_output=True, env={**os.environ, "KERAS_BACKEND": "torch"})
    assert "RuntimeError: Keras must use its NumPy backend: write os.environ['KERAS_BACKEND'] = 'numpy'" in done.stderr
