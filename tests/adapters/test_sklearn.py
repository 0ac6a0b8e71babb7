"""The classifier of scikit-learn: its own checks, and what users do with classifiers."""

import pickle

import numpy as np
import pytest
from processes import run_python

pytestmark = pytest.mark.adapters
pytest.importorskip("sklearn", minversion="1.6", reason="scikit-learn is not installed")

from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import MinMaxScaler  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastconv import nn  # noqa: E402
from fastconv.adapters.sklearn import CNNClassifier  # noqa: E402

QUICK = dict(epochs=2, random_state=0, layers=[("conv", 4), ("pool", 2), ("dense", 8)])


@parametrize_with_checks([CNNClassifier(), CNNClassifier(layers=[("conv", 8, 1), ("dense", 32), ("dense", 16)])])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return train_test_split((X / 16).astype(np.float32), y, random_state=0)


def test_digits_are_recognised(digits):
    X, X_test, y, y_test = digits
    model = CNNClassifier(image_shape=(8, 8), epochs=20, random_state=0).fit(X, y)
    assert model.score(X_test, y_test) >= 0.975
    assert len(model.loss_curve_) == 20 and model.loss_curve_[-1] < 0.05 < 0.3 < model.loss_curve_[0]
    probabilities = model.predict_proba(X_test)
    assert probabilities.dtype == np.float32 and probabilities.shape == (len(X_test), 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(model.predict(X_test), probabilities.argmax(axis=1))


def test_images_in_any_form_give_the_same_network(digits):
    X, X_test, y, _ = digits
    flat = CNNClassifier(image_shape=(8, 8), **QUICK).fit(X[:200], y[:200])
    expected = flat.predict_proba(X_test)
    for images, shape in ((X.reshape(-1, 8, 8), None), (X.reshape(-1, 1, 8, 8), None),
                          (X.reshape(-1, 1, 8, 8), (1, 8, 8)), (X, (1, 8, 8))):
        model = CNNClassifier(image_shape=shape, **QUICK).fit(images[:200], y[:200])
        assert model.image_shape_ == (1, 8, 8) and model.n_features_in_ == 64
        for test in (X_test, X_test.reshape(-1, 8, 8), X_test.reshape(-1, 1, 8, 8)):
            np.testing.assert_array_equal(model.predict_proba(test), expected)


def test_colours_are_channels():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    X = 0.1 * rng.standard_normal((90, 3, 5, 6))
    X[np.arange(90), y] += 1
    model = CNNClassifier(random_state=0, epochs=10).fit(X[:60], y[:60])
    assert model.image_shape_ == (3, 5, 6) and model.score(X[60:], y[60:]) == 1
    again = CNNClassifier((3, 5, 6), random_state=0, epochs=10).fit(X[:60].reshape(60, -1), y[:60])
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_grid_search_pipeline_and_cross_validation(digits):
    X, _, y, _ = digits
    model = CNNClassifier(image_shape=(8, 8), epochs=10, random_state=0)
    grid = GridSearchCV(make_pipeline(MinMaxScaler(), model), cv=2, param_grid={
        "cnnclassifier__layers": [None, (("conv", 4, 5), ("pool", 2), ("dropout", 0.1))],
        "cnnclassifier__learning_rate": [1e-6, 5e-3]})
    grid.fit(X[:400] * 100, y[:400])
    assert grid.best_params_["cnnclassifier__learning_rate"] == 5e-3 and grid.best_score_ > 0.7
    assert cross_val_score(clone(grid.best_estimator_), X[:200], y[:200], cv=2).min() > 0.5


def test_a_pickle_goes_on_as_the_original_does(digits):
    X, X_test, y, _ = digits
    model = CNNClassifier(image_shape=(8, 8), **QUICK).fit(X[:100], y[:100])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X_test), model.predict_proba(X_test))
    for each in (model, again):
        each.partial_fit(X[100:200], y[100:200])
    np.testing.assert_array_equal(again.predict_proba(X_test), model.predict_proba(X_test))
    assert len(again.loss_curve_) == 3


def test_partial_fit_learns_labels_that_come_late():
    rng = np.random.default_rng(0)
    y = np.repeat(["ant", "bee", "cat"], 40)
    X = 0.1 * rng.standard_normal((120, 4, 4)) + np.repeat([0.0, 1.0, 2.0], 40)[:, None, None]
    model = CNNClassifier(random_state=0, learning_rate=0.01)
    with pytest.raises(ValueError, match="classes must be given in the first call"):
        model.partial_fit(X[:40], y[:40])
    for _ in range(40):
        for first in (0, 40, 80):
            model.partial_fit(X[first:first + 40:2], y[first:first + 40:2], classes=["cat", "bee", "ant"])
    assert model.classes_.tolist() == ["ant", "bee", "cat"] and model.score(X, y) > 0.95
    with pytest.raises(ValueError, match="y must hold classes of the first call"):
        model.partial_fit(X[:1], ["dog"])
    with pytest.raises(ValueError, match="classes must stay"):
        model.partial_fit(X[:1], ["ant"], classes=["ant", "dog"])


def test_weights_are_repetitions(digits):
    X, X_test, y, _ = digits
    X = X[:40].astype(np.float64)
    weights = np.random.default_rng(0).integers(0, 4, 40)
    settings = {**QUICK, "epochs": 10, "batch_size": 200}
    weighted = CNNClassifier((8, 8), **settings).fit(X, y[:40], sample_weight=weights)
    repeated = CNNClassifier((8, 8), **settings).fit(X.repeat(weights, axis=0), y[:40].repeat(weights))
    plain = CNNClassifier((8, 8), **settings).fit(X, y[:40])
    np.testing.assert_allclose(weighted.predict_proba(X_test), repeated.predict_proba(X_test), atol=1e-9)
    assert np.abs(weighted.predict_proba(X_test) - plain.predict_proba(X_test)).max() > 1e-3


def test_a_network_of_ones_own(digits):
    X, _, y, _ = digits

    def layers(image_shape, classes, rng, dtype):
        return nn.Sequential(nn.Flatten(), nn.Linear(64, classes, rng=rng, dtype=dtype))

    model = CNNClassifier((8, 8), layers, epochs=15, random_state=0).fit(X[:300], y[:300])
    assert len(model.model_.parameters()) == 2 and model.score(X[:300], y[:300]) > 0.5


@pytest.mark.parametrize(("settings", "message"), [
    (dict(image_shape=(8, 9)), "image_shape must have as many pixels"),
    (dict(image_shape=64), "image_shape must be"),
    (dict(layers=[("conv", 4, 3, 1)]), r"layers\[0\] must be"),
    (dict(layers=["relu"]), r"layers\[0\] must be"),
    (dict(layers=[("dense", 4), ("conv", 4)]), r"layers\[1\] must stand before"),
    (dict(layers=[("pool", 2)]), "must fit into the maps, which have 1 x 64"),
    (dict(epochs=0), "epochs"), (dict(batch_size=0), "batch_size"), (dict(learning_rate=-1.0), "lr"),
    (dict(learning_rate=1e30), "the training diverged"),
])
def test_what_cannot_be_is_refused_by_name(digits, settings, message):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=message):
        CNNClassifier(**{**QUICK, "layers": None, **settings}).fit(X[:100], y[:100])


def test_images_that_do_not_fit_are_refused(digits):
    X, _, y, _ = digits
    with pytest.raises(ValueError, match=r"X must hold images of shape \(1, 8, 8\)"):
        CNNClassifier((8, 8)).fit(X.reshape(-1, 4, 16), y)
    with pytest.raises(ValueError, match="must not be 0|non-zero"):
        CNNClassifier((8, 8)).fit(X[:9], y[:9], sample_weight=np.zeros(9))


def test_docstrings_run():
    run_python("-c", "import doctest, fastconv.adapters.sklearn as m; assert doctest.testmod(m) == (0, 6)")
