"""Models whose batch normalisations are part of the layers before them."""

from __future__ import annotations

import copy
from typing import Any

from fastconv.functional.folding import folded
from fastconv.functional.foreign import shown
from fastconv.nn.conv import Conv2d
from fastconv.nn.linear import Linear
from fastconv.nn.module import Module
from fastconv.nn.norm import BatchNorm1d, BatchNorm2d
from fastconv.nn.sequential import Sequential


def fold_batch_norm(model: Module) -> Module:
    """A copy of a model, in evaluation mode, without the batch normalisations that follow a convolution or Linear.

    They become part of that layer's weight and bias, which gives the same but for rounding. Evaluation does so by
    itself in a `Sequential`, where the model keeps its layers; this is for good.

    Parameters
    ----------
    model : Module
        Which stays as it is. Looked at are the layers that follow each other in a `Sequential`, at any depth:
        `BatchNorm2d` behind `Conv2d`, `BatchNorm1d` behind `Linear`, each with running statistics.

    Returns
    -------
    Module
        Its state dict has fewer names: none of the normalisations, and a bias for each layer that had none. The other
        layers keep their names, so that there are gaps where they are numbers.

    Raises
    ------
    TypeError
        If the model is no Module.

    Notes
    -----
    B. Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
    2018, section 3.2.

    Examples
    --------
    >>> from fastconv import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 6, 5, bias=False), nn.BatchNorm2d(6), nn.ReLU())
    >>> nn.fold_batch_norm(model)
    Sequential(
      (0): Conv2d(1, 6, 5)
      (2): ReLU()
    )
    """
    if not isinstance(model, Module):
        raise TypeError(f"model must be a fastconv.nn module, got {shown(model)}")
    made = copy.deepcopy(model).eval()
    for _, module in list(made.named_modules()):
        if isinstance(module, Sequential):
            module.layers = _without_norms(module.layers)
    for name, parameter in made.named_parameters():
        parameter.name = name
    return made


def _without_norms(layers: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    before = ""
    for name, layer in layers.items():
        if before and _belong(kept[before], layer):
            kept[before] = _with_norm(kept[before], layer)
            before = ""
        else:
            kept[name] = layer
            before = name
    return kept


def _belong(layer: Any, norm: Any) -> bool:
    if type(layer) is Conv2d and type(norm) is BatchNorm2d:
        fits = layer.data_format == norm.data_format and layer.out_channels == norm.num_features
    else:
        fits = type(layer) is Linear and type(norm) is BatchNorm1d and layer.out_features == norm.num_features
    return fits and norm.track_running_stats and layer.dtype == norm.dtype


def _with_norm(layer: Any, norm: Any) -> Any:
    made = type(layer)(**{**layer.settings(), "bias": True, "init": "zeros"}).eval()
    made.weight.data, made.bias.data = folded(
        layer.weight.data, layer.bias.data if layer.bias else None, norm.in_evaluation())
    return made
