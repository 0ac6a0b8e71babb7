"""SciPy's filters through fastconv: against SciPy's own results, and by SciPy's own tests."""

import os
import re
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy_calls
from processes import run_python

import fastconv as fc

ndimage = pytest.importorskip("scipy.ndimage")
signal = pytest.importorskip("scipy.signal")

from fastconv.adapters import scipy as ours  # noqa: E402 (what it needs is looked for first)

PAGE = Path(__file__).resolve().parents[2] / "docs/adapters/scipy.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.S | re.M) if PAGE.exists() else []


def own(name):
    """SciPy's function of this name."""
    return getattr(signal if name.endswith("2d") else ndimage, name)


@pytest.fixture
def report():
    report = ours.report()
    report.reset()
    return report


@pytest.mark.parametrize("seed", range(8))
def test_random_calls(seed, report):
    rng = np.random.default_rng(seed)
    for _ in range(250):
        name, arguments, options = scipy_calls.random_call(rng)
        before = [np.copy(argument) for argument in arguments]
        outcomes = []
        for function in (own(name), getattr(ours, name)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    outcomes.append(function(*arguments, **options))
                except (RuntimeError, ValueError) as error:
                    outcomes.append(str(error))
        if isinstance(outcomes[0], str):
            assert outcomes[1] == outcomes[0]
        else:
            scipy_calls.assert_alike(outcomes[1], outcomes[0], name, arguments)
        for now, then in zip(arguments, before):
            np.testing.assert_array_equal(now, then)
    assert sum(report.served.values()) > 2 * sum(report.handed_on.values())


LARGE = [((700, 900), (5, 4)), ((3, 400_000), (2, 5)), ((90_000, 7), (7, 3)), ((500, 400, 3), (5, 5, 1)),
         ((20, 150, 160), (3, 4, 5)), ((5, 420, 421), (2, 1, 3)), ((2, 2, 300, 500), (2, 2, 3, 3))]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_images_go_in_pieces(dtype, threads):
    """Larger than a piece along either axis, in three dimensions, and with channels last."""
    rng = np.random.default_rng(1)
    with fc.num_threads(threads):
        for shape, weights in LARGE:
            image, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal(weights)
            got, want = (module.correlate(image, w, mode="mirror") for module in (ours, ndimage))
            scipy_calls.assert_alike(got, want, "correlate", (image, w))
            for axis in range(len(shape)):
                got, want = (module.correlate1d(image, w.ravel(), axis) for module in (ours, ndimage))
                scipy_calls.assert_alike(got, want, "correlate1d", (image, w))
            size = [min(100, side) for side in shape]
            np.testing.assert_allclose(ours.uniform_filter(image, size), ndimage.uniform_filter(image, size),
                                       atol=1e-6 if dtype == np.float32 else 1e-13)


def test_same_bits_for_any_number_of_threads():
    image = np.random.default_rng(2).standard_normal((900, 1000), np.float32)
    results = []
    for threads in (1, 2, 3):
        with fc.num_threads(threads):
            results.append(ours.gaussian_filter(image, 2))
    assert results[0].tobytes() == results[1].tobytes() == results[2].tobytes()


def test_an_error_in_a_thread_is_raised():
    from fastconv.adapters.scipy.sharing import share_out

    def work(places):
        for place in places:
            if place == 5:
                raise MemoryError("in a piece")

    with fc.num_threads(3), pytest.raises(MemoryError, match="in a piece"):
        share_out(range(100), work)


def test_nan_under_a_weight_of_zero_does_not_count():
    image = np.ones((9, 9))
    image[4, 4] = np.nan
    cross = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    got = ours.correlate(image, cross)
    assert np.isnan(got).sum() == 4 and np.isnan(got[4, 3])
    image[4, 4], image[4, 6] = np.inf, -np.inf
    np.testing.assert_array_equal(ours.correlate(image, cross), ndimage.correlate(image, cross))
    np.testing.assert_array_equal(ours.correlate(image, -cross, mode="constant", cval=np.nan),
                                  ndimage.correlate(image, -cross, mode="constant", cval=np.nan))


def test_float32_is_summed_in_double():
    image = np.random.default_rng(3).standard_normal((64, 64), np.float32) + 1e4
    laplacian = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]) / 3
    got = ours.correlate(image.astype(np.float32), laplacian)
    np.testing.assert_allclose(got, ndimage.correlate(image.astype(np.float32), laplacian), rtol=1e-6, atol=1e-9)


def test_whole_numbers_are_exact_under_large_filters():
    rng = np.random.default_rng(4)
    for dtype in (np.uint8, np.int64, np.float64):
        mask, window = (rng.random((200, 210)) < 0.5).astype(dtype), np.ones((45, 45), dtype)
        np.testing.assert_array_equal(ours.convolve2d(mask, window), signal.convolve2d(mask, window))
        np.testing.assert_array_equal(ours.correlate(mask, window), ndimage.correlate(mask, window))


def test_output_may_be_the_input():
    image = np.random.default_rng(5).standard_normal((600, 700))
    want = ndimage.sobel(image, 0)
    place = image.copy()
    assert ours.sobel(place, 0, output=place) is place
    np.testing.assert_allclose(place, want, atol=1e-13)
    wide = np.random.default_rng(6).standard_normal((40, 50))
    got, want = wide.copy(), wide.copy()
    ours.correlate1d(wide, [1, 2, 4], output=got[::-1])
    ndimage.correlate1d(wide, [1, 2, 4], output=want[::-1])
    np.testing.assert_allclose(got, want, atol=1e-14)


def test_patched_scipy_and_scipy_afterwards(report):
    image = np.random.default_rng(7).standard_normal((30, 30))
    before = ndimage._filters._nd_image, signal._signaltools._sigtools
    with ours.patched() as counts, ours.patched():
        assert counts is report
        ndimage.gaussian_filter(image, 2)
        signal.convolve2d(image, image[:3, :3])
        assert ndimage.gaussian_laplace(image, 1).shape == image.shape
        ndimage.median_filter(image, 3)  # of the same module in C, and none of ours
    assert report.served == {"correlate1d": 6, "convolve2d": 1} and not report.handed_on
    assert before == (ndimage._filters._nd_image, signal._signaltools._sigtools)
    ndimage.gaussian_filter(image, 2)
    assert report.served["correlate1d"] == 6
    with pytest.raises(KeyError), ours.patched():
        raise KeyError
    assert before == (ndimage._filters._nd_image, signal._signaltools._sigtools)


def test_patches_of_several_threads_overlap():
    before = ndimage._filters._nd_image
    entered = threading.Barrier(2)

    def work():
        with ours.patched():
            entered.wait(10)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ndimage._filters._nd_image is before


@pytest.mark.parametrize(("call", "operation", "reason"), [
    (lambda: ours.correlate(np.ones((3, 3), np.uint8), np.full((3, 3), 1 / 9)), "correlate", "fractional sums"),
    (lambda: ours.correlate1d(np.full(4, 2**62), [1, 1]), "correlate1d", "sums beyond"),
    (lambda: ours.correlate1d(np.ones(4), [1, np.nan]), "correlate1d", "weights that are not finite"),
    (lambda: ours.uniform_filter(np.array([1, np.nan, 2, 3, 4.0])), "uniform_filter1d", "NaN"),
    (lambda: ours.correlate(np.zeros((0, 3)), np.ones((3, 3))), "correlate", "an empty array"),
    (lambda: ours.convolve2d(np.ones((3, 3)) * 1j, np.ones((2, 2))), "convolve2d", "sums of complex128"),
    (lambda: ours.convolve2d(np.full((3, 3), 2**62), np.ones((2, 2), int)), "convolve2d", "sums beyond"),
])
def test_what_is_handed_on_is_counted_with_the_reason(call, operation, reason, report):
    call()
    assert operation not in report.served
    (name, given), = report.handed_on
    assert name == operation and given.startswith(reason)


def test_errors_are_those_of_scipy():
    for function in (ours.correlate, ndimage.correlate):
        with pytest.raises(RuntimeError, match="must match"):
            function(np.ones((3, 3)), [1, 1])
    for function in (ours.convolve2d, signal.convolve2d):
        with pytest.raises(ValueError, match="2-D arrays"):
            function(np.ones(3), np.ones(3))


def test_without_scipy_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage._filters", None)
    with pytest.raises(ImportError, match=r"pip install fastconv\[scipy\]"), ours.patched():
        pass


PLUGIN = """
import pytest
from fastconv.adapters.scipy import patched

@pytest.fixture(autouse=True, scope="session")
def _through_fastconv():
    with patched() as report:
        yield
    print(f"\\n{report}")
"""


@pytest.mark.adapters
@pytest.mark.parametrize(("module", "tests", "at_least", "allowed"), [
    ("scipy.ndimage.tests.test_filters", "correlate or convolve", 1300, {"an empty array"}),
    ("scipy.signal.tests.test_signaltools", "(TestConvolve2d or TestCorrelate2d) and not large_array", 20,
     {"sums of complex128", "a fill value that is no real number"}),
    pytest.param("scipy.signal.tests.test_signaltools", "TestConvolve2d and large_array", 1, set(),
                 marks=pytest.mark.slow),  # 2 GB of int64
])
def test_scipys_own_tests(module, tests, at_least, allowed, tmp_path):
    pytest.importorskip("hypothesis")
    (tmp_path / "through_fastconv.py").write_text(PLUGIN)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-p", "through_fastconv", "-p", "no:cacheprovider", "-q", "-s"]
    done = subprocess.run([*command, "--pyargs", module, "-k", tests], cwd=tmp_path, text=True, capture_output=True,
                          env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= at_least
    assert set(re.findall(r"\d+ handed on: ([^;\n]+)", done.stdout)) <= allowed
    assert int(re.search(r"correlate\w*: (\d+) served", done.stdout)[1]) > 0


@pytest.mark.skipif(not PAGE.exists(), reason="the source tree is not here")
@pytest.mark.parametrize("block", BLOCKS)
def test_the_page_runs(block):
    run_python("-c", block)


@pytest.mark.skipif(not PAGE.exists(), reason="the source tree is not here")
def test_the_example_runs():
    printed = run_python(str(PAGE.parents[2] / "examples/scipy_patch.py"), "--size", "200")
    assert re.search(r"^correlate1d: 16 served$", printed, re.M)
