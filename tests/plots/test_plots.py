"""Every number of a picture is the kernel's; drawing leaves nothing behind and imports Matplotlib late."""

import inspect
import subprocess
import sys
import time

import numpy as np
import pytest
from displays import image, model, pictures

import fastconv as fc
from fastconv import walk
from fastconv.plots import display, history as history_pictures  # noqa: F401 (imported without Matplotlib)

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

from fastconv import plots  # noqa: E402


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", pictures())
def test_every_picture_draws_into_an_axes_or_a_figure_of_its_own(name):
    one = pictures()[name]()
    assert one.describe() and not hasattr(one, "figure_")
    before = matplotlib.rcParams.copy()
    figure = matplotlib.figure.Figure()
    ax = figure.subplots()
    assert one.plot(ax=ax) is one
    assert one.ax_ is ax and one.figure_ is figure and plt.get_fignums() == []
    assert one.axes_ and all(panel.figure is figure for panel in one.axes_.values())
    one.plot()
    assert len(plt.get_fignums()) == 1 and one.figure_ is not figure
    one.figure_.canvas.draw()
    assert matplotlib.rcParams == before


@pytest.mark.parametrize("name", pictures())
def test_a_picture_takes_half_a_second_at_most(name):
    """Of the processor's time: a machine has other work too."""
    one, ax = pictures()[name](), matplotlib.figure.Figure(figsize=(10, 7)).subplots()
    times = []
    for _ in range(2):
        start = time.process_time()
        one.plot(ax=ax)
        times.append(time.process_time() - start)
        ax.clear()
    assert min(times) < 0.5


@pytest.mark.parametrize("name", pictures())
def test_a_picture_says_its_numbers_without_matplotlib(name, monkeypatch):
    one = pictures()[name]()
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    assert one.describe()
    with pytest.raises(ImportError, match="fastconv|matplotlib"):
        one.plot()


@pytest.mark.parametrize("seed", range(50))
def test_every_number_is_the_kernels(seed):
    """Four random positions of each of 50 random convolutions, read back from what is drawn."""
    rng = np.random.default_rng(seed)
    c, k = (int(n) for n in rng.integers(1, 4, 2))
    x = rng.standard_normal((c, *rng.integers(5, 9, 2))).astype(np.float32)
    weight = rng.standard_normal((k, c, *rng.integers(1, 4, 2))).astype(np.float32)
    bias = rng.standard_normal(k).astype(np.float32)
    options = dict(stride=int(rng.integers(1, 3)), padding=int(rng.integers(0, 3)), padding_value=1.5)
    y = fc.conv2d(x, weight, bias, algorithm="direct", **options)
    for _ in range(4):
        filter_, channel, i, j = (int(rng.integers(n)) for n in (k, c, *y.shape[1:]))
        one = plots.ConvolutionDisplay.from_arrays(x, weight, bias, k=filter_, channel=channel, at=(i, j), **options)
        one.plot(ax=matplotlib.figure.Figure().subplots())
        padded = np.pad(x[channel], options["padding"], constant_values=1.5)
        top, left = i * options["stride"], j * options["stride"]
        patch = padded[top:top + weight.shape[2], left:left + weight.shape[3]]
        expected = {"input": padded, "slice": weight[filter_, channel], "products": patch * weight[filter_, channel],
                    "output": y[filter_]}
        for panel, plane in expected.items():
            if plane.size <= display.MOST_NUMBERS:
                assert [text.get_text() for text in one.texts_[panel].flat] == list(map(display.number, plane.flat))
            assert np.array_equal(one.images_[panel].get_array(), plane)
        assert f"= {display.number(y[filter_, i, j])}" in one.describe()


def test_an_animation_goes_through_all_positions():
    x = np.arange(20, dtype=np.float32).reshape(1, 4, 5)
    weight = np.ones((1, 1, 2, 2), np.float32)
    one = plots.ConvolutionDisplay.from_arrays(x, weight, stride=2)
    animation = one.animate(ax=matplotlib.figure.Figure().subplots())
    seen = list(animation.new_frame_seq())
    assert seen == [(i, j) for i in range(2) for j in range(2)]
    y = fc.conv2d(x, weight, stride=2)
    for at in seen:
        one._move(at)
        patch = x[0, 2 * at[0]:2 * at[0] + 2, 2 * at[1]:2 * at[1] + 2]
        assert [text.get_text() for text in one.texts_["products"].flat] == list(map(display.number, patch.flat))
        assert display.number(y[0][at]) in one.axes_["output"].get_xlabel()
    animation._draw_was_started = True  # it was never shown, which Matplotlib warns of when it is dropped


def test_what_is_drawn_of_a_network():
    seen = walk.forward(model(), image())
    one = plots.FeatureMapDisplay(seen)
    one.plot(ax=matplotlib.figure.Figure().subplots(), scale="map")
    first = one.images_["0: Conv2d"].get_array()[:28, :28]
    maps = seen.layers[0].output[0]
    assert np.allclose(first, maps / np.abs(maps).max())
    prediction = plots.PredictionDisplay(seen, label=7)
    prediction.plot(ax=matplotlib.figure.Figure().subplots())
    shown = [text.get_text().strip() for text in prediction.texts_["probability"]]
    assert shown == [display.number(p) for p in seen.probabilities]
    pooled = plots.PoolingDisplay.from_arrays(seen.layers[2].input, 2)
    pooled.plot(ax=matplotlib.figure.Figure().subplots())
    assert np.array_equal(pooled.images_["output 0"].get_array(), seen.layers[2].output[0])


def test_errors_name_the_argument():
    x, weight = np.ones((1, 4, 4), np.float32), np.ones((1, 1, 3, 3), np.float32)
    for wrong, message in ((dict(at=(2, 0)), "row must"), (dict(k=1), "k must"), (dict(channel=1), "channel must")):
        with pytest.raises(ValueError, match=message):
            plots.ConvolutionDisplay.from_arrays(x, weight, **wrong)
    with pytest.raises(ValueError, match="layer must be the number of a Conv2d"):
        plots.FilterDisplay.from_model(model(), layer=2)
    with pytest.raises(ValueError, match="rgb needs filters of 3 slices"):
        plots.FilterDisplay.from_arrays(weight).plot(rgb=True)
    with pytest.raises(ValueError, match="classes must have 10 names"):
        plots.PredictionDisplay.from_model(model(), image(), classes=["a"])
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.HistoryDisplay({"epoch": []})


def test_matplotlib_is_imported_when_something_is_drawn():
    program = ("import sys, fastconv.plots as plots; display = plots.OutputSizeDisplay.from_sizes(8, 3); "
               "display.describe(); assert 'matplotlib' not in sys.modules; sys.modules['matplotlib'] = None\n"
               "try: display.plot()\n"
               "except ImportError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "pictures need Matplotlib: pip install 'fastconv[plot]'\n", done.stderr


@pytest.mark.parametrize("name", [name for name in plots.__all__ if "data" in inspect.signature(
    getattr(plots, name)).parameters])
def test_a_display_of_what_is_no_walk(name):
    kind = getattr(plots, name)
    for wrong in (None, 3, image(), "walk", model(), walk.FILTERS):
        with pytest.raises(TypeError, match=r"data must be a fastconv\.walk\.\w+, got "):
            kind(wrong, **({"name": "0.weight"} if name == "UpdateDisplay" else {}))
