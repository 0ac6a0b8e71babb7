"""A convolutional network as a classifier of scikit-learn: in pipelines, grid searches and cross-validation.

::

    from fastconv.adapters.sklearn import CNNClassifier
    CNNClassifier(image_shape=(8, 8), random_state=0).fit(X, y).score(X_test, y_test)

Needs scikit-learn: ``pip install fastconv[sklearn]``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastconv import nn, optim
from fastconv.functional import checks
from fastconv.functional.foreign import shown

try:
    from sklearn.base import BaseEstimator, ClassifierMixin  # type: ignore[import-untyped, import-not-found]
    from sklearn.utils import check_random_state  # type: ignore[import-untyped, import-not-found]
    from sklearn.utils.multiclass import (  # type: ignore[import-untyped, import-not-found]
        check_classification_targets,
    )
    from sklearn.utils.validation import (  # type: ignore[import-untyped, import-not-found]
        _check_sample_weight,
        check_is_fitted,
        column_or_1d,
        validate_data,
    )
except ImportError as error:
    raise ImportError("fastconv.adapters.sklearn needs scikit-learn 1.6 or later: pip install fastconv[sklearn]",
                      name=error.name) from error

__all__ = ["CNNClassifier"]

Array = NDArray[Any]

#: Images below this in rows or columns are not pooled by the default network.
_SMALL = 4


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """A small convolutional network, trained by Adam on the cross-entropy.

    Parameters
    ----------
    image_shape : (int, int) or (int, int, int), optional
        Rows and columns, or channels, rows and columns, of the images whose pixels are the columns of a flat X, in this
        order. By default X of two dimensions holds signals, images of one row; and of X (N, H, W) or (N, C, H, W) the
        shape is that of the images.
    layers : sequence of tuples, or callable, optional
        What stands before the last linear layer, in order: ``("conv", filters)`` or ``("conv", filters, kernel_size)``,
        a convolution with "same" padding (3 by default) and ReLU; ``("pool", size)``, max pooling; ``("dropout", p)``;
        ``("dense", units)``, a linear layer with ReLU. Or ``layers(image_shape, classes, rng, dtype)`` returns a
        `fastconv.nn` module that makes logits (N, classes) of images (N, C, H, W). By default conv 16, pool 2, conv 32,
        pool 2, dense 64, without the pooling where images have fewer than 4 rows or columns.
    epochs : int
        Passes over the training set.
    batch_size : int
        Images of a step.
    learning_rate : float
        Of Adam.
    weight_decay : float
        Of AdamW: what weights lose in each step, relative to the learning rate.
    random_state : int, RandomState instance or None
        Of the first weights, dropout and the order of the images.

    Attributes
    ----------
    classes_ : array (classes,)
    image_shape_ : (int, int, int)
        Channels, rows and columns.
    model_ : fastconv.nn.Module
        The network, which returns logits.
    loss_curve_ : list of float
        The mean loss of each epoch.
    n_features_in_ : int
        Pixels of an image.

    Notes
    -----
    It computes in float32 where X is float32, in float64, at half the speed, otherwise. Pixels are taken as they are:
    scale them to about 0 to 1, or standardise them in a pipeline. Batches are weighted means by `sample_weight`.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastconv.adapters.sklearn import CNNClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype("float32")
    >>> model = CNNClassifier(image_shape=(8, 8), epochs=10, random_state=0).fit(X[:1000], y[:1000])
    >>> bool(model.score(X[1000:], y[1000:]) > 0.9)
    True
    """

    def __init__(self, image_shape: Any = None, layers: Any = None, *, epochs: int = 30, batch_size: int = 64,
                 learning_rate: float = 0.005, weight_decay: float = 0.0, random_state: Any = None) -> None:
        self.image_shape = image_shape
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> CNNClassifier:
        """Train a new network.

        Parameters
        ----------
        X : array (N, pixels), (N, H, W) or (N, C, H, W)
        y : array (N,)
            Labels of any kind.
        sample_weight : array (N,), optional
            How much each image counts.

        Returns
        -------
        CNNClassifier
            Itself.
        """
        epochs = checks.integer(self.epochs, "epochs", 1)
        images, y, weights, shape = self._training_set(X, y, sample_weight, reset=True)
        classes = np.unique(y)
        self._begin(shape, classes, images.dtype)
        self._train(images, np.searchsorted(classes, y), weights, epochs)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> CNNClassifier:
        """Train for one more pass, over this data.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array (classes,)
            All labels that will ever come: needed in the first call.

        Returns
        -------
        CNNClassifier
            Itself.
        """
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes must be given in the first call of partial_fit: write "
                             "partial_fit(X, y, classes=numpy.unique(all_labels))")
        images, y, weights, shape = self._training_set(X, y, sample_weight, reset=first)
        known = np.unique(classes) if first else self.classes_
        if not first and classes is not None and not np.array_equal(np.unique(classes), known):
            raise ValueError(f"classes must stay those of the first call, {known}, got {np.unique(classes)}")
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(f"y must hold classes of the first call alone, got {shown(unknown[0])}")
        if first:
            self._begin(shape, known, images.dtype)
        images = images.astype(self._dtype, copy=False)
        self._train(images, np.searchsorted(known, y), weights, 1)
        return self

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class for each image.

        Parameters
        ----------
        X : array (N, pixels), (N, H, W) or (N, C, H, W)

        Returns
        -------
        array (N, classes)
        """
        check_is_fitted(self)
        X, _ = self._flat(X, reset=False)
        X = validate_data(self, X, reset=False, dtype=[np.float64, np.float32])
        images = X.astype(self._dtype, copy=False).reshape(-1, *self.image_shape_)
        return self.model_.predict_proba(images)

    def predict(self, X: Any) -> Array:
        """The class of each image.

        Parameters
        ----------
        X : array (N, pixels), (N, H, W) or (N, C, H, W)

        Returns
        -------
        array (N,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    # -- data

    def _training_set(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Array, Array, Array | None, Any]:
        X, given = self._flat(X, reset)
        X, y = validate_data(self, X, y, reset=reset, dtype=[np.float64, np.float32])
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
            if not sample_weight.any():
                raise ValueError("sample_weight must not be 0 for every sample")
        shape = self._shape(X.shape[1], given) if reset else self.image_shape_
        return X.reshape(-1, *shape), y, sample_weight, shape

    def _flat(self, X: Any, reset: bool) -> tuple[Any, tuple[int, ...] | None]:
        """Images as rows of pixels, for scikit-learn to look at, and their shape; other things as they are."""
        if not isinstance(X, np.ndarray) or X.ndim not in (3, 4):
            return X, None
        shape = (1, *X.shape[1:]) if X.ndim == 3 else X.shape[1:]
        expected = shape if self.image_shape is None else _image_shape(self.image_shape)
        expected = expected if reset else self.image_shape_
        if shape != expected:
            raise ValueError(f"X must hold images of shape {expected} (channels, rows, columns), got {shape}")
        return X.reshape(len(X), math.prod(shape)), shape

    def _shape(self, features: int, given: tuple[int, ...] | None) -> tuple[int, ...]:
        """Channels, rows and columns of the images of a training set."""
        if given is not None:
            return given
        if self.image_shape is None:
            return (1, 1, features)
        shape = _image_shape(self.image_shape)
        if math.prod(shape) != features:
            raise ValueError(f"image_shape must have as many pixels as X has columns: {self.image_shape} has "
                             f"{math.prod(shape)}, X {features}")
        return shape

    # -- the network

    def _begin(self, shape: tuple[int, ...], classes: Array, dtype: Any) -> None:
        rate = checks.number(self.learning_rate, "learning_rate")
        decay = checks.number(self.weight_decay, "weight_decay")
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31 - 1))
        name = np.dtype(dtype).name
        if callable(self.layers):
            model = self.layers(shape, len(classes), rng, name)
            if not isinstance(model, nn.Module):
                raise TypeError(f"layers must return a fastconv.nn module, got {type(model).__name__}")
        else:
            chosen = _default_layers(shape) if self.layers is None else self.layers
            model = _network(shape, chosen, len(classes), rng, name)
        self._optimizer = optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        self._rng, self._dtype = rng, np.dtype(dtype)
        self.image_shape_, self.classes_, self.model_ = shape, classes, model
        self.loss_curve_: list[float] = []

    def _train(self, images: Array, labels: Array, weights: Array | None, epochs: int) -> None:
        batch_size = checks.integer(self.batch_size, "batch_size", 1)
        loss = nn.CrossEntropyLoss()
        self.model_.train()
        for _ in range(epochs):
            order, total = self._rng.permutation(len(images)), 0.0
            for first in range(0, len(order), batch_size):
                batch = np.sort(order[first:first + batch_size])  # where that is all, sums have one order
                some = () if weights is None else (weights[batch],)
                share = float(some[0].sum()) if some else len(batch)
                if share == 0:  # a batch that counts for nothing teaches nothing
                    continue
                self._optimizer.zero_grad()
                value = float(loss(self.model_(images[batch]), labels[batch], *some))
                if not math.isfinite(value):
                    raise ValueError(f"the training diverged in epoch {len(self.loss_curve_) + 1}, the loss is "
                                     f"{value}: scale X to about 0 to 1, or lower learning_rate")
                self.model_.backward(loss.backward(), needs_input_grad=False)
                self._optimizer.step()
                total += value * share
            self.loss_curve_.append(total / (len(images) if weights is None else float(weights.sum())))
        self.model_.eval()


def _image_shape(value: Any) -> tuple[int, int, int]:
    """The parameter `image_shape` with its channels."""
    shape = tuple(value) if isinstance(value, (tuple, list)) else ()
    if len(shape) not in (2, 3):
        raise ValueError(f"image_shape must be (rows, columns) or (channels, rows, columns), got {shown(value)}")
    sizes = [checks.integer(size, "image_shape", 1) for size in shape]
    return tuple([1] * (3 - len(sizes)) + sizes)  # type: ignore[return-value]


def _default_layers(shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    layers: list[tuple[Any, ...]] = [("conv", 16), ("pool", 2), ("conv", 32), ("pool", 2), ("dense", 64)]
    return [layer for layer in layers if layer[0] != "pool" or min(shape[1:]) >= _SMALL]


def _network(shape: tuple[int, ...], layers: Any, classes: int, rng: np.random.Generator, dtype: Any) -> nn.Sequential:
    """The layers that the parameter `layers` names, and a linear one."""
    made: dict[str, Any] = dict(rng=rng, dtype=dtype)
    channels, rows, columns = shape
    modules: list[nn.Module] = []
    flat = False
    for index, layer in enumerate(layers):
        name = f"layers[{index}]"
        kind, *numbers = layer if isinstance(layer, (tuple, list)) else (layer,)
        if kind not in ("conv", "pool", "dropout", "dense") or not 1 <= len(numbers) <= 1 + (kind == "conv"):
            raise ValueError(f"{name} must be ('conv', filters), ('conv', filters, kernel_size), ('pool', size), "
                             f"('dropout', p) or ('dense', units), got {shown(layer)}")
        if flat and kind in ("conv", "pool"):
            raise ValueError(f"{name} must stand before the first 'dense' layer, it is {shown(layer)}")
        if kind == "dropout":
            modules.append(nn.Dropout(numbers[0], rng=rng))
            continue
        sizes = [checks.integer(number, name, 1) for number in numbers]
        if kind == "conv":
            modules += [nn.Conv2d(channels, sizes[0], sizes[1] if len(sizes) > 1 else 3, padding="same", **made),
                        nn.ReLU()]
            channels = sizes[0]
        elif kind == "pool":
            if sizes[0] > min(rows, columns):
                raise ValueError(f"{name} must fit into the maps, which have {rows} x {columns} pixels there, "
                                 f"got {shown(layer)}: leave it out")
            modules.append(nn.MaxPool2d(sizes[0]))
            rows, columns = rows // sizes[0], columns // sizes[0]
        else:
            if not flat:
                modules.append(nn.Flatten())
            inputs = channels if flat else channels * rows * columns
            modules += [nn.Linear(inputs, sizes[0], **made), nn.ReLU()]
            channels, flat = sizes[0], True
    if not flat:
        modules.append(nn.Flatten())
    modules.append(nn.Linear(channels if flat else channels * rows * columns, classes, **made))
    return nn.Sequential(*modules)
