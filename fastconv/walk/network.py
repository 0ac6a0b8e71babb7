"""A network on its way forward and back: what goes into each layer and comes out, the gradients, and the update.

Nothing is changed in the model that is walked through: what training would write (gradients, running statistics,
parameters) is written into a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastconv import functional as F, nn, optim
from fastconv.functional import checks
from fastconv.functional.foreign import shown
from fastconv.nn.sequential import is_chain
from fastconv.walk.images import one_image
from fastconv.walk.sizes import OutputSize

__all__ = ["BackwardWalk", "ForwardWalk", "LayerWalk", "UpdateWalk", "backward", "forward", "update"]

#: Layers that drop at random what the next pass would not drop: they are left out.
_DROPS = (nn.Dropout, nn.Dropout2d)

#: How a layer hands back the gradient that comes to it; the first kind that fits.
_RULES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((nn.Conv2d, nn.Conv1d, nn.Conv3d), "to the input: each gradient times the filter, added up where its window lay; "
                                        "to the filter: each gradient times the patch that it came from, added up"),
    ((nn.Linear,), "to the input: the gradients times the weights; to a weight: its gradient times its input"),
    ((nn.ReLU,), "passes where the input was above 0, and is 0 elsewhere"),
    ((nn.LeakyReLU,), "passes where the input was above 0, and is multiplied by the small slope elsewhere"),
    ((nn.Sigmoid,), "is multiplied by y (1 - y)"),
    ((nn.Tanh,), "is multiplied by 1 - y^2"),
    ((nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d), "goes to the winner of each window, the others get 0"),
    ((nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d), "is shared out evenly among the pixels of each window"),
    ((nn.Flatten,), "is put back into the shape of the maps"),
    ((nn.LogSoftmax,), "g - p * sum(g): behind a negative log-likelihood that is p - onehot"),
    (_DROPS, "passes: nothing is dropped here"),
)
_CHAIN_RULE = "is multiplied by the derivative of the layer (chain rule)"


@dataclass(frozen=True, eq=False)
class LayerWalk:
    """A layer on the way forward, and if it was walked on the way back.

    Attributes
    ----------
    name : str
        As `Sequential.feature_maps` has it, ``"0: Conv2d"``.
    layer : Module
        The model's own layer.
    input, output : ndarray
        Without the axis of the batch.
    formula : tuple of OutputSize
        Of the axes of an image, if the layer has a window; else empty.
    grad_output, grad_input : ndarray or None
        The gradient of the loss with respect to the output and to the input.
    rule : str
        How the layer makes the second of the first.
    gradients : dict of str to ndarray
        Those of its parameters, by their names in the model.
    """

    name: str
    layer: nn.Module
    input: NDArray[Any]
    output: NDArray[Any]
    formula: tuple[OutputSize, ...]
    grad_output: NDArray[Any] | None
    grad_input: NDArray[Any] | None
    rule: str
    gradients: dict[str, NDArray[Any]]

    @property
    def parameters(self) -> int:
        """How many numbers the layer learns."""
        return sum(parameter.data.size for parameter in self.layer.parameters())


@dataclass(frozen=True, eq=False)
class ForwardWalk:
    """One image on its way through a network.

    Attributes
    ----------
    x : ndarray
        The image.
    layers : tuple of LayerWalk
    output : ndarray
        What comes out of the last layer.
    probabilities, log_probabilities : ndarray (classes,)
        What the output means: see `nn.Module.returns`.
    prediction : int
        The class of the largest.
    """

    x: NDArray[Any]
    layers: tuple[LayerWalk, ...]
    output: NDArray[Any]
    probabilities: NDArray[Any]
    log_probabilities: NDArray[Any]
    prediction: int


@dataclass(frozen=True, eq=False)
class BackwardWalk:
    """One image on its way through a network, and the gradient of its loss on the way back.

    Attributes
    ----------
    forward : ForwardWalk
        In training mode, but for dropout: batch normalisation has the statistics of this image.
    label : int
    loss : float
        Minus the log-probability of the label.
    onehot : ndarray (classes,)
        1 for the label, 0 for all others.
    error : ndarray (classes,)
        Probabilities minus `onehot`: the gradient of the loss with respect to the logits.
    layers : tuple of LayerWalk
        From the first to the last, with their gradients: to be read backwards.
    """

    forward: ForwardWalk
    label: int
    loss: Any
    onehot: NDArray[Any]
    error: NDArray[Any]
    layers: tuple[LayerWalk, ...]


@dataclass(frozen=True, eq=False)
class UpdateWalk:
    """One step of gradient descent, w <- w - lr * gradient.

    Attributes
    ----------
    lr : float
    before, gradients, after : dict of str to ndarray
        The parameters, by name.
    loss_before, loss_after : float
        Of the same images.
    """

    lr: float
    before: dict[str, NDArray[Any]]
    gradients: dict[str, NDArray[Any]]
    after: dict[str, NDArray[Any]]
    loss_before: Any
    loss_after: Any


def forward(model: nn.Module, x: ArrayLike) -> ForwardWalk:
    """Walk one image through a network, in evaluation mode.

    Parameters
    ----------
    model : Module
        A classifier: the layers of a `Sequential` are seen one by one, another module as a whole.
    x : array
        One image, (C, H, W) or as the model takes it, without the axis of the batch.

    Returns
    -------
    ForwardWalk

    Raises
    ------
    TypeError, ValueError
        If the model does not take the image; the message names the layer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, walk
    >>> seen = walk.forward(nn.models.lenet5(), np.zeros((1, 28, 28), np.float32))
    >>> [(one.name, one.output.shape) for one in seen.layers][:2]
    [('0: Conv2d', (6, 28, 28)), ('1: ReLU', (6, 28, 28))]
    >>> seen.layers[0].formula[0].formula
    '(28 + 2*2 - 5)/1 + 1 = 28'
    """
    image = _image(model, x)
    current: Any = image[None]
    layers = []
    for (path, layer), after in zip(_chain(model), _outputs(model, current), strict=True):
        layers.append(_layer(path, layer, current, after))
        current = after
    return _meant(model, image, tuple(layers), current[0])


def backward(model: nn.Module, x: ArrayLike, label: int) -> BackwardWalk:
    """Walk one image through a network and the gradient of its cross-entropy back.

    Parameters
    ----------
    model, x
        As for `forward`. The model is not changed.
    label : int
        The class that the image is of.

    Returns
    -------
    BackwardWalk

    Raises
    ------
    TypeError, ValueError
        If the model does not take the image, or there is no such class.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import nn, walk
    >>> seen = walk.backward(nn.models.lenet5(), np.zeros((1, 28, 28), np.float32), label=3)
    >>> [one.grad_output.shape for one in reversed(seen.layers)][:2]
    [(10,), (10,)]
    """
    image = _image(model, x)
    _outputs(model, image[None])  # refuses an image that does not fit, by the name of the layer
    double = _copied(model)
    current: Any = image[None]
    steps = []
    for (path, layer), (_, own) in zip(_chain(double), _chain(model), strict=True):
        before, current = current, layer(current)
        steps.append((path, layer, own, before, current))
    loss = loss_of(model)
    labels = np.array([checks.integer(label, "label", 0)])
    value = loss(current, labels)
    gradient: Any = loss.backward()
    walked = []
    for path, layer, own, before, after in reversed(steps):
        incoming = gradient
        gradient = layer.backward(incoming)
        found = {name: parameter.grad for name, parameter in layer.named_parameters(path)
                 if parameter.grad is not None}
        walked.append(_layer(path, own, before, after, incoming[0], gradient[0], found))
    layers = tuple(reversed(walked))
    seen = _meant(model, image, layers, current[0])
    onehot = np.zeros_like(seen.probabilities)
    onehot[label] = 1
    return BackwardWalk(seen, int(label), value, onehot, seen.probabilities - onehot, layers)


def update(model: nn.Module, x: ArrayLike, labels: ArrayLike, lr: float = 0.01) -> UpdateWalk:
    """Walk through one step of gradient descent on a batch of images.

    Parameters
    ----------
    model : Module
        A classifier. It is not changed: the step is made in a copy, in training mode, but for dropout.
    x : array (N, C, H, W)
    labels : array (N,) of int
    lr : float
        The learning rate.

    Returns
    -------
    UpdateWalk

    Raises
    ------
    TypeError, ValueError
        As the model, the loss and `optim.SGD` do.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import data, nn, walk
    >>> digits = data.digits("train")
    >>> step = walk.update(nn.models.lenet5(rng=0), digits.images[:32], digits.labels[:32], lr=0.05)
    >>> bool(step.loss_after < step.loss_before)
    True
    >>> name = "0.weight"
    >>> np.allclose(step.after[name], step.before[name] - step.lr * step.gradients[name])
    True
    """
    images = checks.array(x, "x")
    if images.ndim < 2 or not len(images):
        raise ValueError(f"x must be at least one image (N, C, H, W), got shape {images.shape}")
    double = _copied(a_module(model))
    if isinstance(_first(model), nn.Conv2d) and images.ndim != 4:
        raise ValueError(f"x must be images (N, C, H, W), got shape {images.shape}: write x[None] for one image")
    parameters = dict(double.named_parameters())
    optimiser = optim.SGD(list(parameters.values()), lr=lr)
    loss = loss_of(model)
    before = {name: parameter.data.copy() for name, parameter in parameters.items()}
    loss_before = loss(double(images), labels)
    double.backward(loss.backward(), False)
    gradients = {name: parameter.grad for name, parameter in parameters.items() if parameter.grad is not None}
    optimiser.step()
    loss_after = loss(double(images), labels)
    after = {name: parameter.data for name, parameter in parameters.items()}
    return UpdateWalk(float(lr), before, gradients, after, loss_before, loss_after)


def a_module(model: Any, name: str = "model") -> Any:
    """The argument of that name, a module."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"{name} must be a fastconv.nn.Module, got {shown(model)}")
    return model


def _image(model: nn.Module, x: ArrayLike) -> NDArray[Any]:
    """The argument x, without the axis of the batch: (C, H, W) where the first layer convolves."""
    return one_image(x) if isinstance(_first(a_module(model)), nn.Conv2d) else checks.array(x, "x")


def _first(model: nn.Module) -> nn.Module | None:
    """The first layer of a chain."""
    return next((layer for _, layer in _chain(model)), None)


def _copied(model: nn.Module) -> nn.Module:
    """A copy in training mode without gradients, whose dropout drops nothing."""
    double = copy.deepcopy(model).train()
    double.zero_grad()
    for _, module in double.named_modules():
        if isinstance(module, _DROPS):
            module.p = 0.0
    return double


def _chain(model: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of chains one by one with their dotted names; another module is one layer."""
    if not is_chain(model):
        yield path, model
        return
    for name, layer in model.layers.items():
        yield from _chain(layer, f"{path}.{name}" if path else name)


def _outputs(model: nn.Module, x: NDArray[Any]) -> list[NDArray[Any]]:
    """What comes out of each layer of `_chain`, in evaluation mode."""
    if is_chain(model):
        return [maps for _, maps in model.feature_maps(x)]
    with model.evaluating():
        return [model(x)]


def _layer(path: str, layer: nn.Module, before: Any, after: Any, grad_output: Any = None, grad_input: Any = None,
           gradients: dict[str, Any] | None = None) -> LayerWalk:
    rule = next((text for kinds, text in _RULES if isinstance(layer, kinds)), _CHAIN_RULE)
    return LayerWalk(f"{path or 'model'}: {type(layer).__name__}", layer, before[0], after[0],
                     _formula(layer, before[0], after[0]), grad_output, grad_input, rule, gradients or {})


def _formula(layer: Any, before: NDArray[Any], after: NDArray[Any]) -> tuple[OutputSize, ...]:
    """The formula along rows and columns of a layer with a window."""
    if type(layer) not in (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d):
        return ()
    image = slice(1, None) if layer.data_format == "NCHW" else slice(0, 2)
    sizes, outputs = before.shape[image], after.shape[image]
    taps = checks.pair(layer.kernel_size, "kernel_size")
    steps = taps if layer.stride is None else checks.pair(layer.stride, "stride")
    distances = checks.pair(getattr(layer, "dilation", 1), "dilation")
    pads = checks.padding(layer.padding, sizes, taps, steps, distances)
    return tuple(
        OutputSize(size, count, start, end, step, distance, number)
        for size, count, (start, end), step, distance, number in zip(sizes, taps, pads, steps, distances, outputs))


def _meant(model: nn.Module, image: NDArray[Any], layers: tuple[LayerWalk, ...], output: NDArray[Any]) -> ForwardWalk:
    """What comes out, as probabilities."""
    if output.ndim != 1:
        raise ValueError(f"model must give one number for each class, its output for an image has shape {output.shape}")
    if model.returns == "log-probabilities":
        logarithms, probabilities = output, np.exp(output)
    elif model.returns == "probabilities":
        with np.errstate(divide="ignore"):
            logarithms, probabilities = np.log(output), output
    else:
        logarithms, probabilities = F.log_softmax(output), F.softmax(output)
    return ForwardWalk(image, layers, output, probabilities, logarithms, int(output.argmax()))


def loss_of(model: nn.Module) -> Any:
    """The cross-entropy for what the model returns."""
    if model.returns == "probabilities":
        raise ValueError("model must end with LogSoftmax, or with none at all: the gradient of the cross-entropy of "
                         "probabilities, 1 / p, is infinite where one is 0; leave nn.Softmax out, predict_proba is "
                         "the same")
    return nn.NLLLoss() if model.returns == "log-probabilities" else nn.CrossEntropyLoss()
