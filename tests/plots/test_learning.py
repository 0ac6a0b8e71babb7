"""Pictures of the way through a network and back: what they print is what a kernel gave, written out by hand here."""

import numpy as np
import pytest

import fastconv as fc
from fastconv import data, nn, optim, walk

matplotlib = pytest.importorskip("matplotlib", reason="Matplotlib is not installed")
matplotlib.use("Agg")

from matplotlib.figure import Figure  # noqa: E402

from fastconv import plots  # noqa: E402
from fastconv.plots.display import number  # noqa: E402

DIGITS = data.digits("test")


def model(data_format="NCHW"):
    return nn.Sequential(nn.Conv2d(1, 4, 5, stride=2, padding=2, data_format=data_format, rng=0), nn.ReLU(),
                         nn.MaxPool2d(2, data_format=data_format), nn.Flatten(data_format=data_format),
                         nn.Linear(196, 10, rng=1), nn.LogSoftmax())


def drawn(display, **options):
    """A picture in a figure of its own, which pyplot does not know."""
    return display.plot(ax=Figure(figsize=(9, 6)).subplots(), **options)


def printed(texts):
    return [text.get_text().strip() for text in texts.flat]


@pytest.mark.parametrize("layer", [kind() for kind in walk.ACTIVATIONS], ids=lambda layer: type(layer).__name__)
def test_an_activation_and_its_slope(layer):
    x = np.random.default_rng(0).standard_normal((2, 4, 5))
    one = drawn(plots.ActivationDisplay.from_arrays(x, layer, channel=1))
    assert printed(one.texts_["before"]) == [number(value) for value in x[1].flat]
    assert printed(one.texts_["after"]) == [number(value) for value in layer(x)[1].flat]
    points, values = one.lines_["function"].get_data()
    assert np.array_equal(values, layer(points))
    step = 1e-6
    smooth = (layer(points + step) - layer(points - step)) / (2 * step)
    corners = np.isclose(points, np.round(points))  # where a slope may jump
    assert np.allclose(one.lines_["slope"].get_ydata()[~corners], smooth[~corners], atol=1e-6)
    assert sum(one.counts_["before"]) == sum(one.counts_["after"]) == x.size
    dead = np.count_nonzero(one.data.passing == 0)
    assert (f"the slope is 0 at {dead} of 40 numbers" in one.describe()) == (dead > 0)


def test_an_activation_is_taken_out_of_the_network():
    seen = walk.forward(model(), DIGITS.images[0])
    one = plots.ActivationDisplay.from_model(model(), DIGITS.images[0])
    assert np.array_equal(one.data.x, seen.layers[0].output) and np.array_equal(one.data.y, seen.layers[1].output)
    last = plots.ActivationDisplay.from_model(model("NHWC"), DIGITS.images[0].transpose(1, 2, 0))
    assert np.allclose(last.data.y, one.data.y, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 2, 2), (16, 5, 5), (40, 3, 4)])
def test_a_row_of_flattened_maps(shape):
    maps = np.random.default_rng(1).standard_normal(shape)
    one = drawn(plots.FlattenDisplay.from_arrays(maps))
    assert np.array_equal(one.row, fc.flatten(maps[None])[0])
    assert np.array_equal(one.images_["row"].get_array()[0], one.row)
    if maps.size <= 32:
        assert printed(one.texts_["row"]) == [number(value) for value in maps.flat]
    ticks = [int(label.get_text()) for label in one.axes_["row"].get_xticklabels()]
    assert ticks[-1] == maps.size - 1 and all(tick % (shape[1] * shape[2]) == 0 for tick in ticks[:-1])
    assert f"= {maps.size - 1}: {number(maps[-1, -1, -1])}" in one.describe()


def test_maps_are_the_same_in_both_formats():
    """Those of ReLU too, which does not say its format."""
    image = DIGITS.images[3]
    first = plots.FeatureMapDisplay.from_model(model(), image)
    last = plots.FeatureMapDisplay.from_model(model("NHWC"), image.transpose(1, 2, 0))
    assert [maps.shape for _, maps in first.layers] == [maps.shape for _, maps in last.layers]
    assert all(np.allclose(one, other, atol=1e-6) for (_, one), (_, other) in zip(first.layers, last.layers))
    shown = drawn(plots.PredictionDisplay.from_model(model("NHWC"), image.transpose(1, 2, 0)))
    assert np.array_equal(shown.images_["image"].get_array(), image[0])


def test_rows_are_the_same_in_both_formats():
    first = plots.FlattenDisplay.from_model(model(), DIGITS.images[3])
    last = plots.FlattenDisplay.from_model(model("NHWC"), DIGITS.images[3].transpose(1, 2, 0))
    assert first.maps.shape == last.maps.shape == (4, 7, 7) and np.allclose(first.row, last.row, atol=1e-6)


def test_a_loss_and_the_gradient_that_it_sends_back():
    network, image, label = model(), DIGITS.images[5], int(DIGITS.labels[5])
    log_probabilities = network(image[None])
    loss = nn.NLLLoss()
    value = loss(log_probabilities, [label])
    gradient = fc.log_softmax_backward(loss.backward(), log_probabilities)[0]
    one = drawn(plots.LossDisplay.from_model(network, image, label))
    assert printed(one.texts_["error"]) == [number(error) for error in gradient]
    assert printed(one.texts_["probability"]) == [number(p) for p in np.exp(log_probabilities[0])]
    p = np.exp(log_probabilities[0, label])
    assert printed(one.texts_["curve"]) == [f"-log({number(p)}) = {number(value)}"]
    assert np.allclose(np.ravel(one.lines_["loss"].get_data()), [p, value])


def test_an_impossible_class_stays_on_the_curve():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, rng=0), nn.LogSoftmax())
    network.layers["1"].weight.data[:] = [[100], [-100]]
    one = drawn(plots.LossDisplay.from_model(network, np.ones((1, 2, 2), np.float32), 1))
    x, y = one.lines_["loss"].get_data()
    assert x[0] > 0 and y[0] < 10 and "loss -log(0) = 800" in one.describe()


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_gradients_on_the_way_back(data_format):
    network, label = model(data_format), int(DIGITS.labels[2])
    image = DIGITS.images[2] if data_format == "NCHW" else DIGITS.images[2].transpose(1, 2, 0)
    one = drawn(plots.GradientDisplay.from_model(network, image, label))
    network.train()
    loss = nn.NLLLoss()
    loss(network(image[None]), [label])
    gradient = loss.backward()
    norms = [f"|g| {number(np.linalg.norm(gradient))}, 10 numbers"]
    for layer in reversed(network.layers.values()):
        before, gradient = gradient, layer.backward(gradient)
        form = f"{gradient.size} numbers" if gradient.ndim == 2 else " x ".join(map(str, gradient.shape[1:]))
        norms.append(f"|g| {number(np.linalg.norm(before))} -> {number(np.linalg.norm(gradient))}, {form}")
    assert printed(one.texts_["norm"]) == norms
    assert all(name in one.describe() for name in ("0: Conv2d", "2: MaxPool2d", "5: LogSoftmax"))
    routes = one.images_["2: MaxPool2d"].get_array()
    assert routes.shape == (14, 14) and np.count_nonzero(routes) <= 49, "one winner a window"


def test_a_step_of_a_filter():
    network, x, labels = model(), DIGITS.images[:16], DIGITS.labels[:16]
    one = drawn(plots.UpdateDisplay.from_model(network, x, labels, lr=0.1, k=2))
    before = network.layers["0"].weight.data[2, 0].copy()
    loss = nn.NLLLoss()
    first = loss(network.train()(x), labels)
    optimiser = optim.SGD(network.parameters(), lr=0.1)
    network.backward(loss.backward())
    step = np.float32(0.1) * network.layers["0"].weight.grad[2, 0]
    optimiser.step()
    after = network.layers["0"].weight.data[2, 0]
    for name, plane in (("before", before), ("step", step), ("after", after)):
        assert printed(one.texts_[name]) == [number(value) for value in plane.flat]
    assert one.describe().endswith(f"{number(first)} before, {number(loss(network(x), labels))} after")


def test_a_network_with_its_shapes_and_formulas():
    one = drawn(plots.ModelDisplay.from_model(model(), DIGITS.images[0]))
    assert printed(one.texts_["shape"]) == ["1 x 28 x 28", "4 x 14 x 14", "4 x 14 x 14", "4 x 7 x 7", "196", "10", "10"]
    assert printed(one.texts_["parameters"]) == ["", "104 parameters", "", "", "", "1,970 parameters", ""]
    formula = one.data.layers[0].formula[0].formula
    assert formula.split() == one.texts_["formula"][1].get_text().split() and formula in one.describe()
    assert one.describe().endswith("2,074 parameters")


def test_which_classes_are_confused():
    network, x, labels = model(), DIGITS.images[:200], DIGITS.labels[:200]
    found = network.predict(x)
    counts = [[int(np.sum((labels == i) & (found == j))) for j in range(10)] for i in range(10)]
    one = drawn(plots.ConfusionMatrixDisplay.from_model(network, x, labels))
    assert printed(one.texts_["confusion"]) == [str(count) for row in counts for count in row]
    assert np.allclose(one.images_["confusion"].get_array(), np.array(counts) / np.sum(counts, axis=1)[:, None])
    assert one.describe().startswith(f"{np.sum(found == labels)} of 200 images")
    again = plots.ConfusionMatrixDisplay.from_predictions(labels, found)
    assert np.array_equal(again.confusion[:, :again.confusion.shape[0]], one.confusion[:len(again.confusion),
                                                                                       :len(again.confusion)])
    many = drawn(plots.ConfusionMatrixDisplay(np.eye(30, dtype=int)))
    assert not many.texts_, "nobody could read them"


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_the_worst_mistakes(data_format):
    network, labels = model(data_format), DIGITS.labels[:100]
    x = DIGITS.images[:100] if data_format == "NCHW" else DIGITS.images[:100].transpose(0, 2, 3, 1)
    p = network.predict_proba(x)
    one = drawn(plots.MistakesDisplay.from_model(network, x, labels, most=5))
    right = p[np.arange(100), labels]
    worst = sorted((i for i in range(100) if p[i].argmax() != labels[i]), key=lambda i: right[i])
    assert one.worst.tolist() == worst[:5]
    for text, i in zip(printed(one.texts_["mistakes"]), worst):
        assert text == f"{labels[i]} (p {number(right[i])})\ntaken for {p[i].argmax()} (p {number(p[i].max())})"
        assert np.array_equal(one.images_[f"image {i}"].get_array(), DIGITS.images[i, 0])
    assert one.describe().startswith(f"{len(worst)} of 100 images")


def test_no_mistake_at_all():
    network, x = model(), DIGITS.images[:20]
    one = drawn(plots.MistakesDisplay.from_model(network, x, network.predict(x)))
    assert one.describe() == "0 of 20 images are taken for something else" and not one.images_


@pytest.mark.parametrize("data_format", ["NCHW", "NHWC"])
def test_patches_that_filters_answer_to(data_format):
    """Each value is what the filters before give for the patch alone."""
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, data_format=data_format, rng=0), nn.Tanh(),
        nn.MaxPool2d(2, data_format=data_format), nn.BatchNorm2d(4, data_format=data_format),
        nn.Conv2d(4, 5, 3, stride=2, dilation=2, data_format=data_format, rng=1), nn.Flatten(data_format=data_format),
        nn.Linear(125, 3), nn.LogSoftmax())
    x = DIGITS.images[:70] if data_format == "NCHW" else DIGITS.images[:70].transpose(0, 2, 3, 1)
    one = drawn(plots.TopPatchesDisplay.from_model(network, x, layer=1, most=3, patches=4))
    seen = one.data
    assert seen.extent == (12, 12) and seen.patches.shape == (5, 4, 1, 12, 12)
    assert printed(one.texts_["values"]) == [number(value) for value in seen.values[:3].flat]
    maps = network.feature_maps(x)[4][1]
    maps = maps if data_format == "NCHW" else maps.transpose(0, 3, 1, 2)
    # The display reads the images in other batches, which other drivers may compute.
    np.testing.assert_allclose(seen.values, -np.sort(-maps.max(axis=(2, 3)), axis=0)[:4].T, rtol=1e-5)
    noise = np.random.default_rng(2).random((28, 28), np.float32)
    for k, place in np.ndindex(5, 4):
        number_of_image = seen.images[k, place]
        assert np.isclose(seen.values[k, place], maps[number_of_image, k].max(), rtol=1e-5)
        image, (top, left) = DIGITS.images[number_of_image, 0], seen.corners[k, place]
        assert np.array_equal(seen.patches[k, place, 0], np.pad(image, 12)[top + 12:top + 24, left + 12:left + 24])
        changed = noise.copy()  # whatever lies around the patch, the filter does not see it
        field = slice(max(top, 0), top + 12), slice(max(left, 0), left + 12)
        changed[field] = image[field]
        again = network.feature_maps(changed[None, None] if data_format == "NCHW" else changed[None, :, :, None])[4][1]
        again = again[0] if data_format == "NCHW" else again[0].transpose(2, 0, 1)
        there = np.unravel_index(maps[number_of_image, k].argmax(), maps.shape[2:])
        assert np.isclose(again[k][there], seen.values[k, place], atol=1e-5)


def test_filters_on_their_way_are_those_of_the_trainer():
    network, labels = model(), DIGITS.labels[:100]
    first = network.layers["0"].weight.data.copy()
    one = drawn(plots.FilterHistoryDisplay.from_model(network, DIGITS.images[:100], labels, epochs=2, batch_size=16,
                                                      lr=0.1, momentum=0.5))
    assert np.array_equal(network.layers["0"].weight.data, first), "the model itself is not trained"
    optimiser = optim.SGD(network.parameters(), 0.1, 0.5)
    history = fc.Trainer(network, optimiser, nn.NLLLoss()).fit((DIGITS.images[:100], labels), 2, 16, progress=False)
    seen = one.data
    assert np.array_equal(seen.filters[0], first)
    assert np.array_equal(seen.filters[-1], network.layers["0"].weight.data)
    sizes = np.array([16] * 6 + [4])
    assert np.allclose([seen.losses[:7] @ sizes / 100, seen.losses[7:] @ sizes / 100], history.train_loss)
    assert seen.at[0] == 0 and seen.at[-1] == len(seen.losses) == 14 == len(one.lines_["loss"].get_ydata())
    animation = one.animate(ax=Figure().subplots())
    for time in animation.new_frame_seq():
        one._move(time)
        assert np.array_equal(one.images_["filters"].get_array()[:, :5], seen.filters[time, 0, 0])
        assert one.ax_.get_title() == f"after {seen.at[time]} steps"
    animation._draw_was_started = True  # it was never shown, which Matplotlib warns of when it is dropped


def test_shuffled_pixels_cost_convolution_more():
    """The experiment itself, on the bundled digits: four accuracies."""
    train, test = data.digits("train"), DIGITS
    one = drawn(plots.ShuffledPixelsDisplay.from_arrays(train.images, train.labels, test.images, test.labels))
    (lenet, lenet_shuffled), (plain, plain_shuffled) = one.data.accuracies.values()
    assert lenet > 0.94 and lenet > plain and lenet - lenet_shuffled > 0.06
    assert abs(plain - plain_shuffled) < 0.03 and plain_shuffled > lenet_shuffled
    assert printed(one.texts_["as they are"]) == [f"{100 * value:.1f} %" for value in (lenet, plain)]
    assert printed(one.texts_["shuffled"]) == [f"{100 * value:.1f} %" for value in (lenet_shuffled, plain_shuffled)]
    seen = one.data
    assert np.array_equal(seen.shuffled[0].ravel(), seen.image[0].ravel()[seen.permutation])
    assert sorted(seen.permutation) == list(range(784))


@pytest.mark.parametrize("options", [dict(padding=1), dict(padding=(2, 0), stride=(1, 2)), dict(padding=2, dilation=2)])
def test_how_often_each_pixel_is_used(options):
    """Counted by convolution: the gradient of the sum of all outputs, with a filter of ones."""
    one = drawn(plots.PixelUseDisplay.from_sizes((8, 9), 3, **options))
    x, weight = np.ones((1, 1, 8, 9)), np.ones((1, 1, 3, 3))
    for name, padding in (("plain", 0), ("padded", options["padding"])):
        made = {**options, "padding": padding}
        counts = fc.conv2d_backward(np.ones_like(fc.conv2d(x, weight, **made)), x, weight, **made)[0][0, 0]
        assert np.array_equal(one.images_[name].get_array(), counts)
        assert printed(one.texts_[name]) == [str(int(count)) for count in counts.flat]
    assert f"a corner is in {one.plain[0, 0]} window" in one.describe()


def test_a_colour_picture_is_the_sum_of_its_channels_maps():
    image = data.sample("still-life")
    weight = np.random.default_rng(0).standard_normal((1, 3, 3, 3)).astype(np.float32)
    one = drawn(plots.ChannelSumDisplay.from_arrays(image, weight, np.float32([0.5])))
    maps = [one.images_[f"map {channel}"].get_array() for channel in range(3)]
    assert np.allclose(sum(maps) + 0.5, one.images_["sum"].get_array(), atol=1e-5)
    y = fc.conv2d(image, weight, np.float32([0.5]), algorithm="direct")
    assert np.array_equal(one.images_["sum"].get_array(), y[0])
    assert one.images_["image"].get_array().shape == (128, 128, 3)


def test_a_curve_of_learning_rates():
    one = drawn(plots.LearningRateDisplay.from_arrays([0.01, 0.1, 1.0], [2.5, 1.0, 99.0], smoothed=[2.5, 1.5, 40.0],
                                                      suggestion=0.1))
    assert one.lines_["loss"].get_ydata().tolist() == [2.5, 1.0, 99.0]
    assert one.lines_["smoothed"].get_ydata().tolist() == [2.5, 1.5, 40.0]
    assert one.lines_["suggestion"].get_xdata()[0] == 0.1 and one.axes_["loss"].get_xscale() == "log"
    assert one.axes_["loss"].get_ylim()[1] < 10, "what ran away does not press the rest to the ground"


def test_errors_name_the_argument():
    image, network = DIGITS.images[0], model()
    flat = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax())
    for call, message in (
            (lambda: plots.ActivationDisplay.from_arrays(np.ones((2, 3))), "data must be of maps"),
            (lambda: plots.ActivationDisplay.from_model(network, image, channel=4), "channel must"),
            (lambda: plots.ActivationDisplay.from_model(network, image, layer=1), "layer must be the number of an act"),
            (lambda: plots.ActivationDisplay.from_model(flat, image), "model must have an activation of maps"),
            (lambda: plots.FlattenDisplay.from_arrays(np.ones(3)), "maps must be"),
            (lambda: plots.LossDisplay.from_model(network, image, 3, classes=["a"]), "classes must have 10 names"),
            (lambda: plots.UpdateDisplay.from_model(network, image[None], [1], layer=1), "layer must"),
            (lambda: plots.UpdateDisplay.from_model(network, image[None], [1], k=4), "k must"),
            (lambda: plots.ConfusionMatrixDisplay(np.eye(3)), "confusion must be counts"),
            (lambda: plots.ConfusionMatrixDisplay.from_predictions([0, 1], [0]), "predictions must have shape"),
            (lambda: plots.MistakesDisplay.from_model(network, image[None], [10]), "labels must be class numbers"),
            (lambda: plots.TopPatchesDisplay.from_model(network, image), "x must be at least one image"),
            (lambda: plots.TopPatchesDisplay.from_model(network, image[None], layer=1), "layer must be the number"),
            (lambda: plots.FilterHistoryDisplay.from_model(network, image[None], [1], layer=1), "layer must be the"),
            (lambda: walk.shuffled_pixels(image, [1], image, [1]), "x must be images"),
            (lambda: walk.shuffled_pixels(image[None], [1], image[None, :, :9], [1]), "test_x must be images"),
            (lambda: plots.PixelUseDisplay.from_sizes(3, 5), "kernel_size"),
            (lambda: plots.LearningRateDisplay.from_arrays([0.1], [1, 2]), "loss must have one number for each"),
            (lambda: plots.ActivationDisplay.from_arrays(np.ones((1, 0, 3))), "with at least one number"),
            (lambda: plots.FlattenDisplay.from_arrays(np.ones((1, 0, 3))), "with at least one number"),
            (lambda: plots.FilterDisplay.from_arrays(np.ones((0, 1, 3, 3))), "with at least one number"),
            (lambda: plots.FilterDisplay.from_model(flat), "model must have a Conv2d"),
            (lambda: plots.UpdateDisplay.from_model(flat, image[None], [1]), "model must have a Conv2d"),
            (lambda: plots.FilterHistoryDisplay.from_model(flat, image[None], [1]), "model must have a Conv2d"),
            (lambda: plots.ConvolutionDisplay.from_model(network, image, at=(0,)), r"at must be \(row, column\), got"),
            (lambda: plots.OutputSizeDisplay.from_sizes(300, 3).plot(), "size must be at most 256"),
            (lambda: plots.ConfusionMatrixDisplay(np.zeros((0, 0), int)), "confusion must be counts"),
            (lambda: plots.ConfusionMatrixDisplay(-np.eye(2, dtype=int)), "confusion must be counts"),
            (lambda: plots.ModelDisplay.from_model(network, DIGITS.images[:2]), r"x must be one image \(C, H, W\)"),
            (lambda: plots.ModelDisplay.from_model(network, image[0]), r"x must be one image \(C, H, W\).*x\[None"),
            (lambda: walk.shuffled_pixels(image[None, :, :9], [1], image[None, :, :9], [1]), "x must be images"),
            (lambda: walk.shuffled_pixels(image[None], [], image[None], [1]), "labels must have shape"),
            (lambda: walk.shuffled_pixels(image[None], [-1], image[None], [1]), "labels must be class numbers"),
            (lambda: walk.shuffled_pixels(image[None], [1], image[None], [2]), "test_labels must be class numbers"),
            (lambda: walk.shuffled_pixels(image[None], [1], image[None], [1], seed=-1), "seed must be at least 0"),
            (lambda: walk.finite_difference(network, image, 1, "0.weight", (0, 0, 0, 0), step=1e-300), "large enough"),
            (lambda: plots.LearningRateDisplay.from_arrays([0.0, 1.0], [1, 2]), "lr must be above 0, got 0.0"),
            (lambda: plots.LearningRateDisplay.from_arrays([0.1], [np.nan]), "loss must have a finite number"),
            (lambda: plots.UpdateDisplay(walk.update(network, image[None], [1]), "4.weight"), "name must")):
        with pytest.raises(ValueError, match=message):
            call()
    for call, message in (
            (lambda: plots.ModelDisplay.from_model("lenet", image), "model must be a fastconv.nn.Module, got 'lenet'"),
            (lambda: plots.LossDisplay.from_model("lenet", image, 1), "model must be"),
            (lambda: plots.FilterDisplay.from_model("lenet"), "model must be"),
            (lambda: plots.UpdateDisplay.from_model("lenet", image[None], [1]), "model must be"),
            (lambda: plots.MistakesDisplay.from_model("lenet", image[None], [1]), "model must be"),
            (lambda: plots.FilterHistoryDisplay.from_model("lenet", image[None], [1]), "model must be"),
            (lambda: plots.PredictionDisplay.from_model(network, image, classes=3), "classes must be a list of names"),
            (lambda: plots.ConvolutionDisplay.from_model(network, image, at=3), "at must be a sequence of integers"),
            (lambda: walk.finite_difference(network, image, 1, "0.weight", 3), "index must be a sequence of integers"),
            (lambda: walk.finite_difference(network, image, 1, ["a"], (0,)), "name must be one of"),
            (lambda: plots.ConfusionMatrixDisplay.from_predictions(["a"], ["b"]), "labels must be integer class")):
        with pytest.raises(TypeError, match=message):
            call()
    with pytest.raises(TypeError, match="layer must be an activation of fastconv.nn"):
        walk.activation(np.ones(3), nn.Flatten())


def test_flattening_is_that_of_the_model():
    """Where it is not told that channels are last, the row holds pixel by pixel the numbers of all maps."""
    image = np.random.default_rng(0).random((6, 5, 2), np.float32)
    network = nn.Sequential(nn.Conv2d(2, 3, 3, data_format="NHWC", rng=0), nn.Flatten(), nn.Linear(36, 4, rng=0))
    one = drawn(plots.FlattenDisplay.from_model(network, image))
    row = walk.forward(network, image).layers[1].output
    assert np.array_equal(one.row, row) and np.array_equal(one.images_["row"].get_array()[0], row)
    assert one.maps[2, 1, 0] == row[1 * 9 + 0 * 3 + 2]
    assert "is number i*9 + j*3 + c" in one.describe() and "3*9 + 2*3 + 2 = 35" in one.describe()


def test_what_is_no_image_is_drawn_as_far_as_it_can_be():
    vector = np.arange(4, dtype=np.float32)
    for display in (plots.ModelDisplay, plots.PredictionDisplay):
        drawn(display.from_model(nn.Linear(4, 3, rng=0), vector))
    for value in (np.nan, np.inf):
        drawn(plots.ActivationDisplay.from_arrays(np.float32([[[value, 1], [2, -3]]])))
